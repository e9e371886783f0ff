"""What the choices for a card bring: precision, CUDA graph, instances; each beside the default.

One Triton after the other, each with a model repository of its own, and in it the same loads: the ensemble and the
embedder through perf_analyzer. The default comes first, and once more at the end: what differs between the two is
noise. ``python perf/gpu/choices.py [--minutes N] [--pictures DIR]``

TensorRT is none of them: its libraries are in no wheel on PyPI, so that takes NVIDIA's container (docs/operations.md).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from check import fault_of_embeddings
from google.protobuf import text_format
from targets import points
from tritonclient import http
from tritonclient.grpc.model_config_pb2 import ModelConfig
from tritonclient.utils import InferenceServerException

from visavis_perf import machine
from visavis_perf.inputs import face_crop
from visavis_perf.pictures import pictures
from visavis_perf.places import CACHE, REPOSITORY, RESULTS
from visavis_perf.results import exchange, now
from visavis_server.device import Device
from visavis_server.errors import CommandFailed
from visavis_server.triton import EmbeddedTriton

DETECTOR, EMBEDDER = "face_detector", "face_embedder"
_STEPS = ("image_decoder", "face_aligner")
HALF_PRECISION = CACHE / "half-precision"
#: Of both scenarios, in requests at once.
_ENSEMBLE, _EMBEDDER = ("64", "128"), ("4", "8")
#: A start takes up to a minute, a load some ten seconds. None is begun that would end too late.
_SECONDS_A_CHOICE = 100.0
#: Rows of the batches by which a choice's embeddings are held against the default's: lengths of the ladder and between.
_ROWS = (1, 3, 5, 16)


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to serve; the default is what ``config.pbtxt`` says."""

    name: str
    half_precision: bool = False
    #: Of the embedder alone: the detector asks the card in between.
    cuda_graph: bool = False
    #: Of detector and embedder each.
    instances: int | None = None
    #: Of decoder and aligner each.
    steps: int | None = None


def choices(cores: int) -> list[Choice]:
    """All of them, the likeliest to matter first: where time runs short, the last ones are left out."""
    default = Choice("default")
    return [
        default,
        Choice("float16", half_precision=True),
        Choice("CUDA graph", cuda_graph=True),
        Choice(f"{cores} decoders and aligners", steps=cores),
        Choice("1 instance", instances=1),
        Choice("3 instances", instances=3),
        Choice("float16, CUDA graph", half_precision=True, cuda_graph=True),
        replace(default, name="default, again"),
    ]


def rewritten(text: str, model: str, choice: Choice) -> str:
    """A model's configuration as the choice has it."""
    config = text_format.Parse(text, ModelConfig())
    count = choice.steps if model in _STEPS else choice.instances
    for group in config.instance_group:
        group.count = count or group.count
    if model == EMBEDDER and choice.cuda_graph:
        accelerator = config.optimization.execution_accelerators.gpu_execution_accelerator.add(name="cuda")
        accelerator.parameters["enable_cuda_graph"] = "1"
    return str(text_format.MessageToString(config))


def lay_out(choice: Choice, source: Path, target: Path) -> None:
    """The repository ``source`` by links, with the choice's configurations; ``target`` is made."""
    target.mkdir()
    for entry in sorted(source.iterdir()):
        if entry.name not in {DETECTOR, EMBEDDER, *_STEPS}:
            (target / entry.name).symlink_to(entry)
            continue
        model = target / entry.name
        model.mkdir()
        for part in entry.iterdir():
            if part.name != "config.pbtxt":
                (model / part.name).symlink_to(part)
        text = (entry / "config.pbtxt").read_text("utf-8")
        (model / "config.pbtxt").write_text(rewritten(text, entry.name, choice), "utf-8")


@contextmanager
def triton(repository: Path, device: Device) -> Iterator[EmbeddedTriton]:
    """A Triton as ``visavis serve`` starts one; the proxy is left out, since it would ask for thresholds."""
    log = CACHE / "logs" / "choices-triton.log"
    with EmbeddedTriton(repository, log=log, device=device) as running:
        yield running


