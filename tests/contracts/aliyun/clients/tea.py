"""Vendor client ``alibabacloud-cloudauth20190307``: questions in, outcomes out.

Reads ``{"host", "key_id", "secret", "signature", "questions": [{"source", "target", ...}]}`` from stdin (``signature``:
"v2" or None, the client's default); prints a list of what the client returned (``{"answer"}``) or raised
(``{"raised", "code", "message", "status"}``).
"""

import json
import sys

from alibabacloud_cloudauth20190307.client import Client
from alibabacloud_cloudauth20190307.models import CompareFacesRequest
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.utils_models import Config


def ask(client, question):
    request = CompareFacesRequest(
        source_image_type=question["source_type"],
        source_image_value=question["source"],
        target_image_type=question["target_type"],
        target_image_value=question["target"],
    )
    try:
        return {"answer": client.compare_faces(request).body.to_map()}
    except AlibabaCloudException as error:
        return {
            "raised": type(error).__name__,
            "code": error.code,
            "message": error.message,
            "status": error.status_code,
        }


task = json.load(sys.stdin)
config = Config(
    access_key_id=task["key_id"],
    access_key_secret=task["secret"],
    endpoint=task["host"],
    protocol="http",
    signature_algorithm=task["signature"],
)
caller = Client(config)
json.dump([ask(caller, question) for question in task["questions"]], sys.stdout)
