"""What a GPU's instances do with batches changes no answer: the served graphs, padded and bound, on the processor."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig as Message

from visavis_export.repository import Repository
from visavis_perf.inputs import frame
from visavis_server.backends.onnxruntime.configuration import ModelConfig
from visavis_server.backends.onnxruntime.session import OnnxModel

#: Rows of the requests of one batch: a whole length of the ladder, and two that are padded.
BATCHES = ([2], [1, 2], [3, 1, 1])


def load(folder: Path, *, fixed_shapes: bool) -> OnnxModel:
    """The model for a card, with nothing but its device changed."""
    message = text_format.Parse((folder / "config.pbtxt").read_text("utf-8"), Message())
    config = json.loads(json_format.MessageToJson(message, preserving_proto_field_name=True))
    config["parameters"]["fixed_shapes"] = {"string_value": str(int(fixed_shapes))}
    return OnnxModel(ModelConfig.from_json(json.dumps(config)), folder / "1" / "model.onnx", kind="CPU")


@pytest.mark.parametrize(("model", "side"), [("face_detector", 640), ("face_embedder", 112)])
def test_padded_batches_have_the_answers_of_free_ones(
    exported: Repository, portraits: dict[str, bytes], model: str, side: int
) -> None:
    padded, free = (load(exported.root / model, fixed_shapes=fixed) for fixed in (True, False))
    pictures = [frame(jpeg, side) for jpeg in portraits.values()]
    # Each row another one: the same faces, more and more to the right.
    rows = [np.roll(picture, 3 * turn, axis=1) for turn in range(3) for picture in pictures]
    if model == "face_detector":
        assert free.run([{"image": np.stack(rows)}])[0]["face_count"].min() >= 1
    for batch in BATCHES:
        left = iter(rows)
        requests = [{"image": np.stack([next(left) for _ in range(count)])} for count in batch]
        for ours, theirs in zip(padded.run(requests), free.run(requests), strict=True):
            assert ours.keys() == theirs.keys()
            for name, values in theirs.items():
                np.testing.assert_allclose(ours[name], values, atol=1e-3, rtol=1e-4, err_msg=name)
