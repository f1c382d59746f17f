"""A forward pass over many images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks import material
from benchmarks.harness import Arrays, Race, Side, Suite

CLOSE = 1e-4
"""How far logits may differ from those that NumPy works out."""


def by_cnnlab(images: int, batch: int) -> Any:
    import cnnlab

    classifier = cnnlab.load(material.in_keras("classic"))
    shown, _ = material.digits(count=images)
    return lambda: {"logits": classifier.logits(shown)}


def in_one_function(images: int, batch: int) -> Any:
    import tensorflow as tf

    model = material.in_keras("classic")
    compiled = tf.function(lambda part: model(part, training=False))
    shown, _ = material.digits(count=images)

    def work() -> Arrays:
        parts = [compiled(tf.constant(shown[first : first + batch])).numpy() for first in range(0, images, batch)]
        return {"logits": np.concatenate(parts)}

    return work


def by_predict(images: int, batch: int) -> Any:
    model = material.in_keras("classic")
    shown, _ = material.digits(count=images)
    return lambda: {"logits": model.predict(shown, batch_size=batch, verbose=0)}


def by_torch(images: int, batch: int) -> Any:
    import torch

    model, shown = material.in_torch("classic"), material.channels_first(material.digits(count=images)[0])

    def work() -> Arrays:
        with torch.inference_mode():
            return {"logits": torch.cat([model(part) for part in shown.split(batch)]).numpy()}

    return work


def same_logits(found: Mapping[str, Arrays]) -> dict[str, float]:
    count = len(found["cnnlab"]["logits"])
    judged = material.logits("classic", material.digits(count=count)[0])
    checks = {
        f"largest difference, {name}": float(np.abs(each["logits"] - judged).max()) for name, each in found.items()
    }
    assert max(checks.values()) <= CLOSE * np.abs(judged).max(), checks
    return checks


SUITE = Suite(
    name="forward",
    title="A forward pass",
    says=f"""The logits of the test images of MNIST, 500 at a time: the opened model beside a compiled function over
the live Keras model, `model.predict`, and PyTorch. All agree with what NumPy works out to {CLOSE:g} of the largest
logit.""",
    races=(
        Race(
            name="forward",
            title="10,000 images of 28x28, batch 500",
            sides=(
                Side("cnnlab", "cnnlab", by_cnnlab),
                Side("one `tf.function`", "tensorflow", in_one_function),
                Side("`model.predict`", "tensorflow", by_predict),
                Side("PyTorch", "torch", by_torch),
            ),
            given={"images": 10_000, "batch": 500},
            agree=same_logits,
            rounds=9,
            quick=3,
        ),
    ),
)
