"""Whether the service lives, and whether it can answer; and its numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from visavis_client.engine import Engine
from visavis_proxy.build_info import BuildInfo
from visavis_proxy.control import Control
from visavis_proxy.metrics import CONTENT_TYPE, Metrics
from visavis_proxy.shared_check import SharedCheck
from visavis_proxy.state import StateStore, StateUnavailable

#: As long as the engine is given; who asks seldom waits for longer than three seconds.
_STATE_S: Final = 2.0


def router(
    engine: Engine,
    state: StateStore,
    metrics: Metrics,
    build: BuildInfo,
    control: Control,
    clock: Callable[[], float],
) -> APIRouter:
    """``/health/live``, ``/health/ready``, ``/metrics``."""
    routes = APIRouter(tags=["operation"])
    # Anybody may ask, without a key and as often as they like.
    engine_ready = SharedCheck(engine.ready, clock)
    state_ready = SharedCheck(partial(_can_write, state), clock)

    async def render() -> bytes:
        return metrics.render(build, engine_ready=await engine_ready())

    # It reads the files of all workers.
    numbers_now = SharedCheck(render, clock)

    @routes.get("/health/live", summary="The process answers", response_class=Response)
    async def live() -> Response:
        return _json(200, {"status": "live"})

    @routes.get(
        "/health/ready",
        summary="Triton is ready, every model is warm, and state can be kept",
        response_class=Response,
        responses={503: {"description": "Not yet, or not any more."}},
    )
    async def ready() -> Response:
        if control.is_leaving:
            return _json(503, {"status": "leaving", "model": engine.model})
        has_engine, has_state = await asyncio.gather(engine_ready(), state_ready())
        if has_engine and has_state:
            return _json(200, {"status": "ready", "model": engine.model})
        missing = " and ".join(["engine"] * (not has_engine) + ["state"] * (not has_state))
        return _json(503, {"status": "not ready", "missing": missing, "model": engine.model})

    @routes.get("/metrics", summary="Prometheus' text format", response_class=Response)
    async def numbers() -> Response:
        return Response(await numbers_now(), headers={"content-type": CONTENT_TYPE})

    return routes


async def _can_write(state: StateStore) -> bool:
    """Whether a call with a key could be answered, which writes before all else: reading alone tells of no full disk.

    It goes through to the store each time, so that one that is back is found out by asking.
    """
    try:
        async with asyncio.timeout(_STATE_S):
            await state.take("health", 1000.0)
    except (StateUnavailable, TimeoutError):
        return False
    return True


def _json(status: int, value: dict[str, str]) -> Response:
    return Response(orjson.dumps(value), status, {"cache-control": "no-store"}, "application/json")
