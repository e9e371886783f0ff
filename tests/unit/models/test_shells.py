"""A fault of one picture is its own request's answer, in a word that the client knows; Triton's part is played here."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[3] / "model_repository"
#: What a request brings along.
TENSORS = {"image": np.array([b"a picture"], object), "region": np.zeros(4, np.int32)}
SETTINGS = {"max_pixels": {"string_value": "1000"}, "second_look": {"string_value": "off"}}


@dataclass
class TritonError:
    text: str
    code: str
    INVALID_ARG = "invalid argument"


@dataclass
class InferenceResponse:
    output_tensors: list[Any] = field(default_factory=list)
    error: TritonError | None = None


class Request:
    def requested_output_names(self) -> list[str]:
        return ["letterbox"]


def tensor_of(_: Request, name: str) -> SimpleNamespace | None:
    values = TENSORS.get(name)
    return None if values is None else SimpleNamespace(as_numpy=lambda: values)


@pytest.fixture(params=["image_decoder", "face_aligner"])
def shell(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    triton: Any = ModuleType("triton_python_backend_utils")
    triton.TritonError, triton.InferenceResponse = TritonError, InferenceResponse
    triton.Logger = SimpleNamespace(log_warn=print)
    triton.get_input_tensor_by_name = tensor_of
    package = ModuleType("served")
    package.__path__ = [str(REPOSITORY / request.param / "1")]
    before = set(sys.modules)
    monkeypatch.setitem(sys.modules, triton.__name__, triton)
    monkeypatch.setitem(sys.modules, package.__name__, package)
    yield importlib.import_module("served.model")
    for name in set(sys.modules) - before:
        if name.startswith(("served", "image_decoder")):
            del sys.modules[name]


def answer_to(shell: ModuleType) -> InferenceResponse:
    model = shell.TritonPythonModel()
    model.initialize({"model_config": json.dumps({"parameters": SETTINGS})})
    (answer,) = model.execute([Request()])
    return answer


def test_what_is_no_picture_is_unreadable(shell: ModuleType) -> None:
    assert answer_to(shell).error == TritonError("picture_unreadable: no picture of a known format", "invalid argument")


def test_memory_that_numpy_does_not_get_is_a_picture_too_large(
    shell: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell.decoding, "read_header", lambda *_: np.empty(1 << 60, np.uint8))
    assert answer_to(shell).error.text.startswith("picture_too_large: Unable to allocate")
