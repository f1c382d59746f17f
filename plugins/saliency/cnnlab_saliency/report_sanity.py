"""What a report says of maps themselves: do they depend on what was learned, and name the pixels that count?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnlab.plugin import (
    Answer,
    Chapter,
    CnnlabError,
    Conclusion,
    Curves,
    Line,
    Metric,
    Subject,
    Table,
    known_mean,
    out_of,
    percent,
    wilson_interval,
)

MOST_IMAGES, FEWEST_IMAGES, WORK = 16, 5, 1e9
"""How many images are looked at, and the multiply-adds for one pass over them that bring this number down."""

HEAVY = 1e8
"""The multiply-adds of a pass from which on only those maps are tested that other sections show: each test takes the
model apart once for every layer."""

PATH_STEPS = 16
"""Points of the path of integrated gradients: the order of pixels needs fewer than their sum does."""

STEPS = 14
"""Steps of the deletion and insertion curves."""

UNLIKE = 0.5
"""The rank correlation below which a map is no longer like the model's own: less than a quarter of the ranks' variance
is shared."""

MOST = 0.5
"""The share of images that are most."""


@dataclass(frozen=True)
class Tested:
    """What the tests found of one kind of maps.

    Attributes:
        answer: All of it.
        kept: Rank correlation of each map with the one once all weights are shuffled, [N]; NaN where the own is flat.
        deleted: Area under the curve of deletion in the map's order less that in a random order, [N].
        inserted: The same for insertion.
    """

    answer: Answer
    kept: np.ndarray
    deleted: np.ndarray
    inserted: np.ndarray

    @classmethod
    def of(cls, answer: Answer) -> Tested:
        """Read an analysis' answer."""
        arrays = answer.result.arrays
        count = len(arrays["deletion"])
        likeness = arrays["sanity_similarity"]
        areas = {
            name: np.trapezoid(arrays[name].astype(np.float64), arrays["fraction"], axis=1)
            for name in ("deletion", "insertion", "deletion_random", "insertion_random")
        }
        return cls(
            answer,
            likeness[-1] if len(likeness) else np.ones(count),  # without weights, nothing is forgotten
            areas["deletion"] - areas["deletion_random"],
            areas["insertion"] - areas["insertion_random"],
        )

    @property
    def forgets(self) -> np.ndarray:
        """Which maps are no longer like the own once all weights are shuffled, bool, of those that are not flat."""
        return self.kept[np.isfinite(self.kept)] < UNLIKE

    @property
    def counts(self) -> np.ndarray:
        """Whose order lowers the score faster, and raises it faster, than a random one, bool; flat ones have none."""
        return ((self.deleted < 0) & (self.inserted > 0))[np.isfinite(self.kept)]


def write(subject: Subject) -> Chapter:
    """Put the maps of several methods to the test."""
    tested, refused = test(subject)
    count = len(next(iter(tested.values())).deleted)
    layers = next(iter(tested.values())).answer.result.arrays["sanity_layers"]
    figures = []
    if len(layers):
        words = "Rank correlation of the maps with the model's own while weights are shuffled from the top down."
        figures.append(next(iter(tested.values())).answer.figure(caption=words, drawing=draw(tested)))
    return Chapter(
        says=[
            f"Two tests of maps such as other sections show, on {count} images. First, the weights of the model are "
            "shuffled, layer by layer from the top: a map that stays the same shows the image, and not what was "
            "learned "
            "(Adebayo et al., Sanity Checks for Saliency Maps, 2018). Second, pixels are deleted, and inserted into a "
            "blurred image, in the order that the map names them: the probability of the class should fall, and rise, "
            "faster than in a random order (Petsiuk, Das and Saenko, RISE, 2018).",
            *(f"Left out is {name}: {reason}" for name, reason in refused.items()),
        ],
        figures=figures,
        tables=[table(tested)],
        metrics=list(metrics(tested)),
        conclusions=[conclusion(name, each.forgets, each.counts) for name, each in tested.items()],
    )


