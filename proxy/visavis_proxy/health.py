"""Whether the service lives, and whether it can answer; and its numbers."""

from __future__ import annotations

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from visavis_client.engine import Engine
from visavis_proxy.build_info import BuildInfo
from visavis_proxy.control import Control
from visavis_proxy.metrics import CONTENT_TYPE, Metrics


def router(engine: Engine, metrics: Metrics, build: BuildInfo, control: Control) -> APIRouter:
    """``/health/live``, ``/health/ready``, ``/metrics``."""
    routes = APIRouter(tags=["operation"])

    @routes.get("/health/live", summary="The process answers", response_class=Response)
    async def live() -> Response:
        return _json(200, {"status": "live"})

    @routes.get(
        "/health/ready",
        summary="Triton is ready and every model is warm",
        response_class=Response,
        responses={503: {"description": "Not yet, or not any more."}},
    )
    async def ready() -> Response:
        if control.is_leaving:
            return _json(503, {"status": "leaving", "model": engine.model})
        if await engine.ready():
            return _json(200, {"status": "ready", "model": engine.model})
        return _json(503, {"status": "not ready", "model": engine.model})

    @routes.get("/metrics", summary="Prometheus' text format", response_class=Response)
    async def numbers() -> Response:
        text = metrics.render(build, engine_ready=await engine.ready())
        return Response(text, headers={"content-type": CONTENT_TYPE})

    return routes


def _json(status: int, value: dict[str, str]) -> Response:
    return Response(orjson.dumps(value), status, {"cache-control": "no-store"}, "application/json")
