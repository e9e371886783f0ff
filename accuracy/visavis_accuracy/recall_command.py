"""``recall``: which faces are found, beside OpenCV's own detector where its file is given."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from visavis_accuracy.files import check_writable
from visavis_accuracy.photographs import CollectionInvalid, Photograph, read_directory, sample
from visavis_accuracy.recall import NoReference, Recall, ReferenceDetector, measure_recall
from visavis_accuracy.recall_report import close_ups_sentence, recall_tables, write_recall
from visavis_accuracy.scenes import CASES, Case, Kind
from visavis_accuracy.terminal import Directory, Limit, Repository, Triton, console, progress_bar, read_models, say
from visavis_client.faces import ModelIdentity
from visavis_client.opening import open_engine

#: Half, equal to, one and a half times and twice the ensemble's own frame: small faces want a large scale, faces that
#: fill the picture a small one.
REFERENCE_SIZES = [320, 640, 960, 1280]
ZOO_FILE = "face_detection_yunet_2023mar.onnx"
#: What FaceDetectorYN comes with.
OPENCV_THRESHOLD = 0.9


class Only(StrEnum):
    """The kinds of scenes, as they are asked for."""

    SIZE = "size"
    CLOSE_UP = "close-up"
    ROTATION = "rotation"
    EXIF = "exif"
    EXPOSURE = "exposure"


def recall_command(
    directory: Directory,
    triton: Triton = "127.0.0.1:8001",
    model_repository: Repository = Path("model_repository"),
    reference_model: Annotated[
        Path | None,
        typer.Option(help=f"OpenCV Zoo's {ZOO_FILE}: OpenCV's own detector is measured beside with it."),
    ] = None,
    limit: Limit = 100,
    seed: Annotated[int, typer.Option(min=0, help="Chooses photographs and places.")] = 0,
    reference_size: Annotated[list[int], typer.Option(min=32, help="Scales: the longer side.")] = REFERENCE_SIZES,
    reference_threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Detection score; default: that of the loaded YuNet, or 0.9.")
    ] = None,
    only: Annotated[
        list[Only] | None, typer.Option(help="Scenes of this kind alone; may be given several times.")
    ] = None,
    report: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("build/recall"),
) -> None:
    """Faces found in synthetic scenes, beside OpenCV's own detector if given; exit 1 where too few are."""
    check_writable(report / "recall.json")
    models = read_models(model_repository)
    threshold = _detection_threshold(models) if reference_threshold is None else reference_threshold
    photographs = sample(read_directory(directory), limit, seed=seed)
    reference = _reference(reference_model, reference_size, threshold) if reference_model else NoReference()
    chosen = {Kind[each.name] for each in only or Only}
    cases = [case for case in CASES if case.kind in chosen]
    recall = _measure(photographs, triton, ModelIdentity(models["identity"]), reference, seed, cases)
    if not recall.photographs:
        raise CollectionInvalid(f"no face was found in any photograph of {directory}")
    compared = threshold if reference_model else None
    about = {"data": directory.name, "seed": seed, "reference_threshold": compared, "models": models}
    _show(recall, write_recall(recall, about, report))
    if not reference_model:
        say("OpenCV's own detector was not measured beside: --reference-model names its file")
    if recall.complaints:
        raise typer.Exit(1)


def _detection_threshold(models: dict[str, Any]) -> float:
    """So that the scale alone makes the difference: YuNet's threshold as loaded, else the one OpenCV comes with."""
    detector = models["detector"]
    threshold = detector.get("score_threshold") if detector.get("family") == "yunet" else None
    return float(threshold) if isinstance(threshold, int | float) else OPENCV_THRESHOLD


def _reference(model: Path, sizes: Sequence[int], threshold: float) -> ReferenceDetector:
    try:
        from visavis_accuracy.reference import OpenCvDetector  # OpenCV is wanted here alone
    except ImportError as error:
        raise CollectionInvalid(
            "OpenCV is not installed: install the extra `accuracy` (in the project's folder: pip install '.[accuracy]')"
        ) from error
    return OpenCvDetector(model, sizes, threshold)


def _measure(
    photographs: Sequence[Photograph],
    triton: str,
    model: ModelIdentity,
    reference: ReferenceDetector,
    seed: int,
    cases: Sequence[Case],
) -> Recall:
    async def run(progress: Progress) -> Recall:
        engine = open_engine(triton, model=model, timeout_s=30)
        task = progress.add_task("photographs", total=len(photographs))
        try:

            def tell(done: int) -> None:
                progress.update(task, completed=done)

            return await measure_recall(photographs, engine, reference, tell, seed=seed, cases=cases)
        finally:
            await engine.close()

    with progress_bar() as bar:
        return asyncio.run(run(bar))


def _show(recall: Recall, written: Sequence[Path]) -> None:
    console.print(f"Faces found in scenes of {recall.photographs} photographs", style="bold")
    for table in recall_tables(recall):
        console.print(table)
    if sentence := close_ups_sentence(recall):
        say(sentence)
    for path in written:
        say(f"wrote {path}")
    for complaint in recall.complaints:
        say(complaint, style="red")
