"""What an adversarial result holds, by name: declarations that plugins spread into their own. Imports nothing.

``Analysis(arrays={**ADVERSARIAL_ARRAYS, ...}, metrics={**ADVERSARIAL_METRICS, ...})`` declares what
:func:`cnnlab.analysis.adversarial.measure` gives. [(E,)N] stands for [E, N] where several strengths were asked for, and
for [N] otherwise.
"""

from __future__ import annotations

ADVERSARIAL_ARRAYS: dict[str, str] = {
    "original": "the images before the attack, in the model's value range, [N, H, W, C]",
    "adversarial": "the images after it, in the model's value range, [(E,)N, H, W, C]",
    "label": "the true label of each image, -1 where unknown, [N]",
    "target": "the label that each image was to be given, [(E,)N]",
    "label_before": "the label predicted for each original, [N]",
    "label_after": "the label predicted for each adversarial image, [(E,)N]",
    "confidence_before": "softmax probability of label_before, [N]",
    "confidence_after": "softmax probability of label_after, [(E,)N]",
    "linf": "largest absolute change of a pixel value, in the units of the model's value range, [(E,)N]",
    "l2": "Euclidean length of the change, in the units of the model's value range, [(E,)N]",
    "label_after_8bit": "the label predicted once the adversarial image is rounded to 8 bits, [(E,)N]",
    "confidence_after_8bit": "softmax probability of label_after_8bit, [(E,)N]",
    "counted": "whether the image takes part in success rates: read correctly before, or, with a target, neither "
    "labelled nor read as the target before, [N] or [E, N]",
    "success": "whether a counted image is read wrongly after the attack, or, with a target, as the target, [(E,)N]",
    "success_8bit": "the same once the adversarial image is rounded to 8 bits, [(E,)N]",
}

COMMON_METRICS: dict[str, str] = {
    "images": "how many images were attacked",
    "misread_before": "share of the images with a known label that the model misreads without an attack",
    "accuracy_before": "share of the images with a known label that the model reads correctly without an attack",
}

SINGLE_METRICS: dict[str, str] = {
    "accuracy_after": "share of the images with a known label that the model reads correctly before and after",
    "success": "share of the counted images on which the attack succeeds",
    "success_8bit": "share of the counted images on which it still succeeds after rounding to 8 bits",
    "confidence_after": "softmax probability of the label after the attack, mean over the images",
    "linf": "largest absolute change of a pixel value, mean over the images",
    "l2": "Euclidean length of the change, mean over the images",
}
"""What there is without an axis of strengths."""

STRENGTH_METRICS: dict[str, str] = {
    "accuracy@<strength>": f"{SINGLE_METRICS['accuracy_after']}, at one strength",
    **{
        f"{name}@<strength>": f"{SINGLE_METRICS[name]}, at one strength"
        for name in ("success", "success_8bit", "confidence_after", "linf", "l2")
    },
}
"""What there is with one: the strength, as ``%g``, stands behind the @."""

ADVERSARIAL_METRICS: dict[str, str] = {**COMMON_METRICS, **SINGLE_METRICS, **STRENGTH_METRICS}
