"""The app: which rooms there are, what they are given, and in which order they are asked."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from fastapi import APIRouter, FastAPI

from visavis_client.opening import open_engine
from visavis_client.operating_points import OperatingPointsInvalid
from visavis_proxy import health
from visavis_proxy.build_info import BuildInfo
from visavis_proxy.contracts.aliyun import route as aliyun
from visavis_proxy.contracts.aws import route as aws
from visavis_proxy.contracts.facepp import route as facepp
from visavis_proxy.contracts.jdcloud import route as jdcloud
from visavis_proxy.control import Control
from visavis_proxy.credentials import Contract, Credentials, CredentialsInvalid
from visavis_proxy.doors import Door, Doors, doors_of
from visavis_proxy.face_tokens import open_face_tokens
from visavis_proxy.fetch import open_fetcher
from visavis_proxy.gate import Gate
from visavis_proxy.measured import MeasuredEngine, MeasuredFetcher, MeasuredState
from visavis_proxy.metrics import Metrics
from visavis_proxy.models import ModelsInvalid, read_models
from visavis_proxy.observation import Observation
from visavis_proxy.services import Services
from visavis_proxy.settings import Settings, SettingsInvalid, read_settings
from visavis_proxy.state import StateUnavailable, backend_of, open_store

Room = Callable[[Services], APIRouter]

#: The last takes whatever lies below its stages.
ROOMS: Final[tuple[tuple[Contract, Room], ...]] = (
    (Contract.FACEPP, facepp.router),
    (Contract.JDCLOUD, jdcloud.router),
    (Contract.ALIYUN, aliyun.router),
    (Contract.AWS, aws.router),
)


def create_app(
    services: Services, rooms: tuple[tuple[Contract, Room], ...] = ROOMS, *, metrics: Metrics | None = None
) -> FastAPI:
    """Wire the rooms to what they work with; the app starts and closes the services.

    ``metrics``: where the services count already what this does not see, such as the calls of their state.
    """
    metrics = metrics or Metrics()
    metrics.watch(services.gate)
    services = dataclasses.replace(
        services,
        engine=MeasuredEngine(services.engine, metrics),
        fetcher=MeasuredFetcher(services.fetcher, metrics),
    )
    app = FastAPI(
        title="Vis-à-vis",
        summary="Face comparison behind four vendors' documented APIs",
        lifespan=_lifespan(services),
        redirect_slashes=False,
        # Both pages load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    control = app.state.control = Control(services.credentials)
    app.include_router(health.router(services.engine, services.state, metrics, services.build, control, services.clock))
    contracts: dict[Callable[..., Any], str] = {}
    doors: dict[str, Door] = {}
    for contract, make_router in rooms:
        room = make_router(services)
        contracts |= {route.endpoint: contract.value for route in room.routes if hasattr(route, "endpoint")}
        doors |= doors_of(room)
        app.include_router(room)
    # The one added last is the outermost.
    app.add_middleware(Doors, doors=doors)
    app.add_middleware(Observation, metrics=metrics, contracts=contracts)
    return app


def _lifespan(services: Services) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for service in (services.state, services.fetcher, services.engine):
                stack.push_async_callback(service.close)
            await services.state.start()
            yield

    return lifespan


def build_services(settings: Settings, metrics: Metrics | None = None) -> Services:
    """Open everything that the settings name. Triton need not be there yet.

    ``metrics``: counts the calls of the state, which face tokens make as well as rooms.

    Raises:
        CredentialsInvalid, ModelsInvalid, OperatingPointsInvalid, SettingsInvalid, StateUnavailable: the text is a
            sentence for the operator.
    """
    model, points = read_models(settings.model_repository)
    credentials = Credentials.load(settings.credentials or settings.data_directory / "credentials.toml")
    fetcher = open_fetcher(settings)
    state = MeasuredState(open_store(settings), metrics or Metrics(), backend=backend_of(settings))
    return Services(
        settings=settings,
        engine=open_engine(settings.triton, model=model, timeout_s=settings.engine_timeout_s),
        credentials=credentials,
        operating_points=points,
        state=state,
        fetcher=fetcher,
        face_tokens=open_face_tokens(settings, state, model),
        gate=Gate(
            max_pictures=settings.max_in_flight,
            max_body_bytes=settings.max_body_bytes_held,
            body_timeout_s=settings.body_timeout_s,
        ),
        build=BuildInfo.read(settings.model_repository),
    )


def app_from_environment(metrics: Metrics | None = None) -> FastAPI:
    """The app that ``VISAVIS_*`` describes, for ``uvicorn --factory``; call it inside the event loop that serves.

    ``metrics``: where the process that runs it counts what no app sees.

    Raises:
        SystemExit: it cannot be had; the text is a sentence for the operator.
    """
    try:
        metrics = metrics or Metrics()
        return create_app(build_services(read_settings(), metrics), metrics=metrics)
    except (CredentialsInvalid, ModelsInvalid, OperatingPointsInvalid, SettingsInvalid, StateUnavailable) as error:
        raise SystemExit(str(error)) from error
