"""The maps themselves, one method at a time, and what a sentence can say of them."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from cnnlab.plugin import Classifier, Context, Inputs, explained, percent
from cnnlab_saliency import OF_A_LAYER, SaliencyParams
from cnnlab_saliency.cams import cam, feature_layer, resized
from cnnlab_saliency.gradients import gradient, smoothgrad, strongest
from cnnlab_saliency.path import integrated_gradients, logit_rise

WORDS = {
    "vanilla": "gradient",
    "smoothgrad": "SmoothGrad",
    "integrated": "integrated gradients",
    "gradcam": "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "scorecam": "Score-CAM",
}

INCOMPLETE = 0.05
"""The gap, as a part of the logit's rise, above which the user is warned: the paper asks for no more than 5%."""


def mapped(
    params: SaliencyParams, classifier: Classifier, inputs: Inputs, targets: np.ndarray, context: Context
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Map each image's class by one method, and tell of integrated gradients how complete they are.

    Args:
        params: The method, and what it needs to know.
        classifier: The model.
        inputs: The images, N of them.
        targets: The class that each is explained for, int64 [N].
        context: What the host lends the analysis.

    Returns:
        The maps, float32 [N, H, W]; and, of integrated gradients, the columns ``logit_rise`` and ``completeness_gap``,
        each [N]; none for others.
    """
    words = WORDS[params.method]
    if params.method != "integrated":
        return explained(functools.partial(explain, params), classifier, inputs, targets, context, words), {}
    # Attributions add up only with their signs.
    ask = functools.partial(explain, replace(params, signed=True))
    maps = explained(ask, classifier, inputs, targets, context, words)
    rise = context.in_blocks(
        len(inputs),
        lambda first, last: {
            "rise": logit_rise(classifier, inputs.span(first, last)[0], targets[first:last], params.baseline)
        },
    )["rise"]
    gap = np.abs(maps.sum(axis=(1, 2), dtype=np.float64) - rise)
    missed, whole = float(gap.mean()), float(np.abs(rise).mean())
    if missed > INCOMPLETE * whole:
        of_it = f", {percent(missed / whole)} of it" if whole else ""
        where = "" if len(inputs) == 1 else ", mean over the images"
        context.warn(
            "the integrated gradients miss what they should add up to, the rise of the logit from the baseline to the "
            f"image, by {missed:.3g}{of_it}{where}; more `path_steps=` than {params.path_steps} bring them nearer."
        )
    return maps if params.signed else np.abs(maps), {"logit_rise": rise, "completeness_gap": gap}


def explain(
    params: SaliencyParams, classifier: Classifier, images: np.ndarray, targets: np.ndarray, seed: int
) -> np.ndarray:
    """Map what each image's class rests on, by the method that the parameters name.

    Args:
        params: The method, one alone, and what it needs to know.
        classifier: The model.
        images: [n, H, W, C].
        targets: The class that each is explained for, int64 [n].
        seed: Of SmoothGrad's noise.

    Returns:
        [n, H, W], at least 0 unless ``params.signed``.

    Raises:
        CnnlabError: The method follows gradients, and nothing differentiable leads to the logits.
        UsageError: The method weighs feature maps, and no layer has any.
    """
    if params.method in OF_A_LAYER:
        planes = cam(classifier, images, targets, params.method, feature_layer(classifier, params.layer))
        return resized(planes if params.signed else np.maximum(planes, 0), images.shape[1:3])
    if params.method == "integrated":
        whole = integrated_gradients(classifier, images, targets, steps=params.path_steps, baseline=params.baseline)
        planes = whole.sum(axis=-1)
    elif params.method == "smoothgrad":
        mean = smoothgrad(classifier, images, targets, seed, samples=params.samples, noise=params.noise)
        planes = strongest(mean)
    else:
        planes = strongest(gradient(classifier, images, targets))
    return planes if params.signed else np.abs(planes)


def name_of(params: SaliencyParams, classifier: Classifier) -> str:
    """Return what a sentence calls the maps: ``Grad-CAM of conv2``."""
    name = WORDS[params.method]
    return f"{name} of {feature_layer(classifier, params.layer)}" if params.method in OF_A_LAYER else name


def headline(params: SaliencyParams, name: str, maps: np.ndarray) -> str:
    """Say how few pixels hold half of the maps [N, H, W], in the mean over those that are not flat."""
    several = params.method == "integrated"
    sizes = np.sort(np.abs(maps.reshape(len(maps), -1)).astype(np.float64), axis=1)[:, ::-1]
    sizes = sizes[sizes[:, 0] > 0]
    if not len(sizes):
        return f"The {name} {'are' if several else 'is'} zero everywhere"
    pixels = 1 + (np.cumsum(sizes, axis=1) < sizes.sum(axis=1, keepdims=True) / 2).sum(axis=1)
    where = "" if len(maps) == 1 else ", mean over the images"
    share = percent(float(pixels.mean()) / sizes.shape[1])
    return f"Half of the {name} {'lie' if several else 'lies'} on {share} of the pixels{where}"
