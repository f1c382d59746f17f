"""A small network on disk, images for it, and an attack whose result may lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnlab
from cnnlab.adversarial.measure import measure
from cnnlab.adversarial.names import ADVERSARIAL_ARRAYS
from cnnlab.perturbations import round_8bit
from cnnlab.results.claims import Claims
from cnnlab.results.result import Result

EPSILONS = (0.0, 0.05, 0.2)


@pytest.fixture(scope="session")
def save_model() -> Callable[..., Path]:
    """Save a small network: ``save_model(path, seed, shape, classes)``."""

    def save(path, seed, shape=(8, 8, 1), classes=4):
        import keras

        def drawn(add):
            return keras.initializers.RandomNormal(stddev=0.5, seed=seed + add)

        keras.Sequential(
            [
                keras.Input(shape),
                keras.layers.Conv2D(4, 3, activation="relu", kernel_initializer=drawn(0)),
                keras.layers.Flatten(),
                keras.layers.Dense(classes, kernel_initializer=drawn(5)),
            ]
        ).save(path)
        return path

    return save


@pytest.fixture(scope="module")
def model(tmp_path_factory, save_model) -> Path:
    """A small network on disk."""
    return save_model(tmp_path_factory.mktemp("model") / "small.keras", seed=1)


@pytest.fixture(scope="module")
def opened(model):
    """The same, opened."""
    return cnnlab.load(model)


@pytest.fixture(scope="module")
def images(opened) -> tuple[np.ndarray, np.ndarray]:
    """Eight images, all but the last with the label that the model gives them."""
    drawn = np.random.default_rng(0).random((8, 8, 8, 1), np.float32)
    labels = opened.predict(drawn)
    labels[-1] = (labels[-1] + 1) % 4
    return drawn, labels


def fgsm_at_three(classifier, inputs, params, context, *, lie=None, eight_bit=False) -> Result:
    """FGSM at three strengths; ``lie`` changes the result before it is given back."""
    from cnnlab.attacks import fgsm

    labels = np.where(inputs.labels < 0, classifier.predict(inputs.images), inputs.labels)
    original = round_8bit(inputs.images, classifier.bounds) if eight_bit else inputs.images
    outcome = fgsm(eight_bit=eight_bit).run(classifier, original, labels, epsilon=np.array(EPSILONS)[:, None])
    claims = Claims(norm="linf", epsilons=EPSILONS, eight_bit=eight_bit)
    measured = measure(classifier, original, outcome.adversarial, inputs.labels, claims=claims, sources=inputs.sources)
    result = Result(arrays=measured.arrays, metrics=measured.metrics, columns=measured.columns, claims=claims)
    return lie(result) if lie else result


@pytest.fixture(scope="session")
def attack() -> Callable[..., Result]:
    """The work of an analysis that attacks, honestly or not."""
    return fgsm_at_three


@pytest.fixture
def adversarial(analysis) -> Callable[..., Any]:
    """Install an analysis that attacks: ``adversarial(run, requires=...)``."""
    return lambda run, **declared: analysis(run, **{"arrays": ADVERSARIAL_ARRAYS, **declared})
