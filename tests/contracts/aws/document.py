"""What the two documents and WIRE.md §4 name: the list against which the tests of this room are held.

Committed, so that the tests know it where the documents are not at hand; where they are, ``test_document.py`` reads
them and compares.
"""

from __future__ import annotations

from pathlib import Path

CONTRACT = "aws"
SHARED = Path(__file__).resolve().parents[4] / "shared" / "contracts"

#: First column of the two parameter tables, and the four members of BoundingBox from its description and the example.
FIELDS = (
    "url",
    "img",
    "Faces",
    "face_hash",
    "BoundingBox",
    "BoundingBox.Width",
    "BoundingBox.Height",
    "BoundingBox.Left",
    "BoundingBox.Top",
    "Confidence",
    "FaceModelVersion",
)

#: The fenced JSON of each document, in order, the signed request of WIRE.md §4.2, and the code of the page that both
#: documents include.
EXAMPLES = (
    "aws.en.md: request with url",
    "aws.en.md: request with img",
    "aws.en.md: response",
    "aws.zh.md: request with url",
    "aws.zh.md: request with img",
    "aws.zh.md: response",
    "WIRE.md §4.2: signed request",
    "include-deploy-code: cURL",
    "include-deploy-code: Python, AWS_IAM",
    "include-deploy-code: Python, NONE",
)

#: Every row and every gateway error of WIRE.md §4.4: name, then the words on the wire that must stand there too.
ERRORS = {
    "body absent": "invalid param",
    "not JSON": "invalid param",
    "JSON number": "invalid param",
    "JSON null": "invalid param",
    "both url and img": "`url` and `img` cannot be used at the same time",
    "img absent": "`parameter `img` illegal",
    "img undecodable": "`parameter `img` illegal",
    "url of unknown scheme": "`parameter `url` illegal",
    "url unfetchable": "`parameter `url` illegal",
    "url undecodable": "`parameter `url` illegal",
    "JSON list body": "`parameter `img` illegal",
    "JSON string body": "`parameter `img` illegal",
    "-ml: wrong Content-Type": "Only supports application/json data",
    "unknown path": "Missing Authentication Token",
    "wrong method": "Missing Authentication Token",
    "no credentials": "Missing Authentication Token",
    "bad signature": "The request signature we calculated does not match the signature you provided. Check your AWS "
    "Secret Access Key and signing method. Consult the service documentation for details.",
    "unknown key": "The security token included in the request is invalid.",
    "expired": "Signature expired: ",
    "body > 10 MB": "Request Too Long",
    "throttled": "Too Many Requests",
    "crash": "Internal server error",
    "timeout": "Endpoint request timed out",
}
