"""jdcloud-apim-sdk, unmodified: JDCLOUD2. Reads calls from stdin as JSON, prints what the client returned or raised.

In: {"endpoint": "host:port", "key_id", "secret", "bodies": [object or text, …]}; text is what the SDK encodes twice.
"""

import json
import sys

from jdcloud_apim_sdk.core.config import Config
from jdcloud_apim_sdk.core.const import SCHEME_HTTP
from jdcloud_apim_sdk.core.credential import Credential
from jdcloud_apim_sdk.core.logger import ERROR, Logger
from jdcloud_apim_sdk.simpleclient import SimpleClient
from jdcloud_apim_sdk.simplerequest import SimpleRequest


def call(client, body):
    request = SimpleRequest(url="/jdai/faceCompareV1", method="POST", body=body)
    try:
        response = client.send(request)
    except Exception as error:
        return {"raised": type(error).__name__}
    return {"status": response.status_code, "answer": response.json()}


def main():
    given = json.load(sys.stdin)
    credential = Credential(given["key_id"], given["secret"])
    client = SimpleClient(Config(given["endpoint"], SCHEME_HTTP), credential, Logger(ERROR))
    json.dump([call(client, body) for body in given["bodies"]], sys.stdout)


main()
