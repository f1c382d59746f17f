"""The operations between an image and its logits as steps that can be taken one by one, on whole maps or on parts."""

from __future__ import annotations

import inspect
import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnnlab.classifier.windows import SLIDING, Sides, Window, window_of

_POINTWISE = {
    *("Identity", "StopGradient", "Cast", "BiasAdd", "Mul", "AddV2", "Add", "Sub", "RealDiv", "Maximum", "Minimum"),
    *("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Softmax", "ConcatV2"),
    *("Square", "SquaredDifference", "Sqrt", "Rsqrt", "Exp", "Log", "Neg", "Abs", "Erf", "Pow", "FusedBatchNormV3"),
}
"""Operations that compute each place of a map from the same place of others, and of constants of channels."""

_PADDING = {"Pad", "PadV2"}
_MONOTONE = {"BiasAdd", "AddV2", "Add", "Relu", "Relu6", "Identity"}
SIMPLE = {"MatMul", "Reshape", "Shape", "StridedSlice", "Pack", "Squeeze", "Mean", "Max", *_POINTWISE}
"""What is done as fast by itself as in a compiled function."""

ROUNDED = {
    *("Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool", "Pad", "PadV2", "ConcatV2", "SpaceToBatchND"),
    *("BatchToSpaceND", "Identity", "BiasAdd", "Mul", "AddV2", "Add", "Sub", "Relu", "Relu6", "LeakyRelu"),
}
"""What is computed in bfloat16, where that is asked for."""

EACH = 16
"""What it takes to compute a number elementwise, in multiply-adds of a convolution: 0.3 ns where these take 20 ps."""


class Call:
    """An operation of a graph, done at once on other inputs."""

    def __init__(self, operation: Any) -> None:
        import tensorflow as tf

        self._raw = getattr(tf.raw_ops, operation.type)
        arguments = operation.op_def.input_arg
        # Python calls some inputs and attributes otherwise; the inputs come first, in the same order.
        names = list(inspect.signature(self._raw).parameters)
        counts = [operation.get_attr(each.number_attr) if each.number_attr else 0 for each in arguments]
        self._inputs = list(zip(names, counts, strict=False))
        called = {"axis": "squeeze_dims"} if operation.type == "Squeeze" else {}
        rest = [name for name in names[len(counts) :] if name != "name"]
        self._attributes = {name: operation.get_attr(called.get(name, name)) for name in rest}

    def given(self, name: str) -> Any:
        """Return an attribute."""
        return self._attributes[name]

    def __call__(self, inputs: Sequence[Any], **other: Any) -> Any:
        """Return its first output.

        Args:
            inputs: As many tensors as it has.
            **other: Attributes that shall be other than its own.
        """
        rest, words = iter(inputs), {}
        for name, count in self._inputs:
            words[name] = [next(rest) for _ in range(count)] if count else next(rest)
        found = self._raw(**words, **{**self._attributes, **other})
        return found[0] if isinstance(found, tuple | list) else found


