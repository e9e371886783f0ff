"""Every error of the document and of the gateway is produced by a request, to the letter."""

from __future__ import annotations

import inspect
import logging
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from contracts.aliyun import bench
from contracts.aliyun.bench import acs3, form, inline, rpc
from contracts.aliyun.document import ERRORS
from fakes import FakeState

from visavis_client import errors as client_errors
from visavis_client.errors import VisavisError
from visavis_proxy import fetch
from visavis_proxy.contracts.aliyun.errors import RAISED
from visavis_proxy.credentials import Credentials, Key
from visavis_proxy.services import Services
from visavis_proxy.state import StateUnavailable

UNKNOWN_KEY = Key(id="nobody", secret="nothing")
WRONG_SECRET = bench.GOOD_KEY.model_copy(update={"secret": bench.SLOW_KEY.secret})
URL = "http://pictures.example/face.jpg"
BIG = 1000
NAMED = {"Action": "CompareFaces", "Version": "2019-03-07"}


class Broken(Credentials):
    """A fault of our own, whose text holds a secret."""

    def find(self, key_id: str) -> Key | None:
        raise ValueError(f"about {key_id} and {bench.GOOD_KEY.secret.get_secret_value()}")


class LostState(FakeState):
    """A store that cannot be reached."""

    async def claim_nonce(self, space: str, nonce: str, ttl_s: float) -> bool:
        raise StateUnavailable("gone")


def lost_state() -> Services:
    return replace(bench.services(), state=LostState())


def failing_engine(error: VisavisError) -> Callable[[], Services]:
    return lambda: bench.services({bench.FACE: error})


@dataclass(frozen=True)
class Case:
    """A request that ends with that code."""

    code: str
    call: Callable[[], bench.Call]
    services: Callable[[], Services] = bench.services
    #: Sent before, all good.
    before: tuple[Callable[[], bench.Call], ...] = ()


def changed(**parameters: str | None) -> Callable[[], bench.Call]:
    return lambda: rpc(form(**parameters))


def public(**parameters: Any) -> Callable[[], bench.Call]:
    return lambda: rpc(**parameters)


def unsigned() -> bench.Call:
    call = rpc()
    return replace(call, query={name: value for name, value in call.query.items() if name != "Signature"})


def same_nonce() -> bench.Call:
    return rpc(SignatureNonce="twice")


