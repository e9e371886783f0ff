"""The file of keys: who may read it, what is said of a wrong one, and how it is read anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from visavis_proxy.credentials import Credentials, CredentialsInvalid

ONE = '[[key]]\nid = "one"\nsecret = "very secret"\n'
TWO = '[[key]]\nid = "two"\nsecret = "very secret too"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "credentials.toml"
    path.write_text(ONE)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o640])
def test_its_owner_and_a_group_may_read_it(file: Path, mode: int) -> None:
    """A Secret that Kubernetes mounts is root's, and reaches another user through its group alone."""
    file.chmod(mode)
    assert Credentials.load(file).find("one") is not None


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o660, 0o644, 0o666])
def test_others_may_not_read_it_and_a_group_may_not_write_it(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(CredentialsInvalid, match=f"chmod 600 {file}$"):
        Credentials.load(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no key"),
        ("key = 3", r"begins with \[\[key\]\]"),
        ("key = [3]", "valid dictionary"),
        (ONE + ONE, "'one' appears twice"),
        (ONE + "qps = -1", "qps: Input should be greater than 0"),
        (ONE + "qpss = 1\n", "qpss: Extra inputs are not permitted"),
        ('[keys]\na = "very secret"', "unknown keys"),
        (ONE + 'broken = "very secret', "is not TOML"),
    ],
)
def test_what_is_wrong_is_told_without_a_secret(file: Path, text: str, words: str) -> None:
    """And where a service runs, its keys stay as they were."""
    running = Credentials.load(file)
    file.write_text(text)
    for read in (lambda: Credentials.load(file), running.reload):
        with pytest.raises(CredentialsInvalid, match=words) as refusal:
            read()
        assert "very secret" not in str(refusal.value)
        assert "\n" not in str(refusal.value)
    assert running.find("one") is not None


def test_reading_it_anew_takes_all_of_it(file: Path) -> None:
    """Keys come and go; what was found before stays whole for whoever holds it."""
    running = Credentials.load(file)
    held = running.find("one")
    file.write_text(TWO)
    running.reload()
    assert running.find("one") is None
    assert running.find("two") is not None
    assert held is not None
    assert held.secret_is("very secret")


def test_a_file_that_is_gone_or_was_opened_to_others_changes_nothing(file: Path) -> None:
    running = Credentials.load(file)
    file.write_text(TWO)
    file.chmod(0o644)
    with pytest.raises(CredentialsInvalid, match="chmod 600"):
        running.reload()
    file.unlink()
    with pytest.raises(CredentialsInvalid, match="cannot read credentials"):
        running.reload()
    assert running.find("one") is not None
