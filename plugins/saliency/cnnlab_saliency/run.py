"""The analysis: a map for every image and, with ``--sanity``, how far each can be believed."""

from __future__ import annotations

import functools

import numpy as np

from cnnlab.plugin import At, Classifier, Context, Inputs, Picture, Result, explained, percent, run_map_test
from cnnlab_saliency import OF_A_LAYER, SaliencyParams
from cnnlab_saliency.cams import cam, feature_layer, resized
from cnnlab_saliency.gradients import gradient, strongest

WORDS = {
    "vanilla": "gradient",
    "smoothgrad": "SmoothGrad",
    "gradcam": "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "scorecam": "Score-CAM",
}


def run(classifier: Classifier, inputs: Inputs, params: SaliencyParams, context: Context) -> Result:
    """Explain each image and, where that is asked for, put the explanations to the test."""
    ask = functools.partial(explain, params)
    arrays = context.gather(
        inputs, lambda images, labels: {"target": classifier.own_class(images, labels, params.class_)}, "classes"
    )
    arrays["map"] = explained(ask, classifier, inputs, arrays["target"], context)
    name = WORDS[params.method]
    if params.method in OF_A_LAYER:
        name = f"{name} of {feature_layer(classifier, params.layer)}"
    test = run_map_test(ask, classifier, inputs, params, context, arrays, name=name, signed=params.signed)
    classes = [classifier.class_names[label] for label in arrays["target"]]
    best = arrays["map"].reshape(len(inputs), -1).argmax(axis=1)
    rows, cols = np.unravel_index(best, arrays["map"].shape[1:])
    return Result(
        headline=headline(name, arrays["map"]),
        arrays=arrays | test.arrays,
        metrics=test.metrics,
        columns={"class": classes, "at_row": rows, "at_col": cols, **test.columns},
        show=functools.partial(show, inputs, params, classes),
        title=name[0].upper() + name[1:],
        drawings=test.drawings,
    )


def headline(name: str, maps: np.ndarray) -> str:
    """Say how few pixels hold half of the maps [N, H, W], in the mean over those that are not flat."""
    sizes = np.sort(np.abs(maps.reshape(len(maps), -1)).astype(np.float64), axis=1)[:, ::-1]
    sizes = sizes[sizes[:, 0] > 0]
    if not len(sizes):
        return f"The {name} is zero everywhere"
    pixels = 1 + (np.cumsum(sizes, axis=1) < sizes.sum(axis=1, keepdims=True) / 2).sum(axis=1)
    where = "" if len(maps) == 1 else ", mean over the images"
    return f"Half of the {name} lies on {percent(float(pixels.mean()) / sizes.shape[1])} of the pixels{where}"


def explain(
    params: SaliencyParams, classifier: Classifier, images: np.ndarray, targets: np.ndarray, seed: int
) -> np.ndarray:
    """Map what each image's class rests on, by the method that the parameters name.

    Args:
        params: The method, and what it needs to know.
        classifier: The model.
        images: [n, H, W, C].
        targets: The class that each is explained for, int64 [n].
        seed: Of SmoothGrad's noise.

    Returns:
        float32 [n, H, W], at least 0 unless ``params.signed``.

    Raises:
        CnnlabError: The method follows gradients, and nothing differentiable leads to the logits.
        UsageError: The method weighs feature maps, and no layer has any.
    """
    if params.method in OF_A_LAYER:
        planes = cam(classifier, images, targets, params.method, feature_layer(classifier, params.layer))
        return resized(planes if params.signed else np.maximum(planes, 0), images.shape[1:3])
    samples = params.samples if params.method == "smoothgrad" else 0
    planes = strongest(gradient(classifier, images, targets, seed, samples=samples, noise=params.noise))
    return planes if params.signed else np.abs(planes)


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