def test(subject: Subject) -> tuple[dict[str, Tested], dict[str, str]]:
    """Ask each method for its maps and their tests.

    Returns:
        What was found, by the method's name; and why each method that was refused was refused.

    Raises:
        CnnlabError: All were refused.
    """
    images = chosen(subject, subject.affordable(MOST_IMAGES, least=FEWEST_IMAGES, work=WORK))
    side = min(subject.inputs(images[:1]).shape[:2])
    patch = max(1, side // 7)
    stride = patch if subject.multiply_adds >= HEAVY else max(1, patch // 2)
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "integrated gradients": ("saliency", {"method": "integrated", "signed": True, "path_steps": PATH_STEPS}),
        "occlusion": ("occlusion", {"patch": patch, "stride": stride}),
    }
    if subject.multiply_adds < HEAVY:
        asked |= {"the gradient": ("saliency", {"method": "vanilla"}), "Grad-CAM": ("saliency", {"method": "gradcam"})}
    tested: dict[str, Tested] = {}
    refused: dict[str, str] = {}
    for name, (analysis, params) in asked.items():
        try:
            tested[name] = Tested.of(subject.ask(analysis, images, sanity=True, steps=STEPS, **params))
        except CnnlabError as error:
            refused[name] = str(error)
    if not tested:
        raise CnnlabError(f"no method of making maps applies to this model. {next(iter(refused.values()))}")
    return tested, refused


def chosen(subject: Subject, count: int) -> list[int]:
    """Choose images: one of each class, and then the first ones."""
    return list(dict.fromkeys([*subject.one_per_class(count), *subject.first(2 * count)]))[:count]


def draw(tested: Mapping[str, Tested]) -> Curves:
    """Draw the rank correlation of each method against the layers that are shuffled."""
    first = next(iter(tested.values())).answer.result.arrays
    names = tuple(map(str, first["sanity_layers"]))
    left = {
        name: np.array([1.0, *map(known_mean, each.answer.result.arrays["sanity_similarity"])])
        for name, each in tested.items()
    }
    lowest = min(float(np.nanmin(values)) for values in left.values())
    return Curves(
        lines=tuple(Line(name=name, x=np.arange(len(names) + 1), y=values) for name, values in left.items()),
        x_label="weights shuffled from the top down to this layer",
        y_label="rank correlation with the own map",
        title=f"What is left of the maps when the model forgets, mean of {len(first['deletion']):,} images",
        ticks=("none", *names),
        horizontal={"unlike below": UNLIKE},
        y_limits=(min(-0.1, lowest - 0.05), 1.05),
    )


def table(tested: Mapping[str, Tested]) -> Table:
    """Return a row for each method: areas under its curves beside those of a random order."""
    heads = ("maps", "deletion", "random deletion", "insertion", "random insertion")
    names = ("deletion_area", "deletion_random_area", "insertion_area", "insertion_random_area")
    rows = [(method, *(each.answer.result.metrics[name] for name in names)) for method, each in tested.items()]
    title = "Area under the probability while pixels are deleted (small is good) and inserted (large is good)"
    return Table(heads, rows, title=title)


def metrics(tested: Mapping[str, Tested]) -> Iterator[Metric]:
    """Return what is left of the maps of each method, and on how many images they name the pixels that count."""
    for name, each in tested.items():
        yield Metric.mean(
            f"{name}: kept without weights",
            each.kept,
            "Spearman rank correlation with the map once all weights are shuffled, mean over the images",
        )
        meaning = "share of the images whose pixels count more in the map's order, deleted and inserted, than at random"
        yield Metric.share(f"{name}: better than at random", int(each.counts.sum()), len(each.counts), meaning)


def conclusion(name: str, forgets: np.ndarray, counts: np.ndarray) -> Conclusion:
    """Say whether the maps of a method pass, of this model.

    Args:
        name: The method.
        forgets: Whether each map is no longer like the model's own once all weights are shuffled, bool [N].
        counts: Whether each names pixels that count more than random ones, bool [N].
    """
    verdicts = [most(forgets), most(counts)]
    holds = False if False in verdicts else None if None in verdicts else True
    words = {
        True: "pass both tests",
        False: "fail a test",
        None: "may or may not pass the tests, so few images do not tell",
    }
    return Conclusion(
        says=f"Of this model, the maps of {name} {words[holds]}: {told(forgets)} change with the weights, and "
        f"{told(counts)} name pixels that count more than random ones.",
        holds=holds,
        rule="Maps pass where both are so of most images: by the 95% interval of the share, which must lie above "
        f"{percent(MOST, 0)}; where one lies below, they fail. A map changes where its rank correlation with "
        f"the one of the shuffled model is below {UNLIKE:g}.",
    )


def most(holds: np.ndarray) -> bool | None:
    """Say whether most images are so, by the interval of their share; None where that is open."""
    if not len(holds):
        return None
    low, high = wilson_interval(float(holds.mean()), len(holds))
    return True if low > MOST else False if high < MOST else None


def told(holds: np.ndarray) -> str:
    """Say how many images are so, with the interval of the share."""
    if not len(holds):
        return "none (all are flat)"
    low, high = wilson_interval(float(holds.mean()), len(holds))
    return f"{out_of(int(holds.sum()), len(holds))} ({percent(float(low))} to {percent(float(high))})"
