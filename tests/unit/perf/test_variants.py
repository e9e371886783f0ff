"""Choices are measured beside what else could have been chosen, and a page gets the figures."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from visavis_export.configurations import Served, configurations
from visavis_export.repository import Repository
from visavis_perf import variants_run
from visavis_perf.contracts import OK
from visavis_perf.load import Load, run_closed
from visavis_perf.places import REPOSITORY, ROOT
from visavis_perf.results import NoResults
from visavis_perf.schedule import Expected, Pace
from visavis_perf.service import Service, ServiceFailed
from visavis_perf.signing import Caller
from visavis_perf.triton_http import TritonHttp
from visavis_perf.variants import FILES, Edit, Here, Variant, VariantInvalid, read_variants
from visavis_perf.variants_models import edited, handing_on, lay_out
from visavis_perf.variants_page import (
    BEGIN,
    END,
    DocumentUnfit,
    check_document,
    figure,
    page,
    read,
    write,
    write_document,
)
from visavis_server.placing import with_instances

HERE = Here(cores=6, in_flight=16, triton_grpc="127.0.0.1:9")
LISTED = read_variants()
DETECTOR = (REPOSITORY / "face_detector/configs/cpu.pbtxt").read_text()
ENSEMBLE = (REPOSITORY / "face_analysis/config.pbtxt").read_text()
MACHINE = {"cores": 2, "processor": "a processor", "units": ["avx2"], "gpu": []}


def parsed(text: str) -> ModelConfig:
    return text_format.Parse(text, ModelConfig())


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model repository without its graphs."""
    target = tmp_path_factory.mktemp("repository") / "models"
    shutil.copytree(REPOSITORY, target, ignore=shutil.ignore_patterns("*.onnx", "*.json", "__pycache__", ".export*"))
    return target


@pytest.mark.parametrize("name", [name for name, variant in LISTED.items() if variant.changes_models])
def test_every_listed_variant_of_the_models_changes_them(name: str, configured: Path, tmp_path: Path) -> None:
    """And the launcher and the export can read what it wrote: otherwise it would not start."""
    target = tmp_path / "models"
    lay_out(LISTED[name], HERE, target, configured)
    for model in LISTED[name].edits:
        with_instances((target / model / "configs/cpu.pbtxt").read_text(), HERE.cores)
    assert configurations(Repository(target), Served(dimensions=128)) == {}


def test_every_word_in_braces_is_known() -> None:
    """A slip of the pen would reach `visavis serve`."""
    for variant in LISTED.values():
        for text in (*variant.arguments, *variant.environment.values()):
            assert "{" not in HERE.filled(text)


def test_an_edit_is_written_into_the_configuration() -> None:
    """A count of one's own takes the launcher's parameter away, which would replace it."""
    edit = Edit(
        count="{cores}",
        parameters={"intra_op_thread_count": "{cores}"},
        preferred_batch_size=(4, 8),
        max_queue_delay_us=900,
    )
    config = parsed(edited(DETECTOR, edit, HERE))
    assert [group.count for group in config.instance_group] == [6]
    assert "instances_per_core" not in config.parameters
    assert config.parameters["intra_op_thread_count"].string_value == "6"
    assert list(config.dynamic_batching.preferred_batch_size) == [4, 8]
    assert config.dynamic_batching.max_queue_delay_microseconds == 900
    assert config.dynamic_batching.default_queue_policy.max_queue_size == 512
    assert parsed(edited(DETECTOR, Edit(instances_per_core=2), HERE)).parameters["instances_per_core"].string_value


@pytest.mark.parametrize(("what", "handed"), [("picture", {"picture"}), ("nothing", set[str]())])
def test_the_decoder_hands_on_something_else(what: str, handed: set[str]) -> None:
    """Not the place, and to the aligner what it gives."""
    steps = {step.model_name: step for step in parsed(handing_on(ENSEMBLE, what)).ensemble_scheduling.step}
    assert set(steps["image_decoder"].output_map) == {"letterbox", "geometry"} | handed
    assert set(steps["face_aligner"].input_map) & {"place", "picture"} == handed
    assert set(steps["face_detector"].input_map) == {"image"}
    assert "picture" not in {*steps["image_decoder"].input_map, *steps["face_aligner"].output_map}


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ({"face_detector": Edit(parameters={"intra_op_thread_count": "1"})}, "says so already"),
        ({"face_finder": Edit(count=1)}, "has no configs/cpu.pbtxt"),
    ],
)
def test_a_variant_that_changes_nothing_is_refused(
    edits: dict[str, Edit], said: str, configured: Path, tmp_path: Path
) -> None:
    """It would be published as a choice that makes no difference."""
    with pytest.raises(VariantInvalid, match=said):
        lay_out(Variant("x", "this", "that", edits=edits), HERE, tmp_path / "models", configured)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ('instead = "b"', "chosen is missing"),
        ('chosen = "a"\ninstead = "b"\nload = "soak"', "load names none of"),
        ('chosen = "a"\ninstead = "b"\npictures = "9mp"', "pictures names none of"),
        ('chosen = "a"\ninstead = "b"\nthreads = 2', "threads is unknown"),
        ('chosen = "a"\ninstead = "b"\ncount = 2', "go together"),
        ('chosen = "a"\ninstead = "b"\nmodels = ["face_detector"]', "go together"),
        ('chosen = "a"\ninstead = "b"\nhand_on = "all"', "hand_on is picture or nothing"),
        ('chosen = "a"\ninstead = "b"\n[[variant]]\nname = "x"\nchosen = "a"\ninstead = "b"', "two of that name"),
    ],
)
def test_a_list_with_a_mistake_is_refused_by_name(rows: str, said: str, tmp_path: Path) -> None:
    """Before anything is started."""
    path = tmp_path / "variants.toml"
    path.write_text(f'[[variant]]\nname = "x"\n{rows}\n')
    with pytest.raises(VariantInvalid, match=rf"^x: .*{said}"):
        read_variants(path)


