"""A worker behind a TLS terminator: whose word it takes for a request having come by HTTPS."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import socket
from pathlib import Path

import pytest
from deploying import ROOT
from lone_worker import lone_settings

from visavis_server.processes import WorkerProcess

NEEDS_TLS = "InvalidProtocol.NeedSsl"
HTTPS = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}


def refusals(home: Path, asked: list[dict[str, str]], **environment: str) -> list[str]:
    """The codes by which a worker that demands TLS refuses an unsigned call, sent from 127.0.0.1 with each headers."""
    given = {**lone_settings(home), "VISAVIS_ALIYUN__REQUIRE_TLS": "true", **environment}

    async def main() -> list[str]:
        worker = WorkerProcess(listener, {**os.environ, **given}, drain_s=0)
        try:
            await worker.start()
            return [await asyncio.to_thread(refusal, listener.getsockname()[1], headers) for headers in asked]
        finally:
            await worker.stop()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return asyncio.run(asyncio.wait_for(main(), 120))


def refusal(port: int, headers: dict[str, str]) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/?Action=CompareFaces&Version=2019-03-07&Format=JSON", headers=headers)
        return str(json.loads(connection.getresponse().read())["Code"])
    finally:
        connection.close()


def test_a_terminator_of_this_machine_is_believed_without_a_setting(tmp_path: Path) -> None:
    """Not uvicorn's own variable, but the setting decides."""
    plain, https, back = refusals(tmp_path, [{}, HTTPS, {"X-Forwarded-Proto": "http"}], FORWARDED_ALLOW_IPS="192.0.2.1")
    assert plain == back == NEEDS_TLS
    assert https != NEEDS_TLS


@pytest.mark.parametrize(("trusted", "is_believed"), [("192.0.2.0/24, 127.0.0.1", True), ("192.0.2.0/24", False)])
def test_a_terminator_is_believed_where_it_is_named(tmp_path: Path, trusted: str, is_believed: bool) -> None:
    (code,) = refusals(tmp_path, [HTTPS], VISAVIS_TRUSTED_PROXIES=trusted, FORWARDED_ALLOW_IPS="*")
    assert (code != NEEDS_TLS) is is_believed


def test_the_documented_nginx_says_how_a_request_came_and_shows_no_numbers() -> None:
    """The sample says what the worker is asked for above, and keeps to itself what no stranger needs."""
    (sample,) = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs" / "operations.md").read_text("utf-8"), re.DOTALL)
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in sample
    for path in ("/metrics", "/openapi.json"):
        assert f"location = {path} {{ return 404; }}" in sample
