"""From a concrete function to a frozen graph: one graph without variables or calls, that can be read and pruned."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cnnlab.devices.choice import current_device
from cnnlab.errors import CnnlabError

if TYPE_CHECKING:
    import numpy as np


SHARED = 1 << 22
"""Bytes from which on a weight is shared by all functions; smaller ones are constants of each, for TensorFlow folds
constants of neighbouring operations together."""


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

    @cached_property
    def _weights(self) -> dict[str, Any]:
        """The large constants by the names of their tensors, each once in memory, whatever is compiled."""
        import tensorflow as tf

        return {
            f"{node.name}:0": tf.constant(self.constant(node.name))
            for node in self.definition.node
            if node.op == "Const" and node.attr["value"].tensor.ByteSize() >= SHARED
        }

    def prune(self, tensors: Sequence[Any]) -> Any:
        """Return a callable from the image tensor to a list of ``tensors``; differentiable, usable in a tf.function."""
        return self.prune_from([self.input], tensors)

    def prune_from(self, inputs: Sequence[Any], tensors: Sequence[Any]) -> Any:
        """Return a callable from some tensors of the graph to others, as if those had been computed; differentiable.

        What does not pass through them (a connection around a layer, the size of the batch) is computed from the image
        tensor, which must be one of them then. Large weights are no part of it: all such callables share them.

        Args:
            inputs: What it takes.
            tensors: What it gives, as a list.
        """
        import tensorflow as tf

        from cnnlab.classifier.gradients import differentiate_well

        given, wanted = [tensor.name for tensor in inputs], [tensor.name for tensor in tensors]
        part, reached = _part(self.definition, wanted, {*given, *self._weights})

        def computed(*values: Any) -> list[Any]:
            graph = tf.compat.v1.get_default_graph()
            known = dict(zip(given, values, strict=True))
            shared = {name: graph.capture(self._weights[name]) for name in reached if name not in known}
            # Else TensorFlow would work out the gradient in each of them, too.
            known |= {name: tf.stop_gradient(weight) for name, weight in shared.items()}
            rest = [name for name in wanted if name not in known]
            source = {name: value for name, value in known.items() if name in reached}
            found = tf.graph_util.import_graph_def(part, input_map=source, return_elements=rest, name="")
            known |= dict(zip(rest, found, strict=True))
            return [known[name] for name in wanted]

        made = tf.compat.v1.wrap_function(computed, [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in inputs])
        if current_device() == "cpu":
            differentiate_well(made.graph, made.outputs)
        return made

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
    captured = concrete.graph.internal_captures
    (image,) = [tensor.name for tensor in concrete.inputs if all(tensor is not other for other in captured)]
    outputs = tuple(tensor.name for tensor in concrete.outputs)
    flat = _unmarked(_lifted(_without_writes(definition), image, *outputs))
    needed = {node.name for node in flat.node}
    for index, tensor in enumerate(captured):
        if index not in converted and tensor.op.name in needed:
            raise CnnlabError(
                f"this model's graph cannot be frozen: no constant can stand for what it keeps, such as a table: "
                f"{tensor.op.name} ({tensor.dtype.name})."
            )
    return _Flat(flat, image, outputs)


def _lifted(definition: Any, *tensors: str) -> Any:
    """Leave what the tensors need, marked as TensorFlow marks what it lifts into another graph.

    So a model keeps the digest that it had when its graph was lifted.
    """
    part, _ = _part(definition, tensors)
    waited_for = {name[1:] for node in part.node for name in node.input if name.startswith("^")}
    for node in part.node:
        node.ClearField("experimental_debug_info")
        for mark in ("_class", "_user_specified_name"):
            node.attr.pop(mark, None)
        if node.name in waited_for:
            node.attr["_has_manual_control_dependencies"].b = True
    return part


def _part(definition: Any, tensors: Sequence[str], known: Collection[str] = ()) -> tuple[Any, set[str]]:
    """Leave what tensors are computed of, where the values of others are known.

    Returns:
        The part of the definition, and the names of the known tensors that its nodes take.
    """
    nodes = {node.name: node for node in definition.node}
    found: set[str] = set()
    waiting = list(tensors)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [] if name in known else map(_tensor, nodes[name.partition(":")[0]].input)
    kept = {name.partition(":")[0] for name in found if name not in known}
    part = _with_nodes(definition, [node for node in definition.node if node.name in kept])
    for node in part.node:
        inputs = [name for name in node.input if not name.startswith("^") or name[1:] in kept]
        del node.input[:]
        node.input.extend(inputs)
    return part, {name for node in part.node for name in map(_tensor, node.input) if name in known}


def _tensor(name: str) -> str:
    """The name of the tensor that a node takes, or of the first that a node gives which it waits for."""
    return name if ":" in name else f"{name.lstrip('^')}:0"


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
        name = function.signature.name
        if sum(_unmark(marked) for marked in (function, *function.node_def)):
            renamed[name] = f"{name}_unmarked"
        elif _is_another(function):  # what it calls was put into it
            held = hashlib.sha256(function.SerializeToString(deterministic=True))
            renamed[name] = f"{name}_{held.hexdigest()[:12]}"
    for node in definition.node:
        _unmark(node)
    for function in definition.library.function:
        function.signature.name = renamed.get(function.signature.name, function.signature.name)
    for value in [value for node in _nodes(definition) for value in node.attr.values()]:
        for named in [value.func] if value.HasField("func") else value.list.func:
            named.name = renamed.get(named.name, named.name)
    return definition


def _is_another(function: Any) -> bool:
    """Whether TensorFlow has met another function of that name."""
    from tensorflow.python.eager import context

    name = function.signature.name
    known = context.context()
    return bool(known.has_function(name) and known.get_function_def(name) != function)


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
