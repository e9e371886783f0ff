"""What an operator adds up: every contract's answers fall into the same few results, whatever their status is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
from contracts.aliyun import bench as aliyun
from contracts.calling import ANALYSES, REMOTE, URL, Call, Contract, every_contract, signed_aws_call
from contracts.calling import CONTRACTS as ALL
from fakes import FakeFetcher, FakeState, make_services
from prometheus_client.parser import text_string_to_metric_families

from visavis_client.errors import (
    EngineBusy,
    EngineFault,
    EngineTimeout,
    EngineUnavailable,
    PictureTooLarge,
    PictureUnreadable,
    VisavisError,
)
from visavis_client.faces import PictureAnalysis
from visavis_client.fakes import FakeEngine
from visavis_proxy.app import create_app
from visavis_proxy.fetch import FetchFailed, FetchTimeout
from visavis_proxy.services import Services
from visavis_proxy.state import StateUnavailable


def results(services: Services, call: Call, method: str = "POST") -> dict[str, float]:
    """Ask once; which result was counted, by how many."""

    async def run() -> dict[str, float]:
        transport = httpx.ASGITransport(create_app(services))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{aliyun.HOST}") as client:
            await client.request(method, **call)
            text = (await client.get("/metrics")).text
        return {
            sample.labels["result"]: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "visavis_request_duration_seconds_count" and sample.labels["contract"] != "none"
        }

    return asyncio.run(run())


def services(engine: FakeEngine | None = None, **given: Any) -> Services:
    return make_services(engine or FakeEngine(ANALYSES), clock=lambda: aliyun.NOW, **given)


def failing(error: VisavisError) -> FakeEngine:
    answers: dict[bytes, PictureAnalysis | VisavisError] = dict.fromkeys(ANALYSES, error)
    return FakeEngine(answers)


@every_contract
def test_a_comparison_is_answered(contract: Contract) -> None:
    assert results(services(), contract.call()) == {"answered": 1}


@every_contract
@pytest.mark.parametrize(
    ("error", "result"),
    [
        (EngineBusy("full"), "refused"),
        (EngineUnavailable("away"), "refused"),
        (EngineTimeout("late"), "error"),
        (EngineFault("odd"), "error"),
        (PictureUnreadable("no picture"), "client_error"),
        (PictureTooLarge("large"), "client_error"),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, VisavisError) else given,
)
def test_what_the_engine_says_decides_the_result(contract: Contract, error: VisavisError, result: str) -> None:
    """JD Cloud answers 200 to all of these, Alibaba Cloud 400 to a limit."""
    assert results(services(failing(error)), contract.call()) == {result: 1}


@every_contract
def test_a_full_worker_refuses(contract: Contract) -> None:
    given = services()
    given = replace(given, gate=type(given.gate)(max_pictures=1, max_body_bytes=1, body_timeout_s=30))
    assert results(given, contract.call()) == {"refused": 1}


@every_contract
def test_nonsense_is_the_callers_error(contract: Contract) -> None:
    assert results(services(), {"url": contract.call()["url"], "content": b"nonsense"}) == {"client_error": 1}


@pytest.mark.parametrize("contract", [name for name in ALL if name != "aws"])
def test_a_state_that_is_away_is_the_services_error(contract: str) -> None:
    """Whatever the contract's words for it are; an unsigned AWS call needs no state."""

    class Gone(FakeState):
        async def take(self, bucket: str, per_second: float) -> bool:
            raise StateUnavailable("gone")

    assert results(replace(services(), state=Gone()), ALL[contract].call()) == {"error": 1}


@pytest.mark.parametrize(("call", "_busy"), REMOTE.values(), ids=REMOTE)
@pytest.mark.parametrize("is_late", [True, False])
def test_an_address_that_gives_no_picture_is_the_callers_error(
    call: Call, _busy: tuple[int, str], is_late: bool
) -> None:
    """Also where it is a time-out that lies behind it."""
    error = FetchTimeout("late") if is_late else FetchFailed("gone")
    error.__cause__ = TimeoutError() if is_late else None
    assert results(replace(services(), fetcher=FakeFetcher({URL: error})), call) == {"client_error": 1}


def test_a_browsers_question_before_its_call_is_no_answer() -> None:
    """It takes no time, and would make every second answer of the AWS room look quick."""
    assert results(services(), {"url": signed_aws_call()["url"]}, "OPTIONS") == {"preflight": 1}
