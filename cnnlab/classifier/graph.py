"""Reading a frozen graph: which layers it has, what they are called, their kernels, biases and shapes.

A layer is a scope: the operations that share the name its author gave it (``.../conv1/convolution``,
``.../conv1/BiasAdd``, ``.../conv1/Relu`` are the layer ``conv1``). Its output is the last of its operations on the way
from the image to the logits, so that a layer with a built-in activation ends after the activation, as in Keras.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cnnlab.classifier.naming import author_names, called, is_of_keras_2, layer_scope
from cnnlab.classifier.windows import Window, window_of

if TYPE_CHECKING:
    import numpy as np

    from cnnlab.classifier.freeze import Frozen

WEIGHTED = {
    "Conv2D": "Conv2D",
    "DepthwiseConv2dNative": "DepthwiseConv2D",
    "Conv2DBackpropInput": "Conv2DTranspose",
    "MatMul": "Dense",
    "BatchMatMulV2": "Dense",
}
"""Operations that apply weights, and the Keras layer that each stands for."""

KINDS = {
    "MaxPool": "MaxPool",
    "AvgPool": "AveragePool",
    "FusedBatchNormV3": "BatchNorm",
    "Softmax": "Softmax",
    "Relu": "ReLU",
    "Relu6": "ReLU6",
    "LeakyRelu": "LeakyReLU",
    "Elu": "ELU",
    "Selu": "SELU",
    "Sigmoid": "Sigmoid",
    "Tanh": "Tanh",
    "Mean": "GlobalAveragePool",
    "Max": "GlobalMaxPool",
    "ConcatV2": "Concatenate",
    "Pad": "ZeroPadding",
    "PadV2": "ZeroPadding",
    "ResizeBilinear": "Resizing",
    "ResizeNearestNeighbor": "Resizing",
    "Reshape": "Flatten",
    "BiasAdd": "Bias",
    "AddV2": "Add",
    "Add": "Add",
    "Mul": "Multiply",
    "Sub": "Subtract",
    "RealDiv": "Divide",
}
"""The other operations that name a layer's kind, the most telling first."""

