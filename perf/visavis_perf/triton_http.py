"""The ensemble asked by HTTP as the proxy asks it, for the generator: perf_analyzer takes two seconds to come up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from visavis_perf.contracts import OK, Body
from visavis_perf.triton_statistics import ENSEMBLE

#: So long is every head, padded with blanks.
_HEAD_BYTES = 512


class TritonHttp:
    """One picture with its largest face's embedding: tensors lie as bytes behind a JSON head."""

    name, path, pictures_per_request = "triton", f"/v2/models/{ENSEMBLE}/infer", 1

    def body(self, jpegs: Sequence[bytes]) -> Body:  # noqa: D102 (as the protocol says)
        (jpeg,) = jpegs
        element = len(jpeg).to_bytes(4, "little") + jpeg
        inputs = [
            {"name": "max_faces", "datatype": "INT32", "shape": [1], "data": [1]},
            {"name": "region", "datatype": "INT32", "shape": [4], "data": [0, 0, 0, 0]},
            {
                "name": "image",
                "datatype": "BYTES",
                "shape": [1],
                "parameters": {"binary_data_size": len(element)},
            },
        ]
        head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
        return Body(head.ljust(_HEAD_BYTES) + element, "application/octet-stream", sha256="")

    def headers(self, host: str, body: Body) -> Mapping[str, str]:  # noqa: ARG002, D102
        return {"Content-Type": body.content_type, "Inference-Header-Content-Length": str(_HEAD_BYTES)}

    def judge(self, status: int, answer: bytes) -> str:  # noqa: D102
        return OK if status == 200 else f"{status} {answer[:60].decode('utf-8', 'replace')}"
