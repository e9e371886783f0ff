"""``visavis compare``: two pictures, one score, and what it means."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from visavis_client.comparison import ComparisonScore
from visavis_client.comparison import compare as compare_templates
from visavis_client.engine import Engine
from visavis_client.errors import PictureError, VisavisError
from visavis_client.faces import PictureAnalysis
from visavis_client.opening import open_engine
from visavis_client.operating_points import OperatingPoints
from visavis_server.borrowing import borrowed_triton
from visavis_server.device import Device
from visavis_server.errors import CommandFailed
from visavis_server.serve import usable_models


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """What the command was told."""

    probe: Path
    reference: Path
    #: ``host:port`` (gRPC) or ``http://host:port`` of a Triton; None: a running service's, or one's own.
    triton: str | None
    model_repository: Path
    data_dir: Path
    device: Device
    as_json: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came out; ``score`` is None where a picture has no face."""

    options: CompareOptions
    probe: PictureAnalysis
    reference: PictureAnalysis
    score: ComparisonScore | None
    points: OperatingPoints

    def decisions(self) -> list[tuple[float, float, bool]]:
        """(false match rate, threshold, whether the two match at it), the most lenient first."""
        if self.score is None:
            return []
        return [(p.false_match_rate, p.threshold, self.score.value >= p.threshold) for p in self.points.points]


def compare(options: CompareOptions) -> bool:
    """Compare and print; returns whether there was a face in both pictures.

    Raises:
        CommandFailed: a picture or the engine is at fault.
    """
    images = [_read(options.probe), _read(options.reference)]
    with borrowed_triton(
        options.triton,
        repository=options.model_repository,
        data_dir=options.data_dir,
        device=options.device,
        check=usable_models,
    ) as address:
        comparison = asyncio.run(_compare(options, address, images))
    typer.echo(json.dumps(_as_json(comparison), indent=1) if options.as_json else _as_text(comparison))
    return comparison.score is not None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandFailed(f"cannot read {path}: {error.strerror}") from error


async def _compare(options: CompareOptions, address: str, images: list[bytes]) -> Comparison:
    model, points = usable_models(options.model_repository)
    engine = open_engine(address, model=model)
    try:
        probe, reference = await asyncio.gather(
            *(
                _analyse(engine, path, image)
                for path, image in zip((options.probe, options.reference), images, strict=True)
            )
        )
    finally:
        await engine.close()
    ours, theirs = probe.largest, reference.largest
    score = None
    if ours and theirs and ours.template and theirs.template:
        score = compare_templates(ours.template, theirs.template)
    return Comparison(options, probe, reference, score, points)


async def _analyse(engine: Engine, path: Path, image: bytes) -> PictureAnalysis:
    try:
        return await engine.analyse(image)
    except PictureError as error:
        raise CommandFailed(f"{path}: {error}") from error
    except VisavisError as error:
        raise CommandFailed(f"the engine did not answer: {error}") from error


def _as_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "score": comparison.score.value if comparison.score else None,
        "model": comparison.points.model,
        "decisions": [
            {"false_match_rate": rate, "threshold": threshold, "match": match}
            for rate, threshold, match in comparison.decisions()
        ],
        "probe": _picture(comparison.options.probe, comparison.probe),
        "reference": _picture(comparison.options.reference, comparison.reference),
    }


def _picture(path: Path, analysis: PictureAnalysis) -> dict[str, Any]:
    boxes = [
        {
            "box_xywh": [round(side, 2) for side in (face.box.left, face.box.top, face.box.width, face.box.height)],
            "detection_score": round(face.detection_score, 4),
        }
        for face in analysis.faces
    ]
    size = analysis.image_size
    return {"file": str(path), "width": size.width, "height": size.height, "faces": boxes}


def _as_text(comparison: Comparison) -> str:
    lines = []
    for name, path, analysis in (
        ("probe", comparison.options.probe, comparison.probe),
        ("reference", comparison.options.reference, comparison.reference),
    ):
        size, faces = analysis.image_size, analysis.faces
        lines.append(f"{name + ':':11}{path}  {size.width}x{size.height}  faces: {len(faces)}")
        for face in faces:
            box = face.box
            place = f"left {box.left:.0f} top {box.top:.0f} width {box.width:.0f} height {box.height:.0f}"
            lines.append(f"{'':11}{place}  detection score {face.detection_score:.2f}")
    if comparison.score is None:
        return "\n".join([*lines, "no score: one of the pictures has no face"])
    lines.append(f"{'score:':11}{comparison.score.value:.4f}")
    for rate, threshold, match in comparison.decisions():
        verdict = "same person" if match else "not the same"
        lines.append(f"{'':11}{verdict:13} at one false match in {round(1 / rate):,} (threshold {threshold:.3f})")
    return "\n".join(lines)