# Operations that belong to the layer before them where a graph has no scopes to tell.
_CONTINUES = {"BiasAdd", "AddV2", "Add", "Identity", "Shape", "StridedSlice", "Pack", "Squeeze", "Cast", "Reshape"}
_HIDING = ("PartitionedCall", "While", "If", "Case")
_ABOUT_SHAPE = {"Shape", "StridedSlice", "Pack", "Size", "Rank", "Prod", "GatherV2"}


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of an opened model.

    Attributes:
        name: The name its author gave it, as far as the graph keeps it.
        kind: ``Conv2D``, ``DepthwiseConv2D``, ``Dense``, ``MaxPool``, ``BatchNorm`` and so on.
        kernel: Weights [h, w, in, out] of a convolution ([h, w, in, multiplier] of a depthwise one), [in, out] of a
            dense layer; None where there are none.
        bias: [out], or None.
        input_shape: Shape of its input without the batch; None where a side is open.
        output_shape: Shape of its output without the batch.
        parameters: How many stored numbers it holds, the statistics of batch normalisation included.
        tensor: The name of its output in the graph.
        statistics: How many of its parameters are the means and variances of a batch normalisation, which are
            gathered in training and not learned.
        multiply_adds: Multiplications with a kernel entry, each with its addition, for one image: of a convolution
            outputs x kernel height x kernel width x input channels / groups, of a dense layer inputs x outputs.
            Products with padding count; biases and everything elementwise do not. 0 where there is no kernel; None
            where the size is open, or the layer is a loop or a function that could not be looked into.
        constants: The names in the graph of the constants that hold its parameters.
        window: What a convolution or a pooling sees at once, and how it moves; None of other layers.

    Example:
        >>> import numpy as np
        >>> from cnnlab.testing import FakeClassifier
        >>> kernel, bias = np.zeros((3, 3, 1, 8), np.float32), np.zeros(8, np.float32)
        >>> conv1 = Layer("conv1", "Conv2D", kernel, bias, (28, 28, 1), (26, 26, 8), 80, "conv1/Relu:0")
        >>> classifier = FakeClassifier.of_brightness((28, 28, 1), layers=[conv1])
        >>> [layer.name for layer in classifier.layers if layer.convolutional]
        ['conv1']
    """

    name: str
    kind: str
    kernel: np.ndarray | None
    bias: np.ndarray | None
    input_shape: tuple[int | None, ...]
    output_shape: tuple[int | None, ...]
    parameters: int
    tensor: str
    statistics: int = 0
    multiply_adds: int | None = 0
    constants: tuple[str, ...] = ()
    window: Window | None = None

    @property
    def convolutional(self) -> bool:
        """Whether it has kernels [h, w, in, out]."""
        return self.kernel is not None and self.kernel.ndim == 4


def read_layers(frozen: Frozen, end: Any) -> tuple[Layer, ...]:
    """List the layers between the image and ``end`` (the logits), in graph order."""
    return _Reading(frozen, end).layers()


def read_path(frozen: Frozen, end: Any) -> tuple[Any, ...]:
    """Return the operations whose value depends on the image and on which ``end`` depends, in graph order."""
    wanted: set[str] = set()
    waiting = [end.op]
    while waiting:
        operation = waiting.pop()
        if operation.name not in wanted:
            wanted.add(operation.name)
            waiting += [tensor.op for tensor in operation.inputs]
    live = {frozen.input.op.name}
    path = []
    for operation in frozen.graph.get_operations():
        if operation.name in wanted and any(tensor.op.name in live for tensor in operation.inputs):
            live.add(operation.name)
            path.append(operation)
    return tuple(path)


class _Reading:
    def __init__(self, frozen: Frozen, end: Any) -> None:
        self._frozen, self._end = frozen, end

    @cached_property
    def path(self) -> tuple[Any, ...]:
        return read_path(self._frozen, self._end)

    @cached_property
    def _live(self) -> set[str]:
        return {operation.name for operation in self.path} | {self._frozen.input.op.name}

    def layers(self) -> tuple[Layer, ...]:
        """Describe each group of operations that does more than pass its input on."""
        pieces = self._pieces()
        described = (self._layer(name, found) for name, found in zip(self._names(pieces), pieces, strict=True))
        return tuple(layer for layer in described if layer is not None)

    def _pieces(self) -> list[list[Any]]:
        """Divide the path by scope, in the order of first operations.

        A scope that computation leaves and comes back to is several pieces: a layer that is called again, or a model
        that computes something itself between its layers. Without scopes (plain TensorFlow), each telling operation
        begins a piece.
        """
        pieces: list[list[Any]] = []
        current: dict[str, int] = {}
        behind: dict[str, int] = defaultdict(int)  # of each operation, as bits, the pieces that it depends on
        for operation in self.path:
            for tensor in operation.inputs:
                behind[operation.name] |= behind[tensor.op.name]
            if operation.type in _ABOUT_SHAPE or operation.type == "Identity":
                continue
            scope = layer_scope(operation.name)
            if scope not in current or self._begins(operation, scope, pieces[current[scope]], current[scope], behind):
                current[scope] = len(pieces)
                pieces.append([])
            pieces[current[scope]].append(operation)
            behind[operation.name] |= 1 << current[scope]
        # A model that computes in another precision converts the image outside all layers: that is no layer.
        return [piece for piece in pieces if any(op.type != "Cast" for op in piece)]

    def _begins(self, operation: Any, scope: str, piece: list[Any], index: int, behind: dict[str, int]) -> bool:
        """Whether an operation begins another piece of its scope."""
        if not scope:
            return operation.type not in _CONTINUES
        if operation.type in WEIGHTED:
            kernels = [self._kernel_source(other) for other in piece if other.type in WEIGHTED]
            if self._kernel_source(operation) in kernels:
                return True
        sources = [_origin(tensor) for tensor in operation.inputs]
        return any(behind[source.name] >> index & 1 and layer_scope(source.name) != scope for source in sources)

    def _kernel_source(self, operation: Any) -> str:
        tensor = operation.inputs[1]
        while tensor.op.type in ("Identity", "Cast", "Transpose"):
            tensor = tensor.op.inputs[0]
        name: str = tensor.op.name
        return name

    def _names(self, pieces: list[list[Any]]) -> list[str]:
        """Name pieces after their scopes; what a scope around other layers computes itself, after what it is."""
        scopes = [layer_scope(piece[0].name) for piece in pieces]
        exact = is_of_keras_2(operation.name for operation in self._frozen.graph.get_operations())
        known = author_names(list(dict.fromkeys(filter(None, scopes))), exact=exact)
        taken, counts, names = set(known.values()), Counter[str](), []
        for index, (scope, piece) in enumerate(zip(scopes, pieces, strict=True)):
            own = known.get(scope, "")
            around = any(other.startswith(f"{scope}/") for other in scopes)
            if own and not (around and scope in scopes[index + 1 :]):
                counts[scope] += not around
                names.append(called(own, max(1, counts[scope]), taken))
            else:
                names.append(_counted(f"{own}/{_noun(piece)}".lstrip("/"), counts, taken))
        return names

    def _layer(self, name: str, operations: list[Any]) -> Layer | None:
        data = [operation for operation in operations if operation.outputs]
        if not data:
            return None
        kernels = {op.name: self._kernel(op) for op in data if op.type in WEIGHTED}
        weighted = next((op for op in data if kernels.get(op.name) is not None), None)
        stored = self._stored(operations)
        input_shape = _shape(next(tensor for tensor in data[0].inputs if tensor.op.name in self._live))
        return Layer(
            name=name,
            kind=_kind(data, weighted),
            kernel=None if weighted is None else kernels[weighted.name],
            bias=next((bias for op in data if op.name in kernels and (bias := self._bias(op, data)) is not None), None),
            input_shape=input_shape,
            output_shape=_shape(data[-1].outputs[0]),
            parameters=sum(stored.values()),
            tensor=data[-1].outputs[0].name,
            statistics=sum(stored[name] for name in self._statistics(operations) if name in stored),
            multiply_adds=_sum(
                _multiply_adds(op, kernel.shape, input_shape) if kernel is not None else None
                for op in data
                # A loop, a branch or a function that could not be inlined hides what it computes.
                if (kernel := kernels.get(op.name)) is not None or op.type.endswith(_HIDING)
            ),
            constants=tuple(stored),
            window=next((window for op in data if (window := window_of(op)) is not None), None),
        )

    def _kernel(self, operation: Any) -> np.ndarray | None:
        value = self._constant(operation.inputs[1])
        if value is not None and operation.type == "Conv2DBackpropInput":
            value = value.transpose(0, 1, 3, 2)
        if value is not None and operation.type == "MatMul" and operation.get_attr("transpose_b"):
            value = value.T
        if value is not None and operation.type == "BatchMatMulV2":
            # A dense layer over a map, as older Keras writes it.
            return (value.T if operation.get_attr("adj_y") else value) if value.ndim == 2 else None
        return value

    def _bias(self, weighted: Any, data: Sequence[Any]) -> np.ndarray | None:
        """The constant [out] that is added to what the weights gave."""
        for operation in data:
            names = [tensor.op.name for tensor in operation.inputs]
            if operation.type in ("BiasAdd", "AddV2", "Add") and weighted.name in names:
                for tensor in operation.inputs:
                    value = self._constant(tensor)
                    if value is not None and value.size == operation.outputs[0].shape[-1]:
                        return value.reshape(-1)
        return None

    def _constant(self, tensor: Any) -> np.ndarray | None:
        """The value of a tensor that does not depend on the image; None of one that does."""
        import tensorflow as tf
        from tensorflow.python.ops.op_selector import UnliftableError

        if tensor.op.name in self._live:
            return None
        while tensor.op.type == "Identity":
            tensor = tensor.op.inputs[0]
        value: np.ndarray | None = tf.get_static_value(tensor)
        if value is None:  # computed from constants, as by a cast
            try:
                value = self._frozen.function.prune([], tensor)().numpy()
            except UnliftableError:  # What it waits for depends on the image.
                return None
        return value

    def _stored(self, operations: list[Any]) -> dict[str, int]:
        """Find the stored numbers that the operations read: constants that were variables, each once, and sizes."""
        return {
            operation.name: operation.outputs[0].shape.num_elements()
            for operation in self._sources(tensor for op in operations for tensor in op.inputs)
            # Shapes, axes and the like are integers; a scalar float is an epsilon.
            if operation.type == "Const" and operation.outputs[0].dtype.is_floating and operation.outputs[0].shape.rank
        }

    def _sources(self, tensors: Iterable[Any]) -> list[Any]:
        """List the operations, independent of the image, that the tensors come from."""
        found: dict[str, Any] = {}
        waiting = [tensor.op for tensor in tensors]
        while waiting:
            operation = waiting.pop()
            if operation.name not in self._live and operation.name not in found:
                found[operation.name] = operation
                waiting += [tensor.op for tensor in operation.inputs]
        return list(found.values())

    def _statistics(self, operations: list[Any]) -> set[str]:
        """Name the constants that are the mean or the variance of a batch normalisation.

        It is either one operation with both as inputs, or ``x * k + (offset - mean * k)``, ``k = scale * rsqrt(variance
        + epsilon)``: then the variance is what is under the root, and the mean what is taken away, k apart.
        """
        read: list[Any] = []
        for operation in operations:
            if operation.type.startswith("FusedBatchNorm"):
                read += operation.inputs[3:5]
        around = self._sources(tensor for op in operations for tensor in op.inputs)
        roots = [operation for operation in around if operation.type == "Rsqrt"]
        read += [tensor for operation in roots for tensor in operation.inputs]
        for operation in around:
            if roots and operation.type in ("Sub", "Neg"):
                taken = operation.inputs[-1]
                factors = taken.op.inputs if taken.op.type == "Mul" else [taken]
                read += [tensor for tensor in factors if not self._has_root(tensor)]
        return {operation.name for operation in self._sources(read)}

    def _has_root(self, tensor: Any) -> bool:
        return any(operation.type == "Rsqrt" for operation in self._sources([tensor]))


def _origin(tensor: Any) -> Any:
    """The operation that a tensor comes of, past those that pass it on."""
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor.op


def _noun(operations: Sequence[Any]) -> str:
    telling = next((op for op in operations if op.type not in _CONTINUES), operations[0])
    return (WEIGHTED.get(telling.type) or KINDS.get(telling.type, telling.type)).lower()


def _counted(noun: str, counts: Counter[str], taken: set[str]) -> str:
    """The next of ``relu_1``, ``relu_2`` and so on that no author has used."""
    while True:
        counts[noun] += 1
        if f"{noun}_{counts[noun]}" not in taken:
            return f"{noun}_{counts[noun]}"


def _shape(tensor: Any) -> tuple[int | None, ...]:
    return tuple(tensor.shape.as_list()[1:]) if tensor.shape.rank else ()


def _multiply_adds(operation: Any, kernel: tuple[int, ...], input_shape: tuple[int | None, ...]) -> int | None:
    """Count the products with kernel entries for one image: values computed x kernel entries behind each."""
    if operation.type == "Conv2DBackpropInput":
        # Each value of the input is multiplied with a whole kernel plane for every output channel.
        return _times(_shape(operation.inputs[2]), kernel[0] * kernel[1] * kernel[3])
    if operation.type == "Conv2D":
        # The third side of a kernel is the input channels of one group.
        return _times(_shape(_undilated(operation)), kernel[0] * kernel[1] * kernel[2])
    if operation.type == "DepthwiseConv2dNative":
        return _times(_shape(_undilated(operation)), kernel[0] * kernel[1])
    # A dense layer over a map is one product of matrices, with the places of the map among its rows.
    places = input_shape[:-1] if "Tensordot" in operation.name or operation.type == "BatchMatMulV2" else ()
    return _times((*places, kernel[-1]), kernel[0])


def _undilated(operation: Any) -> Any:
    """The output of a convolution; of one that is dilated by way of the batch, after the way back."""
    output = operation.outputs[0]
    ways_back = [consumer for consumer in output.consumers() if consumer.type == "BatchToSpaceND"]
    return ways_back[0].outputs[0] if ways_back else output


def _times(shape: tuple[int | None, ...], factor: int) -> int | None:
    sides = [side for side in shape if side is not None]
    return math.prod(sides) * factor if len(sides) == len(shape) else None


def _sum(counts: Iterable[int | None]) -> int | None:
    known = list(counts)
    return None if None in known else sum(count for count in known if count is not None)


def _kind(data: list[Any], weighted: Any) -> str:
    if weighted is not None:
        return WEIGHTED[weighted.type]
    if any("batchnorm" in operation.name for operation in data):
        return "BatchNorm"
    types = {operation.type for operation in data}
    return next((kind for kind_of, kind in KINDS.items() if kind_of in types), data[-1].type)
