"""What a model is made of, layer by layer: sizes, parameters, units and multiply-adds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnlab.classifier.classifier import Classifier
    from cnnlab.classifier.graph import Layer

CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "Conv2DTranspose")
"""Kinds of layers whose parameters count as convolutional."""

DENSE = ("Dense",)
"""Kinds of layers whose parameters count as dense."""


@dataclass(frozen=True)
class LayerSummary:
    """One layer in numbers.

    Attributes:
        name: Its name.
        kind: ``Conv2D``, ``Dense``, ``MaxPool`` and so on.
        input_size: Shape of its input without the batch; None where a side is open.
        output_size: Shape of its output without the batch.
        kernel: Shape of its kernel: [h, w, in, out] of a convolution, [in, out] of a dense layer; None without one.
        weights: Learned numbers that are no biases: kernel entries; of a batch normalisation, scale and offset.
        biases: Biases.
        statistics: Means and variances of a batch normalisation, gathered in training and not learned.
        parameters: Weights, biases and statistics together.
        output_units: How many values it gives for one image; None for a layer without kernel, and where a side is
            open.
        kernel_taps: Of a convolution, the entries of its kernel (height x width x in x out, no biases); of a dense
            layer, its units; 0 of others. These are two different things, added because reports on small CNNs call
            them together the network's "neurons" (10,014 for mnist-cnn). A convolution has far more units than taps,
            for each tap serves every place of the image: :attr:`output_units` are the neurons proper.
        multiply_adds: Multiplications with a kernel entry, each with its addition, for one image: of a convolution
            output height x output width x kernel height x kernel width x in x out / groups, of a dense layer in x
            out. Products with zero padding count; biases, pooling, activations and normalisation do not. None where
            a side is open, or the layer is a function that could not be looked into.
    """

    name: str
    kind: str
    input_size: tuple[int | None, ...]
    output_size: tuple[int | None, ...]
    kernel: tuple[int, ...] | None
    weights: int
    biases: int
    statistics: int
    parameters: int
    output_units: int | None
    kernel_taps: int
    multiply_adds: int | None


@dataclass(frozen=True)
class Summary:
    """A model in numbers: its layers, and what they come to.

    Attributes:
        layers: From the image to the logits.
        input_shape: (H, W, C) of one image; None where a side is open.
        classes: How many logits it gives.
    """

    layers: tuple[LayerSummary, ...]
    input_shape: tuple[int | None, ...]
    classes: int

    @property
    def weights(self) -> int:
        """All learned numbers that are no biases."""
        return sum(layer.weights for layer in self.layers)

    @property
    def biases(self) -> int:
        """All biases."""
        return sum(layer.biases for layer in self.layers)

    @property
    def statistics(self) -> int:
        """All means and variances of batch normalisations: the parameters that are not learned."""
        return sum(layer.statistics for layer in self.layers)

    @property
    def parameters(self) -> int:
        """All stored numbers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def trainable(self) -> int:
        """The parameters without the statistics of batch normalisations."""
        return self.parameters - self.statistics

    @property
    def convolutional(self) -> int:
        """Parameters of convolutional layers."""
        return sum(layer.parameters for layer in self.layers if layer.kind in CONVOLUTIONS)

    @property
    def dense(self) -> int:
        """Parameters of dense layers."""
        return sum(layer.parameters for layer in self.layers if layer.kind in DENSE)

    @property
    def dense_to_convolutional(self) -> float | None:
        """Parameters of dense layers for each one of a convolutional layer; None without convolutional ones."""
        return self.dense / self.convolutional if self.convolutional else None

    @property
    def output_units(self) -> int | None:
        """Values that layers with a kernel give for one image; None where a side is open."""
        return total(layer.output_units for layer in self.layers if layer.kernel is not None)

    @property
    def kernel_taps(self) -> int:
        """Kernel entries of convolutions and units of dense layers: see :attr:`LayerSummary.kernel_taps`."""
        return sum(layer.kernel_taps for layer in self.layers)

    @property
    def multiply_adds(self) -> int | None:
        """Multiply-adds for one image; None where a side is open."""
        return total(layer.multiply_adds for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, numbers and texts: ``layers`` and ``totals``."""
        return {
            "input_shape": list(self.input_shape),
            "classes": self.classes,
            "layers": [_plain(asdict(layer)) for layer in self.layers],
            "totals": {
                "weights": self.weights,
                "biases": self.biases,
                "statistics": self.statistics,
                "parameters": self.parameters,
                "trainable": self.trainable,
                "convolutional": self.convolutional,
                "dense": self.dense,
                "dense_to_convolutional": self.dense_to_convolutional,
                "output_units": self.output_units,
                "kernel_taps": self.kernel_taps,
                "multiply_adds": self.multiply_adds,
            },
        }


def summarize(classifier: Classifier) -> Summary:
    """Count what a model is made of.

    Args:
        classifier: An opened model.

    Returns:
        Its layers in numbers, from the image to the logits, and their sums.
    """
    return Summary(
        layers=tuple(_summary_of(layer) for layer in classifier.layers),
        input_shape=classifier.input_shape,
        classes=classifier.num_classes,
    )


def _summary_of(layer: Layer) -> LayerSummary:
    biases = 0 if layer.bias is None else int(layer.bias.size)
    weights = layer.parameters - layer.statistics - biases
    return LayerSummary(
        name=layer.name,
        kind=layer.kind,
        input_size=layer.input_shape,
        output_size=layer.output_shape,
        kernel=None if layer.kernel is None else tuple(layer.kernel.shape),
        weights=weights,
        biases=biases,
        statistics=layer.statistics,
        parameters=layer.parameters,
        output_units=None if layer.kernel is None or None in layer.output_shape else _count(layer.output_shape),
        kernel_taps=_taps(layer, weights),
        multiply_adds=layer.multiply_adds,
    )


def _taps(layer: Layer, weights: int) -> int:
    if layer.kind in CONVOLUTIONS:
        return weights
    if layer.kind in DENSE and layer.kernel is not None:
        return int(layer.kernel.shape[-1])
    return 0


def _count(shape: tuple[int | None, ...]) -> int:
    return math.prod(side for side in shape if side is not None)


def total(counts: Iterable[int | None]) -> int | None:
    """Add counts up; None where one is unknown.

    >>> total([1, 2])
    3
    >>> total([1, None]) is None
    True
    """
    known = list(counts)
    return None if None in known else sum(count for count in known if count is not None)


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in facts.items()}
