"""Learning-rate schedules."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class HoldThenFall(keras.optimizers.schedules.LearningRateSchedule):
    """A constant learning rate that falls linearly to zero over the last steps.

    At step t of T (counted from 0) the rate is ``rate * min(1, (1 - t / T) / decay)``: zero would be reached at step T,
    which is never taken.

    Args:
        rate: The learning rate of the first step.
        steps: T, how many steps there are in all.
        decay: The fraction of them over which the rate falls, above 0 and at most 1.
    """

    def __init__(self, rate: float, steps: int, decay: float) -> None:
        super().__init__()
        self.rate, self.steps, self.decay = rate, steps, decay

    def __call__(self, step: Any) -> Any:
        """Return the rate of one step."""
        left = 1.0 - ops.cast(step, "float32") / self.steps
        return self.rate * ops.clip(left / self.decay, 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"rate": self.rate, "steps": self.steps, "decay": self.decay}


def schedule(rate: float, steps: int, decay: float) -> Any:
    """Return what a Keras optimizer takes as its learning rate: a schedule, or the number where nothing decays."""
    return HoldThenFall(rate, steps, decay) if decay else rate
