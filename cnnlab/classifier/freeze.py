"""From a concrete function to a frozen graph: one graph without variables or calls, that can be read and pruned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Frozen:
    """A model as one flat graph.

    Attributes:
        function: The wrapped function over the graph; ``prune`` makes callables of it.
        input: The graph's image tensor.
        outputs: The graph's output tensors, by name where the signature names them.
        definition: The GraphDef, for digests.
    """

    function: Any
    input: Any
    outputs: tuple[Any, ...]
    definition: Any

    @property
    def graph(self) -> Any:
        """The TensorFlow graph."""
        return self.function.graph

    def prune(self, tensors: Sequence[Any]) -> Any:
        """Return a callable from the image tensor to a list of ``tensors``; differentiable, usable in a tf.function."""
        return self.function.prune(self.input, list(tensors))


def freeze(concrete: Any) -> Frozen:
    """Freeze and inline a concrete function of one image tensor.

    Custom gradients (``tf.custom_gradient``, as in swish) name Python functions that the frozen graph no longer has;
    their mark is taken off, so that the graph is differentiated operation by operation.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    definition = frozen.graph.as_graph_def()
    for node in _nodes(definition):
        if "_gradient_op_type" in node.attr:
            del node.attr["_gradient_op_type"]
    function = tf.compat.v1.wrap_function(lambda: tf.compat.v1.import_graph_def(definition, name=""), [])
    graph = function.graph
    return Frozen(
        function=function,
        input=graph.get_tensor_by_name(frozen.inputs[0].name),
        outputs=tuple(graph.get_tensor_by_name(tensor.name) for tensor in frozen.outputs),
        definition=definition,
    )


def _nodes(definition: Any) -> list[Any]:
    inner = [node for function in definition.library.function for node in function.node_def]
    return [*definition.node, *inner]
