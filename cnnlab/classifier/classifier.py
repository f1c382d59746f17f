"""The opened model: what every analysis asks its questions to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cnnlab.classifier.freeze import Frozen
from cnnlab.classifier.graph import Layer, read_layers
from cnnlab.classifier.logits import Output
from cnnlab.errors import CnnlabError, UsageError, did_you_mean

BATCH = 500
"""Images in one forward pass; larger sets are streamed, so that memory does not grow with their number."""


class Classifier:
    """Any saved model, opened: logits, probabilities, kernels, activations, input gradients.

    Images are NHWC float32 in :attr:`bounds`. NumPy in, NumPy out; any number of images, also none.

    Attributes:
        path: Where the model came from; None for a live model.
        kind: ``run``, ``savedmodel``, ``keras``, ``h5`` or ``live``.
        digest: SHA-256 of the frozen graph with its weights.
        input_shape: (H, W, C) of one image; None where a side is open.
        num_classes: How many classes there are.
        bounds: The value range (low, high) of the images.
        class_names: The classes, in the order of their labels.
        dataset_name: The dataset that a run was trained on; None for other models.
    """

    def __init__(
        self,
        frozen: Frozen,
        output: Output,
        *,
        path: Path | None,
        kind: str,
        digest: str,
        bounds: tuple[float, float] = (0.0, 1.0),
        class_names: Sequence[str] | None = None,
        dataset_name: str | None = None,
        keep: Any = None,
    ) -> None:
        self._frozen, self._output, self._keep = frozen, output, keep
        self.path, self.kind, self.digest = path, kind, digest
        shape = frozen.input.shape.as_list()
        self._fixed_batch: int | None = shape[0]
        self.input_shape: tuple[int | None, int | None, int] = (shape[1], shape[2], shape[3])
        self.num_classes = int(output.logits.shape[-1])
        self.bounds = bounds
        self.class_names = tuple(class_names or map(str, range(self.num_classes)))
        self.dataset_name = dataset_name

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers from the image to the logits, in graph order."""
        return read_layers(self._frozen, self._output.logits)

    def layer(self, name: str) -> Layer:
        """Return the layer of that name.

        Raises:
            UsageError: There is none; the nearest are named.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise UsageError(f"there is no layer {name!r}. {did_you_mean(name, [layer.name for layer in self.layers])}")

    def graph_function(self, *tensors: Any) -> Callable[[Any], tuple[Any, ...]]:
        """Return a TensorFlow callable from images [N, H, W, C] to a tuple of tensors; differentiable.

        Args:
            *tensors: Names of layers, or ``"logits"``.
        """
        graph = self._frozen.graph
        wanted = [
            self._output.logits if name == "logits" else graph.get_tensor_by_name(self.layer(name).tensor)
            for name in tensors
        ]
        pruned = self._frozen.prune(wanted)
        return lambda images: tuple(pruned(images))

    @cached_property
    def logits_function(self) -> Callable[[Any], Any]:
        """A TensorFlow callable from images [N, H, W, C] to logits [N, K]; differentiable."""
        pruned = self._frozen.prune([self._output.logits])
        return lambda images: pruned(images)[0]

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return logits float32 [N, K]."""
        return self._streamed(self.logits_function, images, (self.num_classes,))

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return the softmax of the logits, float32 [N, K]."""
        logits = self.logits(images).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        exponentials = np.exp(logits)
        return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return the predicted labels, int64 [N]."""
        return self.logits(images).argmax(axis=1)

    def activations(self, images: np.ndarray, layers: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Return each layer's output, float32 [N, h, w, c] or [N, units], by layer name.

        Raises:
            UsageError: A layer is unknown.
        """
        names = [layer.name for layer in self.layers] if layers is None else list(layers)
        function = self.graph_function(*names)
        parts = [function(batch) for batch in self._batches(images)]
        if not parts:
            shapes = [tuple(side or 0 for side in self.layer(name).output_shape) for name in names]
            return {name: np.zeros((0, *shape), np.float32) for name, shape in zip(names, shapes, strict=True)}
        return {name: np.concatenate([part[i].numpy() for part in parts]) for i, name in enumerate(names)}

    def input_gradient(
        self, images: np.ndarray, labels: np.ndarray, of: Literal["cross_entropy", "logit"] = "cross_entropy"
    ) -> np.ndarray:
        """Return the gradient of each image's own value in its pixels, float32 [N, H, W, C].

        Args:
            images: [N, H, W, C].
            labels: int [N].
            of: The cross-entropy of the softmax with the label, or the label's logit.
        """
        import tensorflow as tf

        labels = np.asarray(labels, np.int64)
        parts, start = [], 0
        for batch in self._batches(images):
            own = tf.constant(labels[start : start + len(batch)])
            start += len(batch)
            with tf.GradientTape() as tape:
                tape.watch(batch)
                logits = self.logits_function(batch)
                if of == "logit":
                    value = tf.gather(logits, own, batch_dims=1)
                else:
                    value = tf.nn.sparse_softmax_cross_entropy_with_logits(own, logits)
            gradient = tape.gradient(value, batch)
            if gradient is None:
                raise CnnlabError("this model has no differentiable path from its image to its logits.")
            parts.append(gradient.numpy())
        return np.concatenate(parts) if parts else np.zeros_like(images, np.float32)

    def _batches(self, images: np.ndarray) -> Iterator[Any]:
        import tensorflow as tf

        images = np.asarray(images, np.float32)
        size = self._fixed_batch or BATCH
        for start in range(0, len(images), size):
            yield tf.constant(images[start : start + size])

    def _streamed(self, function: Callable[[Any], Any], images: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        parts = [function(batch).numpy() for batch in self._batches(images)]
        return np.concatenate(parts) if parts else np.zeros((0, *shape), np.float32)