def test_the_ensemble_is_asked_as_triton_reads_it() -> None:
    """A head of JSON of the told length, then the picture with its own length before it."""
    asked = TritonHttp()
    jpeg = b"\xff\xd8" + bytes(700)
    body = asked.body([jpeg])
    length = int(asked.headers("127.0.0.1:1", body)["Inference-Header-Content-Length"])
    (image,) = (one for one in json.loads(body.data[:length])["inputs"] if one["name"] == "image")
    rest = body.data[length:]
    assert image["parameters"]["binary_data_size"] == len(rest)
    assert (int.from_bytes(rest[:4], "little"), rest[4:]) == (len(jpeg), jpeg)


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        (
            "asyncio",
            "from uvicorn.loops.uvloop import uvloop_loop_factory as f; print(type(f()()).__module__)",
            "asyncio.",
        ),
        ("plain-codecs", "import orjson; print(orjson.dumps({'a': orjson.loads('[1]')}))", "b'{\"a\":[1]}'"),
        (
            "plain-codecs",
            "import orjson, visavis_proxy.images as i; print(orjson.__file__, i.pybase64.__file__)",
            str(FILES),
        ),
    ],
)
def test_something_else_stands_in_for_a_package(name: str, code: str, said: str) -> None:
    """The variant would otherwise compare the package with itself."""
    path = HERE.filled(LISTED[name].environment["PYTHONPATH"])
    found = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert all(word.startswith(said) for word in found.stdout.split())


def test_stand_ins_have_what_the_proxy_asks_of_the_packages() -> None:
    """A name that one of them lacks would be a worker that does not come up."""
    names = {"orjson": set[str](), "pybase64": set[str]()}
    for path in (ROOT / "proxy").rglob("*.py"):
        for package, name in re.findall(r"\b(orjson|pybase64)\.([A-Za-z0-9_]+)", path.read_text()):
            names[package].add(name)
    for package, asked in names.items():
        stand_in = (FILES / "plain_codecs" / f"{package}.py").read_text()
        assert asked
        assert all(f'"{name}"' in stand_in for name in asked), package


class _Counted:
    """A service that takes its time, and notes how many ask at once."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = self.most = 0

    async def answer(self, request: web.Request) -> web.Response:
        await request.read()
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self.seconds)
        self.now -= 1
        return web.Response()


@contextmanager
def served(counted: _Counted) -> Iterator[Service]:
    """It listens on loopback in a thread of its own."""
    loop = asyncio.new_event_loop()
    application = web.Application()
    application.router.add_post("/{path:.*}", counted.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    loop.run_until_complete(runner.setup())
    loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    host = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield Service(f"http://{host}", None, host, os.getpid(), 1.0, Caller("", ""))
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_closed_loop_keeps_as_many_requests_waiting() -> None:
    """Five callers, each of which asks again when it is answered, until the time is over."""
    counted, asked = _Counted(0.05), TritonHttp()
    with served(counted) as service:
        samples = run_closed(Load(service.url, asked, [asked.body([b"x"])], rate=1, seconds=0.5), 5)
    assert counted.most == 5
    assert {sample.kind for sample in samples} == {OK}
    assert len(samples) >= 10
    assert max(sample.due_s for sample in samples) < 0.5


def test_a_variant_of_twice_the_time_has_half_the_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variant over unchanged, for both figures."""
    monkeypatch.setattr(variants_run, "_SECONDS", 0.6)
    monkeypatch.setattr(variants_run, "_ONE_AT_A_TIME", 3)
    monkeypatch.setattr(variants_run, "pictures", lambda _: [b"x"])
    with ExitStack() as stack:
        unchanged, slower = (stack.enter_context(served(_Counted(seconds))) for seconds in (0.1, 0.2))
        pace = Pace([Expected("x", 0.0)], budget_s=0.0)
        told = variants_run._Turns(Variant("x", "this", "that"), unchanged, slower, pace).measured()
    assert told["throughput"]["share"] == pytest.approx(0.5, rel=0.35)
    assert told["one_at_a_time"]["share"] == pytest.approx(2.0, rel=0.35)
    assert set(told["answers"]) == {OK}


