"""What a GPU's instance does beyond a CPU's: fixed shapes, CUDA's options, placement, an end where nothing works.

The card's part runs here on onnxruntime's provider for processors, through the same lines.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from trivial_models import save_doubler

from visavis_server.backends.onnxruntime.binding import ladder
from visavis_server.backends.onnxruntime.configuration import ExecutionFault, ModelConfig, ModelInvalid
from visavis_server.backends.onnxruntime.endurance import LIMIT, Endurance
from visavis_server.backends.onnxruntime.pinning import loaded_runtime, lock_pages
from visavis_server.backends.onnxruntime.placement import RECORDED, Node, nodes_on_the_processor, remark
from visavis_server.backends.onnxruntime.providers import execution_providers
from visavis_server.backends.onnxruntime.session import OnnxModel, has_fixed_shapes

GPU_BUILD = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
TENSOR = {"data_type": "TYPE_FP32", "dims": ["4"]}


def config(parameters: dict[str, str] | None = None, gpu: dict[str, dict[str, str]] | None = None, **other: Any) -> Any:
    """Of the doubler, as Triton hands it over."""
    accelerators = [{"name": name, "parameters": values} for name, values in (gpu or {}).items()]
    whole = {
        "max_batch_size": 8,
        "input": [{"name": "x", **TENSOR}],
        "output": [{"name": "y", **TENSOR}],
        "optimization": {"execution_accelerators": {"gpu_execution_accelerator": accelerators}},
        "parameters": {name: {"string_value": value} for name, value in (parameters or {}).items()},
    }
    return ModelConfig.from_json(json.dumps(whole | other))


def rows(*values: float) -> dict[str, Any]:
    return {"x": np.array([[value] * 4 for value in values], np.float32)}


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return save_doubler(tmp_path / "model.onnx")


@pytest.fixture
def model(graph: Path) -> OnnxModel:
    return OnnxModel(config({"fixed_shapes": "1"}), graph, kind="CPU")


class TestFixedShapes:
    def test_lengths_are_powers_of_two_and_the_longest(self) -> None:
        assert [ladder(longest) for longest in (1, 2, 6, 16)] == [(1,), (1, 2), (1, 2, 4, 6), (1, 2, 4, 8, 16)]

    @pytest.mark.parametrize("counts", [[1], [3], [8], [1, 1], [2, 1, 2], [1] * 8])
    def test_every_request_gets_its_own_rows_at_every_length(self, model: OnnxModel, counts: list[int]) -> None:
        numbers = iter(range(1, 100))
        asked = [[float(next(numbers)) for _ in range(count)] for count in counts]
        answers = model.run([rows(*values) for values in asked])
        assert [answer["y"][:, 0].tolist() for answer in answers] == [[2 * value for value in one] for one in asked]

    def test_what_lay_in_the_padding_reaches_no_answer(self, model: OnnxModel) -> None:
        model.run([rows(7, 7, 7, 7)])
        (answer,) = model.run([rows(1, 2, 3)])
        assert answer["y"][:, 0].tolist() == [2, 4, 6]

    def test_an_answer_stays_when_the_next_batch_is_computed(self, model: OnnxModel) -> None:
        (kept,) = model.run([rows(1)])
        model.run([rows(9)])
        assert kept["y"].tolist() == [[2, 2, 2, 2]]

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ({"x": np.zeros((1, 4), np.int64)}, "of type int64"),
            ({"x": np.zeros((1, 1), np.float32)}, r"shape \(1, 1\), not \[-1, 4\]"),
            ({"x": np.zeros((9, 4), np.float32)}, "a batch of 9 is longer than 8"),
        ],
    )
    def test_what_does_not_fit_is_a_fault_and_not_cast_or_repeated(
        self, model: OnnxModel, wrong: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(ExecutionFault, match=words):
            model.run([wrong])
        assert model.run([rows(4)])[0]["y"][0, 0] == 8

    def test_inputs_of_different_lengths_are_a_fault(self, tmp_path: Path) -> None:
        names = ("a", "b")
        shape = ["n", 4]
        whole = helper.make_graph(
            [helper.make_node("Add", names, ["y"])],
            "sum",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        )
        onnx.save(
            helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "model.onnx"
        )
        asked = config({"fixed_shapes": "1"}, input=[{"name": name, **TENSOR} for name in names])
        model = OnnxModel(asked, tmp_path / "model.onnx", kind="CPU")
        with pytest.raises(ExecutionFault, match="have 1, 2 rows"):
            model.run([{"a": np.zeros((1, 4), np.float32), "b": np.zeros((2, 4), np.float32)}])

    def test_a_batch_axis_without_a_name_is_padded_too(self, tmp_path: Path) -> None:
        graph = save_doubler(tmp_path / "model.onnx", batch=None)  # type: ignore[arg-type]
        model = OnnxModel(config({"fixed_shapes": "1"}), graph, kind="CPU")
        assert model.run([rows(1, 2, 3)])[0]["y"][:, 0].tolist() == [2, 4, 6]

    def test_a_batch_axis_that_is_not_free_does_not_load(self, tmp_path: Path) -> None:
        graph = save_doubler(tmp_path / "model.onnx", batch=1)
        with pytest.raises(ModelInvalid, match="batch axis of 1: free it"):
            OnnxModel(config({"fixed_shapes": "1"}), graph, kind="CPU")

    def test_the_trial_is_a_row_of_zeros(self, model: OnnxModel, graph: Path) -> None:
        model.try_out()
        OnnxModel(config(), graph, kind="CPU").try_out()

    def test_they_are_a_gpus_unless_tensorrt_serves_or_a_length_is_unknown(self) -> None:
        free = config(input=[{"name": "x", "data_type": "TYPE_FP32", "dims": ["-1"]}])
        assert has_fixed_shapes(config(), kind="GPU")
        for other in (config({"fixed_shapes": "0"}), config(gpu={"tensorrt": {}}), config(max_batch_size=0), free):
            assert not has_fixed_shapes(other, kind="GPU")
        assert not has_fixed_shapes(config(), kind="CPU")

    def test_they_cannot_be_asked_for_where_a_length_is_unknown(self) -> None:
        with pytest.raises(ModelInvalid, match="only the batch axis may be free"):
            has_fixed_shapes(config({"fixed_shapes": "1"}, max_batch_size=0), kind="GPU")

    def test_a_cuda_graph_needs_them(self) -> None:
        graphs = {"cuda": {"enable_cuda_graph": "1"}}
        assert has_fixed_shapes(config(gpu=graphs), kind="GPU")
        with pytest.raises(ModelInvalid, match="fixed_shapes must be 1"):
            has_fixed_shapes(config({"fixed_shapes": "0"}, gpu=graphs), kind="GPU")


class TestCudaOptions:
    def options(self, **asked: Any) -> dict[str, str]:
        providers = execution_providers(config(**asked), kind="GPU", device_id=0, available=GPU_BUILD)
        return dict(providers)["CUDAExecutionProvider"]

    def test_numbers_of_the_models_parameters_are_words_to_onnxruntime(self) -> None:
        asked = {"cudnn_conv_algo_search": "1", "arena_extend_strategy": "1", "gpu_mem_limit": "1073741824"}
        assert self.options(parameters={**asked, "do_copy_in_default_stream": "0"}) == {
            "cudnn_conv_algo_search": "HEURISTIC",
            "arena_extend_strategy": "kSameAsRequested",
            "gpu_mem_limit": "1073741824",
            "do_copy_in_default_stream": "0",
            "device_id": "0",
        }

    def test_a_models_parameter_stands_above_the_accelerators(self) -> None:
        found = self.options(
            parameters={"cudnn_conv_algo_search": "2"}, gpu={"cuda": {"cudnn_conv_algo_search": "1", "use_tf32": "0"}}
        )
        assert found == {"cudnn_conv_algo_search": "DEFAULT", "use_tf32": "0", "device_id": "0"}

    def test_the_accelerators_own_words_and_numbers_are_both_understood(self) -> None:
        for value in ("1", "HEURISTIC"):
            assert (
                self.options(gpu={"cuda": {"cudnn_conv_algo_search": value}})["cudnn_conv_algo_search"] == "HEURISTIC"
            )

    @pytest.mark.parametrize("name", ["cudnn_conv_algo_search", "arena_extend_strategy"])
    def test_a_number_without_a_word_is_refused(self, name: str) -> None:
        with pytest.raises(ModelInvalid, match=f"{name} '7' is none of 0 \\("):
            self.options(parameters={name: "7"})


class TestPlacement:
    def session(self, graph: Path, *, recorded: bool) -> Any:
        options = ort.SessionOptions()
        if recorded:
            options.add_session_config_entry(RECORDED, "1")
        return ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])

    def test_onnxruntime_tells_the_processors_nodes(self, graph: Path) -> None:
        (node,) = nodes_on_the_processor(self.session(graph, recorded=True)) or []
        assert node.operation == "Add"

    def test_a_session_that_recorded_nothing_is_unknown_and_not_well_placed(self, graph: Path) -> None:
        nodes = nodes_on_the_processor(self.session(graph, recorded=False))
        assert nodes is None
        assert (remark(nodes).level, remark(nodes).text.split(":")[0]) == ("info", "placement is unknown")

    def test_arithmetic_on_the_processor_is_an_error_by_name_and_count(self) -> None:
        told = remark([Node("layer_3", "FusedConv"), Node("nms", "NonMaxSuppression"), Node("layer_4", "FusedConv")])
        assert told.level == "error"
        assert told.text.startswith("3 nodes run on the processor instead of the GPU (2 FusedConv, 1 NonMax")
        assert told.text.endswith("layer_3, nms, layer_4")

    def test_other_nodes_are_a_warning_and_long_lists_are_cut(self) -> None:
        told = remark([Node(f"top_{at}", "TopK") for at in range(10)])
        assert told.level == "warn"
        assert told.text.endswith("top_7 and 2 more")

    def test_shapes_belong_on_the_processor(self) -> None:
        assert remark([Node("shape", "Shape")]).text == "every node that computes runs on the GPU"


class TestLockedPages:
    def test_the_runtime_is_the_one_that_is_loaded(self) -> None:
        maps = (
            "7f00-7f01 r--p 00000000 00:01 11 /usr/lib/libc.so.6\n"
            "7f02-7f03 rw-p 00000000 00:00 0 \n"
            "7f04-7f05 r-xp 00000000 00:01 12 /a folder/libcudart.so.13\n"
        )
        assert loaded_runtime(maps) == "/a folder/libcudart.so.13"

    def test_without_cuda_nothing_is_locked(self) -> None:
        assert not lock_pages(np.zeros(4), 0)


class TestEndurance:
    @staticmethod
    def failing() -> None:
        raise ExecutionFault("CUDA error 700")

    def spent(self, trial: Callable[[], object], failures: int) -> list[bool]:
        endurance = Endurance(trial)
        return [endurance.is_spent() for _ in range(failures)]

    def test_a_process_ends_when_nothing_works_any_more(self) -> None:
        assert self.spent(self.failing, LIMIT) == [False] * (LIMIT - 1) + [True]

    def test_faulty_requests_end_nothing_however_many(self) -> None:
        assert not any(self.spent(lambda: None, 10 * LIMIT))

    def test_an_answer_in_between_starts_the_count_anew(self) -> None:
        endurance = Endurance(self.failing)
        for _ in range(3 * LIMIT):
            endurance.succeeded()
            assert not endurance.is_spent()
