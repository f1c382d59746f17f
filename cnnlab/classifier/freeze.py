"""From a concrete function to a frozen graph: one graph without variables or calls, that can be read and pruned."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnnlab.classifier.device import current_device
from cnnlab.errors import CnnlabError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Frozen:
    """A model as one flat graph.

    Attributes:
        function: The wrapped function over the graph; ``prune`` makes callables of it.
        input: The graph's image tensor. Of a graph that takes integers and casts them first, what the cast gives:
            floating-point numbers, through which gradients come back.
        outputs: The graph's output tensors by the names that the signature gives them.
        definition: The GraphDef, for digests.
    """

    function: Any
    input: Any
    outputs: Mapping[str, Any]
    definition: Any

    @property
    def graph(self) -> Any:
        """The TensorFlow graph."""
        return self.function.graph

    def prune(self, tensors: Sequence[Any]) -> Any:
        """Return a callable from the image tensor to a list of ``tensors``; differentiable, usable in a tf.function."""
        return self._pruned(self.input, tensors)

    def prune_from(self, tensor: Any, tensors: Sequence[Any]) -> Any:
        """Return a callable from the image tensor and another one to ``tensors``, as if that one had been computed.

        What does not pass through that tensor (a connection around its layer, the size of the batch) is computed from
        the images.
        """
        return self._pruned([self.input, tensor], tensors)

    def _pruned(self, inputs: Any, tensors: Sequence[Any]) -> Any:
        from cnnlab.classifier.gradients import differentiate_well

        pruned = self.function.prune(inputs, list(tensors))
        if current_device() == "cpu":
            differentiate_well(pruned.graph, pruned.outputs)
        return pruned

    def is_random(self, tensor: Any) -> bool:
        """Whether random numbers are drawn on the way to a tensor."""
        seen: set[str] = set()
        waiting = [tensor.op]
        while waiting:
            op = waiting.pop()
            if "Random" in op.type:
                return True
            fresh = [value.op for value in op.inputs if value.op.name not in seen]
            seen.update(op.name for op in fresh)
            waiting += fresh
        return False

    def constant(self, name: str) -> np.ndarray:
        """Return the value of the constant operation ``name``."""
        import tensorflow as tf

        value: np.ndarray = tf.make_ndarray(self.graph.get_operation_by_name(name).get_attr("value"))
        return value

    def replaced(self, constants: Mapping[str, np.ndarray]) -> Frozen:
        """Return the same graph with other values of some constants, by the name of their operation."""
        import tensorflow as tf

        definition = type(self.definition)()
        definition.CopyFrom(self.definition)
        for node in definition.node:
            if node.name in constants:
                node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(constants[node.name]))
        return _imported(definition, self.input.name, {name: tensor.name for name, tensor in self.outputs.items()})


def freeze(concrete: Any) -> Frozen:
    """Freeze and inline a concrete function of one image tensor.

    Custom gradients (``tf.custom_gradient``, as in swish) name Python functions that the frozen graph no longer has;
    their mark is taken off, so that the graph is differentiated operation by operation.

    Raises:
        CnnlabError: It holds something that no constant can stand for.
    """
    names = _output_names(concrete.structured_outputs, len(concrete.outputs))
    flat = _flat(concrete)
    if any(node.op in _CALLS for node in flat.definition.node):
        flat = _flat(_wrapped(flat.definition, flat.image, *flat.outputs))
    return _imported(flat.definition, flat.image, dict(zip(names, flat.outputs, strict=True)))


@dataclass(frozen=True)
class _Flat:
    """A graph without variables and calls, and the names of its image tensor and of its outputs."""

    definition: Any
    image: str
    outputs: tuple[str, ...]


def _flat(concrete: Any) -> _Flat:
    """Replace the variables of a concrete function by constants, and inline its functions.

    As ``convert_variables_to_constants_v2`` does it, but for its end, which takes most of the time: there it makes a
    function of the graph, and of that another, only to be asked for the graph again.
    """
    from tensorflow.python.framework import convert_to_constants as converting

    try:
        data = converting._FunctionConverterDataInEager(
            func=concrete, lower_control_flow=False, aggressive_inlining=False
        )
        definition, converted = converting._replace_variables_by_constants(converter_data=data)
    except Exception as error:
        raise CnnlabError(f"this model's graph cannot be frozen: {str(error).splitlines()[0]}") from error
    inputs = [tensor for index, tensor in enumerate(concrete.graph.internal_captures) if index in converted]
    (image,) = [tensor.name for tensor in concrete.inputs if all(tensor is not other for other in inputs)]
    outputs = tuple(tensor.name for tensor in concrete.outputs)
    return _Flat(_unmarked(_lifted(_without_writes(definition), image, *outputs)), image, outputs)


def _lifted(definition: Any, *tensors: str) -> Any:
    """Leave what the tensors need, marked as TensorFlow marks what it lifts into another graph.

    So a model keeps the digest that it had when its graph was lifted.
    """
    nodes = {node.name: node for node in definition.node}
    needed: set[str] = set()
    waiting = [name.partition(":")[0] for name in tensors]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [value.lstrip("^").partition(":")[0] for value in nodes[name].input]
    kept = [node for node in definition.node if node.name in needed]
    waited_for = {value[1:] for node in kept for value in node.input if value.startswith("^")}
    for node in kept:
        node.ClearField("experimental_debug_info")
        for mark in ("_class", "_user_specified_name"):
            node.attr.pop(mark, None)
        if node.name in waited_for:
            node.attr["_has_manual_control_dependencies"].b = True
    return _with_nodes(definition, kept)


_WRITES = ("AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp")


def _without_writes(definition: Any) -> Any:
    """Take the operations that write to variables out of a graph, and whatever only waits for them to be done.

    A layer that draws random numbers while training (RandomFlip) counts on in a variable at every call, also where
    nothing depends on it. A constant cannot be written to.
    """
    writes = {f"^{node.name}" for node in definition.node if node.op in _WRITES}
    if not writes:
        return definition
    kept = [node for node in definition.node if node.op not in _WRITES]
    for node in kept:
        inputs = [name for name in node.input if name not in writes]
        del node.input[:]
        node.input.extend(inputs)
    return _with_nodes(definition, kept)


def _with_nodes(definition: Any, nodes: Sequence[Any]) -> Any:
    """The same graph definition, of these nodes alone."""
    made = type(definition)(versions=definition.versions, library=definition.library)
    made.node.extend(nodes)
    return made


_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


_MARKS = ("_gradient_op_type", "_noinline", "_XlaMustCompile")


def _unmarked(definition: Any) -> Any:
    """Take off what keeps a graph from being inlined or differentiated: the marks of compilers and of gradients.

    Keras compiles grouped convolutions by themselves, as functions that say not to be inlined. A function that changes
    gets another name: TensorFlow keeps those it has met.
    """
    renamed = {}
    for function in definition.library.function:
        if sum(_unmark(marked) for marked in (function, *function.node_def)):
            renamed[function.signature.name] = f"{function.signature.name}_unmarked"
    for node in definition.node:
        _unmark(node)
    for function in definition.library.function:
        function.signature.name = renamed.get(function.signature.name, function.signature.name)
    for value in [value for node in _nodes(definition) for value in node.attr.values()]:
        for named in [value.func] if value.HasField("func") else value.list.func:
            named.name = renamed.get(named.name, named.name)
    return definition


def _unmark(marked: Any) -> bool:
    found = [mark for mark in _MARKS if mark in marked.attr]
    for mark in found:
        del marked.attr[mark]
    return bool(found)


def _wrapped(definition: Any, image: str, *outputs: str) -> Any:
    """A concrete function, again, of a graph."""
    import tensorflow as tf

    function = tf.compat.v1.wrap_function(lambda: tf.compat.v1.import_graph_def(definition, name=""), [])
    tensor = function.graph.get_tensor_by_name
    return function.prune(tensor(image), [tensor(name) for name in outputs])


def _output_names(structure: Any, count: int) -> list[str]:
    """The names of a function's outputs, in the order in which TensorFlow flattens them."""
    if isinstance(structure, Mapping) and len(structure) == count:
        return sorted(map(str, structure))
    return [f"output_{index}" for index in range(count)]


