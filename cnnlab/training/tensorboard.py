"""What TensorBoard shows of a run: event files by TensorFlow's own writer, which needs no other package.

Everything stands at the number of steps taken since the beginning. A run that is gone on with begins another file,
whose first event tells readers to forget what an earlier one holds beyond that step.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cnnlab.errors import CnnlabError
from cnnlab.training.loop import TrainingLoop

SHOWN = ("loss", "accuracy", "val_loss", "val_accuracy")
"""What of a row of the history is written, as ``epoch/loss`` and so on."""

PROFILED = 3
"""Which call of the compiled loop is profiled: the first compiles it, and the next finds caches and memory cold."""

FILES = "events.out.tfevents.*"

MOST_TILES = 256
"""Slices of a kernel that are drawn, at most."""

_FLUSH_SECONDS = 10
_SIDE = 8
"""Pixels that show one weight, each way."""


class Board:
    """Hears of everything and writes nothing.

    Attributes:
        profile: Whether there is something still to be profiled.
    """

    profile = False

    def steps(self, step: int, loop: TrainingLoop, rate: Any) -> None:
        """Some steps are done, ``step`` of all epochs; ``rate`` is the learning rate, or its schedule."""

    def epoch(self, row: Mapping[str, Any], model: keras.Model | None = None) -> None:
        """An epoch is done; ``row`` is its row of the history."""

    def flush(self) -> None:
        """What was heard of until now must not be lost any more."""

    def profiled(self) -> contextlib.AbstractContextManager[None]:
        """Some steps are taken inside the ``with`` block."""
        return contextlib.nullcontext()


class EventBoard(Board):
    """Writes what it hears of for TensorBoard.

    Args:
        folder: Where the files go.
        steps_an_epoch: How many steps an epoch has.
        done: How many steps of all were done before.
        sums: :attr:`TrainingLoop.sums` after these.
        profile: Whether a few steps are to be profiled.

    Raises:
        CnnlabError: The folder cannot be written to.
    """

    def __init__(
        self, folder: Path, steps_an_epoch: int, done: int, sums: np.ndarray, *, profile: bool = False
    ) -> None:
        self.profile = profile
        self._folder, self._steps_an_epoch, self._sums, self._calls = folder, steps_an_epoch, sums, 0
        with self._telling():
            self._writer = tf.raw_ops.SummaryWriter(shared_name=uuid.uuid4().hex, container="")
            tf.raw_ops.CreateSummaryFileWriter(
                writer=self._writer,
                logdir=str(folder),
                max_queue=100,
                flush_millis=1000 * _FLUSH_SECONDS,
                filename_suffix=".v2",
            )
        self._write(done + 1, session_log=tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START))

    def steps(self, step: int, loop: TrainingLoop, rate: Any) -> None:
        """Write the mean loss of the images since the steps before, and the learning rate of the last of these."""
        sums = loop.sums
        before = self._sums if sums[2] > self._sums[2] else np.zeros(3)  # an epoch begins with nothing
        loss, _, images = sums - before
        self._sums = sums
        last = float(rate(loop.optimizer.iterations - 1)) if callable(rate) else rate
        self._numbers(step, {"step/loss": loss / images, "step/learning_rate": last})

    def epoch(self, row: Mapping[str, Any], model: keras.Model | None = None) -> None:
        """Write losses and accuracies, and the first convolution's kernels where there is a model that has one."""
        step = row["epoch"] * self._steps_an_epoch
        self._numbers(step, {f"epoch/{name}": row[name] for name in SHOWN})
        layer = first_convolution(model) if model is not None else None
        if layer is not None:
            drawn = sheet(layer.kernel.numpy())
            height, width, channels = drawn.shape
            image = tf.compat.v1.Summary.Image(
                height=height,
                width=width,
                colorspace=channels,
                encoded_image_string=tf.io.encode_png(drawn).numpy(),
            )
            self._summary(step, [tf.compat.v1.Summary.Value(tag=f"filters/{layer.name}", image=image)])

    def flush(self) -> None:
        """Write to the disk."""
        with self._telling():
            tf.raw_ops.FlushSummaryWriter(writer=self._writer)

    @contextlib.contextmanager
    def profiled(self) -> Iterator[None]:
        """Profile what is done inside the ``with`` block, where the loop is warm; once."""
        self._calls += 1
        if not self.profile or self._calls < PROFILED:
            yield
            return
        self.profile = False
        with self._telling():
            tf.profiler.experimental.start(str(self._folder))
        try:
            yield
        finally:
            with self._telling():
                tf.profiler.experimental.stop()

    def close(self) -> None:
        """Write what there is, and close the file."""
        with self._telling():
            tf.raw_ops.CloseSummaryWriter(writer=self._writer)

    def _numbers(self, step: int, numbers: Mapping[str, float]) -> None:
        self._summary(step, [tf.compat.v1.Summary.Value(tag=tag, simple_value=value) for tag, value in numbers.items()])

    def _summary(self, step: int, values: Sequence[Any]) -> None:
        self._write(step, summary=tf.compat.v1.Summary(value=values))

    def _write(self, step: int, **what: Any) -> None:
        event = tf.compat.v1.Event(step=step, wall_time=time.time(), **what)
        with self._telling():
            tf.raw_ops.ImportEvent(writer=self._writer, event=event.SerializeToString())

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            with tf.device("/CPU:0"):
                yield
        except tf.errors.OpError as error:
            raise CnnlabError(
                f"the files for TensorBoard cannot be written to {self._folder} "
                f"({str(error.message).splitlines()[0]}). Make room there, or train without `tensorboard=True`."
            ) from error


