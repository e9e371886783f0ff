"""A graph is served by OpenVINO as it is by onnxruntime: same answers, same refusals."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trivial_models import save_doubler

from visavis_server.backends.onnxruntime.configuration import ExecutionFault, ModelConfig, ModelInvalid
from visavis_server.backends.onnxruntime.openvino_session import properties
from visavis_server.backends.onnxruntime.session import OnnxModel

BOTH = pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
TENSOR = {"data_type": "TYPE_FP32", "dims": ["4"]}


def config(runtime: str = "openvino", accelerator: dict[str, str] | None = None, **changes: Any) -> ModelConfig:
    """Of the doubler, as Triton hands it over."""
    asked = {"cpu_execution_accelerator": [{"name": runtime, "parameters": accelerator or {}}]}
    whole = {
        "max_batch_size": 8,
        "input": [{"name": "x", **TENSOR}],
        "output": [{"name": "y", **TENSOR}],
        "optimization": {"execution_accelerators": {} if runtime == "onnxruntime" else asked},
        "parameters": {"intra_op_thread_count": {"string_value": "1"}},
    }
    return ModelConfig.from_json(json.dumps(whole | changes))


def rows(*values: float) -> dict[str, Any]:
    return {"x": np.array([[value] * 4 for value in values], np.float32)}


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return save_doubler(tmp_path / "model.onnx")


class TestWhatIsAsked:
    @pytest.mark.parametrize(
        ("accelerator", "capabilities", "hint"),
        [
            ({}, ["FP32", "BF16"], "bf16"),
            ({}, ["FP32"], "f32"),
            ({"precision": "BF16"}, ["FP32", "BF16"], "bf16"),
            ({"precision": "BF16"}, ["FP32"], "f32"),
            ({"precision": "FP32"}, ["FP32", "BF16"], "f32"),
        ],
    )
    def test_bfloat16_is_computed_in_where_the_processor_has_it(
        self, accelerator: dict[str, str], capabilities: list[str], hint: str
    ) -> None:
        assert properties(config(accelerator=accelerator), capabilities)["INFERENCE_PRECISION_HINT"] == hint

    def test_threads_are_the_configurations_and_are_bound_to_no_core(self) -> None:
        """Of several processes that bind their threads, all would choose the first core."""
        told = properties(config(), [])
        assert (told["INFERENCE_NUM_THREADS"], told["NUM_STREAMS"], told["ENABLE_CPU_PINNING"]) == (1, 1, False)
        assert "INFERENCE_NUM_THREADS" not in properties(config(parameters={}), [])

    @pytest.mark.parametrize(
        ("runtime", "accelerator", "words"),
        [
            ("oneapi", {}, "CPU accelerators are not supported: oneapi"),
            ("openvino", {"num_streams": "2"}, "parameters of openvino are not supported: num_streams"),
            ("openvino", {"precision": "INT8"}, "precision 'INT8' of openvino is none of BF16, FP32"),
        ],
    )
    def test_what_is_not_honoured_is_refused(self, runtime: str, accelerator: dict[str, str], words: str) -> None:
        with pytest.raises(ModelInvalid, match=words):
            properties(config(runtime, accelerator), ["BF16"])

    def test_without_the_package_the_model_says_what_to_install(
        self, graph: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "openvino", None)
        with pytest.raises(ModelInvalid, match=r"install the extra `openvino` .*pip install '\.\[openvino\]'"):
            OnnxModel(config(), graph, kind="CPU")

    def test_a_library_that_does_not_come_up_is_told_as_a_model_that_does_not_load(
        self, graph: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        openvino = pytest.importorskip("openvino")

        def core() -> None:
            raise RuntimeError("no plugin for CPU")

        monkeypatch.setattr(openvino, "Core", core)
        with pytest.raises(ModelInvalid, match=r"^openvino does not know this processor: no plugin for CPU$"):
            OnnxModel(config(), graph, kind="CPU")


@BOTH
class TestAlike:
    @pytest.fixture(autouse=True)
    def at_hand(self) -> None:
        pytest.importorskip("openvino")

    def test_batches_of_any_size_one_after_the_other(self, runtime: str, graph: Path) -> None:
        """And an answer stays what it was while others are computed."""
        model = OnnxModel(config(runtime), graph, kind="CPU")
        first = model.run([rows(1, 2), rows(3)])
        second = model.run([rows(7)])
        third = model.run([rows(4), rows(5, 6), rows(7, 8, 9)])
        found = [[answer["y"][:, 0].tolist() for answer in answers] for answers in (first, second, third)]
        assert found == [[[2, 4], [6]], [[14]], [[8], [10, 12], [14, 16, 18]]]

    def test_a_model_without_a_batch_axis(self, runtime: str, tmp_path: Path) -> None:
        graph = save_doubler(tmp_path / "model.onnx", batch=2)
        dims = {"dims": ["2", "4"], "data_type": "TYPE_FP32"}
        fixed = config(runtime, max_batch_size=0, input=[{"name": "x", **dims}], output=[{"name": "y", **dims}])
        answers = OnnxModel(fixed, graph, kind="CPU").run([rows(1, 2), rows(3, 4)])
        assert [answer["y"][:, 0].tolist() for answer in answers] == [[2, 4], [6, 8]]

    @pytest.mark.parametrize(
        "values",
        [np.zeros((1, 5), np.float32), np.zeros((1, 4, 1), np.float32), np.zeros((1, 4), np.int64)],
        ids=["length", "rank", "type"],
    )
    def test_a_wrong_tensor_fails_its_batch_and_the_next_one_is_answered(
        self, runtime: str, graph: Path, values: Any
    ) -> None:
        model = OnnxModel(config(runtime), graph, kind="CPU")
        with pytest.raises(ExecutionFault, match=r"\bx\b|type"):
            model.run([{"x": values}])
        assert model.run([rows(2)])[0]["y"].tolist() == [[4] * 4]

    def test_a_read_only_input_is_taken(self, runtime: str, graph: Path) -> None:
        request = rows(2)
        request["x"].flags.writeable = False
        assert OnnxModel(config(runtime), graph, kind="CPU").run([request])[0]["y"].tolist() == [[4] * 4]

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"input": [{"name": "image", **TENSOR}]}, "inputs are"),
            ({"input": [{"name": "x", "data_type": "TYPE_UINT8", "dims": ["4"]}]}, r"tensor\(float\) in the graph"),
            ({"input": [{"name": "x", "data_type": "TYPE_FP32", "dims": ["5"]}]}, r"shape \[-1, 4\]"),
            ({"output": []}, "outputs are"),
        ],
    )
    def test_a_graph_that_is_not_as_configured_does_not_load(
        self, runtime: str, graph: Path, changes: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(ModelInvalid, match=words):
            OnnxModel(config(runtime, **changes), graph, kind="CPU")

    def test_a_fixed_batch_axis_cannot_be_batched(self, runtime: str, tmp_path: Path) -> None:
        graph = save_doubler(tmp_path / "model.onnx", batch=1)
        with pytest.raises(ModelInvalid, match="batch axis of 1"):
            OnnxModel(config(runtime), graph, kind="CPU")

    def test_a_missing_and_a_broken_graph_do_not_load(self, runtime: str, tmp_path: Path) -> None:
        with pytest.raises(ModelInvalid, match="no graph"):
            OnnxModel(config(runtime), tmp_path / "model.onnx", kind="CPU")
        (tmp_path / "model.onnx").write_bytes(b"not a graph")
        with pytest.raises(ModelInvalid, match=r"model\.onnx"):
            OnnxModel(config(runtime), tmp_path / "model.onnx", kind="CPU")