@contextmanager
def _serves_only_the_product(environment: object = None, *, name: str = "service", **_: object) -> Iterator[Service]:
    if name == "variant":
        raise ServiceFailed("the variant ended")
    yield Service("http://127.0.0.1:9", "127.0.0.1:9", "127.0.0.1:9", os.getpid(), 1.0, Caller("", ""))


def test_a_variant_that_does_not_come_up_is_a_row_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the list is measured all the same."""
    monkeypatch.setattr(variants_run, "serving", _serves_only_the_product)
    monkeypatch.setattr(variants_run, "_in_flight", lambda _: 16)
    monkeypatch.setattr(variants_run, "pictures", lambda _: [b"x"])
    listed = {name: Variant(name, "this", "that") for name in ("one", "two")}
    record = variants_run.measure(listed, lambda _: None, whole=False)
    assert [row["fault"] for row in record["variants"].values()] == ["the variant ended"] * 2
    assert page(record).count("| not served | – |") == 2


def _told(shares: list[float], *, steady: bool = True) -> dict[str, Any]:
    runs = [{"share": share, "steady": True} for share in shares]
    return {"share": sorted(shares)[len(shares) // 2], "spread": 0.1, "steady": steady, "runs": runs}


def record_of(throughput: dict[str, Any], *, whole: bool = True) -> dict[str, Any]:
    row: dict[str, Any] = {"chosen": "this", "instead": "that", "load": "ensemble", "pictures": "250"}
    row |= {"throughput": throughput, "one_at_a_time": _told([0.99, 1.0, 1.01])}
    return {
        "made": "2026-01-02T03:04:05Z",
        "revision": "abc",
        "machine": MACHINE,
        "whole": whole,
        "variants": {"x": row},
    }


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (_told([0.8, 0.81, 0.83]), "**0.81** (0.80–0.83)"),
        (_told([0.9, 0.95, 1.02]), "0.95 (0.90–1.02)"),
        (_told([1.005, 1.01, 1.015]), "1.01 (1.00–1.01)"),
        (_told([0.8, 0.81, 0.83], steady=False), "0.81 (0.80–0.83) ?"),
    ],
)
def test_only_a_clear_difference_stands_out(told: dict[str, Any], shown: str) -> None:
    """All turns on one side of 1, by more than a fiftieth, on a machine that stood still."""
    assert figure(told) == shown


def test_what_the_product_does_beside_itself_is_no_difference() -> None:
    """A variant stands out where each of its turns lies beyond that; turns that do not count are in no bracket."""
    record = record_of(_told([0.8, 0.81, 0.83]))
    beside_itself = record_of(_told([0.82, 0.99, 1.01]))["variants"]["x"]
    assert "**0.81** (0.80–0.83)" in page(record)
    record["variants"]["unchanged"] = beside_itself
    assert "| 0.81 (0.80–0.83) |" in page(record)
    beside_itself["throughput"]["runs"][0]["steady"] = False
    beside_itself["throughput"]["share"] = 1.0
    assert "**0.81** (0.80–0.83)" in page(record)
    few = _told([0.7, 0.9, 1.0], steady=False)
    few["runs"][0]["steady"] = few["runs"][2]["steady"] = False
    few["share"] = 0.95
    assert figure(few) == "0.95 (0.70–1.00) ?"


def test_a_page_is_written_between_its_marks(tmp_path: Path) -> None:
    """All else stays, however often it is written."""
    path = tmp_path / "page.md"
    path.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\nAfter\n")
    for _ in range(2):
        write_document(record_of(_told([0.8, 0.81, 0.83])), path)
    text = path.read_text()
    assert text.startswith(f"# Before\n\n{BEGIN}\n2026-01-02, revision abc, 2 cores (a processor, avx2)")
    assert text.endswith(f"\n{END}\n\nAfter\n")
    assert "old" not in text
    assert "| this | that | `x` | **0.81** (0.80–0.83) | 1 (" not in text
    assert "| this | that | `x` | **0.81** (0.80–0.83) | 1.00 (0.99–1.01) |" in text


@pytest.mark.parametrize("text", ["no marks", f"{END} {BEGIN}", BEGIN, f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{END}"])
def test_a_page_without_its_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    """Told before the minutes that a measurement takes."""
    path = tmp_path / "page.md"
    path.write_text(text)
    with pytest.raises(DocumentUnfit, match="needs a line"):
        check_document(path)
    with pytest.raises(DocumentUnfit):
        write_document(record_of(_told([1.0, 1.0, 1.0])), path)
    assert path.read_text() == text


def test_a_part_of_the_list_replaces_no_whole_results(tmp_path: Path) -> None:
    """It is ignored by git, too; and what was written can be read."""
    whole, part = (write(record_of(_told([1.0]), whole=whole), tmp_path) for whole in (True, False))
    assert (whole.name, part.name) == ("2026-01-02-2core-avx2.json", "2026-01-02-2core-avx2-partial.json")
    assert read(whole)["variants"].keys() == {"x"}
    part.write_text("[]")
    with pytest.raises(NoResults):
        read(part)
