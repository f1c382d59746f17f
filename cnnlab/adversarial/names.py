"""What an adversarial result holds, by name: declarations that plugins spread into their own. Cheap to import.

``Analysis(arrays={**ADVERSARIAL_ARRAYS, ...}, metrics={**ADVERSARIAL_METRICS, ...})`` declares what
:func:`cnnlab.adversarial.measure.measure` gives.
"""

from __future__ import annotations

from cnnlab.pluginhost.declarations import Array

EACH, BY_STRENGTH = ("N",), ("E?", "N")

ADVERSARIAL_ARRAYS: dict[str, Array] = {
    "original": Array("the images before the attack, in the model's value range", axes=("N", "H", "W", "C")),
    "adversarial": Array("the images after it, in the model's value range", axes=("E?", "N", "H", "W", "C")),
    "label": Array("the true label of each image, -1 where unknown", axes=EACH),
    "target": Array("the label that each image was to be given", axes=("...", "N")),
    "label_before": Array("the label predicted for each original", axes=EACH),
    "label_after": Array("the label predicted for each adversarial image", axes=BY_STRENGTH),
    "confidence_before": Array(
        "softmax probability of label_before, the class that the original is read as", axes=EACH
    ),
    "confidence_after": Array(
        "softmax probability of label_after, the class that the adversarial image is read as", axes=BY_STRENGTH
    ),
    "linf": Array(
        "largest absolute change of a pixel value, in the units of the model's value range", axes=BY_STRENGTH
    ),
    "l2": Array("Euclidean length of the change, in the units of the model's value range", axes=BY_STRENGTH),
    "label_after_8bit": Array("the label predicted once the adversarial image is rounded to 8 bits", axes=BY_STRENGTH),
    "confidence_after_8bit": Array("softmax probability of label_after_8bit", axes=BY_STRENGTH),
    "counted": Array(
        "whether the image takes part in success rates: read correctly before, or, with a target, neither labelled nor "
        "read as the target before",
        axes=("...", "N"),
    ),
    "success": Array(
        "whether a counted image is read wrongly after the attack, or, with a target, as the target", axes=BY_STRENGTH
    ),
    "success_8bit": Array("the same once the adversarial image is rounded to 8 bits", axes=BY_STRENGTH),
}
"""The arrays that :func:`~cnnlab.plugin.measure` gives, for ``Analysis.arrays``.

An attack without targets leaves ``target`` out and says so: ``sometimes=("target",)``.

Example:
    >>> from cnnlab.plugin import Array
    >>> arrays = {**ADVERSARIAL_ARRAYS, "steps": Array("steps taken to the goal", axes=("E?", "N"))}
    >>> arrays["adversarial"].shape
    '[(E,) N, H, W, C]'
"""

COMMON_METRICS: dict[str, str] = {
    "images": "how many images were attacked",
    "misread_before": "share of the images with a known label that the model misreads without an attack",
    "accuracy_before": "share of the images with a known label that the model reads correctly without an attack",
}

SINGLE_METRICS: dict[str, str] = {
    "accuracy_after": "share of the images with a known label that the model reads correctly before and after",
    "success": "share of the counted images on which the attack succeeds",
    "success_8bit": "share of the counted images on which it still succeeds after rounding to 8 bits",
    "confidence_after": "probability of the class that the image is read as after the attack, mean over the images",
    "linf": "largest absolute change of a pixel value, mean over the images",
    "l2": "Euclidean length of the change, mean over the images",
}
"""The metrics among :data:`ADVERSARIAL_METRICS` of an attack at one strength.

With several, each is there once for every strength, ``success@0.1``, and ``accuracy_after`` as ``accuracy@0.1``; what
``success`` means need not be declared again.

Example:
    >>> list(SINGLE_METRICS)[:2]
    ['accuracy_after', 'success']
"""

ADVERSARIAL_METRICS: dict[str, str] = {
    **COMMON_METRICS,
    **SINGLE_METRICS,
    "accuracy@<strength>": SINGLE_METRICS["accuracy_after"],
}
"""The metrics that :func:`~cnnlab.plugin.measure` gives, for ``Analysis.metrics``.

``accuracy_after`` is that of one strength and ``accuracy@<strength>`` that of several: name the one that the defaults
do not bring forth in ``Analysis.sometimes``.

Example:
    >>> metrics = {**ADVERSARIAL_METRICS, "steps": "steps taken to the goal, mean over the images"}
    >>> metrics["accuracy_before"]
    'share of the images with a known label that the model reads correctly without an attack'
"""
