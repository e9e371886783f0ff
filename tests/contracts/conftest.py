"""Collects what tests claim of a document, and prints how much of it they cover; the convention: coverage.py."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from contracts.coverage import HERE, KINDS, Point, contracts, documented_points

CLAIMED: pytest.StashKey[dict[str, frozenset[Point]]] = pytest.StashKey()
PASSED: pytest.StashKey[set[Point]] = pytest.StashKey()
FAILED: pytest.StashKey[set[Point]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "documented(contract, kind, *names): proves these names of a contract's document"
    )
    config.stash[CLAIMED], config.stash[PASSED], config.stash[FAILED] = {}, set(), set()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note every claim before a -k or -m takes tests away."""
    config.stash[CLAIMED] = {item.nodeid: frozenset(_claims(item)) for item in items}


def _claims(item: pytest.Item) -> Iterable[Point]:
    for mark in item.iter_markers("documented"):
        contract, kind, *names = mark.args
        yield from ((contract, kind, name) for name in names)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    report: pytest.TestReport = yield
    claims = item.config.stash[CLAIMED].get(item.nodeid, frozenset())
    if report.failed:
        item.config.stash[FAILED] |= claims
    elif report.when == "call" and report.passed:
        item.config.stash[PASSED] |= claims
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line a contract: fields, errors and examples covered by a test that passed, of how many."""
    proven = config.stash[PASSED] - config.stash[FAILED]
    run = {contract for contract, _, _ in proven}
    if not run:
        return
    # A run that left tests out on purpose has nothing to complain of.
    whole = set() if "deselected" in terminalreporter.stats else _whole(config)
    terminalreporter.section("documents covered by passed tests")
    for contract in sorted(run.intersection(contracts())):
        points = documented_points(contract)
        counts = [_count(kind, points, proven) for kind in KINDS]
        terminalreporter.write_line(f"{contract:<8} {'   '.join(counts)}")
        for _, kind, name in sorted(points - proven) if contract in whole else ():
            terminalreporter.write_line(f"{'':<8} not shown by a passed test: {kind} {name}")


def _count(kind: str, points: set[Point], proven: set[Point]) -> str:
    documented = {point for point in points if point[1] == kind}
    return f"{kind}s {len(documented & proven):>2} of {len(documented):<2}"


def _whole(config: pytest.Config) -> set[str]:
    """The contracts of which every file of tests was collected."""
    files = {(config.rootpath / nodeid.partition("::")[0]).resolve() for nodeid in config.stash[CLAIMED]}
    return {contract for contract in contracts() if files.issuperset((HERE / contract).glob("test_*.py"))}


@pytest.fixture(scope="session")
def claims(pytestconfig: pytest.Config) -> dict[str, set[Point]]:
    """What the collected tests claim, by contract; a contract of which some file was not collected is absent."""
    claimed = set().union(*pytestconfig.stash[CLAIMED].values())
    return {contract: {point for point in claimed if point[0] == contract} for contract in _whole(pytestconfig)}
