"""A finished graph in half precision, its tensors as before: bytes in, float32 out.

What feeds a convolution or a matrix product, and these themselves, is stored and computed in float16. What follows the
last of them stays float32: an embedding's normalisation, the decoding of boxes with its exponentials, scores, TopK and
the suppression of overlaps. That is little work, and float16 has too few digits for pixels of a frame.

Written here and not taken from a converter: a graph's digest is the identity of templates, and so may not depend on a
library's release.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, checker, defs, helper, numpy_helper, shape_inference

from visavis_export.errors import NetworkUnexpected
from visavis_export.graph import OPSET

_HEAVY = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_SINGLE, _HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def halved(data: bytes) -> bytes:
    """The graph in half precision.

    Raises:
        NetworkUnexpected: a weight is too large for it, or one of the network's operators does not know it.
    """
    model = onnx.load_from_string(data)
    rewriting = _Rewriting(model)
    for node in list(model.graph.node):
        rewriting.take(node)
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(rewriting.nodes)
    model.graph.initializer.extend(rewriting.weights.values())
    try:
        shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        checker.check_model(model, full_check=True)
    except (shape_inference.InferenceError, checker.ValidationError) as error:
        said = str(error).splitlines()[0]
        raise NetworkUnexpected(f"The network cannot be computed in half precision: {said}") from error
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


class _Rewriting:
    """The nodes and weights of the new graph while they are being written."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, TensorProto] = {}
        self._given = {i.name: i for i in model.graph.initializer}
        self._outputs = {output.name for output in model.graph.output}
        self._light = _after_the_last_product(model.graph.node)
        self._single = _single_tensors(model)
        #: Tensors that are float16 now, and casts that were written, by their name.
        self._halves: set[str] = set()
        self._casts: set[str] = set()

    def take(self, node: NodeProto) -> None:
        """Write the node in the precision that is its part's."""
        if node.output[0] in self._light:
            inputs = [self._as_single(name) for name in node.input]
            self._write(node, inputs, list(node.output))
            return
        keeps = _keeps_single(node)
        inputs = [
            self._as_single(name) if keeps[min(place, len(keeps) - 1)] else self._as_half(name)
            for place, name in enumerate(node.input)
        ]
        outputs = [f"{name}_half" if name in self._outputs & self._single else name for name in node.output]
        self._write(node, inputs, outputs)
        self._halves.update(name for name, old in zip(outputs, node.output, strict=True) if old in self._single)
        for name, old in zip(outputs, node.output, strict=True):
            if name != old:
                self.nodes.append(helper.make_node("Cast", [name], [old], name=old, to=_SINGLE))

    def _write(self, node: NodeProto, inputs: list[str], outputs: list[str]) -> None:
        new = NodeProto()
        new.CopyFrom(node)
        new.input[:], new.output[:] = inputs, outputs
        if outputs[0] != node.output[0]:
            new.name = outputs[0]
        if node.op_type == "Cast" and node.output[0] not in self._light:
            for attribute in new.attribute:
                attribute.i = _HALF if attribute.i == _SINGLE else attribute.i
        self.nodes.append(new)

    def _as_half(self, name: str) -> str:
        if name not in self._single or name in self._halves:
            self._keep(name)
            return name
        half = f"{name}_half"
        if half in self._halves:
            return half
        if name not in self._given:
            return self._cast(name, half, _HALF)
        if half not in self.weights:
            with np.errstate(over="ignore"):
                values = numpy_helper.to_array(self._given[name]).astype(np.float16)
            if not np.isfinite(values).all():
                raise NetworkUnexpected(f"The weights {name!r} are too large for half precision: use fp32.")
            self.weights[half] = numpy_helper.from_array(values, half)
        return half

    def _as_single(self, name: str) -> str:
        if name in self._halves:
            return self._cast(name, f"{name}_single", _SINGLE)
        self._keep(name)
        return name

    def _keep(self, name: str) -> None:
        if name in self._given:
            self.weights[name] = self._given[name]

    def _cast(self, name: str, new: str, kind: int) -> str:
        if new not in self._casts:
            self._casts.add(new)
            self.nodes.append(helper.make_node("Cast", [name], [new], name=new, to=kind))
        return new


def _after_the_last_product(nodes: list[NodeProto]) -> set[str]:
    """Outputs of the nodes from which no convolution or product is reached."""
    feeding: set[str] = set()
    light: set[str] = set()
    for node in reversed(nodes):
        if node.op_type in _HEAVY or feeding.intersection(node.output):
            feeding.update(node.input)
        else:
            light.update(node.output)
    return light


def _single_tensors(model: onnx.ModelProto) -> set[str]:
    """Everything that is float32: weights, inputs and what nodes make."""
    graph = shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
    made = (*graph.value_info, *graph.input, *graph.output)
    single = {value.name for value in made if value.type.tensor_type.elem_type == _SINGLE}
    return single | {i.name for i in graph.initializer if i.data_type == _SINGLE}


def _keeps_single(node: NodeProto) -> list[bool]:
    """For each input whether the operator takes nothing but float32 there, as Resize does for its scales."""
    return [parameter.type_str == "tensor(float)" for parameter in defs.get_schema(node.op_type, OPSET).inputs] or [
        False
    ]
