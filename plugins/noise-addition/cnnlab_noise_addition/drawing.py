"""The figures: noises, the images that they make, and which class is fooled into which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cnnlab.classifier import Classifier
from cnnlab.figures import Picture, curves, matrix, tiles
from cnnlab_noise_addition.parts import Found, spectrum

MOST_DRAWN = 9
"""Images in the figure; arrays.npz holds all."""

Arrays = Mapping[str, np.ndarray]
Figures = dict[str, Callable[[], Any]]


def figures(classifier: Classifier, found: Found, arrays: Arrays, metrics: Mapping[str, float]) -> Figures:
    """Return the figures to be drawn, by name."""
    if found.targets.ndim:
        drawn: Figures = {"": lambda: _matrix(classifier, found, arrays)}
        if found.noise is not None:
            drawn["noises"] = lambda: _noises(classifier, found, arrays)
        return drawn
    if found.noise is None:
        return {"": lambda: _each(classifier, found, arrays, metrics)}
    drawn = {
        "": lambda: _examples(classifier, found, arrays, metrics),
        "noise": lambda: _noise(classifier, found, arrays),
    }
    if found.trace:
        drawn["learning"] = lambda: _learning(classifier, found)
    return drawn


def pictures(classifier: Classifier, found: Found, arrays: Arrays) -> list[Picture]:
    """Return the noise and one image with it."""
    if found.targets.ndim:
        rates = Picture(arrays["success_by_class"].T, title="success: source by target", scale="sequential")
        return [rates]
    index = int(examples(arrays, 1)[0])
    own = arrays["image_noise"][index] if found.noise is None else found.noise
    return [_of_noise(own), _after(classifier, arrays, index)]


def examples(arrays: Arrays, most: int) -> np.ndarray:
    """Choose images to draw, by class: the first of each, then others; those that count, and are read right, first."""
    counted = arrays["counted"]
    source = np.where(arrays["label"] >= 0, arrays["label"], arrays["label_before"])
    order = np.lexsort((source != arrays["label_before"], ~counted))
    # np.unique tells where each class comes first in that order.
    first = np.sort(np.unique(source[order], return_index=True)[1])
    order = np.concatenate([order[first], np.delete(order, first)])
    order = order[np.argsort(~counted[order], kind="stable")][:most]
    return order[np.argsort(source[order], kind="stable")]


def _of_noise(noise: np.ndarray, title: str | None = None, largest: float | None = None) -> Picture:
    largest = float(np.abs(noise).max()) if largest is None else largest
    title = f"noise, −{largest:.3g} to {largest:.3g}" if title is None else title
    return Picture(noise, title=title, scale="diverging", limits=(-largest, largest))


def _before(classifier: Classifier, arrays: Arrays, index: int) -> Picture:
    return _read(
        classifier, arrays["original"][index], arrays["label_before"][index], arrays["confidence_before"][index]
    )


def _after(classifier: Classifier, arrays: Arrays, index: int) -> Picture:
    image = arrays["adversarial"][index]
    return _read(classifier, image, arrays["label_after"][index], arrays["confidence_after"][index])


def _read(classifier: Classifier, image: np.ndarray, label: np.ndarray, confidence: np.ndarray) -> Picture:
    return Picture.of_image(image, classifier.bounds, f"{classifier.class_names[label]}: {_percent(confidence)}")


def _percent(confidence: float | np.ndarray) -> str:
    """In percent, rounded down: what is not certain is not called 100%."""
    return f"{np.floor(1000 * float(confidence)) / 10:.1f}%"


def _mean_picture(classifier: Classifier, arrays: Arrays, index: Any, title: str) -> Picture:
    return Picture.of_image(np.nan_to_num(arrays["target_mean"][index]), classifier.bounds, title)


def _headline(classifier: Classifier, found: Found, arrays: Arrays, metrics: Mapping[str, float], what: str) -> str:
    name = classifier.class_names[found.targets]
    counted = int(arrays["counted"].sum())
    return f"{what} of at most {found.epsilon:.3g}: {metrics['success']:.1%} of {counted:,} images are read as {name}"


def _examples(classifier: Classifier, found: Found, arrays: Arrays, metrics: Mapping[str, float]) -> Any:
    chosen = examples(arrays, MOST_DRAWN)
    name = classifier.class_names[found.targets]
    assert found.noise is not None
    top = [_of_noise(found.noise), *(_before(classifier, arrays, index) for index in chosen)]
    mean = _mean_picture(classifier, arrays, ..., f"mean {name}")
    low = [mean, *(_after(classifier, arrays, index) for index in chosen)]
    title = _headline(classifier, found, arrays, metrics, "One noise")
    return tiles(top + low, title=title, columns=len(top), bars="none", row_titles=("original", "with the noise"))


def _each(classifier: Classifier, found: Found, arrays: Arrays, metrics: Mapping[str, float]) -> Any:
    chosen = examples(arrays, MOST_DRAWN)
    largest = float(np.abs(arrays["image_noise"]).max())
    rows = (
        [_before(classifier, arrays, index) for index in chosen]
        + [_of_noise(arrays["image_noise"][index], "", largest) for index in chosen]
        + [_after(classifier, arrays, index) for index in chosen]
    )
    title = _headline(classifier, found, arrays, metrics, "A noise for each image")
    words = ("original", f"noise, ±{largest:.2g}", "noisy")
    return tiles(rows, title=title, columns=len(chosen), bars="none", row_titles=words)


def _noise(classifier: Classifier, found: Found, arrays: Arrays) -> Any:
    assert found.noise is not None
    name = classifier.class_names[found.targets]
    correlation = arrays["correlation"][found.targets]
    return tiles(
        [
            _of_noise(found.noise),
            _mean_picture(classifier, arrays, ..., f"mean {name} (correlation {correlation:.2f})"),
            Picture(
                np.log10(spectrum(found.noise) + 1e-6),
                title="its spectrum, 0 in the middle",
                scale="sequential",
                unit="log10 of power",
            ),
        ],
        columns=3,
    )


def _learning(classifier: Classifier, found: Found) -> Any:
    steps = np.arange(1, len(found.trace["trace_reached"]) + 1)
    name = classifier.class_names[found.targets]
    return curves(
        {
            f"read as {name}": (steps, found.trace["trace_reached"]),
            f"probability of {name}": (steps, found.trace["trace_confidence"]),
        },
        xlabel="step",
        ylabel="mean over the images of the step",
        title="Learning the noise",
        percent=True,
        marks=False,
        ylim=(0, 1),
    )


def _matrix(classifier: Classifier, found: Found, arrays: Arrays) -> Any:
    names = classifier.class_names
    which = "One noise" if found.noise is not None else "A noise for each image"
    return matrix(
        100 * arrays["success_by_class"].T,
        rows=names,
        columns=[names[target] for target in found.targets],
        row_label="source class",
        column_label="target",
        title=f"{which} of at most {found.epsilon:.3g}: images read as the target",
        unit="% of the images",
        limits=(0, 100),
        show="{:.0f}".format,
    )


def _noises(classifier: Classifier, found: Found, arrays: Arrays) -> Any:
    assert found.noise is not None
    names = [classifier.class_names[target] for target in found.targets]
    largest = float(np.abs(found.noise).max())
    top = [
        _of_noise(noise, f"{name}: {row[target]:.2f}", largest)
        for noise, name, row, target in zip(found.noise, names, arrays["correlation"], found.targets, strict=True)
    ]
    low = [_mean_picture(classifier, arrays, index, "") for index in range(len(names))]
    title = f"The noise for each target (±{largest:.3g}), and its correlation with the target's mean"
    return tiles(top + low, title=title, columns=len(top), bars="none", row_titles=("noise", "mean image"))
