"""Training: an epoch of the report's recipe, and whole recipes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import material
from benchmarks.harness import Arrays, Race, Side, Suite

BATCH = 64
CLOSE = 0.15
"""How far the mean losses of the first epoch may lie apart, as a share of cnnlab's: each side draws its own order."""


def epoch_by_cnnlab(images: int, precision: str = "float32", batch_norm: bool = False) -> Any:
    """The loop of `cnnlab train`, in calls of a hundred steps, as long as those that show progress."""
    import cnnlab
    from cnnlab.training.data import make_feed, shuffled
    from cnnlab.training.loop import TrainingLoop
    from cnnlab.training.network import build_network
    from cnnlab.training.optimizer import make_optimizer

    split = cnnlab.datasets.load("mnist").train[:images]
    feed = make_feed(split, np.arange(images))
    model = build_network("mnist-cnn", (28, 28, 1), 10, batch_norm, precision=precision, seed=0)
    if not batch_norm:
        model.set_weights(material.weights("initial"))
    loop = TrainingLoop(model, make_optimizer(1e-3, precision), feed.scale)

    def work() -> Arrays:
        batches = feed.batches(shuffled(images, 0, 1), BATCH)
        steps = -(-images // BATCH)
        loop.begin_epoch()
        for start in range(0, steps, 100):
            loop.run(batches, min(100, steps - start))
            loss = loop.loss
        return {"loss": np.array(loss)}

    return work


def keras_network(batch_norm: bool) -> Any:
    """The report's network; with batch normalisation before each ReLU, as cnnlab puts it."""
    import keras

    model = material.in_keras("initial")
    if not batch_norm:
        return model
    layers: list[Any] = [keras.Input((28, 28, 1))]
    for layer in model.layers[1:]:
        if getattr(layer, "activation", None) is keras.activations.relu:
            plain = layer.__class__.from_config(layer.get_config() | {"activation": "linear", "use_bias": False})
            layers += [plain, keras.layers.BatchNormalization(momentum=0.9), keras.layers.ReLU()]
        else:
            layers.append(layer.__class__.from_config(layer.get_config()))
    return keras.Sequential(layers)


def epoch_by_keras(images: int, batch_norm: bool = False, **options: Any) -> Any:
    """Keras' own ``fit``, without validation."""
    import keras

    shown, labels = material.digits("train", images)
    model = keras_network(batch_norm)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"], **options)
    return lambda: {"loss": np.array(model.fit(shown, labels, batch_size=BATCH, verbose=0).history["loss"][0])}


def epoch_by_torch(images: int) -> Any:
    """The plain loop of PyTorch's tutorials, the images as one tensor."""
    import torch

    model = material.in_torch("initial").train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    shown, labels = material.digits("train", images)
    x, y = material.channels_first(shown), torch.tensor(labels)

    def work() -> Arrays:
        total = torch.zeros(())
        for chosen in torch.randperm(len(y)).split(BATCH):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x[chosen]), y[chosen])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(chosen)
        return {"loss": (total / len(y)).numpy()}

    return work


def recipe_by_cnnlab(recipe: str, precision: str) -> Any:
    """``cnnlab.train``; what counts is what it says its steps took, with what it compiles for them."""
    import cnnlab

    def work() -> Arrays:
        with tempfile.TemporaryDirectory() as folder:
            run = cnnlab.train(recipe=recipe, precision=precision, out=Path(folder) / "run", progress=False)
            seconds = sum(row["seconds"] for row in run.history)
            return {"accuracy": np.array(accuracy(cnnlab.load(run).logits)), "seconds": np.array(seconds)}

    return work


def recipe_by_keras() -> Any:
    """The report's recipe under ``fit``: 10 epochs, batch 64, Adam."""
    import keras

    shown, labels = material.digits("train")

    def work() -> Arrays:
        model = keras_network(batch_norm=False)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"], **STEADY)
        started = time.perf_counter()
        model.fit(shown, labels, batch_size=BATCH, epochs=10, verbose=0)
        seconds = time.perf_counter() - started
        read = accuracy(lambda images: model.predict(images, batch_size=500, verbose=0))
        return {"accuracy": np.array(read), "seconds": np.array(seconds)}

    return work


def accuracy(logits: Any) -> float:
    """Read the test images, which both sides do once at the end."""
    images, labels = material.digits()
    return float((np.asarray(logits(images)).argmax(axis=1) == labels).mean())


