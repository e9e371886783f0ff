"""jdcloud-sdk or jdcloud-sdk-core, unmodified. Reads calls from stdin as JSON, prints what it returned or raised.

In: {"endpoint": "host:port", "key_id", "secret", "bodies": [object, …]}. jdcloud-sdk signs with JDCLOUD3,
jdcloud-sdk-core with JDCLOUD2; neither knows this interface, so the request is the small one that users write.
"""

import json
import sys

from jdcloud_sdk.core.config import Config
from jdcloud_sdk.core.const import SCHEME_HTTP
from jdcloud_sdk.core.credential import Credential
from jdcloud_sdk.core.jdcloudclient import JDCloudClient
from jdcloud_sdk.core.jdcloudrequest import JDCloudRequest
from jdcloud_sdk.core.logger import ERROR, Logger


class FaceCompareRequest(JDCloudRequest):
    def __init__(self, parameters):
        super().__init__("/faceCompareV1", "POST", None, "jdai")
        self.parameters = parameters


def call(client, body):
    try:
        response = client.send(FaceCompareRequest(body))
    except Exception as error:
        return {"raised": type(error).__name__}
    error = vars(response.error) if response.error else None
    return {"request_id": response.request_id, "result": response.result, "error": error}


def main():
    given = json.load(sys.stdin)
    credential = Credential(given["key_id"], given["secret"])
    client = JDCloudClient(credential, Config(given["endpoint"], SCHEME_HTTP), "jdai", "1.0.0", Logger(ERROR))
    json.dump([call(client, body) for body in given["bodies"]], sys.stdout)


main()
