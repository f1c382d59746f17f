"""Finding the logits: from the output back to the argument of the softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

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


def find_logits(output: Any) -> Output:
    """Walk back from the output, through operations that pass their input on, to a softmax; its argument is the logits.

    A model that ends without a softmax is taken to give logits.
    """
    tensor = output
    while tensor.op.type in _PASSED_ON:
        tensor = tensor.op.inputs[0]
    if tensor.op.type == "Softmax":
        return Output(logits=tensor.op.inputs[0], kind="probabilities")
    return Output(logits=output, kind="logits")
