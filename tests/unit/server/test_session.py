"""The onnxruntime backend without Triton: configurations, batches, graphs that are not as configured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from trivial_models import save_doubler

from visavis_server.backends.onnxruntime.configuration import ExecutionFault, ModelConfig, ModelInvalid
from visavis_server.backends.onnxruntime.opening import session_options
from visavis_server.backends.onnxruntime.providers import execution_providers
from visavis_server.backends.onnxruntime.session import OnnxModel, concatenate, split

GPU_BUILD = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")


def config_json(**changes: Any) -> str:
    config: dict[str, Any] = {
        "max_batch_size": 8,
        "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": ["4"], "allow_ragged_batch": False}],
        "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": ["4"]}],
        "default_model_filename": "",
        "optimization": {"graph": {"level": 0}},
    }
    return json.dumps(config | changes)


def parameters(**values: str) -> dict[str, Any]:
    return {"parameters": {name: {"string_value": value} for name, value in values.items()}}


def rows(*values: float) -> dict[str, Any]:
    return {"x": np.array([[value] * 4 for value in values], np.float32)}


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return save_doubler(tmp_path / "model.onnx")


class TestRun:
    def test_every_request_of_a_batch_gets_its_own_rows(self, graph: Path) -> None:
        model = OnnxModel(ModelConfig.from_json(config_json()), graph, kind="CPU")
        answers = model.run([rows(1, 2), rows(3), rows(4, 5, 6)])
        assert [answer["y"][:, 0].tolist() for answer in answers] == [[2, 4], [6], [8, 10, 12]]

    def test_a_model_without_a_batch_axis_runs_each_request_as_it_is(self, tmp_path: Path) -> None:
        graph = save_doubler(tmp_path / "model.onnx", batch=2)
        dims = {"dims": ["2", "4"], "data_type": "TYPE_FP32"}
        text = config_json(max_batch_size=0, input=[{"name": "x", **dims}], output=[{"name": "y", **dims}])
        model = OnnxModel(ModelConfig.from_json(text), graph, kind="CPU")
        answers = model.run([rows(1, 2), rows(3, 4)])
        assert [answer["y"][:, 0].tolist() for answer in answers] == [[2, 4], [6, 8]]

    def test_a_request_of_a_wrong_shape_fails_its_batch_with_a_reason(self, graph: Path) -> None:
        model = OnnxModel(ModelConfig.from_json(config_json()), graph, kind="CPU")
        with pytest.raises(ExecutionFault, match="do not go together"):
            model.run([rows(1), {"x": np.zeros((1, 5), np.float32)}])
        with pytest.raises(ExecutionFault, match="x"):
            model.run([{"x": np.zeros((1, 5), np.float32)}])

    def test_a_wrong_type_fails_its_batch_with_a_reason(self, graph: Path) -> None:
        model = OnnxModel(ModelConfig.from_json(config_json()), graph, kind="CPU")
        with pytest.raises(ExecutionFault, match="type"):
            model.run([{"x": np.zeros((1, 4), np.int64)}])

    def test_one_request_is_not_copied(self) -> None:
        request = rows(1)
        assert concatenate([request]) is request

    def test_an_output_that_lost_rows_is_a_fault(self) -> None:
        with pytest.raises(ExecutionFault, match=r"output y has shape \(2, 4\) for a batch of 3"):
            split({"y": np.zeros((2, 4))}, [1, 2])


class TestConfig:
    def test_sequences_ragged_batches_reshapes_and_strings_are_refused(self) -> None:
        for changes in (
            {"sequence_batching": {"direct": {}}},
            {"input": [{"name": "x", "data_type": "TYPE_FP32", "dims": ["4"], "allow_ragged_batch": True}]},
            {"input": [{"name": "x", "data_type": "TYPE_FP32", "dims": ["4"], "reshape": {"shape": ["2", "2"]}}]},
            {"output": [{"name": "y", "data_type": "TYPE_STRING", "dims": ["4"]}]},
        ):
            with pytest.raises(ModelInvalid, match="not supported"):
                ModelConfig.from_json(config_json(**changes))

    def test_parameters_have_the_names_of_the_cpp_backend(self) -> None:
        text = config_json(
            **parameters(
                intra_op_thread_count="3",
                inter_op_thread_count="2",
                execution_mode="1",
                enable_mem_arena="0",
                enable_mem_pattern="false",
            )
        )
        options = session_options(ModelConfig.from_json(text))
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 2)
        assert options.execution_mode == ort.ExecutionMode.ORT_PARALLEL
        assert not options.enable_cpu_mem_arena
        assert not options.enable_mem_pattern

    def test_idle_threads_sleep_unless_told_otherwise(self) -> None:
        key = "session.intra_op.allow_spinning"
        quiet = session_options(ModelConfig.from_json(config_json()))
        assert quiet.get_session_config_entry(key) == "0"
        busy = session_options(ModelConfig.from_json(config_json(**parameters(**{key: "1"}))))
        assert busy.get_session_config_entry(key) == "1"

    @pytest.mark.parametrize(
        ("level", "expected"),
        [
            (0, ort.GraphOptimizationLevel.ORT_ENABLE_ALL),
            (-1, ort.GraphOptimizationLevel.ORT_ENABLE_BASIC),
            (1, ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED),
            (2, ort.GraphOptimizationLevel.ORT_DISABLE_ALL),
        ],
    )
    def test_the_graph_level_means_what_it_means_to_the_cpp_backend(
        self, level: int, expected: ort.GraphOptimizationLevel
    ) -> None:
        text = config_json(optimization={"graph": {"level": level}})
        assert session_options(ModelConfig.from_json(text)).graph_optimization_level == expected

    @pytest.mark.parametrize(
        ("name", "value"),
        [("intra_op_thread_count", "many"), ("execution_mode", "2"), ("enable_mem_arena", "perhaps")],
    )
    def test_a_parameter_out_of_range_is_named(self, name: str, value: str) -> None:
        with pytest.raises(ModelInvalid, match=name):
            session_options(ModelConfig.from_json(config_json(**parameters(**{name: value}))))


class TestGraph:
    def test_a_graph_that_is_not_as_configured_does_not_load(self, graph: Path) -> None:
        tensor = {"name": "x", "data_type": "TYPE_FP32", "dims": ["4"]}
        for changes, words in (
            ({"input": [tensor | {"name": "image"}]}, "inputs are"),
            ({"input": [tensor | {"data_type": "TYPE_UINT8"}]}, "tensor\\(float\\) in the graph"),
            ({"input": [tensor | {"dims": ["5"]}]}, "shape"),
            ({"output": []}, "outputs are"),
        ):
            with pytest.raises(ModelInvalid, match=words):
                OnnxModel(ModelConfig.from_json(config_json(**changes)), graph, kind="CPU")

    def test_a_fixed_batch_axis_cannot_be_batched(self, tmp_path: Path) -> None:
        graph = save_doubler(tmp_path / "model.onnx", batch=1)
        with pytest.raises(ModelInvalid, match="batch axis of 1"):
            OnnxModel(ModelConfig.from_json(config_json()), graph, kind="CPU")

    def test_a_missing_and_a_broken_graph_do_not_load(self, tmp_path: Path) -> None:
        config = ModelConfig.from_json(config_json())
        with pytest.raises(ModelInvalid, match="no graph"):
            OnnxModel(config, tmp_path / "model.onnx", kind="CPU")
        (tmp_path / "model.onnx").write_bytes(b"not a graph")
        with pytest.raises(ModelInvalid, match=r"model\.onnx"):
            OnnxModel(config, tmp_path / "model.onnx", kind="CPU")


class TestDevices:
    def test_a_gpu_is_never_silently_a_cpu(self, graph: Path) -> None:
        if "CUDAExecutionProvider" in ort.get_available_providers():
            pytest.skip("this onnxruntime has CUDA")
        with pytest.raises(ModelInvalid, match="onnxruntime-gpu"):
            OnnxModel(ModelConfig.from_json(config_json()), graph, kind="GPU")

    def test_an_accelerator_that_is_not_at_hand_is_refused(self) -> None:
        accelerators = {"gpu_execution_accelerator": [{"name": "auto_io_binding"}]}
        config = ModelConfig.from_json(config_json(optimization={"execution_accelerators": accelerators}))
        with pytest.raises(ModelInvalid, match="not supported"):
            execution_providers(config, kind="GPU", device_id=0, available=GPU_BUILD)

    def test_a_gpu_runs_on_cuda_of_that_device(self) -> None:
        config = ModelConfig.from_json(config_json())
        providers = execution_providers(config, kind="GPU", device_id=1, available=GPU_BUILD)
        assert providers == [("CUDAExecutionProvider", {"device_id": "1"}), ("CPUExecutionProvider", {})]

    def test_tensorrt_is_told_what_the_cpp_backend_would_tell_it(self) -> None:
        tensorrt = {
            "name": "tensorrt",
            "parameters": {
                "precision_mode": "FP16",
                "max_workspace_size_bytes": "1073741824",
                "trt_engine_cache_enable": "1",
                "int8_calibration_table_name": "table",
            },
        }
        accelerators = {"gpu_execution_accelerator": [tensorrt]}
        config = ModelConfig.from_json(config_json(optimization={"execution_accelerators": accelerators}))
        providers = execution_providers(config, kind="GPU", device_id=0, available=GPU_BUILD)
        assert [name for name, _ in providers] == list(GPU_BUILD)
        assert providers[0][1] == {
            "trt_fp16_enable": "1",
            "trt_max_workspace_size": "1073741824",
            "trt_engine_cache_enable": "1",
            "trt_int8_calibration_table_name": "table",
            "device_id": "0",
        }