@contextlib.contextmanager
def opened(
    folder: Path | None,
    steps_an_epoch: int,
    done: int,
    sums: np.ndarray,
    history: Sequence[Mapping[str, Any]],
    *,
    profile: bool = False,
) -> Iterator[Board]:
    """Give a board while a run is trained; one that writes nothing where there is no folder.

    Args:
        folder: Where the files go; where none are yet, the epochs that are done are written first.
        steps_an_epoch: How many steps an epoch has.
        done: How many steps of all were done before.
        sums: :attr:`TrainingLoop.sums` after these.
        history: The rows of the epochs that are done.
        profile: Whether a few steps are to be profiled.

    Raises:
        CnnlabError: The folder cannot be written to.
    """
    if folder is None:
        yield Board()
        return
    missing = () if any(folder.glob(FILES)) else history
    board = EventBoard(folder, steps_an_epoch, done, sums, profile=profile)
    try:
        for row in missing:
            board.epoch(row)
        yield board
    finally:
        board.close()


def first_convolution(model: keras.Model) -> Any:
    """Return the first layer with a kernel [h, w, in, out]; None where there is none."""
    return next(_convolutions(model), None)


def _convolutions(layer: Any) -> Iterator[Any]:
    if isinstance(layer, keras.layers.Conv2D):
        yield layer
    for inside in getattr(layer, "layers", ()):
        yield from _convolutions(inside)


def sheet(kernel: np.ndarray) -> np.ndarray:
    """Draw a kernel's slices side by side, on one scale about zero, which is mid-grey.

    Args:
        kernel: [h, w, in, out], float.

    Returns:
        uint8 [H, W, C]: filters in colour (C 3) where there are three input channels, else each slice in grey (C 1),
        the first :data:`MOST_TILES` of them.
    """
    height, width, channels, _ = kernel.shape
    colours = 3 if channels == 3 else 1
    slices = kernel.transpose(3, 2, 0, 1).reshape(-1, colours, height, width).transpose(0, 2, 3, 1)[:MOST_TILES]
    levels = np.rint(127.5 + 127.5 * slices / max(np.abs(slices).max(), np.finfo(np.float32).tiny)).astype(np.uint8)
    tiles = np.pad(levels.repeat(_SIDE, 1).repeat(_SIDE, 2), ((0, 0), (1, 1), (1, 1), (0, 0)))
    across = int(np.ceil(np.sqrt(len(tiles))))
    tiles = np.pad(tiles, ((0, -len(tiles) % across), (0, 0), (0, 0), (0, 0)))
    count, high, wide, _ = tiles.shape
    grid = tiles.reshape(count // across, across, high, wide, colours).swapaxes(1, 2)
    return grid.reshape(count // across * high, across * wide, colours)
