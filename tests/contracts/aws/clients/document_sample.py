"""The document's own AWS_IAM sample; run with the Python of requirements/sdk-aws.txt.

Arguments: base URL and region. Standard input: the JSON payload. Keys come from the environment, as botocore reads
them. Prints what came back, and what the sample's last line makes of it.
"""

import json
import sys
from urllib.parse import urlsplit

import requests
from aws_requests_auth.boto_utils import BotoAWSRequestsAuth

base_url, region = sys.argv[1:]
payload = json.load(sys.stdin)

auth = BotoAWSRequestsAuth(aws_host=urlsplit(base_url).netloc, aws_region=region, aws_service="execute-api")
response = requests.request("POST", f"{base_url}/prod/face_comparison", data=json.dumps(payload), auth=auth, timeout=30)

raised = None
try:
    json.loads(response.text)
except Exception as error:
    raised = type(error).__name__
print(json.dumps({"status": response.status_code, "text": response.text, "raised": raised}))
