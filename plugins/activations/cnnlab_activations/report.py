"""The section on activations: what the first and the last convolution make of images, and how much of them is left."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from cnnlab.plugin import Answer, Chapter, Classifier, CnnlabError, Conclusion, Metric, Subject, known_mean, percent

COUNTED = 100
"""Images that are counted over: that a map is zero in a few says little."""

SHOWN = 3
"""Images whose maps are drawn, of different classes."""

MOST = 32
"""Maps of a layer that are drawn."""

VISIBLE = math.sqrt(0.5)
"""|correlation| from which an image is called visible in a map: as much of its variance lies there as does not."""

DEAD = 0.1
"""The share of a layer's maps above which it has many dead ones: a narrower layer would give the same."""


def write(subject: Subject) -> Chapter:
    """Show the maps of the first and of the last convolution for a few images, and measure them over more."""
    layers = ends(subject.classifier)
    shown = subject.ask("activations", subject.one_per_class(SHOWN), layer=layers, most=MOST)
    indices = subject.first(COUNTED)
    answer = subject.ask("activations", indices, layer=layers, keep=1, most=MOST)
    strongest = {name: strongest_map(answer.result.arrays, name) for name in layers}
    return Chapter(
        says=f"The output of {' and of '.join(layers)}, {len(layers)} of the model's layers: a map for each filter, "
        "bright where it answers. Whether the image can be seen in a map is told by their correlation over the places "
        f"of the map; a map that is zero everywhere in all of {len(indices)} images is dead.",
        figures=[shown.figure(name, f"Maps of {name} for images of different classes.") for name in layers],
        metrics=[metric for name in layers for metric in metrics(answer, name, len(indices))],
        conclusions=list(conclusions(strongest, {name: dead_maps(answer, name) for name in layers})),
    )


def ends(classifier: Classifier) -> tuple[str, ...]:
    """Name the first and the last convolution, which may be one.

    Raises:
        CnnlabError: There is none.
    """
    names = [layer.name for layer in classifier.layers if layer.convolutional]
    if not names:
        raise CnnlabError("the model has no convolution, and the maps of convolutions are shown here.")
    return tuple(dict.fromkeys((names[0], names[-1])))


def strongest_map(arrays: Mapping[str, np.ndarray], layer: str) -> np.ndarray:
    """Return how well each image is seen in the map that shows it best, |correlation|, [N]; 0 where all are flat."""
    return np.nan_to_num(np.abs(arrays[f"correlation/{layer}"])).max(axis=1)


def dead_maps(answer: Answer, layer: str) -> tuple[int, int]:
    """Return how many maps of a layer are dead, and of how many."""
    zeros = answer.result.arrays[f"zeros/{layer}"]
    return int((zeros == 1).sum()), len(zeros)


def metrics(answer: Answer, layer: str, images: int) -> Iterator[Metric]:
    """Return what was measured of a layer."""
    arrays = answer.result.arrays
    best = strongest_map(arrays, layer)
    typical = np.array([known_mean(each) for each in np.abs(arrays[f"correlation/{layer}"])])
    meaning = "largest |correlation| of a map with the image, mean over the images"
    yield Metric.mean(f"best map of {layer}", best, meaning)
    yield Metric.mean(f"typical map of {layer}", typical, "|correlation| of a map with the image, mean over the images")
    yield answer.metric(f"zeros/{layer}", f"zeros in {layer}")
    yield answer.metric(f"dead/{layer}", f"dead maps of {layer}", of=images)


def conclusions(strongest: Mapping[str, np.ndarray], dead: Mapping[str, tuple[int, int]]) -> Iterator[Conclusion]:
    """Say whether the image is seen in the first layer, no more in the last, and whether maps are dead.

    Args:
        strongest: Of each layer, the first and the last, what :func:`strongest_map` says.
        dead: Of each layer, how many maps are dead, and of how many.
    """
    first, *last = strongest
    yield Conclusion.on_most(
        strongest[first] > VISIBLE,
        f"visible in a map of {first}",
        "The claim is the course report's: the image is very visible in the first layer. It is visible in a map whose "
        f"|correlation| with it exceeds {VISIBLE:.2f}, so that they share half of their variance.",
    )
    for name in last:
        yield Conclusion.on_most(
            strongest[name] <= VISIBLE,
            f"no longer visible in any map of {name}",
            "The claim is the course report's: deeper layers show more than the image and its edges. Then no map of "
            "the last is like the image, where random weights, as before training, still let it be seen.",
        )
    yield conclusion_on_dead(dead)


def conclusion_on_dead(dead: Mapping[str, tuple[int, int]]) -> Conclusion:
    """Say whether a layer has many dead maps."""
    worst = max(dead, key=lambda name: dead[name][0] / dead[name][1])
    count, total = dead[worst]
    return Conclusion(
        says=f"{count} of the {total} maps of {worst} ({percent(count / total)}) "
        f"{'is' if count == 1 else 'are'} zero everywhere in all images.",
        holds=count / total <= DEAD,
        rule=f"A layer has many dead maps where they are more than {percent(DEAD, 0)} of its maps. That a map is zero "
        "for the images shown does not prove that it is for all.",
    )
