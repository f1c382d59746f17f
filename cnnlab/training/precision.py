"""What a run computes in, where the recipe or the user leaves it to cnnlab."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import tensorflow as tf

WORTH = 1.2
"""How many times as fast bfloat16 must be. Emulated, it is slower than float32."""

_SIDE = 256
"""So small that some rounds are undisturbed however busy the machine is, so that each run of a recipe chooses alike."""
_ROUNDS = 60


@dataclass(frozen=True)
class Choice:
    """What a run computes in, and why.

    Attributes:
        used: ``float32``, ``bfloat16`` or ``float16``.
        why: The reason, for a reader; no sentence.
    """

    used: str
    why: str


def choose(wanted: str) -> Choice:
    """Decide what to compute in.

    TensorFlow does not tell which number formats a processor has, so the device in use is tried: it multiplies matrices
    in both, by turns.

    Args:
        wanted: A precision, or ``auto``: bfloat16 where it is :data:`WORTH` times as fast as float32, else float32.
    """
    if wanted != "auto":
        return Choice(wanted, "asked for")
    times = gain()
    said = f"here bfloat16 multiplies matrices {times:.1f} times as fast as float32"
    return Choice("bfloat16" if times >= WORTH else "float32", said)


def gain() -> float:
    """Measure how many times as fast as float32 bfloat16 multiplies matrices; the shortest times of some rounds."""
    shortest = {tf.float32: math.inf, tf.bfloat16: math.inf}
    matrices = {kind: tf.ones([_SIDE, _SIDE], kind) for kind in shortest}
    for _ in range(_ROUNDS):
        for kind, matrix in matrices.items():
            started = time.perf_counter()
            _ = tf.matmul(matrix, matrix)[0, 0].numpy()
            shortest[kind] = min(shortest[kind], time.perf_counter() - started)
    return shortest[tf.float32] / shortest[tf.bfloat16]
