"""A good call of every contract, one with a picture from elsewhere, and the contracts' words for "not now"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from contracts.aliyun import bench as aliyun
from contracts.aws import bench as aws
from contracts.facepp import bench as facepp
from contracts.jdcloud import calling as jdcloud
from fakes import TEST_KEY

Call = dict[str, Any]
URL = "http://pictures.example/face.jpg"
ANALYSES = {**facepp.ANALYSES, **aliyun.ANSWERS, **jdcloud.two_of_one_person(), **aws.ANALYSES}


def aliyun_call(**form: str) -> Call:
    call = aliyun.rpc(aliyun.form(**form))
    return {"url": "/", "params": call.query, "content": call.body, "headers": call.headers}


def facepp_call(**fields: str) -> Call:
    key = {"api_key": TEST_KEY.id, "api_secret": TEST_KEY.secret.get_secret_value()}
    pictures = {"image_base64_1": facepp.text(facepp.ANNA), "image_base64_2": facepp.text(facepp.BERTA)}
    return {"url": facepp.COMPARE, "data": key | (fields or pictures)}


def jdcloud_call() -> Call:
    body = jdcloud.body_of()
    return {"url": jdcloud.PATH, "content": body, "headers": jdcloud.Signer().headers(body)}


def unsigned_aws_call(body: bytes) -> Call:
    """As this machine may call without a signature: by a name of its own."""
    return {"url": aws.PATH, "content": body, "headers": {"Host": aws.HOST}}


def signed_aws_call() -> Call:
    headers = aws.signed(aws.GOOD, url=f"http://{aliyun.HOST}{aws.PATH}")
    return {"url": aws.PATH, "content": aws.GOOD, "headers": headers}


@dataclass(frozen=True)
class Contract:
    """How a contract is called, and its words for "not now"."""

    call: Callable[[], Call]
    pictures: int
    busy: tuple[int, str]
    #: Where they differ from ``busy``.
    no_memory: tuple[int, str] | None = None
    rate: tuple[int, str] | None = None


CONTRACTS: Mapping[str, Contract] = {
    "facepp": Contract(facepp_call, 2, (403, "CONCURRENCY_LIMIT_EXCEEDED")),
    "jdcloud": Contract(jdcloud_call, 2, (200, "10020"), rate=(200, "10043")),
    "aliyun": Contract(
        aliyun_call, 2, (400, "Throttling.Api"), no_memory=(400, "Throttling"), rate=(400, "Throttling.User")
    ),
    "aws": Contract(lambda: unsigned_aws_call(aws.GOOD), 1, (429, "Too Many Requests")),
}
every_contract = pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
#: A call with a picture from that address, and the contract it is of.
REMOTE_CALLS: Mapping[str, tuple[Callable[[str], Call], Contract]] = {
    "facepp": (
        lambda url: facepp_call(image_url1=url, image_base64_2=facepp.text(facepp.BERTA)),
        CONTRACTS["facepp"],
    ),
    "detect": (lambda url: facepp_call(image_url=url) | {"url": facepp.DETECT}, CONTRACTS["facepp"]),
    "aliyun": (lambda url: aliyun_call(target=url), CONTRACTS["aliyun"]),
    "aws": (lambda url: unsigned_aws_call(aws.as_json({"url": url})), CONTRACTS["aws"]),
}
REMOTE: Mapping[str, tuple[Call, tuple[int, str]]] = {
    name: (call(URL), contract.busy) for name, (call, contract) in REMOTE_CALLS.items()
}


def said(answer: httpx.Response) -> tuple[int, str]:
    """Status and the contract's word for it."""
    if not answer.text.startswith("{"):
        return answer.status_code, answer.text
    body = answer.json()
    word = next((body[name] for name in ("error_message", "Code", "code", "message") if name in body), "")
    return answer.status_code, word


def is_success(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and said(answer)[1] in {"", "1", "10000"}
