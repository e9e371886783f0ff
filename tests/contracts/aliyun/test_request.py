"""The request table row by row, its rules and examples, and what real clients vary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from contracts.aliyun import bench
from contracts.aliyun.bench import acs3, form, inline, rpc
from fakes import FakeFetcher

from visavis_client.fakes import FakeEngine
from visavis_proxy.fetch import Hold, unheld

documented = pytest.mark.documented
Sign = Callable[..., bench.Call]
JIANGSU = "http://jiangsu.china.com.cn/uploadfile/2015/0114/1421221304095989.jpg"


def code(call: bench.Call, services: Any = None) -> str:
    told: str = call.send(bench.client(services)).json()["Code"]
    return told


@documented("aliyun", "field", "Action")
@pytest.mark.parametrize(
    "call", [rpc, lambda: rpc(form(Action="CompareFaces"), Action=None), acs3, lambda: by_headers("CompareFaces")]
)
def test_action_comes_by_query_form_or_header(call: Callable[[], bench.Call]) -> None:
    """CompareFaces, wherever a client names it."""
    assert code(call()) == "1"


def by_headers(action: str) -> bench.Call:
    call = rpc(Action=None, Version=None)
    return replace(call, headers={**call.headers, "x-acs-action": action, "x-acs-version": "2019-03-07"})


def test_the_query_wins_over_the_header() -> None:
    """As with acs and Tea's v2, which send both."""
    call = rpc(Action="Other")
    both = replace(call, headers={**call.headers, "x-acs-action": "CompareFaces"})
    assert code(both) == "InvalidAction.NotFound"


@documented("aliyun", "field", "RegionId")
@pytest.mark.parametrize("region", ["cn-hangzhou", "eu-central-1", "", None])
def test_region_id_is_accepted_and_not_needed(region: str | None) -> None:
    """No Tea client sends the one that the document calls required."""
    assert code(rpc(RegionId=region)) == "1"


@pytest.mark.parametrize("sign", [rpc, acs3])
@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        pytest.param("FacePic", "FacePic", "1", marks=documented("aliyun", "field", "SourceImageType")),
        pytest.param("FacePic", "IDPic", "1", marks=documented("aliyun", "field", "TargetImageType")),
        ("IDPic", "FacePic", "1"),
        ("IDPic", "IDPic", "InvalidParam.FacePicNotGiven"),
        ("", "Passport", "InvalidParam.ImageTypeEmpty"),
        ("Passport", "IDPic", "InvalidParam.ImageTypeInvalid"),
    ],
)
def test_types(sign: Sign, source: str, target: str, expected: str) -> None:
    """FacePic or IDPic, at least one FacePic; empty before invalid before the rule of the two."""
    assert code(sign(form(SourceImageType=source, TargetImageType=target))) == expected


@pytest.mark.parametrize("sign", [rpc, acs3])
@pytest.mark.parametrize(
    "side",
    [
        pytest.param("Source", marks=documented("aliyun", "field", "SourceImageValue")),
        pytest.param("Target", marks=documented("aliyun", "field", "TargetImageValue")),
    ],
)
@pytest.mark.parametrize(
    "value", [inline(bench.FACE), "BASE64" + inline(bench.FACE)[6:], JIANGSU, "HTTPS://a.example/x"]
)
def test_values(sign: Sign, side: str, value: str) -> None:
    """base64:// and http(s):// on either side; a scheme's case does not matter."""
    services = bench.services(pictures={JIANGSU: bench.FACE, "HTTPS://a.example/x": bench.FACE})
    assert code(sign(form(**{f"{side}ImageValue": value})), services) == "1"


@documented("aliyun", "example", "aliyun.md: request")
@pytest.mark.parametrize("sign", [rpc, acs3])
def test_the_documents_request(sign: Sign) -> None:
    """Two URLs, a face picture and an ID chip's, in an HTTPS POST."""
    services = bench.services(pictures={JIANGSU: bench.FACE})
    call = sign(form(JIANGSU, JIANGSU, TargetImageType="IDPic"))
    assert call.send(bench.client(services)).json()["Data"]["SimilarityScore"] == 100


def test_get_carries_urls() -> None:
    """The clients of 2018 send everything in the query."""
    services = bench.services(pictures={JIANGSU: bench.FACE})
    assert code(rpc(form(JIANGSU, JIANGSU), method="GET", Version="2018-08-07"), services) == "1"


@pytest.mark.parametrize("version", ["2018-05-04", "2018-08-07", "2018-09-16", "2019-03-07"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_versions_with_these_parameters(version: str, method: str) -> None:
    """All four, in query or body."""
    services = bench.services(pictures={JIANGSU: bench.FACE})
    assert code(rpc(form(JIANGSU, JIANGSU), method=method, Version=version), services) == "1"


@pytest.mark.parametrize("more", [{"ResourceOwnerId": "1"}, {"SourceIp": "1.2.3.4"}, {"BizType": ""}, {"图": "片 ~*"}])
def test_parameters_of_old_clients_are_signed_and_ignored(more: dict[str, str]) -> None:
    """Blank and foreign ones too."""
    assert code(rpc({**form(), **more})) == "1"


def test_the_query_wins_over_the_form() -> None:
    """The same name in both: the query's counts."""
    call = acs3({**form(), "Format": "JSON"}, query={"Format": "XML"})
    assert call.send(bench.client()).headers["content-type"] == "text/xml;charset=utf-8"


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
def test_a_body_that_is_no_form_holds_no_parameters(kind: str) -> None:
    """Its signature is still checked over the query alone."""
    call = rpc(form())
    assert code(replace(call, headers={"content-type": kind})) == "SignatureDoesNotMatch"


def test_the_forms_content_type_may_name_a_charset_or_be_absent() -> None:
    """Hand-written clients do either."""
    call = rpc()
    for headers in ({"content-type": "Application/X-WWW-Form-Urlencoded; charset=UTF-8"}, {}):
        assert code(replace(call, headers=headers)) == "1"


def test_both_pictures_are_fetched_before_either_is_analysed() -> None:
    """A bad target costs no time of the engine's."""
    engine = FakeEngine(bench.ANSWERS)
    services = replace(bench.services(), engine=engine)
    assert code(rpc(form(target=inline(b"no picture"))), services) == "InvalidParam.ImageValuePatternError"
    assert not engine.asked


def test_the_fetcher_is_told_the_cap() -> None:
    """A picture behind a URL may be as large as the setting says."""
    caps: list[int] = []

    class Noting(FakeFetcher):
        async def fetch(self, url: str, *, max_bytes: int, hold: Hold = unheld) -> bytes:
            caps.append(max_bytes)
            return bench.FACE

    services = replace(bench.services(max_picture_bytes=12345), fetcher=Noting())
    assert code(rpc(form(JIANGSU, JIANGSU)), services) == "1"
    assert caps == [12345, 12345]
