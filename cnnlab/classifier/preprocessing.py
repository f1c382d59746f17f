"""From images as cnnlab has them, NHWC in one value range, to what a graph takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from cnnlab.classifier.hints import About

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of ImageNet's training images in [0, 1]: red, green, blue."""

CAFFE_MEAN = (103.939, 116.779, 123.68)
"""Of ImageNet's training images in [0, 255]: blue, green, red."""

ASSUMED = "nothing in the model says otherwise"


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What happens to images before the graph sees them.

    Attributes:
        bounds: The smallest and the largest value of images as users have them.
        reason: How that was decided, to complete the sentence "0 to 1, because ...".
        mean: Taken off each channel.
        std: What each channel is divided by then.
        reverse: Whether red and blue change places.
        channels_first: Whether the graph takes [N, C, H, W].
        integers: Whether the model takes integers: values are rounded to what it can be given, and gradients, where
            they come back at all, are those at the rounded image of the function of real numbers that the graph is.
    """

    bounds: tuple[float, float] = (0.0, 1.0)
    reason: str = ASSUMED
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    reverse: bool = False
    channels_first: bool = False
    integers: bool = False

    def apply(self, images: Any, dtype: Any) -> Any:
        """Prepare images [N, H, W, C], a tensor of float32: a tensor of ``dtype``, as the graph takes it."""
        import tensorflow as tf

        if self.reverse:
            images = images[..., ::-1]
        if self.mean is not None:
            images = images - tf.constant(self.mean, images.dtype)
        if self.std is not None:
            images = images / tf.constant(self.std, images.dtype)
        if self.channels_first:
            images = tf.transpose(images, (0, 3, 1, 2))
        return tf.cast(tf.grad_pass_through(tf.round)(images) if self.integers else images, dtype)


def prepare(about: About, image: Any, trained_range: tuple[float, float] | None) -> Preparation:
    """Decide how images are prepared for a graph.

    Args:
        about: What was said of the model.
        image: The graph's image tensor.
        trained_range: The value range of the dataset that a run was trained on.
    """
    channels_first = about.layout == "channels_first" or (about.layout is None and _is_channels_first(image))
    plain = Preparation(channels_first=channels_first, integers=_takes_integers(image))
    match about.input_range:
        case "imagenet":
            return replace(plain, mean=IMAGENET_MEAN, std=IMAGENET_STD, reason="the input range imagenet was said")
        case "caffe":
            why = "the input range caffe was said"
            return replace(plain, bounds=(0.0, 255.0), mean=CAFFE_MEAN, reverse=True, reason=why)
        case (low, high):
            return replace(plain, bounds=(low, high), reason="this input range was said")
    if trained_range is not None:
        return replace(plain, bounds=trained_range, reason="the run was trained on images in this range")
    bounds, reason = _read_off(image)
    return replace(plain, bounds=bounds, reason=reason)


def _takes_integers(image: Any) -> bool:
    """Whether they are integers, cast inside the graph perhaps, which then begins after the cast."""
    return image.op.type == "Cast" or not image.dtype.is_floating


def _is_channels_first(image: Any) -> bool:
    _, first, _, last = image.shape.as_list()
    return first in (1, 3) and last not in (1, 3)


def _read_off(image: Any) -> tuple[tuple[float, float], str]:
    """The value range, as far as the first thing that a graph does to its images tells it."""
    whole = (0.0, 255.0)
    if _takes_integers(image):
        return whole, "the model takes 8-bit integers"
    for kind, value in _first_steps(image):
        if kind == "Mul" and 1 / 300 < value < 1 / 100:
            return whole, f"the first thing the model does is to multiply its images by 1/{1 / value:.4g}"
        if kind == "RealDiv" and 100 < value < 300:
            return whole, f"the first thing the model does is to divide its images by {value:.4g}"
        if kind == "Sub" and value > 2:
            return whole, f"the first thing the model does is to take {value:.4g} off its images"
    return (0.0, 1.0), ASSUMED


def _first_steps(image: Any, most: int = 6) -> Iterator[tuple[str, float]]:
    """The arithmetic with constants at the beginning of a graph: the operation, and the constant's mean."""
    import numpy as np
    import tensorflow as tf

    tensor = image
    for _ in range(most):
        onward = [op for op in tensor.consumers() if op.type not in ("Shape", "Size", "Rank")]
        if len(onward) != 1:
            return
        (op,) = onward
        if op.type in ("Mul", "RealDiv", "Sub", "AddV2", "Add"):
            others = [value for value in op.inputs if value is not tensor]
            constant = tf.get_static_value(others[0]) if len(others) == 1 else None
            if constant is None:
                return
            yield op.type, float(np.mean(np.abs(constant)))
        elif op.type not in ("Identity", "Cast", "Reshape", "ResizeBilinear", "Transpose", "StopGradient"):
            return
        tensor = op.outputs[0]
