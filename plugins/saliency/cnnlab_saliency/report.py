"""What a report says of saliency: maps of the images that the model is surest of, least sure of, and misreads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cnnlab.plugin import (
    Chapter,
    Conclusion,
    Figure,
    Metric,
    Picture,
    Subject,
    Tiles,
    larger_interval,
    percent,
)
from cnnlab_saliency.maps import INCOMPLETE

PATH_STEPS = 50
"""Points of the path from the baseline to each image."""

SHOWN = 3
"""Images of each kind that are shown."""

MOST_IMAGES, FEWEST_IMAGES, WORK = 50, 5, 1e10
"""How many images of each kind the numbers rest on, and the multiply-adds for one pass that bring this number down."""

STRONGEST = 0.995
"""The part of the pixels whose attributions lie within the colour scale; a few strong ones would pale the others."""

TELLS_APART = 0.7
"""The probability of being right about a pair from which on a number tells images apart acceptably (Hosmer and
Lemeshow, Applied Logistic Regression, 2000)."""

CERTAIN, UNCERTAIN, MISREAD = "most certain", "least certain", "misread"
"""The kinds of images, as the figure calls them."""


@dataclass(frozen=True)
class Maps:
    """What the maps of some images say, each [N].

    Attributes:
        against: Part of the attributions, by size, that speak against the class; NaN where there are none.
        spread: Part of the pixels that hold half of them; NaN where there are none.
        rise: By how much the logit rises from the baseline to the image.
        gap: How far the attributions miss it.
    """

    against: np.ndarray
    spread: np.ndarray
    rise: np.ndarray
    gap: np.ndarray


def write(subject: Subject) -> Chapter:
    """Show what speaks for and against the true class, and hold doubtful images against sure ones."""
    count = subject.affordable(MOST_IMAGES, least=FEWEST_IMAGES, work=WORK / PATH_STEPS)
    kinds = {
        CERTAIN: subject.most_certain(count),
        UNCERTAIN: subject.least_certain(count),
        MISREAD: subject.mistakes(count),
    }
    found = {kind: maps_of(subject, images) for kind, images in kinds.items() if images}
    return Chapter(
        says="Integrated gradients (Sundararajan, Taly and Yan, Axiomatic Attribution for Deep Networks, 2017) share "
        "out "
        "the logit of the true class among the pixels: its gradient, in the mean over the way from an empty image to "
        "this one, times what the pixel is worth. Red speaks for the class, blue against it, and all together come to "
        f"the rise of the logit. Shown are up to {SHOWN} images that the model is surest of, as many that it is least "
        f"sure of, and its surest mistakes; the numbers rest on up to {count} of each kind.",
        figures=[figure(subject, {kind: images[:SHOWN] for kind, images in kinds.items() if images})],
        metrics=list(metrics(found)),
        conclusions=list(conclusions(found)),
    )


def maps_of(subject: Subject, images: Sequence[int]) -> Maps:
    """Map images of the dataset, and measure the maps."""
    result = subject.ask("saliency", images, method="integrated", signed=True, path_steps=PATH_STEPS).result
    rise, gap = (
        np.array([row[name] for row in result.rows], np.float64) for name in ("logit_rise", "completeness_gap")
    )
    return Maps(*measured(result.arrays["map"]), rise, gap)


def measured(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which part of maps [N, H, W] is negative, and which part of their pixels holds half of them, each [N]."""
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    sizes = np.sort(np.abs(flat), axis=1)[:, ::-1]
    whole = sizes.sum(axis=1)
    against = np.divide(-np.minimum(flat, 0).sum(axis=1), whole, out=np.full(len(flat), np.nan), where=whole > 0)
    pixels = 1 + (np.cumsum(sizes, axis=1) < whole[:, None] / 2).sum(axis=1)
    return against, np.where(whole > 0, pixels / flat.shape[1], np.nan)


