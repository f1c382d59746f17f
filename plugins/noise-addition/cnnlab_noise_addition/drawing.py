"""What is drawn: images without and with their noise, the noises, how they were learned, and who is read as whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnlab.plugin import At, Claims, Classifier, Curves, Line, Matrix, Picture, Scrub, Tiles, out_of, percent
from cnnlab_noise_addition.learn import Noises

MOST_TARGETS = 20
"""Targets that are drawn; arrays.npz holds all."""

Arrays = dict[str, np.ndarray]


def headline(classifier: Classifier, claims: Claims, arrays: Mapping[str, np.ndarray]) -> str:
    """Say what was added to the images, and what came of those that are neither of the target nor read as it."""
    success, counted = arrays["success"], int(arrays["counted"].sum())
    if not counted:
        return "Every image is labelled or read as the target without noise"
    shared, several = "noise" in arrays, len(arrays["noise_target"]) > 1
    what = "A noise for each target" if several else "One noise" if shared else "A noise for each image"
    name = "the target" if several else classifier.class_names[arrays["noise_target"][0]]
    told = f"{percent(success.sum() / counted)} of the other images"
    if not several:
        told = out_of(int(success.sum()), counted, "other image")
    most = (claims.epsilons or (0.0,))[0]
    return f"{what} of at most {most:.3g} makes {told} read as {name}"


def show(classifier: Classifier, found: Noises, arrays: Arrays, index: int) -> list[Picture | Scrub]:
    """The image without and with the noise, and that if it is the image's own; of several targets, with each noise."""
    names = classifier.class_names

    def read(name: str, when: str, *places: int) -> Picture:
        label, sure = arrays[f"label_{when}"][places], arrays[f"confidence_{when}"][places]
        mark = when == "after" and bool(arrays["success"][places])
        return Picture.of_image(
            At(name, places), classifier.bounds, f"read as {names[label]} ({percent(sure)})", mark=mark
        )

    before = read("original", "before", index)
    shown = range(min(len(found.targets), MOST_TARGETS))
    after = [read("adversarial", "after", number, index) for number in shown]
    if len(after) > 1:
        stops = tuple(names[target] for target in found.targets[:MOST_TARGETS])
        return [before, Scrub(axis="target", stops=stops, frames=tuple((picture,) for picture in after))]
    return [before, *after, *([] if found.noise is not None else [_noise(arrays, At("image_noise", (0, index)))])]


def drawings(classifier: Classifier, found: Noises, arrays: Arrays) -> dict[str, Any]:
    """Return what there is to see beside :func:`show`, by name."""
    drawn: dict[str, Any] = {}
    if len(found.targets) > 1:
        drawn["matrix"] = matrix(classifier, found, arrays)
    if found.noise is not None:
        drawn["noise"] = noises(classifier, found, arrays)
    if found.trace:
        drawn["learning"] = learning(classifier, found)
    return drawn


def noises(classifier: Classifier, found: Noises, arrays: Arrays) -> Tiles:
    """The noise, its target's mean image and its spectrum in a row; of several noises a row of each."""
    assert found.noise is not None
    shown, several = found.targets[:MOST_TARGETS], len(found.targets) > 1
    powers = np.stack([np.log10(spectrum(noise) + 1e-6) for noise in found.noise[: len(shown)]])
    own, means, spectra = [], [], []
    for number, target in enumerate(shown):
        name, alike = classifier.class_names[target], f"{arrays['correlation'][number, target]:.2f}"
        own.append(_noise(arrays, At("noise", number), f"{name}: {alike}" if several else "noise"))
        words = "" if several else f"mean {name} (correlation {alike})"
        means.append(Picture.of_image(At("target_mean", number), classifier.bounds, words))
        spectra.append(
            Picture(
                values=powers[number],
                title="" if several else "spectrum, 0 in the middle",
                scale="sequential",
                limits=(powers.min(), powers.max()),
                unit="log10 of power",
            )
        )
    return Tiles(
        tiles=(*own, *means, *spectra),
        columns=len(shown) if several else 3,
        title="The noise for each target, and its correlation with the target's mean image" if several else "",
        rows=("noise", "mean image", "spectrum") if several else (),
    )


def matrix(classifier: Classifier, found: Noises, arrays: Arrays) -> Matrix:
    """Which share of each source class is read as each target."""
    names = classifier.class_names
    return Matrix(
        values=100 * arrays["success_by_class"].T,
        rows=names,
        columns=tuple(names[target] for target in found.targets),
        row_label="source class",
        column_label="target",
        title=f"Images read as the target, with noise of at most {found.epsilon:.3g}",
        unit="% of the images",
        limits=(0, 100),
        number=".0f",
    )


def learning(classifier: Classifier, found: Noises) -> Curves:
    """How learning went, step by step; of several targets the mean."""
    several = len(found.targets) > 1
    of = "the target" if several else classifier.class_names[found.targets[0]]
    lines = {"trace_reached": f"read as {of}", "trace_confidence": f"probability of {of}"}
    steps = np.arange(1, found.trace["trace_reached"].shape[1] + 1)
    return Curves(
        lines=tuple(Line(name=words, x=steps, y=found.trace[name].mean(axis=0)) for name, words in lines.items()),
        x_label="step",
        y_label="mean over the images of the step",
        title="Learning the noises: mean over the targets" if several else "Learning the noise",
        percent=True,
        marks=False,
        y_limits=(0, 1),
        whole=True,
    )


def _noise(arrays: Arrays, noise: At, title: str = "noise") -> Picture:
    """A noise, on the scale of all noises of the result."""
    largest = float(np.abs(arrays[noise.array]).max())
    return Picture(values=noise, title=title, scale="diverging", limits=(-largest, largest))


def spectrum(noise: np.ndarray) -> np.ndarray:
    """Return the power of a noise [H, W, C] at each spatial frequency, mean over the channels, zero in the middle.

    Float64 [H, W]; the sum is H W times the mean over channels of the sum of squares (Parseval).
    """
    power = np.abs(np.fft.fft2(noise.astype(np.float64), axes=(0, 1))) ** 2
    return np.fft.fftshift(power.mean(axis=-1))
