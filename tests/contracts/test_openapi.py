"""Requests that schemathesis makes of the whole app's OpenAPI: no fault of ours, every answer as documented there."""

from __future__ import annotations

from typing import Any

import schemathesis
from fakes import TEST_KEY, make_services
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from visavis_client.fakes import FakeEngine
from visavis_proxy.app import create_app

APP = create_app(make_services(FakeEngine({})))
STATUS = [not_a_server_error, status_code_conformance]
SHAPE = [content_type_conformance, response_schema_conformance]
#: This vendor labels bare text as JSON; tests/contracts/aws holds the room to those texts.
AWS = "AWS FaceComparison"
FACEPP_KEY = {"api_key": TEST_KEY.id, "api_secret": TEST_KEY.secret.get_secret_value()}

schema = schemathesis.openapi.from_asgi("/openapi.json", APP)


@schema.exclude(tag=AWS).parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_operation(case: schemathesis.Case) -> None:
    """Whatever its schema allows, and some of what it does not, is answered with a documented status and shape."""
    case.call_and_validate(checks=STATUS + SHAPE)


@schema.include(tag=AWS).parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_aws_operation(case: schemathesis.Case) -> None:
    """The same, by status alone, of the room whose shape no schema can tell."""
    case.call_and_validate(checks=STATUS)


@schema.include(path_regex="^/facepp/").parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_facepp_to_a_caller_with_a_key(case: Any) -> None:
    """Behind its check of keys Face++ keeps to its documented answers too."""
    if isinstance(case.body, dict):
        case.body |= FACEPP_KEY
    case.call_and_validate(checks=STATUS + SHAPE)