def figure(subject: Subject, kinds: Mapping[str, Sequence[int]]) -> Figure:
    """Draw each image beside its map, a row for each kind."""
    indices = [index for images in kinds.values() for index in images]
    answer = subject.ask("saliency", indices, method="integrated", signed=True, path_steps=PATH_STEPS)
    maps, inputs, names = answer.result.arrays["map"], subject.inputs(indices), subject.class_names
    said = readings(subject, indices)
    limit = float(np.quantile(np.abs(maps), STRONGEST)) or 1.0
    tiles: list[Picture | None] = []
    for images in kinds.values():
        for place in range(sum(each is not None for each in tiles) // 2, len(indices))[: len(images)]:
            true, words = names[inputs.labels[place]], said[place]
            tiles += [
                Picture.of_image(inputs.images[place], inputs.bounds, words, image=place),
                Picture(
                    values=maps[place],
                    title=f"for {true}",
                    scale="diverging",
                    limits=(-limit, limit),
                    unit="logits",
                    outline=inputs.unit_image(place),
                    image=place,
                ),
            ]
        tiles += [None] * (2 * (SHOWN - len(images)))
    drawing = Tiles(tiles=tuple(tiles), columns=2 * SHOWN, rows=tuple(kinds), size=1.3)
    words = "Images with what they are read as, and integrated gradients for the true class: red for, blue against it."
    return answer.figure(drawing=drawing, caption=words)


def readings(subject: Subject, indices: Sequence[int]) -> list[str]:
    """Say of images of the dataset what they are read as, and how surely."""
    arrays, names = subject.evaluation.result.arrays, subject.class_names
    places = {int(index): place for place, index in enumerate(arrays["index"])}
    told = []
    for index in indices:
        place = places[index]
        label, predicted = arrays["label"][place], arrays["predicted"][place]
        sure = percent(float(arrays["confidence"][place]))
        told.append(
            f"{names[label]} ({sure})" if label == predicted else f"{names[label]}, said {names[predicted]} ({sure})"
        )
    return told


def metrics(found: Mapping[str, Maps]) -> Iterator[Metric]:
    """Return the means of each kind of images, and how far the attributions miss what they add up to."""
    for kind, maps in found.items():
        yield Metric.mean(
            f"against the class, {kind}",
            maps.against,
            "share of the attributions, by size, that speak against the true class, mean over the images",
        )
    for kind, maps in found.items():
        yield Metric.mean(
            f"spread, {kind}",
            maps.spread,
            "share of the pixels that holds half of the attributions, mean over the images",
        )
    missed = missing(found)
    yield Metric(
        name="completeness gap",
        value=missed,
        meaning="distance of the sum of the attributions from the rise of the logit, by that rise; means over the "
        "images",
        of=sum(len(maps.gap) for maps in found.values()),
    )


def missing(found: Mapping[str, Maps]) -> float | None:
    """Return by which part the attributions miss the rise of the logit; None where it does not rise."""
    gap, rise = (np.concatenate([getattr(maps, name) for maps in found.values()]) for name in ("gap", "rise"))
    whole = float(np.abs(rise).mean())
    return float(gap.mean()) / whole if whole else None


def conclusions(found: Mapping[str, Maps]) -> Iterator[Conclusion]:
    """Say whether the maps are complete, and whether they show where the model is wrong, or else unsure.

    Args:
        found: What the maps of each kind of images say; a kind without images is not there.
    """
    yield _complete(missing(found))
    doubtful = MISREAD if MISREAD in found else UNCERTAIN
    sure, other = found[CERTAIN], found[doubtful]
    words = "more of what the map shows speaks against the true class than in one that the model is sure of"
    yield _told(larger_interval(sure.against, other.against), doubtful, words)
    words = "the map is spread over more pixels than in one that the model is sure of"
    yield _told(larger_interval(sure.spread, other.spread), doubtful, words)


def _complete(missed: float | None) -> Conclusion:
    rule = (
        f"The paper asks for no more than {percent(INCOMPLETE, 0)}; with more, {PATH_STEPS} points of the path are too "
        "few for this model, and the maps are not to be read."
    )
    if missed is None:
        says = "The attributions add up to nothing, for the logit does not change from an empty image to these."
        return Conclusion(says=says, holds=None, rule=rule)
    return Conclusion(
        says=f"The attributions miss the rise of the logit, which they are to add up to, by {percent(missed, 2)} of "
        "it.",
        holds=missed <= INCOMPLETE,
        rule=rule,
    )


def _told(pairs: tuple[float, float, float] | None, kind: str, words: str) -> Conclusion:
    image = "a misread image" if kind == MISREAD else "an image that the model is least sure of"
    rule = (
        f"The map tells such images apart where the 95% interval of that probability lies above "
        f"{percent(TELLS_APART, 0)} "
        "(acceptable, by Hosmer and Lemeshow, 2000), and does not where it lies below; 50% would be chance."
    )
    if pairs is None:
        return Conclusion(says=f"There are no maps to tell {image} by.", holds=None, rule=rule)
    value, low, high = pairs
    return Conclusion(
        says=f"In {image}, {words}, with a probability of {percent(value)} ({percent(low)} to {percent(high)}).",
        holds=True if low > TELLS_APART else False if high < TELLS_APART else None,
        rule=rule,
    )
