"""Where an answered request's time went is told by every contract, and adds up."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest
from contracts.aliyun import bench as aliyun
from contracts.calling import ANALYSES, REMOTE, URL, Call, Contract, every_contract
from fakes import FakeFetcher, make_services
from prometheus_client.parser import text_string_to_metric_families

from visavis_client.errors import EngineBusy
from visavis_client.fakes import FakeEngine
from visavis_proxy.app import create_app
from visavis_proxy.services import Services

#: Every contract's: what an answer cannot do without.
ALWAYS = {"read", "parse", "verify", "engine", "answer", "send"}


def told(services: Services, call: Call) -> tuple[dict[str, float], float]:
    """Ask once; seconds by stage, and of all answered requests."""

    async def run() -> tuple[dict[str, float], float]:
        transport = httpx.ASGITransport(create_app(services))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{aliyun.HOST}") as client:
            await client.post(**call)
            text = (await client.get("/metrics")).text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        stages = {one.labels["stage"]: one.value for one in samples if one.name == "visavis_stage_seconds_total"}
        whole = [
            one.value
            for one in samples
            if one.name == "visavis_request_duration_seconds_sum" and one.labels["contract"] != "none"
        ]
        return stages, sum(whole)

    return asyncio.run(run())


@every_contract
def test_stages_add_up_to_the_request(contract: Contract) -> None:
    """Nothing of it is left over, and nothing is counted twice."""
    stages, whole = told(make_services(FakeEngine(ANALYSES), clock=lambda: aliyun.NOW), contract.call())
    assert {stage for stage, seconds in stages.items() if seconds} >= ALWAYS
    assert sum(stages.values()) == pytest.approx(whole)


@pytest.mark.parametrize("call", [call for call, _ in REMOTE.values()], ids=REMOTE)
def test_pictures_from_elsewhere_are_a_stage_of_their_own(call: Call) -> None:
    """Waiting for another machine is no parsing."""
    fetcher = FakeFetcher({URL: next(iter(ANALYSES))})
    services = make_services(FakeEngine(ANALYSES), clock=lambda: aliyun.NOW)
    stages, _ = told(replace(services, fetcher=fetcher), call)
    assert stages["fetch"] > 0


@every_contract
def test_a_request_that_was_not_answered_is_in_no_stage(contract: Contract) -> None:
    """A refusal takes a millisecond, and would make every stage look short."""
    engine = FakeEngine(dict.fromkeys(ANALYSES, EngineBusy("full")))
    stages, _ = told(make_services(engine, clock=lambda: aliyun.NOW), contract.call())
    assert not any(stages.values())
