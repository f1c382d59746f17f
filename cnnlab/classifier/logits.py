"""Finding the logits: from the output back to the argument of the softmax or the sigmoids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from cnnlab.errors import CnnlabError, UsageError, did_you_mean

OutputKind = Literal["probabilities", "logits", "sigmoid", "sigmoids", "untraced probabilities"]


@dataclass(frozen=True)
class Output:
    """What a model gives, and how logits [N, K] come of it.

    Attributes:
        logits: The tensor that logits are made of; see :meth:`finish`.
        kind: What the model's own output is: ``probabilities`` of a softmax, whose argument :attr:`logits` is;
            ``logits``; the ``sigmoid`` of one number, whose argument it is; ``sigmoids`` of several, whose arguments it
            is: each class is probable by itself; or ``untraced probabilities``, which come of no softmax that could be
            found, so that it is the output itself.
        output: The model's own output.
    """

    logits: Any
    kind: OutputKind
    output: Any

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return 2 if self.kind == "sigmoid" else int(self.output.shape[-1])

    def finish(self, values: Any) -> Any:
        """Make logits [N, K] of the values of the tensor :attr:`logits`.

        A sigmoid's argument z becomes -z/2 and z/2, whose softmax has the sigmoid as its second value: so both classes
        have gradients, which a constant 0 for the first had not. Probabilities become log-probabilities, whose softmax
        they are; in float64, where those next to 0 and 1 keep a difference.
        """
        import tensorflow as tf

        if self.kind == "sigmoid":
            half = tf.reshape(values, (-1, 1)) / 2
            return tf.concat([-half, half], axis=1)
        if self.kind == "untraced probabilities":
            return tf.math.log(tf.maximum(tf.cast(values, tf.float64), 1e-300))
        return tf.reshape(values, (-1, self.classes)) if values.shape.rank != 2 else values

    def moved(self, graph: Any) -> Output:
        """Return the same in another graph whose tensors have the same names."""
        return replace(
            self,
            logits=graph.get_tensor_by_name(self.logits.name),
            output=graph.get_tensor_by_name(self.output.name),
        )


_PASSED_ON = ("Identity", "StopGradient", "CheckNumerics", "PreventGradient", "Cast")
_RESHAPED = ("Reshape", "Squeeze")


def find_output(outputs: Mapping[str, Any], wanted: str | None = None) -> Output:
    """Find the logits of a model.

    Where it gives several tensors and none is asked for, one alone may be a vector of numbers for each image, or they
    lead to the same logits (as probabilities and logits do).

    Args:
        outputs: The model's outputs by name.
        wanted: The name of the one to take.

    Raises:
        UsageError: There is no output of that name.
        CnnlabError: The outputs are no classifier's, or it is not clear which are.
    """
    if wanted is not None:
        if wanted not in outputs:
            raise UsageError(f"the model has no output {wanted!r}. {did_you_mean(wanted, list(outputs))}")
        outputs = {wanted: outputs[wanted]}
    found = {name: output for name, tensor in outputs.items() if (output := find_logits(tensor)) is not None}
    if not found:
        received = ", ".join(f"{tensor.dtype.name} {written(tensor.shape)}" for tensor in outputs.values())
        raise CnnlabError(
            "the model is no classifier of images: it must give logits or probabilities [N, two or more], or a "
            f"sigmoid [N, 1]; it gives {received or 'nothing'}."
        )
    if len({_origin(output.logits).name for output in found.values()}) > 1:
        raise CnnlabError(
            f"the model gives {len(found)} different vectors for each image, {', '.join(found)}, and cnnlab cannot "
            "know which are its logits; name one with `output=`."
        )
    return next(iter(found.values()))


def find_logits(output: Any) -> Output | None:
    """Walk back from an output, through operations that pass their input on, to a softmax or a sigmoid.

    An output [N, K] that ends in neither is taken to be logits. None stands for what is no classifier's output.
    """
    if not output.dtype.is_floating or output.shape.rank not in (1, 2):
        return None
    tensor = _origin(output)
    while tensor.op.type in _RESHAPED:
        tensor = _origin(tensor.op.inputs[0])
    classes = output.shape[1] if output.shape.rank == 2 else 1
    if classes == 1:
        return Output(tensor.op.inputs[0], "sigmoid", output) if tensor.op.type == "Sigmoid" else None
    if not classes:
        return None
    if tensor.op.type == "Sigmoid":
        return Output(tensor.op.inputs[0], "sigmoids", output)
    if tensor.op.type == "Softmax" and tensor.shape[-1] == classes:
        return Output(tensor.op.inputs[0], "probabilities", output)
    return Output(output, "logits", output)


def are_probabilities(values: np.ndarray, tolerance: float = 1e-3) -> bool:
    """Whether every row of an array [N, K] is a distribution: none below 0, and a sum of 1."""
    return bool((values >= 0).all() and np.abs(values.sum(axis=1, dtype=np.float64) - 1).max(initial=0) < tolerance)


def written(shape: Any) -> str:
    """Write the shape of a tensor for a message: ``[?, 8, 8, 1]``."""
    sides = ["?" if side is None else str(side) for side in shape.as_list()] if shape.rank is not None else ["..."]
    return f"[{', '.join(sides)}]"


def written_type(spec: Any) -> str:
    """Write the type and the shape of a tensor: ``float32 [?, 8, 8, 1]``."""
    return f"{spec.dtype.name} {written(spec.shape)}"


def _origin(tensor: Any) -> Any:
    while tensor.op.type in _PASSED_ON:
        tensor = tensor.op.inputs[0]
    return tensor
