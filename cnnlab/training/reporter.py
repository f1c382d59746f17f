"""What training tells while it goes on. Derive from :class:`Reporter` to show it somewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where an epoch stands.

    Attributes:
        epoch: The epoch, counted from 1.
        epochs: How many there are to be.
        step: How many steps of it are done.
        steps: How many it has.
        loss: The mean training loss of the epoch so far, in nats.
        accuracy: The training accuracy of the epoch so far, as a fraction.
        images_per_second: The pace of this epoch.
        seconds_left: What remains of all epochs at that pace, in seconds.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    images_per_second: float
    seconds_left: float


class Reporter:
    """Hears of everything and says nothing."""

    def stage(self, message: str) -> None:
        """Something starts that takes a while and is no epoch: reading, building, saving."""

    def note(self, message: str) -> None:
        """Something the user should know, a sentence."""

    def started(self, folder: Path, training_images: int, evaluated_images: int, resumed_at: int) -> None:
        """Training starts, or goes on with epoch ``resumed_at`` + 1 or in the middle of it."""

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        """An epoch starts, or goes on."""

    def progress(self, progress: Progress) -> None:
        """Some steps are done; called a few times a second."""

    def kernels(self, layer: str, kernel: np.ndarray) -> None:
        """The kernel [h, w, in, out] of the first convolution, ``layer``, as it now is.

        Told before the first step, and after each epoch before :meth:`epoch_finished`; never of a network without one.
        """

    def epoch_finished(self, row: Mapping[str, Any], epochs: int) -> None:
        """An epoch is done and saved; ``row`` is its row of history.csv."""

    def finished(self) -> None:
        """There is nothing more to come, whether all is done or an error ended it."""
