"""``s3://`` pictures, by a real S3 client from an endpoint of our own that checks how it is asked."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from fetching import Room
from hostile_server import Handler, answer, raw, serving

from visavis_client.errors import EngineBusy
from visavis_proxy.fetch import (
    FetchError,
    FetchFailed,
    FetchRefused,
    FetchTimeout,
    FetchTooLarge,
    Hold,
    open_fetcher,
    unheld,
)
from visavis_proxy.fetch.s3 import S3Fetcher
from visavis_proxy.settings import FetchSettings, S3Settings, Settings

pytestmark = pytest.mark.anyio

#: Opening a client of S3 alone takes a second on a busy machine.
LIMITS = FetchSettings(total_timeout_s=20)
IMPATIENT = FetchSettings(total_timeout_s=1.5)
CREDENTIALS = Credentials("AKEXAMPLE", "a secret of the tests")
OBJECTS = {
    b"/pictures/face.jpg": b"a face",
    b"/pictures/with%20blank%20and%20%3F%23%25.jpg": b"odd",
    b"/private/face.jpg": b"private",
}


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", CREDENTIALS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CREDENTIALS.secret_key)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)


class _AsSigned(S3SigV4Auth):  # type: ignore[misc]
    """Signs for the moment that a request names, not for now."""

    def _modify_request_before_signing(self, request: AWSRequest) -> None:
        pass


def is_signed(request: bytes) -> bool:
    """Whether the client's signature is the one that AWS's own code makes of that request."""
    line, *rest = request.decode("latin-1").split("\r\n")
    headers = dict(each.split(": ", 1) for each in rest if each)
    lower = {name.lower(): value for name, value in headers.items()}
    signed = lower["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    again = AWSRequest(
        "GET", f"http://{lower['host']}{line.split()[1]}", headers={name: lower[name] for name in signed}
    )
    again.context["timestamp"] = lower["x-amz-date"]
    signer = _AsSigned(CREDENTIALS, "s3", "eu-test-1")
    text = signer.string_to_sign(again, signer.canonical_request(again))
    return lower["authorization"].endswith(f"Signature={signer.signature(text, again)}")


async def bucket(request: bytes, writer: asyncio.StreamWriter) -> None:
    """Objects of the table, for requests that are signed right."""
    path = request.split(b" ")[1]
    if not is_signed(request):
        reply = error(403, "SignatureDoesNotMatch")
    elif path not in OBJECTS:
        reply = error(404, "NoSuchKey")
    else:
        reply = answer(OBJECTS[path])
    await reply(request, writer)


def error(status: int, code: str) -> Handler:
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>hidden</Message></Error>'
    return answer(body.encode(), status=f"{status} No", headers="Content-Type: application/xml\r\n")


class Endpoint:
    """Fetchers for one endpoint, closed at the end."""

    def __init__(self) -> None:
        self.opened: list[S3Fetcher] = []

    async def fetch(
        self,
        handler: Handler,
        url: str,
        *,
        max_bytes: int = 100_000,
        limits: FetchSettings = LIMITS,
        hold: Hold = unheld,
    ) -> bytes:
        async with serving(handler) as server:
            s3 = S3Settings(buckets=("pictures",), endpoint_url=server.url(""), region="eu-test-1")
            self.opened.append(S3Fetcher(s3, limits))
            return await self.opened[-1].fetch(url, max_bytes=max_bytes, hold=hold)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    made = Endpoint()
    yield made
    for fetcher in made.opened:
        await fetcher.close()


@pytest.mark.parametrize(
    ("url", "body"), [("s3://pictures/face.jpg", b"a face"), ("s3://pictures/with blank and ?#%.jpg", b"odd")]
)
async def test_an_object_is_fetched_with_a_signature(endpoint: Endpoint, url: str, body: bytes) -> None:
    assert await endpoint.fetch(bucket, url) == body


async def test_a_wrong_secret_is_a_failure(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(FetchFailed, match="SignatureDoesNotMatch"):
        await endpoint.fetch(bucket, "s3://pictures/face.jpg")


async def test_without_credentials_nothing_is_asked(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path_factory.mktemp("aws") / "absent"))
    with pytest.raises(FetchFailed, match="NoCredentialsError"):
        await endpoint.fetch(bucket, "s3://pictures/face.jpg")


async def test_an_absent_key_is_a_failure_that_names_neither_key_nor_message(endpoint: Endpoint) -> None:
    with pytest.raises(FetchFailed, match=r"^s3://pictures answers NoSuchKey$"):
        await endpoint.fetch(bucket, "s3://pictures/hidden.jpg")


@pytest.mark.parametrize(
    "url",
    [
        "s3://private/face.jpg",
        "s3://Pictures/face.jpg",
        "s3://pictures",
        "s3://pictures/",
        "s3:///face.jpg",
        "s3://user@pictures/face.jpg",
        "s3://pictures/../private/face.jpg",
        "s3://pictures/a/./face.jpg",
        "s3://pictures/" + "a" * 1025,
        "s3://pictures/\ud800",
    ],
)
async def test_other_buckets_and_keys_that_lead_there_are_refused_unasked(endpoint: Endpoint, url: str) -> None:
    with pytest.raises(FetchRefused):
        await endpoint.fetch(bucket, url)
    assert endpoint.opened[-1]._client is None


async def test_an_endless_object_is_cut_at_the_cap(endpoint: Endpoint) -> None:
    async def endless(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + bytes(4096) + b"\r\n")
            await writer.drain()

    with pytest.raises(FetchTooLarge):
        await endpoint.fetch(endless, "s3://pictures/face.jpg", max_bytes=50_000)


async def test_an_object_is_cut_where_there_is_no_room_for_it(endpoint: Endpoint) -> None:
    """Every piece is told before it is kept, and what refuses it comes out as it is."""
    room = Room(50_000)
    with pytest.raises(EngineBusy, match="no room"):
        await endpoint.fetch(answer(bytes(90_000)), "s3://pictures/face.jpg", hold=room.hold)
    assert room.held <= 50_000
    just = Room(50_000)
    assert await endpoint.fetch(answer(bytes(50_000)), "s3://pictures/face.jpg", hold=just.hold) == bytes(50_000)
    assert just.held == 50_000


async def test_an_object_that_announces_too_much_is_not_waited_for(endpoint: Endpoint) -> None:
    begun = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\nabc", then_wait=True)
    with pytest.raises(FetchTooLarge, match="announces"):
        await endpoint.fetch(begun, "s3://pictures/face.jpg")


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(answer(b""), id="nothing"),
        pytest.param(raw(b""), id="closed at once"),
        pytest.param(raw(b"SSH-2.0-OpenSSH_9.2\r\n"), id="no http"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), id="a body cut short"),
        pytest.param(answer(b"<broken", status="500 Oh"), id="an error of no sense"),
        pytest.param(error(503, "SlowDown"), id="an overloaded server"),
        pytest.param(answer(b"", status="301 Moved", headers="Location: http://10.0.0.1/\r\n"), id="a redirect"),
    ],
)
async def test_a_broken_answer_is_a_failure(endpoint: Endpoint, handler: Handler) -> None:
    with pytest.raises(FetchFailed):
        await endpoint.fetch(handler, "s3://pictures/face.jpg")


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(raw(b"", then_wait=True), id="an answer that never begins"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", then_wait=True), id="a body that stops"),
    ],
)
async def test_slowness_ends_at_the_deadline(endpoint: Endpoint, handler: Handler) -> None:
    begin = time.monotonic()
    with pytest.raises(FetchTimeout):
        await endpoint.fetch(handler, "s3://pictures/face.jpg", limits=IMPATIENT)
    assert time.monotonic() - begin < 8.0


async def test_s3_is_off_until_a_bucket_is_named() -> None:
    fetcher = open_fetcher(Settings())
    for url in ("s3://pictures/face.jpg", "S3://pictures/face.jpg"):
        with pytest.raises(FetchRefused, match="no bucket is configured"):
            await fetcher.fetch(url, max_bytes=100)
    await fetcher.close()


async def test_one_fetcher_serves_every_scheme() -> None:
    async with serving(bucket) as server:
        s3 = S3Settings(buckets=("pictures",), endpoint_url=server.url(""), region="eu-test-1")
        fetcher = open_fetcher(Settings(s3=s3, fetch=LIMITS))
        assert await fetcher.fetch("S3://pictures/face.jpg", max_bytes=100) == b"a face"
        with pytest.raises(FetchError):  # what is allowed to s3's endpoint is not allowed to http
            await fetcher.fetch(server.url("/pictures/face.jpg"), max_bytes=100)
        await fetcher.close()


def test_a_bucket_without_the_extra_stops_the_start_with_one_sentence() -> None:
    program = (
        "import sys; sys.modules['aiobotocore.config'] = None\n"
        "from visavis_proxy.fetch import open_fetcher\n"
        "from visavis_proxy.settings import S3Settings, Settings, SettingsInvalid\n"
        "open_fetcher(Settings())\n"
        "try: open_fetcher(Settings(s3=S3Settings(buckets=('pictures',))))\n"
        "except SettingsInvalid as refusal: print(refusal)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("VISAVIS_S3__BUCKETS is set, but aiobotocore")
    assert run.stdout.endswith("install the extra `s3` (in the project's folder: pip install '.[s3]')\n")
