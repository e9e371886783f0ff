"""The peer: what a good engineer would write in an afternoon with the same models.

FastAPI, OpenCV's FaceDetectorYN and FaceRecognizerSF, a thread pool over all cores, a multipart compare endpoint.
OpenCV's objects are not thread-safe, so each thread has its own pair; its calls release the interpreter's lock, so
threads are enough. One worker thread of OpenCV's own inside each, for the pool already fills the cores.

    AFTERNOON_DETECTOR=….onnx AFTERNOON_RECOGNIZER=….onnx uvicorn --app-dir perf/baselines afternoon:app
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from fastapi import FastAPI, HTTPException, UploadFile

DETECTOR, RECOGNIZER = os.environ["AFTERNOON_DETECTOR"], os.environ["AFTERNOON_RECOGNIZER"]
LONGEST_SIDE = 640
ENLARGE = os.environ.get("AFTERNOON_ENLARGE", "1") == "1"

cv2.setNumThreads(1)
app = FastAPI()
pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
of_thread = threading.local()


def models() -> tuple[Any, Any]:
    """This thread's detector and recognizer."""
    if not hasattr(of_thread, "models"):
        detector = cv2.FaceDetectorYN.create(DETECTOR, "", (LONGEST_SIDE, LONGEST_SIDE), 0.6)
        of_thread.models = (detector, cv2.FaceRecognizerSF.create(RECOGNIZER, ""))
    pair: tuple[Any, Any] = of_thread.models
    return pair


def embed(data: bytes) -> Any | None:
    """The largest face's embedding, or None without a face."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise HTTPException(400, "not an image")
    detector, recognizer = models()
    # The service's detector sees 640 pixels as well. Without enlarging, small faces of small pictures are missed.
    scale = LONGEST_SIDE / max(image.shape[:2])
    if not ENLARGE:
        scale = min(1.0, scale)
    small = cv2.resize(image, None, fx=scale, fy=scale)
    detector.setInputSize((small.shape[1], small.shape[0]))
    _, faces = detector.detect(small)
    if faces is None:
        return None
    face = max(faces, key=lambda row: row[2] * row[3]).copy()
    face[:14] /= scale
    return recognizer.feature(recognizer.alignCrop(image, face)).copy()


def cosine(probe: Any, reference: Any) -> float:
    """Comparison score, -1 to 1."""
    return float(models()[1].match(probe, reference, cv2.FaceRecognizerSF_FR_COSINE))


@app.get("/health")
async def health() -> dict[str, str]:
    """Whether it is up."""
    return {"status": "ok"}


@app.post("/compare")
async def compare(image1: UploadFile, image2: UploadFile) -> dict[str, Any]:
    """Score of the largest faces of two pictures; null where one has no face."""
    loop = asyncio.get_running_loop()
    pictures = [await image1.read(), await image2.read()]
    probe, reference = await asyncio.gather(*(loop.run_in_executor(pool, embed, data) for data in pictures))
    if probe is None or reference is None:
        return {"score": None}
    return {"score": await loop.run_in_executor(pool, cosine, probe, reference)}
