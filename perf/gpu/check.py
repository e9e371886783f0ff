"""Before anything is measured: the card computes what the processor does, and nothing was left to the processor.

Both by the backend's own modules and the configurations that are served. ``python perf/gpu/check.py``
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig as Message

from visavis_perf.inputs import DETECTOR_SIDE, face_crop, frame
from visavis_perf.pictures import pictures
from visavis_perf.places import REPOSITORY
from visavis_server.backends.onnxruntime.configuration import ModelConfig, ModelInvalid, Tensors
from visavis_server.backends.onnxruntime.session import OnnxModel

#: Between an embedding of the card, in TensorFloat-32, and one of the processor.
LEAST_COSINE = 0.999
#: Pixels of the detector's frame, for faces that both found.
MOST_PIXELS = 2.0
_PICTURES = 5


def load(model: str, kind: str) -> OnnxModel:
    """A model as ``config.pbtxt`` has it, on ``CPU`` or ``GPU``."""
    folder = REPOSITORY / model
    message = text_format.Parse((folder / "config.pbtxt").read_text("utf-8"), Message())
    config = ModelConfig.from_json(json_format.MessageToJson(message, preserving_proto_field_name=True))
    return OnnxModel(config, folder / "1" / "model.onnx", kind=kind)


def differences(card: OnnxModel, processor: OnnxModel, images: npt.NDArray[np.uint8]) -> tuple[Tensors, Tensors]:
    """What both make of the same images."""
    return tuple(model.run([{"image": images}])[0] for model in (card, processor))  # type: ignore[return-value]


def fault_of_embeddings(ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32]) -> str | None:
    """Why the card's embeddings are not the processor's."""
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    worst = float(np.min(np.sum(ours * theirs, axis=1) / lengths))
    return None if worst >= LEAST_COSINE else f"embeddings differ: the worst cosine is {worst:.5f}"


def fault_of_faces(ours: Tensors, theirs: Tensors) -> str | None:
    """Why the card's faces are not the processor's."""
    if not np.array_equal(ours["face_count"], theirs["face_count"]):
        return f"{ours['face_count'].ravel().tolist()} faces, not {theirs['face_count'].ravel().tolist()}"
    if not np.any(ours["face_count"]):
        return "neither found a face, so nothing was compared"
    # Rows beyond the faces are zeros in both. A NaN stays one in numpy's maximum, and is not within the limit.
    worst = np.max([np.abs(ours[name] - theirs[name]).max() for name in ("boxes", "landmarks")])
    return None if worst <= MOST_PIXELS else f"faces lie up to {worst:.2f} pixels apart"


def main() -> None:
    """A line for each remark and each comparison; exits with 1 where the card is not to be trusted."""
    jpegs = pictures("250")[:_PICTURES]
    faults = []
    for model in ("face_detector", "face_embedder"):
        try:
            card, processor = load(model, "GPU"), load(model, "CPU")
        except ModelInvalid as error:
            raise SystemExit(f"{Path(__file__).name}: {error}") from error
        for remark in card.remarks:
            sys.stdout.write(f"{model}: {remark.level}: {remark.text}\n")
            faults += [remark.text] if remark.level == "error" else []
        embeds = model == "face_embedder"
        images = np.stack([face_crop(jpeg) if embeds else frame(jpeg, DETECTOR_SIDE) for jpeg in jpegs])
        ours, theirs = differences(card, processor, images)
        fault = fault_of_embeddings(ours["embedding"], theirs["embedding"]) if embeds else fault_of_faces(ours, theirs)
        sys.stdout.write(f"{model}: {fault or 'the card computes what the processor does'}\n")
        faults += [fault] if fault else []
    if faults:
        raise SystemExit(f"{Path(__file__).name}: {len(faults)} faults, see above")


if __name__ == "__main__":
    main()