def _imported(definition: Any, image: str, outputs: Mapping[str, str]) -> Frozen:
    import tensorflow as tf

    function = tf.compat.v1.wrap_function(lambda: tf.compat.v1.import_graph_def(definition, name=""), [])
    graph = function.graph
    return Frozen(
        function=function,
        input=_past_cast(graph.get_tensor_by_name(image)),
        outputs={name: graph.get_tensor_by_name(tensor) for name, tensor in outputs.items()},
        definition=definition,
    )


def _past_cast(image: Any) -> Any:
    """Integers have no gradient: where all that a graph does with them is to cast them, begin after the cast."""
    if image.dtype.is_floating:
        return image
    users = image.consumers()
    while len(users) == 1 and users[0].type == "Identity":
        users = users[0].outputs[0].consumers()
    casts = [op for op in users if op.type == "Cast" and op.outputs[0].dtype.is_floating]
    return casts[0].outputs[0] if len(casts) == len(users) == 1 else image


def _nodes(definition: Any) -> list[Any]:
    inner = [node for function in definition.library.function for node in function.node_def]
    return [*definition.node, *inner]


def digest(definition: Any) -> str:
    """Return the SHA-256 of a frozen graph: of its operations and weights, whatever file they came from."""
    hashed = hashlib.sha256()
    for node in sorted(definition.node, key=lambda node: node.name):
        hashed.update(node.SerializeToString(deterministic=True))
    return hashed.hexdigest()


def in_batches_of(size: int, function: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any], tuple[Any, ...]]:
    """Let a function of exactly ``size`` images take any number: the last batch is filled up with zeros.

    Args:
        size: How many images the function takes.
        function: From images [size, H, W, C] to a tuple of tensors [size, ...]; differentiable.

    Returns:
        A differentiable function from images [N, H, W, C] to tensors [N, ...].
    """
    import tensorflow as tf

    @tf.function(autograph=False, reduce_retracing=True)
    def any_number(images: Any) -> tuple[Any, ...]:
        count = tf.shape(images)[0]
        shape = tf.shape(images)[1:]
        missing = tf.zeros(tf.concat([[-count % size], shape], 0), images.dtype)
        batches = tf.reshape(tf.concat([images, missing], 0), tf.concat([[-1, size], shape], 0))
        batches = tf.ensure_shape(batches, [None, size, *images.shape[1:]])
        kinds = [tf.TensorSpec(value.shape, value.dtype) for value in _outputs(function, size, images)]
        values = tf.map_fn(lambda batch: list(function(batch)), batches, fn_output_signature=kinds)
        return tuple(tf.reshape(value, tf.concat([[-1], tf.shape(value)[2:]], 0))[:count] for value in values)

    return any_number


def _outputs(function: Callable[[Any], tuple[Any, ...]], size: int, images: Any) -> tuple[Any, ...]:
    """What the function gives, without computing anything: its shapes and types."""
    import tensorflow as tf

    spec = tf.TensorSpec([size, *images.shape[1:]], images.dtype)
    found: tuple[Any, ...] = tf.function(function).get_concrete_function(spec).structured_outputs
    return found
