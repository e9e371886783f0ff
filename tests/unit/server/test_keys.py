"""``visavis keys``: a new key is ready for the file, and what a file holds is shown without a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from visavis_proxy.credentials import Contract, Credentials
from visavis_server.errors import CommandFailed
from visavis_server.main import app


def keys(*arguments: str) -> Result:
    # Wide enough for its complaints to stay in one line.
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["keys", *arguments])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "credentials.toml"
    path.write_text('[[key]]\nid = "old"\nsecret = "very secret"\nqps = 2.5\ncontracts = ["aws"]')
    path.chmod(0o600)
    return path


def test_a_new_key_may_be_appended_as_it_is(file: Path) -> None:
    """Even where the file's last line has no end; two of them are two keys."""
    for _ in range(2):
        made = keys("new")
        assert made.exit_code == 0
        with file.open("a") as sink:
            sink.write(made.stdout)
    old, *new = Credentials.load(file)
    assert old.id == "old"
    assert len({key.id for key in new} | {key.secret.get_secret_value() for key in new}) == 4
    for key in new:
        assert len(key.secret.get_secret_value()) >= 32
        assert (key.contracts, key.tier, key.qps, key.daily_quota) == (tuple(Contract), "formal", 50, 100_000)


def test_a_new_key_has_what_was_asked_for(file: Path) -> None:
    made = keys("new", "--contracts", "aws, facepp", "--qps", "0.5", "--tier", "trial", "--daily-quota", "7")
    file.write_text(made.stdout)
    (key,) = Credentials.load(file)
    assert (key.contracts, key.tier, key.qps, key.daily_quota) == ((Contract.AWS, Contract.FACEPP), "trial", 0.5, 7)


def test_how_it_is_put_to_use_is_not_said_in_the_file() -> None:
    made = keys("new")
    assert "SIGHUP" in made.stderr
    assert "SIGHUP" not in made.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--contracts", "aws,azure"], "'aws,azure' is not a list of facepp,aliyun,jdcloud,aws"),
        (["--contracts", ""], "'' is not a list"),
        (["--qps", "0"], "0 is not a number above 0"),
        (["--qps", "nan"], "nan is not a number above 0"),
        (["--qps", "inf"], "inf is not a number above 0"),
    ],
)
def test_what_no_file_may_hold_is_refused(arguments: list[str], words: str) -> None:
    made = keys("new", *arguments)
    assert (made.exit_code, made.stdout) == (2, "")
    assert words in made.stderr


def test_a_list_shows_ids_and_limits_and_no_secret(file: Path) -> None:
    with file.open("a") as sink:
        sink.write('\n[[key]]\nid = "shut"\nsecret = "very secret too"\ndisabled = "Denied by Client"\n')
    listed = keys("list", str(file))
    assert listed.exit_code == 0
    assert [line.split() for line in listed.stdout.splitlines()] == [
        ["id", "contracts", "tier", "qps", "daily", "quota", "disabled"],
        ["old", "aws", "formal", "2.5", "100000"],
        ["shut", "facepp,aliyun,jdcloud,aws", "formal", "50", "100000", "Denied", "by", "Client"],
    ]
    assert "secret" not in listed.output


def test_a_file_that_is_of_no_use_is_one_sentence(file: Path) -> None:
    file.chmod(0o644)
    failed = keys("list", str(file)).exception
    assert isinstance(failed, CommandFailed)
    assert "chmod 600" in str(failed)
