"""A network as somebody exported it, made fit to stand in our graphs.

Others freeze their batch at 1, compute shapes while running, and write older operators. Here the height and width are
fixed, everything that follows from them is computed once, the batch axis is set free, and the operators are written as
our opset has them. What cannot be repaired is refused; what was repaired wrongly is found by verification.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import NodeProto, TensorProto, checker, external_data_helper, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from visavis_export.errors import NetworkUnexpected
from visavis_export.folding import Array, attributes
from visavis_export.graph import IR_VERSION, Graph
from visavis_export.pack import DetectorRecipe, EmbedderRecipe

#: Operators are read from here on: Upsample and BatchNormalization meant something else before.
_OLDEST_OPSET = 9
#: Only small constants can be shapes; the others need not be copied to infer them.
_SHAPE_ELEMENTS = 64
#: Each round of inference can reveal shapes that the next one needs.
_ROUNDS = 8
#: What they do to a trained network is nothing.
_NOTHING = frozenset({"Dropout", "Identity"})


@dataclass(frozen=True)
class FreeNetwork:
    """A network for pictures of one size, in batches of any size."""

    nodes: tuple[NodeProto, ...]
    constants: dict[str, Array]
    #: Its one input, float32 [n, 3, side, side].
    entrance: str
    outputs: tuple[str, ...]
    #: Of every tensor whose shape is known, as for a batch of 1.
    shapes: dict[str, tuple[int, ...]]

    def maker(self, tensor: str) -> NodeProto | None:
        """The node that makes a tensor."""
        return next((node for node in self.nodes if tensor in node.output), None)


def free(data: bytes, side: int) -> FreeNetwork:
    """Read an ONNX file for pictures of ``side`` x ``side`` pixels.

    Raises:
        NetworkUnexpected: no ONNX, nothing that takes one picture, or shapes that cannot be had at this size.
    """
    model, opset = parse(data)
    constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    entrance = entrance_of(model).name
    nodes = list(model.graph.node)
    shapes: dict[str, tuple[int, ...]] = {}
    for _ in range(_ROUNDS):
        shapes = _shapes(nodes, constants, (entrance, side), opset)
        left = [node for node in nodes if not _folded(node, constants, shapes, opset)]
        if len(left) == len(nodes):
            break
        nodes = left
    if not all(len(node.output) == 1 or not any(node.output[1:]) for node in nodes):
        raise NetworkUnexpected("The network has nodes with several outputs, which cannot be taken over.")
    aliases: dict[str, str] = {}
    freed = [_freed(node, constants, shapes, aliases) for node in nodes]
    outputs = tuple(aliases.get(o.name, o.name) for o in model.graph.output)
    return FreeNetwork(tuple(n for n in freed if n is not None), constants, entrance, outputs, shapes)


def parse(data: bytes) -> tuple[onnx.ModelProto, int]:
    """An ONNX file and its opset.

    Raises:
        NetworkUnexpected: it is none, is older than we read, or needs more than the standard's operators.
    """
    try:
        model = onnx.load_from_string(data)
    except DecodeError as error:
        raise NetworkUnexpected("The file is not ONNX.") from error
    opsets = {opset.domain or "ai.onnx": opset.version for opset in model.opset_import}
    used = {node.domain or "ai.onnx" for node in model.graph.node}
    if not used or used != {"ai.onnx"} or opsets.get("ai.onnx", 0) < _OLDEST_OPSET:
        raise NetworkUnexpected(f"Only ONNX of opset {_OLDEST_OPSET} or later is read, with standard operators alone.")
    if any(external_data_helper.uses_external_data(tensor) for tensor in model.graph.initializer):
        raise NetworkUnexpected("The file keeps its weights in other files; save it as one.")
    return model, opsets["ai.onnx"]


def entrance_of(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    """The one input that is no weight.

    Raises:
        NetworkUnexpected: there is none, there are several, or it does not take pictures [n, 3, height, width].
    """
    weights = {i.name for i in model.graph.initializer}
    inputs: list[onnx.ValueInfoProto] = [i for i in model.graph.input if i.name not in weights]
    if len(inputs) == 1:
        tensor = inputs[0].type.tensor_type
        if tensor.elem_type == TensorProto.FLOAT and len(dims := tensor.shape.dim) == 4 and dims[1].dim_value in {0, 3}:
            return inputs[0]
    raise NetworkUnexpected("The network does not take one float32 picture of the shape [n, 3, height, width].")


def enter(graph: Graph, network: FreeNetwork, recipe: DetectorRecipe | EmbedderRecipe) -> str:
    """Our bytes as the network wants its pixels; the name of the tensor float32 [n, 3, height, width].

    Bytes are transposed before they become four times as large.

    Raises:
        NetworkUnexpected: the network subtracts a mean itself, and the recipe does too.
    """
    first = next((node for node in network.nodes if network.entrance in node.input), None)
    if first is not None and first.op_type in {"Sub", "Mul", "Div"} and (recipe.mean, recipe.deviation) != (0, 1):
        raise NetworkUnexpected(
            "The network normalises its pixels itself: write mean = 0 and deviation = 1 in the pack."
        )
    planes = graph.add("Transpose", ["image"], "image_planes", perm=[0, 3, 1, 2])
    numbers = graph.add("Cast", [planes], "image_numbers", to=TensorProto.FLOAT)
    centred = graph.add("Sub", [numbers, graph.constant("mean", np.float32(recipe.mean))], "centred")
    return graph.add("Mul", [centred, graph.constant("factor", np.float32(1 / recipe.deviation))], "pixels")


def graft(graph: Graph, network: FreeNetwork, entrance: str, ends: tuple[str, ...], prefix: str) -> dict[str, str]:
    """Add the nodes that the ``ends`` need, fed by our tensor ``entrance``; our names of the ends.

    Weights are shared with what was grafted before.
    """
    needed = set(ends)
    for node in reversed(network.nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
    names = {network.entrance: entrance, "": ""}
    for node in network.nodes:
        if node.output[0] in needed:
            for name in node.input:
                if name not in names:
                    names[name] = graph.shared(network.constants[name])
            names[node.output[0]] = f"{prefix}_{node.output[0]}"
            graph.add(node.op_type, [names[name] for name in node.input], names[node.output[0]], **attributes(node))
    return {end: names[end] for end in ends}


def _shapes(
    nodes: list[NodeProto], constants: dict[str, Array], entrance: tuple[str, int], opset: int
) -> dict[str, tuple[int, ...]]:
    """Shapes that follow from a single picture's, as far as known."""
    used = {name for node in nodes for name in node.input}
    name, side = entrance
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, side, side])]
    initializers = []
    for key in sorted(used & constants.keys()):
        value = constants[key]
        if value.size <= _SHAPE_ELEMENTS:
            initializers.append(numpy_helper.from_array(value, key))
        else:
            kind = helper.np_dtype_to_tensor_dtype(value.dtype)
            inputs.append(helper.make_tensor_value_info(key, kind, value.shape))
    graph = helper.make_graph(nodes, "original", inputs, [], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION)
    try:
        inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except (shape_inference.InferenceError, checker.ValidationError) as error:
        raise NetworkUnexpected(f"The network does not take pictures of {side}x{side} pixels.") from error
    found: dict[str, tuple[int, ...]] = {name: (1, 3, side, side)}
    for info in inferred.graph.value_info:
        dims = info.type.tensor_type.shape.dim
        if info.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            found[info.name] = tuple(dim.dim_value for dim in dims)
    return found


