"""The analysis: a map for every image and, with ``--sanity``, how far each can be believed."""

from __future__ import annotations

import functools

import numpy as np

from cnnlab.plugin import At, Classifier, Context, Inputs, MapTest, Picture, Result, known_mean, run_map_test
from cnnlab_saliency import SaliencyParams, side_by_side
from cnnlab_saliency.maps import WORDS, explain, headline, mapped, name_of
from cnnlab_saliency.path import check_baseline
from cnnlab_saliency.side_by_side import all_methods


def run(classifier: Classifier, inputs: Inputs, params: SaliencyParams, context: Context) -> Result:
    """Explain each image, by one method or by all, and put the explanations to the test where that is asked for."""
    if params.method in ("integrated", "all"):
        check_baseline(params.baseline, classifier.bounds)
    targets = context.gather(
        inputs, lambda images, labels: {"target": classifier.own_class(images, labels, params.target)}, "classes"
    )["target"]
    answer = all_methods if params.method == "all" else one_method
    return answer(classifier, inputs, params, context, targets)


def one_method(
    classifier: Classifier, inputs: Inputs, params: SaliencyParams, context: Context, targets: np.ndarray
) -> Result:
    """Explain each image for its class, ``targets`` [N], by the method that the parameters name, and test the maps."""
    maps, told = mapped(params, classifier, inputs, targets, context)
    arrays, name = {"target": targets, "map": maps, **told}, name_of(params, classifier)
    ask = functools.partial(explain, params)
    test = run_map_test(ask, classifier, inputs, params, context, arrays, name=name, signed=params.signed)
    classes = [classifier.class_names[label] for label in targets]
    return Result(
        arrays=arrays | dict(test.arrays),
        show=functools.partial(show, inputs, params, classes),
        title=name[0].upper() + name[1:],
        drawings=test.drawings,
    )


def sum_up(classifier: Classifier, result: Result, params: SaliencyParams) -> Result:
    """Say where each map is largest, and how far maps agree or can be believed."""
    arrays, test = result.arrays, MapTest(arrays=result.arrays)
    classes = [classifier.class_names[label] for label in arrays["target"]]
    told = {name: arrays[name] for name in ("logit_rise", "completeness_gap") if name in arrays}
    if params.method == "all":
        words, peaks, told["agreement"] = side_by_side.sum_up(classifier, params, arrays)
    else:
        maps = arrays["map"]
        words = headline(params, name_of(params, classifier), maps)
        rows, cols = np.unravel_index(maps.reshape(len(maps), -1).argmax(axis=1), maps.shape[1:])
        peaks = {"at_row": rows, "at_col": cols}
    return Result(
        headline=words,
        metrics={**{name: known_mean(values) for name, values in told.items()}, **test.metrics},
        columns={"class": classes, **peaks, **told, **test.columns},
    )


def show(inputs: Inputs, params: SaliencyParams, classes: list[str], index: int) -> list[Picture]:
    """The image, and its map over it."""
    return [
        inputs.picture(index),
        Picture(
            values=At("map", index),
            title=f"{WORDS[params.method]} for {classes[index]}",
            scale="diverging" if params.signed else "sequential",
            outline=inputs.unit_image(index),
        ),
    ]