CASES = {
    "unexpected": Case("Error.InternalError", rpc, lambda: replace(bench.services(), credentials=Broken([]))),
    "state lost": Case("Error.InternalError", rpc, lost_state),
    "source value absent": Case("InvalidParam.ParamMissing", changed(SourceImageValue=None)),
    "source value empty": Case("InvalidParam.ParamMissing", changed(SourceImageValue="")),
    "target value absent": Case("InvalidParam.ParamMissing", changed(TargetImageValue=None)),
    "key of another contract": Case("Error.NoPermissionAccess", lambda: rpc(key=bench.FORBIDDEN_KEY)),
    "engine fault": Case("Error.CompareFacesError", rpc, failing_engine(client_errors.EngineFault())),
    "engine slow": Case("Error.CompareFacesError", rpc, failing_engine(client_errors.EngineTimeout())),
    "no time left": Case("Error.CompareFacesError", rpc, lambda: bench.services(answer_within_s=1e-9)),
    "source type absent": Case("InvalidParam.ImageTypeEmpty", changed(SourceImageType=None)),
    "target type empty": Case("InvalidParam.ImageTypeEmpty", changed(TargetImageType="")),
    "two ID chips": Case("InvalidParam.FacePicNotGiven", changed(SourceImageType="IDPic", TargetImageType="IDPic")),
    "relative path": Case("InvalidParam.ImageValuePatternError", changed(SourceImageValue="face.jpg")),
    "absolute path": Case("InvalidParam.ImageValuePatternError", changed(SourceImageValue="/tmp/face.jpg")),
    "file URL": Case("InvalidParam.ImageValuePatternError", changed(TargetImageValue="file:///tmp/face.jpg")),
    "s3 URL": Case("InvalidParam.ImageValuePatternError", changed(TargetImageValue="s3://bucket/face.jpg")),
    "base64 without its scheme": Case(
        "InvalidParam.ImageValuePatternError", changed(SourceImageValue=inline(bench.FACE)[9:])
    ),
    "data: prefix": Case(
        "InvalidParam.ImageValuePatternError",
        changed(SourceImageValue=inline(bench.FACE).replace("://", "://data:image/jpeg;base64,")),
    ),
    "not base64": Case("InvalidParam.ImageValuePatternError", changed(SourceImageValue="base64://?!")),
    "nothing behind the scheme": Case("InvalidParam.ImageValuePatternError", changed(SourceImageValue="base64://")),
    "not a picture": Case("InvalidParam.ImageValuePatternError", changed(SourceImageValue=inline(b"not a picture"))),
    "broken picture": Case("InvalidParam.ImageValuePatternError", changed(SourceImageValue=inline(bench.UNKNOWN))),
    "too many pixels": Case(
        "InvalidParam.ImageValuePatternError", rpc, lambda: bench.services(max_picture_pixels=101 * 90 - 1)
    ),
    "too many pixels for the decoder": Case(
        "InvalidParam.ImageValuePatternError", rpc, failing_engine(client_errors.PictureTooLarge())
    ),
    "base64 by GET": Case("InvalidParam.ImageValuePatternError", lambda: rpc(method="GET")),
    "unfetchable URL": Case("InvalidParam.ImageValuePatternError", changed(SourceImageValue=URL)),
    "type unknown": Case("InvalidParam.ImageTypeInvalid", changed(SourceImageType="Passport")),
    "type in the wrong case": Case("InvalidParam.ImageTypeInvalid", changed(TargetImageType="facepic")),
    "no face in the source": Case("Error.NoFaceDetected", changed(SourceImageValue=inline(bench.NO_FACE))),
    "no face in the target": Case("Error.NoFaceDetected", changed(TargetImageValue=inline(bench.NO_FACE))),
    "nothing at all": Case("MissingAction", lambda: bench.Call("POST", {}, b"")),
    "no authentication": Case(
        "MissingAccessKeyId", lambda: bench.Call("GET", {"Action": "CompareFaces", "Version": "2019-03-07"}, b"")
    ),
    "no key": Case("MissingAccessKeyId", public(AccessKeyId=None)),
    "no timestamp": Case("MissingTimestamp", public(Timestamp=None)),
    "no x-acs-date": Case("MissingTimestamp", lambda: acs3(x_acs_date=None)),
    "no nonce": Case("MissingSignatureNonce", public(SignatureNonce=None)),
    "no x-acs-signature-nonce": Case("MissingSignatureNonce", lambda: acs3(x_acs_signature_nonce=None)),
    "no signature": Case("MissingSignature", unsigned),
    "no action": Case("MissingAction", public(Action=None)),
    "no x-acs-action": Case("MissingAction", lambda: acs3(x_acs_action=None)),
    "no version": Case("MissingVersion", public(Version=None)),
    "no x-acs-version": Case("MissingVersion", lambda: acs3(x_acs_version=None)),
    "unknown key": Case("InvalidAccessKeyId.NotFound", lambda: rpc(key=UNKNOWN_KEY)),
    "unknown key, V3": Case("InvalidAccessKeyId.NotFound", lambda: acs3(key=UNKNOWN_KEY)),
    "disabled key": Case("InvalidAccessKeyId.Inactive", lambda: rpc(key=bench.DISABLED_KEY)),
    "wrong secret": Case("SignatureDoesNotMatch", lambda: rpc(key=WRONG_SECRET)),
    "wrong secret, V3": Case("SignatureDoesNotMatch", lambda: acs3(key=WRONG_SECRET)),
    "host not signed": Case("IncompleteSignature", lambda: acs3(unsigned=("host",))),
    "unknown method": Case("InvalidSignatureMethod", public(SignatureMethod="HMAC-MD5")),
    "unknown signature version": Case("InvalidSignatureMethod", public(SignatureVersion="2.0")),
    "V3 by another algorithm": Case(
        "InvalidSignatureMethod", lambda: replace(acs3(), headers={"authorization": "ACS3-RSA-SHA256 x"}, query=NAMED)
    ),
    "clock wrong": Case("InvalidTimeStamp.Expired", public(Timestamp="2026-11-20T03:29:12Z")),
    "not a time": Case("InvalidTimeStamp.Format", public(Timestamp="yesterday")),
    "not a time, V3": Case("InvalidTimeStamp.Format", lambda: acs3(x_acs_date="20261121T032912Z")),
    "nonce again": Case("SignatureNonceUsed", same_nonce, before=(same_nonce,)),
    "unknown action": Case("InvalidAction.NotFound", public(Action="DetectFace")),
    "unknown HTTP method": Case("InvalidAction.NotFound", lambda: rpc(method="PUT")),
    "version of other parameters": Case("InvalidVersion", public(Version="2020-11-12")),
    "unknown format": Case("InvalidParameter.Format", public(Format="YAML")),
    "no TLS": Case("InvalidProtocol.NeedSsl", rpc, lambda: bench.services(require_tls=True)),
    "more than the key's rate": Case(
        "Throttling.User", lambda: rpc(key=bench.SLOW_KEY), before=(lambda: rpc(key=bench.SLOW_KEY),)
    ),
    "engine busy": Case("Throttling.Api", rpc, failing_engine(client_errors.EngineBusy())),
    "engine restarting": Case("Throttling.Api", rpc, failing_engine(client_errors.EngineUnavailable())),
    "body too large": Case("RequestEntityTooLarge", rpc, lambda: bench.services(max_body_bytes=BIG)),
    "target too long": Case(
        "RequestEntityTooLarge",
        lambda: rpc(form(URL, URL, x="x" * BIG), method="GET"),
        lambda: bench.services(max_target_bytes=1024),
    ),
    "too many parameters": Case("RequestEntityTooLarge", lambda: rpc({f"p{number}": "" for number in range(200)})),
}


