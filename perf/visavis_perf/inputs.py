"""Input files for perf_analyzer: many entries, so that requests differ."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from visavis_perf.pictures import pictures
from visavis_perf.places import CACHE

#: Frames of the two graphs; each costs 1.6 MB of JSON, and the time of a graph does not depend on its input.
DETECTOR_ENTRIES, EMBEDDER_ENTRIES, ENSEMBLE_ENTRIES = 12, 64, 256
DETECTOR_SIDE, EMBEDDER_SIDE = 640, 112


def bytes_tensor(value: bytes) -> dict[str, Any]:
    """One element of a BYTES tensor; Triton's raw form has each element's length before it."""
    return {"content": {"b64": base64.b64encode(struct.pack("<I", len(value)) + value).decode()}, "shape": [1]}


def uint8_tensor(value: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """One request's UINT8 tensor, without the batch axis."""
    return {"content": {"b64": base64.b64encode(value.tobytes()).decode()}, "shape": list(value.shape)}


def ensemble_entry(jpeg: bytes, *, max_faces: int = 1) -> dict[str, Any]:
    """What the proxy asks for one side of a comparison: the whole picture, the largest face's embedding."""
    return {
        "image": bytes_tensor(jpeg),
        "max_faces": {"content": [max_faces], "shape": [1]},
        "region": {"content": [0, 0, 0, 0], "shape": [4]},
    }


def frame(jpeg: bytes, side: int) -> npt.NDArray[np.uint8]:
    """A picture as uint8 (side, side, 3) RGB, fitted into the frame's left upper corner."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    scale = side / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    framed = np.zeros((side, side, 3), np.uint8)
    framed[: size[1], : size[0]] = cv2.cvtColor(cv2.resize(picture, size), cv2.COLOR_BGR2RGB)
    return framed


def face_crop(jpeg: bytes) -> npt.NDArray[np.uint8]:
    """The middle of an LFW picture, where its face is, as uint8 (112, 112, 3) RGB."""
    whole = frame(jpeg, 2 * EMBEDDER_SIDE)
    edge = EMBEDDER_SIDE // 2
    return np.ascontiguousarray(whole[edge : edge + EMBEDDER_SIDE, edge : edge + EMBEDDER_SIDE])


def input_file(model: str, picture_set: str, source: Path | None = None) -> Path:
    """The file for a model of the repository and a set of pictures, made when it is missing."""
    jpegs = pictures(picture_set, source)
    entries: Iterable[dict[str, Any]]
    if model == "face_detector":
        entries = ({"image": uint8_tensor(frame(jpeg, DETECTOR_SIDE))} for jpeg in jpegs[:DETECTOR_ENTRIES])
    elif model == "face_embedder":
        entries = ({"image": uint8_tensor(face_crop(jpeg))} for jpeg in jpegs[:EMBEDDER_ENTRIES])
    else:
        entries = (ensemble_entry(jpeg) for jpeg in jpegs[:ENSEMBLE_ENTRIES])
    suffix = "" if source is None else f"-{source.name}"
    path = CACHE / "inputs" / f"{model}-{picture_set}{suffix}.json"
    write_entries(path, entries)
    return path


def write_entries(path: Path, entries: Iterable[dict[str, Any]]) -> None:
    """Write whole or not at all: perf_analyzer takes half a file for a fault of the model."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".part")
    half.write_text(json.dumps({"data": list(entries)}))
    half.replace(path)
