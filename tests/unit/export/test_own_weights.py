"""Files of the user's: named, searched for, or fetched, and used only when they are what the pack says."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from own_networks import embedder
from typer.testing import CliRunner

from visavis_export.errors import ExportError, PackInvalid, WeightsUnavailable, WeightsWrong
from visavis_export.main import app
from visavis_export.own_weights import read_own
from visavis_export.pack import OwnWeights, load_pack, with_file

CONTENT = b"a network"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PACK = """
name = "{name}"
title = "ours"
licence = "ours alone"
[detector]
family = "scrfd"
score_threshold = 0.6
tall_score_threshold = 0.5
tall_from = 0.6
overlap_threshold = 0.4
{detector}
[embedder]
family = "arcface"
file = "e.onnx"
"""


def read(own: OwnWeights, tmp_path: Path, folder: Path | None = None) -> bytes:
    return read_own(own, "detector", "ours alone", folder, tmp_path / "cache")[1].data


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of a folder that holds n.onnx."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "n.onnx").write_bytes(CONTENT)
    handler = functools.partial(Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_first_pattern_that_fits_decides(tmp_path: Path) -> None:
    for name in ("scrfd_1.onnx", "det_10g.onnx"):
        (tmp_path / name).write_bytes(name.encode())
    assert read(OwnWeights(("det_*.onnx", "scrfd_*.onnx")), tmp_path, tmp_path) == b"det_10g.onnx"


def test_two_that_fit_are_not_guessed_between(tmp_path: Path) -> None:
    for name in ("det_2.onnx", "det_10g.onnx"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(WeightsUnavailable, match=r"more than one detector, det_10g.onnx, det_2.onnx: say which"):
        read(OwnWeights(("det_*.onnx",)), tmp_path, tmp_path)


def test_a_url_is_fetched_once(site: str, tmp_path: Path) -> None:
    """Later its copy in the cache serves, also when the site has gone."""
    own = OwnWeights(url=f"{site}/n.onnx", sha256=SHA256)
    assert read(own, tmp_path) == CONTENT
    (tmp_path / "site" / "n.onnx").unlink()
    assert read(own, tmp_path) == CONTENT


@pytest.mark.parametrize(
    ("path", "sha256", "error", "sentence"),
    [
        ("absent.onnx", SHA256, WeightsUnavailable, "it answers 404"),
        ("n.onnx", "0" * 64, WeightsWrong, "but the pack says 000"),
    ],
)
def test_what_is_not_there_or_another_file_is_not_kept(
    site: str, tmp_path: Path, path: str, sha256: str, error: type[ExportError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        read(OwnWeights(url=f"{site}/{path}", sha256=sha256), tmp_path)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_site_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    """Port 1 of this machine refuses."""
    with pytest.raises(WeightsUnavailable, match="was not downloaded"):
        read(OwnWeights(url="http://127.0.0.1:1/n.onnx", sha256=SHA256), tmp_path)


def test_a_pinned_file_must_be_that_file(tmp_path: Path) -> None:
    (tmp_path / "n.onnx").write_bytes(b"another network")
    with pytest.raises(WeightsWrong, match="it was not used"):
        read(OwnWeights(path=tmp_path / "n.onnx", sha256=SHA256), tmp_path)


def test_files_are_named_relative_to_the_pack(tmp_path: Path) -> None:
    """And its licence has to be accepted, since nobody here knows it."""
    source = tmp_path / "ours.toml"
    source.write_text(PACK.format(name="ours", detector='file = "nets/d.onnx"'))
    pack = load_pack(str(source))
    assert isinstance(pack.detector.weights, OwnWeights)
    assert pack.detector.weights.path == tmp_path / "nets" / "d.onnx"
    assert pack.asks_for_acceptance
    assert not replace(pack, licence_accepted=True).asks_for_acceptance


def test_an_option_takes_the_place_of_the_packs_file(tmp_path: Path) -> None:
    pack = with_file(load_pack("insightface"), "detector", f"scrfd={tmp_path}/a=b.onnx")
    assert isinstance(pack.detector.weights, OwnWeights)
    assert pack.detector.weights.path == tmp_path / "a=b.onnx"


@pytest.mark.parametrize(
    ("name", "detector", "sentence"),
    [
        ("opencv", 'file = "d.onnx"', "no name for it"),
        ("../up", 'file = "d.onnx"', "no name for it"),
        ("ours", 'file = "d.onnx"\nweights = "yunet_2023mar"', "not both"),
        ("ours", 'file = "d.onnx"\nsha256 = "abc"', "64 hexadecimal digits"),
        ("ours", 'url = "https://example.org/d.onnx"', "a sha256 stands beside it"),
        ("ours", 'file = "d.onnx"\ndeviation = 0', "deviation above 0"),
        ("ours", 'file = "d.onnx"\nsecond_look = "off"', "second_look is true or false"),
        ("ours", 'file = "d.onnx"\ncolour = "blue"', "colour"),
        ("ours", "", r"\[detector\]: does not say its weights"),
        (
            "ours",
            'file = "d.onnx"\ntall_form = 0.6',
            r"\[detector\]: has no key 'tall_form': did you mean 'tall_from'\?$",
        ),
        ("ours", 'file = "d.onnx"\nmean = "dark"', r"\[detector\]: mean is a number\.$"),
        ("ours", 'file = "d.onnx"\nmean = true', r"\[detector\]: mean is a number\.$"),
        ("ours", "file = 3", r"\[detector\]: file, sha256 and url are texts"),
    ],
)
def test_a_pack_that_cannot_be_meant_is_refused(tmp_path: Path, name: str, detector: str, sentence: str) -> None:
    (tmp_path / "ours.toml").write_text(PACK.format(name=name, detector=detector))
    with pytest.raises(PackInvalid, match=sentence):
        load_pack(str(tmp_path / "ours.toml"))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b'name = "ours"\n\n[detector\n', r"ours.toml cannot be used: it is no TOML: .*line 3"),
        (b'name = "ours"\ntitle = [1,\n2', r"ours.toml cannot be used: it is no TOML: .*the end, line 3\)\.$"),
        (b'name = "ours"\ntitle = "\xff"\n', r"ours.toml cannot be used: line 2 is not UTF-8\.$"),
        (b'name = 3\ntitle = "t"\nlicence = "l"\n', "3 is no name for it"),
        (b'name = "ours"\ntitle = "t"\nlicence = "l"\ndetector = 3\n', r"detector is a table, as \[detector\]"),
    ],
    ids=["broken off", "cut off", "not UTF-8", "no name", "no table"],
)
def test_a_file_that_is_no_pack_is_told_with_its_line(tmp_path: Path, data: bytes, sentence: str) -> None:
    (tmp_path / "ours.toml").write_bytes(data)
    with pytest.raises(PackInvalid, match=sentence):
        load_pack(str(tmp_path / "ours.toml"))


@pytest.mark.parametrize("swapped", [False, True])
def test_a_file_that_is_no_network_of_the_family_is_named_with_its_option(tmp_path: Path, swapped: bool) -> None:
    """As where somebody takes a text for a model, or the two models for one another. Nothing is left of the export."""
    source, repository = tmp_path / "read me.md", tmp_path / "not" / "there"
    source.write_bytes(embedder(16) if swapped else b"words")
    files = ["--detector", f"scrfd={source}", "--embedder", f"arcface={source}"]
    done = CliRunner().invoke(app, [*files, "--accept-licence", "--model-repository", str(repository)])
    assert done.exit_code == 1
    who = f"error: {source} cannot be the detector, of the family scrfd (--detector scrfd=FILE, or file in the pack's "
    assert done.stderr.startswith(who)
    assert done.stderr.endswith("\n" if swapped else "The file is not ONNX.\n")
    assert len(done.stderr.splitlines()) == 1
    assert not repository.parent.exists()


def test_a_licence_that_is_not_accepted_leaves_no_folder(tmp_path: Path) -> None:
    files = ["--detector", f"scrfd={tmp_path}/a.onnx", "--embedder", f"arcface={tmp_path}/b.onnx"]
    for name in ("a", "b"):
        (tmp_path / f"{name}.onnx").write_bytes(b"words")
    done = CliRunner().invoke(app, [*files, "--model-repository", str(tmp_path / "new")])
    assert (done.exit_code, "--accept-licence" in done.stderr) == (1, True)
    assert not (tmp_path / "new").exists()


def test_a_pack_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PackInvalid, match="cannot be read: No such file"):
        load_pack(str(tmp_path / "none.toml"))
