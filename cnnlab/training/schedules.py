"""Learning-rate schedules."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class RiseHoldFall(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly over the first steps, is held, and falls linearly to zero over the last.

    At step t of T (counted from 0) the rate is ``rate * min(1, (t + 1) / (warm_up * T), (1 - t / T) / decay)``: zero
    would be reached at step T, which is never taken. Where a fraction is 0, nothing rises or falls.

    Args:
        rate: The largest learning rate.
        steps: T, how many steps there are in all.
        warm_up: The fraction of them over which the rate rises, from 0 to 1.
        decay: The fraction of them over which the rate falls, from 0 to 1.
    """

    def __init__(self, rate: float, steps: int, warm_up: float, decay: float) -> None:
        super().__init__()
        self.rate, self.steps, self.warm_up, self.decay = rate, steps, warm_up, decay

    def __call__(self, step: Any) -> Any:
        """Return the rate of one step."""
        done = ops.cast(step, "float32")
        share = ops.ones_like(done)
        if self.warm_up:
            share = ops.minimum(share, (done + 1.0) / (self.warm_up * self.steps))
        if self.decay:
            share = ops.minimum(share, ops.maximum(1.0 - done / self.steps, 0.0) / self.decay)
        return self.rate * share

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"rate": self.rate, "steps": self.steps, "warm_up": self.warm_up, "decay": self.decay}


def schedule(rate: float, steps: int, warm_up: float = 0.0, decay: float = 0.0) -> Any:
    """Return what a Keras optimizer takes as its learning rate: a schedule, or the number where nothing changes."""
    return RiseHoldFall(rate, steps, warm_up, decay) if warm_up or decay else rate