def embeddings(address: str, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Of the crops in batches of several lengths, one below the other, as Triton computes them.

    Each batch begins at another crop: a recorded graph that reads what lay there at its recording gives itself away.
    """
    client = http.InferenceServerClient(address)
    found = []
    for start, rows in enumerate(_ROWS):
        batch = np.ascontiguousarray(np.roll(crops, -start, axis=0)[:rows])
        given = http.InferInput("image", list(batch.shape), "UINT8")
        given.set_data_from_numpy(batch)
        found.append(client.infer(EMBEDDER, [given]).as_numpy("embedding"))
    client.close()
    return np.concatenate(found)


def measure(choice: Choice, source: Path, device: Device, jpegs: Path | None) -> tuple[dict[str, Any], Any]:
    """The figures of one choice, and its embeddings."""
    repository = HALF_PRECISION if choice.half_precision else source
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "models"
        lay_out(choice, repository, target)
        started = time.monotonic()
        with triton(target, device) as running:
            ready = time.monotonic() - started
            crops = np.stack([face_crop(jpeg) for jpeg in pictures("250", jpegs)[: max(_ROWS) + len(_ROWS)]])
            row = {
                **asdict(choice),
                "ready_s": round(ready, 1),
                "ensemble": points(running.http_address, "ensemble-03mp", {}, _ENSEMBLE, jpegs),
                # CUDA's shared memory is not in every build of perf_analyzer, and the same for all choices.
                "embedder": points(
                    running.http_address, "embedder-cuda-shm", {"--shared-memory": "system"}, _EMBEDDER, jpegs
                ),
            }
            return row, embeddings(running.http_address, crops)


def best(rows: Sequence[Mapping[str, Any]]) -> float:
    """The most images a second of some loads."""
    return max((float(row["images_per_s"]) for row in rows), default=0.0)


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines: each choice's best figures, and how they compare with the first one's, the default's."""
    lines = [f"{'':32}{'ready':>8}{'ensemble':>12}{'':>8}{'embedder':>12}{'':>8}"]
    for row in rows:
        line = f"{row['name']:32}"
        if "fault" not in row:
            line += f"{row['ready_s']:>6.0f} s"
            for part in ("ensemble", "embedder"):
                figure, default = best(row[part]), best(rows[0].get(part, ()))
                line += f"{figure:>10.0f}/s" if figure else f"{'–':>12}"
                line += f"{f'x {figure / default:.2f}' if figure and default else '':>8}"
        lines.append(line + (f"  {row.get('fault') or row.get('differs') or ''}"))
    return lines


def run(minutes: float, device: Device, jpegs: Path | None, cores: int) -> list[dict[str, Any]]:
    """All choices that the time allows, one after the other."""
    deadline = time.monotonic() + 60 * minutes
    rows: list[dict[str, Any]] = []
    reference = None
    for choice in choices(cores):
        row: dict[str, Any] = asdict(choice)
        if time.monotonic() + _SECONDS_A_CHOICE > deadline:
            row["fault"] = "not measured: no time left"
        elif choice.half_precision and not (HALF_PRECISION / "models.json").is_file():
            row["fault"] = f"not measured: {HALF_PRECISION} has no graphs"
        else:
            try:
                row, found = measure(choice, REPOSITORY, device, jpegs)
            except (CommandFailed, InferenceServerException) as error:
                row["fault"] = f"does not serve: {' '.join(str(error).split())[-300:]}"
            else:
                reference = found if reference is None else reference
                row["differs"] = fault_of_embeddings(found, reference)
        rows.append(row)
    return rows


def main() -> None:
    """Measure, write ``perf/results/gpu/<date>-<machine>-choices.json``, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=15.0, help="no choice is begun that would end later")
    parser.add_argument("--pictures", type=Path, help="a directory of portraits")
    given = parser.parse_args()
    on = machine.describe()
    record: dict[str, Any] = {"made": now(), "revision": machine.revision(), "machine": on}
    record["versions"] = machine.versions()
    planned = choices(on["cores"])
    sys.stdout.write(f"{len(planned)} choices, {_SECONDS_A_CHOICE:.0f} s each at most, {given.minutes:g} minutes\n")
    rows = run(given.minutes, Device.GPU, given.pictures, on["cores"])
    path = RESULTS / "gpu" / f"{record['made'][:10]}-{machine.short_name(on)}-choices.json"
    exchange(path, (json.dumps({**record, "choices": rows}, indent=1, ensure_ascii=False) + "\n").encode())
    sys.stdout.write("\n".join([*table(rows), str(path)]) + "\n")
    if not any("fault" not in row for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
