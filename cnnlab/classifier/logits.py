"""Finding the logits: from the output back to the argument of the softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cnnlab.errors import CnnlabError

OutputKind = Literal["probabilities", "logits"]


@dataclass(frozen=True)
class Output:
    """What a model gives.

    Attributes:
        logits: The tensor that holds the logits.
        kind: What the model's own output is.
    """

    logits: Any
    kind: OutputKind


_PASSED_ON = ("Identity", "StopGradient", "CheckNumerics", "PreventGradient", "Cast")


def find_output(outputs: Sequence[Any]) -> Output:
    """Find the logits [N, K] of a model.

    Where it gives several tensors, one alone may be a vector of numbers for each image, or they lead to the same
    logits (as probabilities and logits do).

    Raises:
        CnnlabError: The outputs are no classifier's, or it is not clear which are.
    """
    vectors = [
        output
        for output in outputs
        if output.dtype.is_floating and output.shape.rank == 2 and (output.shape[1] or 0) > 1
    ]
    if not vectors:
        received = ", ".join(f"{tensor.dtype.name} {written(tensor.shape)}" for tensor in outputs) or "nothing"
        raise CnnlabError(
            f"the model is no classifier of images: it must give logits or probabilities [N, two or more]; it "
            f"gives {received}."
        )
    found = [find_logits(output) for output in vectors]
    if len({_origin(output.logits).name for output in found}) > 1:
        raise CnnlabError(
            f"the model gives {len(found)} different vectors for each image, and cnnlab cannot know which are its "
            "logits; export it with one output."
        )
    return found[0]


def written(shape: Any) -> str:
    """Write the shape of a tensor for a message: ``[?, 8, 8, 1]``."""
    sides = ["?" if side is None else str(side) for side in shape.as_list()] if shape.rank is not None else ["..."]
    return f"[{', '.join(sides)}]"


def _origin(tensor: Any) -> Any:
    while tensor.op.type in _PASSED_ON:
        tensor = tensor.op.inputs[0]
    return tensor


def find_logits(output: Any) -> Output:
    """Walk back from the output, through operations that pass their input on, to a softmax; its argument is the logits.

    A model that ends without a softmax is taken to give logits.
    """
    tensor = _origin(output)
    if tensor.op.type == "Softmax":
        return Output(logits=tensor.op.inputs[0], kind="probabilities")
    return Output(logits=output, kind="logits")