def _folded(node: NodeProto, constants: dict[str, Array], shapes: dict[str, tuple[int, ...]], opset: int) -> bool:
    """Whether the node's output has become a constant."""
    if node.op_type == "Shape" and node.input[0] in shapes and not node.attribute:
        constants[node.output[0]] = np.array(shapes[node.input[0]], np.int64)
        return True
    if len(node.output) != 1 or not all(name in constants for name in node.input if name):
        return False
    ends = [helper.make_empty_tensor_value_info(node.output[0])]
    initializers = [numpy_helper.from_array(constants[name], name) for name in sorted(set(node.input)) if name]
    graph = helper.make_graph([node], "constant", [], ends, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION)
    try:
        (value,) = ReferenceEvaluator(model).run(None, {})
    except (NotImplementedError, RuntimeError, ValueError, TypeError, IndexError) as error:
        raise NetworkUnexpected(f"The network's {node.op_type} of constants cannot be worked out.") from error
    constants[node.output[0]] = np.asarray(value)
    return True


def _freed(
    node: NodeProto, constants: dict[str, Array], shapes: dict[str, tuple[int, ...]], aliases: dict[str, str]
) -> NodeProto | None:
    """The node as opset 17 has it, for any batch; None for one that does nothing."""
    inputs = [aliases.get(name, name) for name in node.input]
    output, settings = node.output[0], attributes(node)
    if node.op_type in _NOTHING:
        aliases[output] = inputs[0]
        return None

    def constant(name: str, value: Any) -> str:
        constants[f"{output} {name}"] = np.asarray(value)
        return f"{output} {name}"

    shape = shapes.get(node.input[0], ())
    if node.op_type == "Reshape" and inputs[1] in constants:
        target = constants[inputs[1]].copy()
        if len(target) > 1 and target[0] == 1 and shape[:1] == (1,):
            # 0 takes over the input's own batch.
            target[0] = 0
        inputs[1] = constant("shape", target)
    elif node.op_type == "Resize" and len(inputs) > 3 and shape and output in shapes:
        # Sizes name the batch, scales do not.
        ratios = np.array(shapes[output], np.float32) / np.array(shape, np.float32)
        inputs = [inputs[0], "", constant("scales", ratios)]
    elif node.op_type in {"Squeeze", "Unsqueeze"}:
        if "axes" in settings:
            inputs.append(constant("axes", np.array(settings.pop("axes"), np.int64)))
    elif node.op_type == "Clip" and settings:
        limits = (settings.pop("min", np.finfo(np.float32).min), settings.pop("max", np.finfo(np.float32).max))
        inputs += [constant(name, np.float32(limit)) for name, limit in zip(("min", "max"), limits, strict=True)]
    elif node.op_type == "BatchNormalization":
        settings = {key: value for key, value in settings.items() if key == "epsilon"}
    return helper.make_node(node.op_type, inputs, [output], **settings)
