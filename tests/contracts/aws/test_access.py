"""Who may call: NONE and AWS_IAM, by setting or by the address that the service is bound to."""

from __future__ import annotations

import time

import pytest
from contracts.aws import bench
from contracts.aws.bench import GOOD, PATH, post
from fakes import TEST_KEY

from visavis_proxy.contracts.aws.settings import AwsSettings
from visavis_proxy.credentials import Contract, Key
from visavis_proxy.settings import Settings


@pytest.mark.parametrize(
    ("host", "setting", "status"),
    [
        ("127.0.0.1", None, 200),
        ("::1", None, 200),
        ("0.0.0.0", None, 403),
        ("192.0.2.7", None, 403),
        ("0.0.0.0", "NONE", 200),
        ("127.0.0.1", "AWS_IAM", 403),
    ],
)
def test_authorization_follows_the_setting_then_the_address(host: str, setting: str | None, status: int) -> None:
    """Open by default only where this machine alone can call."""
    aws = AwsSettings(authorization=setting)  # type: ignore[arg-type]
    assert post(settings=Settings(host=host, aws=aws)).status_code == status


def test_unset_authorization_guards_the_door_of_a_public_address() -> None:
    """A service on every address refuses an unsigned call, and takes a signed one."""
    public = Settings(host="0.0.0.0")
    assert post(settings=public).status_code == 403
    assert post(settings=public, headers=bench.signed(GOOD)).status_code == 200


@pytest.mark.parametrize("mode", ["NONE", "AWS_IAM"])
def test_signed_request_is_checked_under_both(mode: str) -> None:
    """A right signature is let in, a wrong one refused, whichever the setting: a client that signs wants to know."""
    forger = Key(id=TEST_KEY.id, secret="another secret")
    given = bench.settings(authorization=mode)
    assert post(settings=given, headers=bench.signed(GOOD)).status_code == 200
    assert post(settings=given, headers=bench.signed(GOOD, forger)).status_code == 403


def test_other_schemes_are_no_signature() -> None:
    """Under NONE a Bearer or Basic header changes nothing; under AWS_IAM it is as good as none."""
    headers = {"Authorization": "Basic dGVzdDp0ZXN0"}
    assert post(headers=headers).status_code == 200
    refused = post(headers=headers, settings=bench.settings(authorization="AWS_IAM"))
    assert (refused.status_code, refused.json()) == (403, {"message": "Missing Authentication Token"})


@pytest.mark.parametrize(
    "key",
    [
        Key(id="k", secret="s", disabled="Denied by Admin"),
        Key(id="k", secret="s", contracts=(Contract.FACEPP,)),
    ],
    ids=["disabled", "other contract"],
)
def test_key_that_may_not_call_is_unknown(key: Key) -> None:
    """A disabled key and one of other contracts are told what a stranger is told."""
    answer = post(keys=[key], headers=bench.signed(GOOD, key))
    assert answer.json() == {"message": "The security token included in the request is invalid."}


def test_rate_is_taken_from_the_key_that_signed() -> None:
    """A forger cannot use up another's rate: only a right signature counts."""
    slow = Key(id="slow", secret="slowSecret", qps=1)
    forged = Key(id="slow", secret="guess")
    now = time.time()
    client = bench.client(bench.services(keys=[slow], clock=lambda: now))
    statuses = [
        client.post(PATH, content=GOOD, headers=bench.signed(GOOD, key)).status_code
        for key in (forged, forged, slow, slow)
    ]
    assert statuses == [403, 403, 200, 429]


def test_unsigned_requests_have_no_rate() -> None:
    """Under NONE nobody is named, so nobody is throttled."""
    client = bench.client()
    assert {client.post(PATH, content=GOOD).status_code for _ in range(5)} == {200}


def test_path_is_signed_as_sent() -> None:
    """A percent-encoded spelling of the path is judged in that spelling."""
    path = "/prod/face%5Fcomparison"
    headers = bench.signed(GOOD, url=f"http://{bench.HOST}{path}")
    assert post(path=path, headers=headers).status_code == 200
    assert post(path="/prod/face_comparison", headers=headers).status_code == 403
