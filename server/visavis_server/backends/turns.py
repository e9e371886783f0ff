"""A process that times graphs by onnxruntime and by OpenVINO, as the backend would run them.

Standard input: JSON, ``{model: {"folder": of its graph, "config": the JSON that Triton would hand to the backend}}``.
Standard output: JSON, ``{model: {"onnxruntime": seconds, "openvino": seconds}}``, medians of one inference each.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from visavis_server.backends.onnxruntime.binding import numpy_type
from visavis_server.backends.onnxruntime.configuration import ModelConfig, Tensors
from visavis_server.backends.onnxruntime.session import OnnxModel

#: Of each model; three rounds at least.
_SECONDS, _ROUNDS = 0.5, 3
_WARM_UP = 2


def times(folder: Path, config: ModelConfig) -> dict[str, float]:
    """Seconds of one inference by each library: the other takes every second turn, so that both see the same minutes.

    Raises:
        ModelInvalid, ExecutionFault: one of them cannot run the graph.
    """
    accelerators: dict[str, dict[str, dict[str, str]]] = {"onnxruntime": {}, "openvino": {"openvino": {}}}
    models = {
        name: OnnxModel(replace(config, cpu_accelerators=asked), folder / config.graph_file, kind="CPU")
        for name, asked in accelerators.items()
    }
    feed = noise(config)
    for model in models.values():
        for _ in range(_WARM_UP):
            model.run([feed])
    taken: dict[str, list[float]] = {name: [] for name in models}
    until = time.monotonic() + _SECONDS
    rounds = 0
    while rounds < _ROUNDS or time.monotonic() < until:
        rounds += 1
        for name, model in models.items():
            start = time.perf_counter()
            model.run([feed])
            taken[name].append(time.perf_counter() - start)
    return {name: median(some) for name, some in taken.items()}


def noise(config: ModelConfig) -> Tensors:
    """One row of every input; a free length is 1."""
    random = np.random.default_rng(0)
    batch = (1,) if config.max_batch_size else ()
    feed: Tensors = {}
    for spec in config.inputs:
        values = random.integers(0, 127, (*batch, *map(abs, spec.dims)))
        feed[spec.name] = values.astype(numpy_type(spec.onnx_type))
    return feed


def main() -> None:
    """Time whatever is asked for."""
    asked = json.load(sys.stdin)
    found = {name: times(Path(one["folder"]), ModelConfig.from_json(one["config"])) for name, one in asked.items()}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