def cases() -> list[Any]:
    return [
        pytest.param(case, id=name, marks=pytest.mark.documented("aliyun", "error", case.code))
        for name, case in CASES.items()
    ]


@pytest.mark.parametrize("case", cases())
def test_error_is_produced_by_a_request(case: Case) -> None:
    """Status, code, message and envelope of the error table, for a request that deserves it."""
    client = bench.client(case.services())
    for good in case.before:
        assert good().send(client).json()["Code"] == "1"
    answer = case.call().send(client)
    status, message = ERRORS[case.code]
    told = answer.json()
    assert list(told) == ["RequestId", "HostId", "Code", "Message"]
    assert (answer.status_code, told["Code"], told["HostId"]) == (status, case.code, "cloudauth.aliyuncs.com")
    assert told["Message"].startswith(message) if case.code == "SignatureDoesNotMatch" else told["Message"] == message
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    assert answer.headers["x-acs-request-id"] == told["RequestId"]


def test_every_error_has_a_case() -> None:
    """The table of cases names every code of document and gateway; Throttling has a test of its own."""
    assert {case.code for case in CASES.values()} | {"Throttling"} == set(ERRORS)


def test_every_error_that_can_be_raised_has_a_row() -> None:
    """All leaves of the trees of client and fetcher are mapped to a code."""
    for module, root in ((client_errors, client_errors.VisavisError), (fetch, fetch.FetchError)):
        family = {kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, root)}
        leaves = {kind for kind in family if not any(other in family for other in kind.__subclasses__())}
        assert leaves
        assert leaves <= set(RAISED)