def alike(found: Mapping[str, Arrays]) -> dict[str, float]:
    """The mean loss of the first epoch, of each side."""
    losses = {f"loss of the first epoch, {name}": float(each["loss"]) for name, each in found.items()}
    first, *others = losses.values()
    assert all(abs(loss - first) <= CLOSE * first for loss in others), losses
    return losses


def alike_with_norm(found: Mapping[str, Arrays]) -> dict[str, float]:
    """The same of those with batch normalisation, which learn faster in the first epoch."""
    return alike({name: each for name, each in found.items() if "without" not in name})


def trained(found: Mapping[str, Arrays]) -> dict[str, float]:
    """The test accuracy that each recipe reaches."""
    accuracies = {f"test accuracy, {name}": float(each["accuracy"]) for name, each in found.items()}
    assert min(accuracies.values()) > 0.985, accuracies
    return accuracies


STEADY = {"jit_compile": False, "steps_per_execution": 50}
FIT, DEFAULT_FIT = "Keras `fit`, `steps_per_execution=50`", "Keras `fit`, defaults"
FULL = {"images": 60_000}
EPOCH = Race(
    name="epoch",
    title="An epoch of the classic recipe: 60,000 images, batch 64, Adam, float32",
    sides=(
        Side("cnnlab", "cnnlab", epoch_by_cnnlab),
        Side(FIT, "tensorflow", epoch_by_keras, STEADY),
        Side(DEFAULT_FIT, "tensorflow", epoch_by_keras),
        Side("PyTorch", "torch", epoch_by_torch),
    ),
    given=FULL,
    agree=alike,
    rounds=3,
    wanted={FIT: "≥ 1.8"},
)
STEPS = replace(
    EPOCH,
    name="steps",
    title="100 steps of the classic recipe: batch 64, Adam, float32",
    given={"images": 6400},
    rounds=7,
    quick=3,
    wanted={},
)
SHORT = Race(
    name="bfloat16",
    title="The same epoch, computed in bfloat16 by cnnlab",
    sides=(Side("cnnlab, bfloat16", "cnnlab", epoch_by_cnnlab, {"precision": "bfloat16"}), EPOCH.sides[1]),
    given=FULL,
    agree=alike,
    rounds=3,
    wanted={FIT: "≥ 2.9"},
)
NORM = Race(
    name="batch-norm",
    title="The same epoch with batch normalisation, float32",
    sides=(
        Side("cnnlab, batch normalisation", "cnnlab", epoch_by_cnnlab, {"batch_norm": True}),
        Side("cnnlab, without", "cnnlab", epoch_by_cnnlab),
        Side(f"{FIT}, batch normalisation", "tensorflow", epoch_by_keras, {"batch_norm": True, **STEADY}),
    ),
    given=FULL,
    agree=alike_with_norm,
    rounds=3,
    wanted={"cnnlab, without": f"≥ {1 / 1.35:.2f}", f"{FIT}, batch normalisation": "≥ 1.5"},
)
AIMS = {
    ("classic", "float32"): "",
    ("classic", "bfloat16"): "",
    ("fast", "float32"): "≤ 0.1",
    ("fast", "bfloat16"): "≤ 0.05",
    ("best", "bfloat16"): "≤ 0.33",
}
RECIPES = Race(
    name="recipes",
    title="Whole recipes",
    sides=(
        Side(f"{FIT}, the report's recipe", "tensorflow", recipe_by_keras),
        *(
            Side(
                f"cnnlab, {recipe}, {precision}", "cnnlab", recipe_by_cnnlab, {"recipe": recipe, "precision": precision}
            )
            for recipe, precision in AIMS
        ),
    ),
    agree=trained,
    rounds=2,
    warm=False,
    wanted={f"cnnlab, {recipe}, {precision}": aim for (recipe, precision), aim in AIMS.items() if aim},
)

SUITE = Suite(
    name="training",
    title="Training",
    says=f"""The report's network (799,078 parameters) from the same initial weights, without evaluation, everything
from the first batch to the last included; all shuffle the images in every epoch. The mean losses of the first epoch,
in which each side sees the images in an order of its own, lie within {100 * CLOSE:g}% of the first side's. Whole
recipes are counted from the first batch to the last, with all that is compiled for them and without evaluation, and
read the test images at the end; how recipes were chosen, and what they reach over seeds, is a [page of its
own](measurements/training.md).""",
    races=(EPOCH, STEPS, SHORT, NORM, RECIPES),
)
