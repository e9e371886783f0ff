"""Raw ORT-CUDA throughput of both graphs at several batches, inputs and outputs kept on the card.

The share that the served embedder reaches is of the figure for a batch of 32. ``python perf/gpu/raw_embedder.py``
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

REPOSITORY = Path(__file__).resolve().parents[2] / "model_repository"
SIDES = {"face_detector": 640, "face_embedder": 112}
BATCHES = {"face_detector": (1, 8, 16), "face_embedder": (1, 16, 32)}
SECONDS = 3.0
_WARM_UP_RUNS = 20


def images_per_s(model: str, batch: int) -> float:
    """Rate of one session on one stream.

    Raises:
        SystemExit: the graph would run on the processor.
    """
    session = onnxruntime.InferenceSession(
        str(REPOSITORY / model / "1" / "model.onnx"), providers=["CUDAExecutionProvider"]
    )
    if session.get_providers()[0] != "CUDAExecutionProvider":
        raise SystemExit(f"{model} would run on the processor: the CUDA provider did not load")
    side = SIDES[model]
    pixels = np.random.default_rng(1).integers(0, 256, (batch, side, side, 3)).astype(np.uint8)
    binding = session.io_binding()
    binding.bind_ortvalue_input("image", onnxruntime.OrtValue.ortvalue_from_numpy(pixels, "cuda", 0))
    for output in session.get_outputs():
        binding.bind_output(output.name, "cuda")
    for _ in range(_WARM_UP_RUNS):
        session.run_with_iobinding(binding)
    binding.synchronize_outputs()
    runs, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        session.run_with_iobinding(binding)
        runs += 1
    binding.synchronize_outputs()
    return runs * batch / (time.perf_counter() - start)


def measure() -> dict[str, dict[str, float]]:
    """Images a second by model and batch."""
    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
    return {
        model: {str(batch): round(images_per_s(model, batch), 1) for batch in batches}
        for model, batches in BATCHES.items()
    }


def main() -> None:
    """One line for each graph and batch."""
    for model, rates in measure().items():
        for batch, rate in rates.items():
            sys.stdout.write(f"{model} batch {batch}: {rate:.0f} images/s\n")


if __name__ == "__main__":
    main()
