"""Alerts and dashboard ask for what the proxy tells, and whoever is woken finds what to do."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest
import yaml
from fakes import make_services
from observing import alerts, expressions, file, matchers, names, panels, samples
from running import ROOT

from visavis_client.fakes import FakeEngine
from visavis_proxy.app import create_app
from visavis_proxy.credentials import Contract
from visavis_proxy.metrics import Metrics
from visavis_proxy.observation import NO_CONTRACT
from visavis_proxy.restarts import write_restarts
from visavis_proxy.results import LIMITS, NO_LIMIT, SUCCESS, Result
from visavis_proxy.stages import Stage

PROMTOOL = shutil.which("promtool")
#: Given to every series by Prometheus itself.
SCRAPED = {"job", "instance"}


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, set[str]]]:
    """What a worker that has seen everything once shows at ``/metrics``."""
    metrics = Metrics()
    for contract, result in product([*Contract, NO_CONTRACT], Result):
        metrics.request_answered(contract, 200, "200", NO_LIMIT, result, 0.1)
    for limit in {*LIMITS.values(), NO_LIMIT}:
        metrics.request_answered("aws", 200, SUCCESS, limit, Result.REFUSED, 0.1)
    metrics.stages_passed("aws", [0.1] * len(Stage))
    metrics.engine_answered("answered", 0.1)
    metrics.fetched("fetched", 0.1)
    metrics.log_lines_dropped(1)
    for backend, result in product(("sqlite", "redis"), ("ok", "unavailable")):
        metrics.state_called(backend, "take", result, 0.1)
    write_restarts(tmp_path, {"triton": 1, "worker": 1})
    services = make_services(FakeEngine({}))
    create_app(services, metrics=metrics)
    own = metrics.render(services.build, engine_ready=asyncio.run(services.engine.ready()))
    # The launcher's counts are shown where workers count together.
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    shared = metrics.render(services.build, engine_ready=True)
    return samples(own.decode()) | {
        name: labels for name, labels in samples(shared.decode()).items() if "restarts" in name
    }


@pytest.mark.parametrize(("whose", "expression"), list(expressions()))
def test_every_metric_of_the_proxy_exists_with_its_labels(
    whose: str, expression: str, told: dict[str, dict[str, set[str]]]
) -> None:
    """And every condition can be met: a slip in a label's value would draw an empty panel, and never wake anybody."""
    asked = {name for name in names(expression) if name.startswith("visavis_")}
    assert asked <= set(told), whose
    for metric, label, operator, value in matchers(expression):
        if not metric.startswith("visavis_") or label in SCRAPED:
            continue
        values = told[metric][label]
        wanted = set(value.split("|")) if "~" in operator else {value}
        assert wanted <= values or value == ".*", f"{whose}: {metric}{{{label}{operator}{value}}}"


def test_every_metric_that_the_proxy_tells_is_drawn(told: dict[str, dict[str, set[str]]]) -> None:
    """By whichever of its samples."""
    drawn = {name for title, expression in expressions() for name in names(expression)}
    families = {re.sub(r"_(total|bucket|sum|count|created)$", "", name) for name in told}
    assert families <= {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in drawn}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_waits_tells_how_bad_it_is_and_what_to_do(alert: dict[str, dict[str, str]]) -> None:
    runbook = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert re.fullmatch(r"\d+m", str(alert["for"]))
    assert alert["labels"]["severity"] in {"warning", "critical"}
    assert alert["annotations"]["summary"]
    page, anchor = alert["annotations"]["runbook"].split("#")
    assert (ROOT / page).is_file()
    assert f"\n## {anchor.capitalize()}\n" in runbook
    assert f"| `{alert['alert']}` |" in runbook


def test_the_runbook_names_no_alert_that_is_not_there() -> None:
    runbook = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(Visavis\w+)` \|", runbook, re.MULTILINE)) == {alert["alert"] for alert in alerts()}


def test_the_alerts_know_what_is_scraped_by_its_name() -> None:
    scraped = yaml.safe_load(file("prometheus.yml").read_text("utf-8"))
    assert scraped["rule_files"] == ["alerts.yml"]
    jobs = {job["job_name"] for job in scraped["scrape_configs"]}
    asked = {job for _, expression in expressions() for job in re.findall(r'\bjob="([^"]+)"', expression)}
    assert asked == jobs


def test_the_dashboard_has_every_panel_once_and_none_above_another() -> None:
    found = panels()
    assert len({panel["id"] for panel in found}) == len({panel["title"] for panel in found}) == len(found)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in found)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool, of the package prometheus")
class TestByPrometheusItself:
    def run(self, *arguments: str) -> None:
        assert PROMTOOL is not None
        run = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False, timeout=60)
        assert run.returncode == 0, run.stdout + run.stderr

    def test_scraping_and_alerts_are_valid(self) -> None:
        self.run("check", "config", str(file("prometheus.yml")))

    def test_alerts_come_when_they_must_and_only_then(self) -> None:
        self.run("test", "rules", str(file("alerts_test.yml")))

    def test_every_panel_asks_in_good_grammar(self, tmp_path: Path) -> None:
        rules = [{"record": f"panel:{at}", "expr": expression} for at, (_, expression) in enumerate(expressions())]
        asked = tmp_path / "panels.yml"
        asked.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
        self.run("check", "rules", str(asked))