@dataclass(frozen=True, eq=False)
class Step:
    """One operation.

    Attributes:
        name: Of what it gives.
        kind: The type of the operation.
        call: Does it.
        inputs: The name of what an earlier step gives, or the value of a constant.
        shape: Of what it gives without the batch; None where a side is open.
        window: What slides over a map to its output.
        source: The name of that map, or of the one that padding is added to.
        sliding: The step that slides: itself, or the convolution whose dilation this one leads back from the batch.
        padding: How many rows and columns come before a map, where it adds some.
        passes: Whether it is done by the one after it: on the way of a convolution dilated by way of the batch.
        weights: How many weights it multiplies with for each place of its output.
    """

    name: str
    kind: str
    call: Call
    inputs: tuple[Any, ...]
    shape: tuple[int | None, ...]
    window: Window | None = None
    source: str = ""
    sliding: Step | None = None
    padding: Sides | None = None
    passes: bool = False
    weights: int = 0

    @property
    def maps(self) -> tuple[str, ...]:
        """The names of what it reads of earlier steps, once each."""
        return tuple(dict.fromkeys(name for name in (*self.inputs, self.source) if isinstance(name, str) and name))

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Take it, on what earlier steps gave."""
        return self.call([values[each] if isinstance(each, str) else each for each in self.inputs])

    def rounded(self) -> Step:
        """The same with constants of bfloat16, for inputs of bfloat16."""
        import tensorflow as tf

        def low(value: Any) -> Any:
            return tf.cast(value, tf.bfloat16) if getattr(value, "dtype", None) == tf.float32 else value

        with tf.init_scope():
            inputs = tuple(map(low, self.inputs))
            sliding = self.sliding and replace(self.sliding, inputs=tuple(map(low, self.sliding.inputs)))
        return replace(self, inputs=inputs, sliding=sliding)

    def work(self, places: int, channels: int) -> float:
        """Tell what it takes, in multiply-adds, for so many places of its output."""
        if self.passes:
            return 0.0
        pooled = math.prod(self.window.kernel) if self.window and not self.weights else 1
        return float(places * (EACH * channels * pooled + self.weights))


class Reading:
    """Reads steps off the path from an image to its logits.

    Args:
        frozen: The graph.
        path: Its operations, in order.

    Attributes:
        image: The name of the image tensor [N, H, W, C].
        local: The steps that compute each place of a map from places about it.
        stopped_by: The type of the first operation that does not; empty where all do.
        rest: The steps after them; None where one of them is more than :data:`SIMPLE`.
    """

    def __init__(self, frozen: Any, path: Sequence[Any]) -> None:
        self._frozen = frozen
        self._live = {operation.name for operation in path} | {frozen.input.op.name}
        self._constants: dict[str, Any] = {}
        self.image: str = frozen.input.name
        maps, local = {self.image}, []
        for operation in path:
            if not self._is_local(operation, maps):
                break
            local.append(self._local(operation))
            maps.add(local[-1].name)
        after = path[len(local) :]
        self.stopped_by = after[0].type if after else ""
        self.rest = tuple(map(self._step, after)) if all(self._is_simple(each) for each in after) else None
        uses = Counter(tensor.name for operation in path for tensor in operation.inputs)
        self.local = _pooled_first(local, uses)

    def _is_simple(self, operation: Any) -> bool:
        inputs = [tensor for tensor in operation.inputs if tensor.op.name not in self._live]
        return operation.type in SIMPLE and all(self.constant(tensor) is not None for tensor in inputs)

    def _is_local(self, operation: Any, maps: set[str]) -> bool:
        inputs = [tensor.name for tensor in operation.inputs]
        if not all(tensor.name in maps or self.constant(tensor) is not None for tensor in operation.inputs):
            return False
        if "data_format" in operation.op_def.attr and operation.get_attr("data_format") != b"NHWC":
            return False
        if operation.type in SLIDING:
            return inputs[0] in maps and _slides(operation)
        if operation.type in _PADDING:
            amounts = self._constants[inputs[1]].numpy()
            return inputs[0] in maps and not amounts[[0, 3]].any() and bool((amounts >= 0).all())
        if operation.type == "SpaceToBatchND":
            inside = operation.outputs[0].consumers()
            return len(inside) == 1 and inside[0].type == "Conv2D" and _slides(inside[0])
        if operation.type == "BatchToSpaceND":
            return operation.inputs[0].op.inputs[0].op.type == "SpaceToBatchND"
        if operation.type == "ConcatV2":
            return int(self._constants[inputs[-1]]) in (3, -1) and all(name in maps for name in inputs[:-1])
        if operation.type == "FusedBatchNormV3" and operation.get_attr("is_training"):
            return False
        return operation.type in _POINTWISE and all(name in maps or self._of_channels(name) for name in inputs)

    def _of_channels(self, name: str) -> bool:
        sides: list[int] = self._constants[name].shape.as_list()
        return all(side == 1 for side in sides[:-1])

    def constant(self, tensor: Any) -> Any:
        """The value of a tensor that does not depend on the image; None of one that does, or cannot be computed."""
        import tensorflow as tf

        operation = tensor.op
        if tensor.name not in self._constants and operation.name not in self._live:
            if operation.type == "Const":
                self._constants[tensor.name] = tf.constant(self._frozen.constant(operation.name))
            elif operation.type in SIMPLE and tensor.value_index == 0:
                inputs = [self.constant(source) for source in operation.inputs]
                if all(value is not None for value in inputs):
                    self._constants[tensor.name] = Call(operation)(inputs)
        return self._constants.get(tensor.name)

    def _step(self, operation: Any) -> Step:
        inputs = (tensor.name if tensor.op.name in self._live else self.constant(tensor) for tensor in operation.inputs)
        output = operation.outputs[0]
        shape = tuple(output.shape.as_list()[1:]) if output.shape.rank else ()
        return Step(output.name, operation.type, Call(operation), tuple(inputs), shape)

    def _local(self, operation: Any) -> Step:
        step, before = self._step(operation), operation.inputs[0].op
        if operation.type == "SpaceToBatchND" or before.type == "SpaceToBatchND":
            return replace(step, passes=True)
        if operation.type in _PADDING:
            above, left = (int(amount) for amount in step.inputs[1].numpy()[1:3, 0])
            return replace(step, padding=(above, left), source=operation.inputs[0].name)
        if operation.type == "BatchToSpaceND":
            sliding, moved, source = before, self._step(before), before.inputs[0].op.inputs[0].name
        elif operation.type in SLIDING:
            sliding, moved, source = operation, step, step.inputs[0]
        else:
            return step
        weights = sum(value.shape.num_elements() for value in moved.inputs[1:])
        return replace(step, window=window_of(sliding), source=source, sliding=moved, weights=weights)


def _slides(operation: Any) -> bool:
    """Whether an operation slides a window over rows and columns, and takes every channel by itself or all together."""
    if operation.type in ("MaxPool", "AvgPool"):
        size = operation.get_attr("ksize")
        return size[0] == size[3] == 1 and operation.get_attr("strides")[3] == 1
    return window_of(operation) is not None


def _pooled_first(steps: Sequence[Step], uses: Mapping[str, int]) -> tuple[Step, ...]:
    """Move max-pooling before the bias and the ReLU that it comes after: the same numbers, bit by bit, for less work.

    The largest of numbers is the same one before and after anything that never decreases.
    """
    ordered = list(steps)
    for last, step in enumerate(steps):
        first = last
        while step.kind == "MaxPool" and first and _moves(ordered[first - 1], ordered[first].maps[0], uses):
            first -= 1
        if first == last:
            continue
        moved = ordered[first:last]
        # The names of what is computed now are those of what was, of which nobody else reads: the pool's stays.
        names = [f"{step.name}/{place}" for place in range(len(moved))] + [step.name]
        source = moved[0].maps[0]
        pooled = replace(step, name=names[0], inputs=(source,), source=source)
        changed = [replace(pooled, sliding=pooled)]
        for each, (before, name) in zip(moved, itertools.pairwise(names), strict=True):
            inputs = tuple(before if isinstance(given, str) else given for given in each.inputs)
            changed.append(replace(each, name=name, inputs=inputs, shape=step.shape))
        ordered[first : last + 1] = changed
    return tuple(ordered)


def _moves(step: Step, read: str, uses: Mapping[str, int]) -> bool:
    monotone = step.kind in _MONOTONE and len(step.maps) == 1 and not step.passes
    return step.name == read and monotone and uses[step.name] == 1
