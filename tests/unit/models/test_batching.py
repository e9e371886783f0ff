"""Whatever batch traffic makes of a graph's requests was computed before the first of them came."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from visavis_server.backends.onnxruntime.binding import ladder

REPOSITORY = Path(__file__).resolve().parents[3] / "model_repository"
GRAPHS = pytest.mark.parametrize("model", ["face_detector", "face_embedder"])


def configuration(model: str, name: str) -> ModelConfig:
    return text_format.Parse((REPOSITORY / model / name).read_text("utf-8"), ModelConfig())


def warmed(config: ModelConfig) -> list[int]:
    """The lengths of the warm-up's batches, which hold the model's own tensor."""
    for sample in config.model_warmup:
        ((name, entry),) = sample.inputs.items()
        (tensor,) = config.input
        assert (name, entry.data_type, entry.dims) == (tensor.name, tensor.data_type, tensor.dims)
    return [sample.batch_size for sample in config.model_warmup]


@GRAPHS
def test_on_cuda_the_batcher_makes_the_ladders_lengths_and_all_are_warm(model: str) -> None:
    config = configuration(model, "config.pbtxt")
    assert tuple(config.dynamic_batching.preferred_batch_size) == ladder(config.max_batch_size)
    assert warmed(config) == list(config.dynamic_batching.preferred_batch_size)


@GRAPHS
def test_options_of_cuda_stand_where_nvidias_backend_heeds_them(model: str) -> None:
    """It overrides these two where they are an accelerator's parameters."""
    config = configuration(model, "config.pbtxt")
    assert config.parameters["cudnn_conv_algo_search"].string_value == "1"
    assert config.parameters["arena_extend_strategy"].string_value == "1"
    assert not config.optimization.execution_accelerators.gpu_execution_accelerator


@GRAPHS
def test_tensorrts_engine_has_seen_the_shortest_and_the_longest_batch(model: str) -> None:
    config = configuration(model, "configs/tensorrt.pbtxt")
    assert warmed(config) == [1, config.max_batch_size]
    assert not config.dynamic_batching.preferred_batch_size
    (accelerator,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.name == "tensorrt"
    assert accelerator.parameters["trt_engine_cache_enable"] == "1"
    assert accelerator.parameters["trt_engine_cache_prefix"] == model


@GRAPHS
def test_what_a_card_is_served_by_changes_nothing_but_batches_and_options(model: str) -> None:
    cuda, tensorrt = (configuration(model, name) for name in ("config.pbtxt", "configs/tensorrt.pbtxt"))
    assert list(cuda.instance_group) == list(tensorrt.instance_group)
    assert {group.kind for group in cuda.instance_group} == {ModelInstanceGroup.KIND_GPU}
    for config in (cuda, tensorrt, configuration(model, "configs/cpu.pbtxt")):
        assert config.dynamic_batching.default_queue_policy == cuda.dynamic_batching.default_queue_policy
        assert config.dynamic_batching.max_queue_delay_microseconds == 0
