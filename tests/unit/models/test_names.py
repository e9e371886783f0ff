"""Tensor names and types are the same in configuration, graph and client."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig

from visavis_client import triton

REPOSITORY = Path(__file__).resolve().parents[3] / "model_repository"
MODELS = ("face_analysis", "image_decoder", "face_detector", "face_aligner", "face_embedder")


def configuration(path: Path) -> ModelConfig:
    return text_format.Parse(path.read_text("utf-8"), ModelConfig())


def tensors(rows: object) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {row.name: (DataType.Name(row.data_type), tuple(row.dims)) for row in rows}  # type: ignore[attr-defined]


def test_the_client_asks_for_what_the_ensemble_gives() -> None:
    ensemble = configuration(REPOSITORY / "face_analysis" / "config.pbtxt")
    assert {row.name for row in ensemble.input} == set(triton.INPUTS)
    assert {row.name for row in ensemble.output} == set(triton.OUTPUTS)
    assert ensemble.name == triton.MODEL


@pytest.mark.parametrize("model", MODELS[1:])
def test_a_hosts_own_configuration_changes_no_tensor(model: str) -> None:
    whole = configuration(REPOSITORY / model / "config.pbtxt")
    for other in (REPOSITORY / model / "configs").glob("*.pbtxt"):
        found = configuration(other)
        assert tensors(found.input) == tensors(whole.input)
        assert tensors(found.output) == tensors(whole.output)
        assert found.max_batch_size == whole.max_batch_size
        assert found.name == whole.name == model


def test_every_step_of_the_ensemble_maps_real_tensors() -> None:
    ensemble = configuration(REPOSITORY / "face_analysis" / "config.pbtxt")
    for step in ensemble.ensemble_scheduling.step:
        model = configuration(REPOSITORY / step.model_name / "config.pbtxt")
        assert set(step.input_map) <= {row.name for row in model.input}
        assert set(step.input_map) >= {row.name for row in model.input if not row.optional}
        # The decoder's pictures are for whoever asks for them; the ensemble hands on where they lie.
        assert {row.name for row in model.output} - set(step.output_map) <= {"picture"}


@pytest.mark.parametrize("model", ["face_detector", "face_embedder"])
def test_the_graph_has_the_configurations_tensors(model: str) -> None:
    onnx = pytest.importorskip("onnx")
    path = REPOSITORY / model / "1" / "model.onnx"
    if not path.exists():
        pytest.skip("the graphs are not built: make export")
    graph = onnx.load(path).graph
    config = configuration(REPOSITORY / model / "config.pbtxt")
    kinds = {"TYPE_UINT8": "UINT8", "TYPE_FP32": "FLOAT", "TYPE_INT32": "INT32"}
    for rows, values in ((config.input, graph.input), (config.output, graph.output)):
        found = {value.name: value.type.tensor_type for value in values}
        assert set(found) == {row.name for row in rows}
        for row in rows:
            kind = found[row.name]
            assert onnx.TensorProto.DataType.Name(kind.elem_type) == kinds[DataType.Name(row.data_type)]
            sides = [side.dim_value or -1 for side in kind.shape.dim]
            assert sides[0] == -1
            # To the letter, -1 too: NVIDIA's onnxruntime backend refuses an output that is configured more freely.
            assert sides[1:] == list(row.dims)


def test_the_architecture_page_names_every_model_and_tensor() -> None:
    page = (REPOSITORY.parent / "docs" / "architecture.md").read_text("utf-8")
    for model in MODELS:
        config = configuration(REPOSITORY / model / "config.pbtxt")
        for name in (model, *(row.name for row in (*config.input, *config.output))):
            assert re.search(rf"`{name}`", page), name
