"""Vendor client ``aliyun-python-sdk-core`` with ``aliyun-python-sdk-cloudauth``: questions in, outcomes out.

Reads ``{"host", "key_id", "secret", "questions": [{"source", "target", ...}]}`` from stdin; prints a list of what the
client returned (``{"answer"}``, ``{"text"}``) or raised (``{"raised", "code", "message", "status", "request_id"}``).
"""

import json
import sys

from aliyunsdkcloudauth.request.v20190307.CompareFacesRequest import CompareFacesRequest
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest


def typed(question):
    """The class that the product's package has for this call."""
    request = CompareFacesRequest()
    request.set_SourceImageType(question["source_type"])
    request.set_SourceImageValue(question["source"])
    request.set_TargetImageType(question["target_type"])
    request.set_TargetImageValue(question["target"])
    return request


def common(question):
    """The untyped request of the core, by which the versions of 2018 are called too."""
    request = CommonRequest(domain=task["host"], version=question["version"], action_name="CompareFaces")
    request.set_method(question["method"])
    add = request.add_body_params if question["method"] == "POST" else request.add_query_param
    for side in ("Source", "Target"):
        add(f"{side}ImageType", question[f"{side.lower()}_type"])
        add(f"{side}ImageValue", question[side.lower()])
    return request


def ask(client, question):
    request = common(question) if "version" in question else typed(question)
    request.set_endpoint(task["host"])
    request.set_protocol_type("http")
    try:
        if question.get("format") == "XML":
            # The client's way to read XML: it hands the body over as it came.
            request.set_accept_format("XML")
            return {"text": client.do_action(request).decode()}
        return {"answer": json.loads(client.do_action_with_exception(request))}
    except ServerException as error:
        return {
            "raised": type(error).__name__,
            "code": error.get_error_code(),
            "message": error.get_error_msg(),
            "status": error.get_http_status(),
            "request_id": error.get_request_id(),
        }


task = json.load(sys.stdin)
caller = AcsClient(task["key_id"], task["secret"], "cn-hangzhou", auto_retry=False)
json.dump([ask(caller, question) for question in task["questions"]], sys.stdout)
