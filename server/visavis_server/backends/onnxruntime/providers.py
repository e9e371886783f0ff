"""Which of onnxruntime's providers run an instance, and with which options.

The names are those of Triton's C++ onnxruntime backend: what it takes as a parameter of the model, and what as one of
an accelerator, is taken here as well and means the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .configuration import ModelConfig, ModelInvalid

Provider = tuple[str, dict[str, str]]

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"

#: Options of the CUDA provider that the C++ backend takes from the model's ``parameters``, numbers in place of words.
#: A parameter of the accelerator ``cuda`` with the same name counts only where this one is not given.
_CUDA_PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "cudnn_conv_algo_search": {"0": "EXHAUSTIVE", "1": "HEURISTIC", "2": "DEFAULT"},
    "arena_extend_strategy": {"0": "kNextPowerOfTwo", "1": "kSameAsRequested"},
    "gpu_mem_limit": {},
    "do_copy_in_default_stream": {},
}


def execution_providers(
    config: ModelConfig, *, kind: str, device_id: int, available: Collection[str]
) -> list[Provider]:
    """The providers of an instance, the preferred one first.

    ``kind`` is ``CPU`` or ``GPU``, as in ``instance_group``; ``available`` is what this onnxruntime was built with.

    Raises:
        ModelInvalid: an accelerator is asked for that is not at hand, or an option has no such value.
    """
    if kind == "CPU":
        return [(CPU, {})]
    if kind != "GPU":
        raise ModelInvalid(f"instances are of KIND_CPU or KIND_GPU, not KIND_{kind}")
    unknown = set(config.gpu_accelerators) - {"cuda", "tensorrt"}
    if unknown:
        raise ModelInvalid(f"GPU accelerators are not supported: {', '.join(sorted(unknown))}")
    device = {"device_id": str(device_id)}
    providers = [(CUDA, {**_cuda_options(config), **device}), (CPU, {})]
    if "tensorrt" in config.gpu_accelerators:
        providers.insert(0, (TENSORRT, {**_tensorrt_options(config.gpu_accelerators["tensorrt"]), **device}))
    missing = [name for name, _ in providers if name not in available]
    if missing:
        raise ModelInvalid(f"a GPU was asked for, but this onnxruntime has no {missing[0]}: install onnxruntime-gpu")
    return providers


def _cuda_options(config: ModelConfig) -> dict[str, str]:
    options = dict(config.gpu_accelerators.get("cuda", {}))
    for name, words in _CUDA_PARAMETERS.items():
        value = config.parameters.get(name, options.get(name))
        if value is None:
            continue
        options[name] = words.get(value, value)
        if words and options[name] not in words.values():
            raise ModelInvalid(f"{name} {value!r} is none of {', '.join(f'{key} ({words[key]})' for key in words)}")
    return options


def _tensorrt_options(parameters: Mapping[str, str]) -> dict[str, str]:
    """Translate the C++ backend's names into those of onnxruntime's TensorRT provider."""
    options: dict[str, str] = {}
    for name, value in parameters.items():
        if name == "precision_mode":
            if value not in {"FP32", "FP16", "BF16", "INT8"}:
                raise ModelInvalid(f"precision_mode {value!r} is none of FP32, FP16, BF16, INT8")
            if value != "FP32":
                options[f"trt_{value.lower()}_enable"] = "1"
        elif name == "max_workspace_size_bytes":
            options["trt_max_workspace_size"] = value
        else:
            options[name if name.startswith("trt_") else f"trt_{name}"] = value
    return options