@pytest.mark.parametrize("error", [kind for kind in RAISED if issubclass(kind, fetch.FetchError)])
def test_every_failure_to_fetch_is_the_pictures_fault(error: type[fetch.FetchError]) -> None:
    """Refused, failed, too large, too slow: the address is not acceptable."""
    services = bench.services(pictures={URL: error("http://10.0.0.1/secret")})
    told = rpc(form(URL)).send(bench.client(services)).json()
    assert told["Code"] == "InvalidParam.ImageValuePatternError"
    assert "10.0.0.1" not in str(told)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (client_errors.RegionInvalid(), "Error.CompareFacesError"),
        (client_errors.TemplatesNotComparable(), "Error.CompareFacesError"),
        (client_errors.PictureUnreadable(), "InvalidParam.ImageValuePatternError"),
    ],
)
def test_other_errors_of_the_engine(error: VisavisError, code: str) -> None:
    """What the cases above do not show of the engine's tree."""
    assert rpc().send(bench.client(failing_engine(error)())).json()["Code"] == code


def test_the_rpc_echo_is_what_the_sdk_compares() -> None:
    """What follows the only colon is the caller's own string to sign, pictures included."""
    told = rpc(key=WRONG_SECRET).send(bench.client()).json()
    words, echo = told["Message"].split(":")
    assert words == "Specified signature is not matched with our calculation. server string to sign is"
    assert echo.startswith("POST&%2F&AccessKeyId%3DtestAccessKeyId%26Action%3DCompareFaces%26")
    assert "SourceImageValue%3Dbase64%253A%252F%252F" in echo


def test_the_v3_echo_shows_both_strings() -> None:
    """The string to sign in brackets, then the canonical request that it is the hash of."""
    message = acs3(key=WRONG_SECRET).send(bench.client()).json()["Message"]
    begin = "Specified signature does not match our calculation. server StringToSign is [ACS3-HMAC-SHA256\n"
    assert message.startswith(begin)
    assert "], server CanonicalRequest is [POST\n/\n\ncontent-type:" in message


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("Error.NoFaceDetected", lambda: rpc(form(inline(bench.NO_FACE)), Format="XML")),
        ("InvalidParam.ParamMissing", lambda: rpc(form(""), Format="Xml")),
        ("SignatureDoesNotMatch", lambda: rpc(form("a<b>&\0"), key=WRONG_SECRET, Format="xml")),
        ("SignatureDoesNotMatch", lambda: acs3(key=WRONG_SECRET, query={"Format": "XML"}, x_acs_a="<a>&\t]]>")),
    ],
)
def test_xml_says_the_same(code: str, call: Callable[[], bench.Call]) -> None:
    """With Format=XML the root is Error and its children are those of the JSON answer, whatever they quote."""
    answer = call().send(bench.client())
    root = ET.fromstring(answer.text)
    assert answer.headers["content-type"] == "text/xml;charset=utf-8"
    assert root.tag == "Error"
    assert [child.tag for child in root] == ["RequestId", "HostId", "Code", "Message"]
    assert (answer.status_code, root.findtext("Code")) == (ERRORS[code][0], code)
    assert root.findtext("RequestId") == answer.headers["x-acs-request-id"]


def test_an_unexpected_exception_is_logged_without_what_was_sent(caplog: pytest.LogCaptureFixture) -> None:
    """Kind and place are in the log; neither secret nor picture nor the exception's text."""
    client = bench.client(replace(bench.services(), credentials=Broken([])))
    told = rpc().send(client).json()
    assert told["Code"] == "Error.InternalError"
    assert "ValueError" in caplog.text
    assert "in find" in caplog.text
    assert bench.GOOD_KEY.secret.get_secret_value() not in caplog.text


def test_the_echo_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A refused signature leaves nothing of the caller's pictures in the log."""
    with caplog.at_level(logging.DEBUG, "visavis_proxy"):
        rpc(key=WRONG_SECRET).send(bench.client())
    assert not [record for record in caplog.records if record.name.startswith("visavis_proxy")]
