"""The opened model: what every analysis asks its questions to."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from cnnlab.classifier.finite import NotFiniteError, first_not_finite
from cnnlab.classifier.freeze import Frozen, digest, in_batches_of
from cnnlab.classifier.graph import Layer, read_layers
from cnnlab.classifier.hints import About
from cnnlab.classifier.logits import Output, OutputKind, written_type
from cnnlab.classifier.preprocessing import Preparation
from cnnlab.classifier.recall import Answer, Implied, Recall
from cnnlab.devices.sharing import one_at_a_time
from cnnlab.errors import CnnlabError, UsageError, did_you_mean
from cnnlab.memory import in_parts, least_batch, too_little
from cnnlab.numerics import UNKNOWN, known_label, sigmoid, softmax

T = TypeVar("T")

BATCH = 512
"""Most images in one forward pass; larger sets are streamed, so that memory does not grow with their number."""

MEMORY = 1 << 30
"""Most bytes that the activations of one forward pass may take, where nobody says otherwise."""


LOGITS = "logits"


def _gradient_in(objective: Hashable) -> Hashable:
    """What is asked for where logits and a gradient are: what they are remembered by."""
    return "logits and gradient", objective


class Classifier:
    """Any saved model, opened: logits, probabilities, kernels, activations, input gradients.

    Images are NHWC float32 in :attr:`bounds`. NumPy in, NumPy out; any number of images, also none.

    Attributes:
        path: Where the model came from; None for a live model.
        kind: ``run``, ``savedmodel``, ``keras``, ``h5`` or ``live``.
        digest: SHA-256 of the frozen graph with its weights.
        preparation: What happens to images before the graph sees them, and how that was decided.
        about: What the user said of the model, now or earlier.
        output_kind: What the model itself gives: ``probabilities``, ``logits``, ``sigmoid``, ``sigmoids`` of several
            classes, each probable by itself, or ``untraced probabilities``, whose logarithms stand for logits.
        notes: What somebody who reads a result of this model should know, one sentence each.
        memory: Bytes that the activations of one forward pass may take.
        input_shape: (H, W, C) of one image; None where a side is open.
        fixed_batch: How many images the model takes at once, where it takes no other number; None for most models.
        num_classes: How many classes there are.
        bounds: The value range (low, high) of the images.
        whole_numbers: Whether it takes whole numbers alone: images are rounded to them before it sees them.
        class_names: The classes, in the order of their labels.
        dataset_name: The dataset that a run was trained on; None for other models.

    Raises:
        UsageError: Images are given to one of its methods that are not of its :attr:`input_shape`.

    Example:
        >>> import numpy as np
        >>> from cnnlab.testing import FakeClassifier
        >>> classifier, images = FakeClassifier.of_brightness(), np.full((1, 2, 2, 1), 0.75)
        >>> classifier.class_names[classifier.predict(images)[0]]
        'bright'
        >>> classifier.input_gradient(images, np.array([1]), of="logit").ravel().tolist()
        [0.25, 0.25, 0.25, 0.25]
    """

    def __init__(
        self,
        frozen: Frozen,
        output: Output,
        *,
        path: Path | None,
        kind: str,
        digest: str,
        preparation: Preparation,
        about: About | None = None,
        class_names: Sequence[str] | None = None,
        dataset_name: str | None = None,
        notes: Sequence[str] = (),
        memory: int | None = None,
        keep: Any = None,
    ) -> None:
        self._frozen, self._output, self._keep = frozen, output, keep
        self.path, self.kind, self.digest = path, kind, digest
        self.preparation, self.bounds, self.about = preparation, preparation.bounds, about or About()
        self.whole_numbers = preparation.integers
        self.fixed_batch: int | None = frozen.input.shape.as_list()[0]
        self.input_shape = _image_shape(frozen.input.shape.as_list(), preparation.channels_first)
        self.num_classes = output.classes
        self.output_kind: OutputKind = output.kind
        self.class_names = tuple(class_names or map(str, range(self.num_classes)))
        self.dataset_name: str | None = dataset_name
        self.notes: tuple[str, ...] = tuple(notes)
        self.memory = memory or memory_budget()
        self._compiled: dict[Hashable, Any] = {}

    _recall: Recall | None = None

    @contextlib.contextmanager
    def recalling(self) -> Iterator[None]:
        """Compute logits and gradients once, inside the ``with`` block, of images that are asked about several times.

        What is recalled is what was computed of the same bytes, by the same function.
        """
        before, self._recall = self._recall, self._recall or Recall()
        try:
            yield
        finally:
            self._recall = before

    def __repr__(self) -> str:
        low, high = self.bounds
        images = f"images of {'x'.join(str(side or 'any') for side in self.input_shape)} in [{low:g}, {high:g}]"
        return f"Classifier({self.path or 'a live model'}, {images}, {self.num_classes:,} classes)"

    def _repr_html_(self) -> str:
        from cnnlab.drawings.tables import Table
        from cnnlab.render.html.notebook import notebook

        rows = [
            (layer.name, layer.kind, "x".join(str(side or "any") for side in layer.output_shape), layer.parameters)
            for layer in self.layers
        ]
        return notebook(repr(self), notes=self.notes, tables=[Table(("layer", "kind", "output", "parameters"), rows)])

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers from the image to the logits, in graph order."""
        return read_layers(self._frozen, self._output.logits)

    def layer(self, name: str) -> Layer:
        """Return the layer called ``name``.

        Raises:
            UsageError: There is none; the nearest are named.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise UsageError(f"there is no layer {name!r}. {did_you_mean(name, [layer.name for layer in self.layers])}")

    @cached_property
    def broken_layers(self) -> tuple[str, ...]:
        """The names of the layers whose parameters hold numbers that are not finite.

        Infinity counts in kernels and biases alone: a constant such as an attention's mask may hold it for good reason.
        """

        def broken(layer: Layer) -> bool:
            parts = [part for part in (layer.kernel, layer.bias) if part is not None]
            return not all(np.isfinite(part).all() for part in parts) or any(
                np.isnan(self._frozen.constant(name)).any() for name in layer.constants
            )

        return tuple(layer.name for layer in self.layers if broken(layer))

    def check_weights(self) -> None:
        """Refuse a model whose parameters are broken.

        Raises:
            CnnlabError: Some are not finite.
        """
        if self.broken_layers:
            raise CnnlabError(
                f"{broken_weights(self.broken_layers)}, so that its answers mean nothing. `cnnlab inspect` shows the "
                "model; train it anew with a lower learning rate, or take an earlier checkpoint."
            )

    @cached_property
    def batch_size(self) -> int:
        """How many images go through the model at once: as many as :attr:`memory` allows, at most :data:`BATCH`."""
        values = sum(math.prod(side or 1 for side in layer.output_shape) for layer in self.layers)
        values += math.prod(side or 1 for side in self.input_shape)
        return max(1, min(BATCH, self.memory // (4 * values)))

    def shrink(self, size: int) -> None:
        """Put no more than so many images through the model at once from now on, for memory ran out.

        Args:
            size: How many, at least 1.
        """
        told = too_little(self.batch_size)
        self.batch_size = min(self.batch_size, size)
        self.notes = (*(note for note in self.notes if note != told), too_little(self.batch_size))

    def graph_function(self, *tensors: Any) -> Callable[[Any], tuple[Any, ...]]:
        """Return a TensorFlow callable from images [N, H, W, C] to a tuple of tensors; differentiable.

        Args:
            *tensors: Names of layers, or ``"logits"``.

        Raises:
            UsageError: A layer is unknown.
        """
        graph = self._frozen.graph
        wanted = [
            self._output.logits if name == "logits" else graph.get_tensor_by_name(self.layer(name).tensor)
            for name in tensors
        ]
        function = self._callable(wanted)

        def finished(images: Any) -> tuple[Any, ...]:
            values = function(images)
            return tuple(
                self._finished(value) if name == "logits" else value
                for name, value in zip(tensors, values, strict=True)
            )

        return finished

    def head_function(self, layer: str) -> Callable[[Any, Any], Any]:
        """Return a TensorFlow callable from images [N, H, W, C] and a layer's output to logits [N, K]; differentiable.

        The layer's output [N, h, w, c] or [N, units] is taken as given; what goes around the layer, as a residual
        connection does, is computed from the images.

        Args:
            layer: The name of the layer.

        Raises:
            UsageError: The layer is unknown.
        """
        import tensorflow as tf

        tensor = self._frozen.graph.get_tensor_by_name(self.layer(layer).tensor)
        pruned = self._frozen.prune_from([self._frozen.input, tensor], [self._output.logits])
        image = self._frozen.input.dtype
        return lambda images, output: self._finished(
            pruned(self.preparation.apply(images, image), tf.cast(output, tensor.dtype))[0]
        )

    def keras_model(self, tensor: str = "logits") -> Any:
        """Return a functional ``keras.Model`` from images [N, H, W, C] to a layer or the logits; differentiable.

        For libraries that take nothing else, such as tf-keras-vis. Its one layer computes :meth:`graph_function`; it
        has no weights, and nothing in it can be trained.

        Args:
            tensor: The name of a layer, or ``"logits"``.

        Raises:
            UsageError: The layer is unknown.
        """
        import keras

        function = self.graph_function(tensor)

        class Graph(keras.layers.Layer):
            def call(self, images: Any) -> Any:
                return function(images)[0]

        image = keras.Input(self.input_shape, dtype="float32")
        # In a list, as tf-keras-vis hands its images over.
        return keras.Model([image], Graph(dtype="float32")(image))

    def randomized(self, layers: Sequence[str], seed: int) -> Classifier:
        """Return this model without what some of its layers have learned.

        Each array of their parameters is shuffled within itself: its values, so also its scale, stay; their places do
        not. The same seed shuffles a layer alike, whichever others are shuffled with it.

        Args:
            layers: The names of the layers.
            seed: Of the shuffle, at least 0.

        Raises:
            UsageError: A layer is unknown.
        """
        shuffled = {}
        for constant in [constant for name in layers for constant in self.layer(name).constants]:
            value = self._frozen.constant(constant)
            rng = np.random.default_rng([seed, *constant.encode()])
            shuffled[constant] = rng.permutation(value.ravel()).reshape(value.shape)
        frozen = self._frozen.replaced(shuffled)
        return self._like(frozen, self._output.moved(frozen.graph), digest(frozen.definition), self.notes)

    def with_logarithms(self, note: str) -> Classifier:
        """Return this model with the logarithm of what it gives as its logits, and a ``note`` that says so."""
        output = replace(self._output, kind="untraced probabilities")
        return self._like(self._frozen, output, self.digest, (*self.notes, note))

    def with_note(self, note: str) -> Classifier:
        """Return this model with a ``note``, one more thing that somebody who reads its results should know."""
        return self._like(self._frozen, self._output, self.digest, (*self.notes, note))

    def _like(self, frozen: Frozen, output: Output, digest: str, notes: Sequence[str]) -> Classifier:
        return Classifier(
            frozen,
            output,
            path=self.path,
            kind=self.kind,
            digest=digest,
            preparation=self.preparation,
            about=self.about,
            class_names=self.class_names,
            dataset_name=self.dataset_name,
            notes=notes,
            memory=self.memory,
            keep=self._keep,
        )

    @cached_property
    def logits_function(self) -> Callable[[Any], Any]:
        """A TensorFlow callable from images [N, H, W, C] to logits [N, K]; differentiable."""
        answers = self._answers
        return lambda images: self._finished(answers(images)[0])

    @cached_property
    def _answers(self) -> Callable[[Any], tuple[Any, ...]]:
        """From images to what logits are made of, and to the model's own output: compiled once for both."""
        return self._callable([self._output.logits, self._output.output])

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return logits float32 [N, K] of ``images`` [N, H, W, C] in the model's value range.

        Raises:
            NotFiniteError: Some are NaN or infinite; the first image is named, and where that begins.
        """
        return self._finite(self._unchecked_logits(images), images)

    def _finite(self, logits: np.ndarray, images: np.ndarray) -> np.ndarray:
        image = first_not_finite(logits)
        if image is not None:
            raise NotFiniteError(image, self._not_finite_from(np.asarray(images)[image : image + 1]))
        return logits

    def _not_finite_from(self, image: np.ndarray) -> str:
        """The first layer whose output for an image [1, H, W, C] holds NaN, or else infinity; empty where none does."""
        found = self.activations(image)
        for wrong in (np.isnan, np.isinf):
            for name, values in found.items():
                if wrong(values).any():
                    return name
        return ""

    def covered_logits(
        self,
        images: np.ndarray,
        fills: np.ndarray,
        corners: np.ndarray,
        size: int,
        advance: Callable[[int], None] = lambda count: None,
        warn: Callable[[str], None] = lambda text: None,
        precision: Literal["float32", "bfloat16"] = "float32",
    ) -> np.ndarray:
        """Return the logits of images with a square of one colour at each of P places, float32 [N, P, K].

        Of the network only what a square changes is computed anew, as far as that is less work: through convolutions,
        poolings, padding, batch normalisation and whatever else looks at one place at a time. The logits are those of
        the whole images to about 1e-6 of the largest. Images that a square does not change keep their own.

        Args:
            images: [N, H, W, C].
            fills: The colour in each image, [N, 1, 1, C], or anything that broadcasts to it.
            corners: The squares' upper left corners (row, column), int [P, 2], none negative; a square may reach out of
                the image or lie outside of it.
            size: The squares' side, at least 1.
            advance: Called with the number of squares just done.
            warn: Called with a sentence where every image has to be computed in full, for the model does something
                that changes are not followed through, or where it is not computed in bfloat16.
            precision: What the change is computed in. bfloat16 keeps eight bits of each number: it is faster where the
                processor has it, and off by about a hundredth of the largest logit.

        Example:
            >>> import numpy as np
            >>> from cnnlab.testing import FakeClassifier
            >>> image, corners = np.ones((1, 2, 2, 1)), np.array([[0, 0], [2, 2]])
            >>> FakeClassifier.of_brightness().covered_logits(image, 0.0, corners, 1).tolist()
            [[[-0.25, 0.25], [-0.5, 0.5]]]
        """
        from cnnlab.classifier.covering import Covered, Covering

        images = self._checked(images)
        fills = np.broadcast_to(np.asarray(fills, np.float32), (len(images), 1, 1, images.shape[3]))
        because = self._not_followed
        not_rounded = precision == "bfloat16" and (because or self._incremental.not_rounded)
        covered = Covered(
            None if because else self._incremental,
            lambda batch: self.preparation.apply(batch, self._frozen.input.dtype),
            self._finished,
            self._unchecked_logits,
            self.batch_size,
            Covering(images, fills, np.asarray(corners), size),
            precision == "bfloat16" and not not_rounded,
        )
        if because:
            warn(f"every covered image was computed in full, for {because}.")
        elif not_rounded:
            warn(f"the model was computed in float32, not in bfloat16, for {not_rounded}.")
        return covered.logits(self.num_classes, advance)

    @cached_property
    def _incremental(self) -> Any:
        from cnnlab.classifier.incremental import Incremental

        return Incremental(self._frozen, self._output.logits)

    @property
    def _not_followed(self) -> str:
        """Why a change of an image is not followed through the graph; empty where it is."""
        if self.fixed_batch:
            return f"the model takes {self.fixed_batch} images at once and no other number"
        if self.preparation.channels_first:
            return "the model's maps have their channels first"
        if not self._incremental.cuts:
            first = self._incremental.stopped_by
            return f"nothing is known of how far changes reach through the model's first operation, {first}"
        return ""

    def _unchecked_logits(self, images: np.ndarray) -> np.ndarray:
        """The logits, whether they are finite or not."""
        function = self.logits_function
        parts = self._streamed(lambda batch: (function(batch),), images, remember=LOGITS)
        return np.concatenate(parts[0]) if parts else np.zeros((0, self.num_classes), np.float32)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return how probable each class of ``images`` is, float32 [N, K]; see :meth:`probabilities_of`."""
        return self.probabilities_of(self.logits(images))

    @property
    def exclusive(self) -> bool:
        """Whether an image has exactly one class; false of a model whose classes have a sigmoid each."""
        return self.output_kind != "sigmoids"

    def probabilities_of(self, logits: np.ndarray) -> np.ndarray:
        """Return the softmax of logits [..., K], float32; the sigmoid of each where classes are not exclusive.

        Args:
            logits: As :meth:`logits` gives them, [..., K].
        """
        return softmax(logits) if self.exclusive else sigmoid(logits)

    def check_exclusive(self, what: str) -> None:
        """Refuse what presumes that an image has exactly one class, where the model says no such thing.

        Args:
            what: What is refused, to begin the sentence.

        Raises:
            CnnlabError: The classes are not exclusive.
        """
        if not self.exclusive:
            raise CnnlabError(
                f"{what} takes every image to have exactly one class, and this model gives {self.num_classes} "
                "probabilities by themselves (a sigmoid each), so that an image may have several classes or none. What "
                "looks at one class at a time works: predict, occlusion, saliency, activations and filters."
            )

    def own_probabilities(self, images: np.ndarray) -> np.ndarray | None:
        """Return what the model itself gives for ``images`` as probabilities, float32 [N, K]; None for logits.

        The softmax of recovered logits equals it: this is how the recovery is checked.
        """
        if self.output_kind == "logits":
            return None
        answers = self._answers
        parts = self._streamed(lambda batch: answers(batch)[1:], images)
        given = np.concatenate(parts[0]) if parts else np.zeros((0, self.num_classes), np.float32)
        if self.output_kind != "sigmoid":
            return given.reshape(-1, self.num_classes)
        second = given.reshape(-1, 1)
        return np.concatenate([1 - second, second], axis=1)

    @property
    def input_dtype(self) -> str:
        """The type of number that the model itself takes, such as ``float32`` or ``uint8``."""
        source = self._frozen.input
        while source.op.type == "Cast":
            source = source.op.inputs[0]
        return str(source.dtype.name)

    @property
    def signatures(self) -> dict[str, dict[str, str]]:
        """The signatures of a SavedModel: of each, its inputs and outputs with type and shape. Empty for others."""
        return {
            name: {tensor: written_type(spec) for tensor, spec in _specs(signature)}
            for name, signature in sorted(getattr(self._keep, "signatures", {}).items())
        }

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return the most probable class of each of ``images`` [N, H, W, C], int64 [N]."""
        return self.logits(images).argmax(axis=1)

    def own_class(self, images: np.ndarray, labels: np.ndarray, wanted: int | None = None) -> np.ndarray:
        """Return the class that each image is looked at for, int64 [N].

        Args:
            images: [N, H, W, C].
            labels: The true labels [N], -1 where unknown.
            wanted: One class for all; None for the label where it is known, else what the model reads.
        """
        if wanted is not None:
            return np.full(len(labels), wanted, np.int64)
        return labels if (labels >= 0).all() else known_label(labels, self.predict(images))

    def record(self) -> dict[str, Any]:
        """Return what a record says of the model: ``path``, ``kind`` and ``digest``."""
        return {"path": str(self.path) if self.path else None, "kind": self.kind, "digest": self.digest}

    def compiled(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what ``make`` makes, once for this model: compiled functions live as long as what they are of.

        Args:
            key: What it is; equal keys stand for the same.
            make: Makes it.
        """
        if key not in self._compiled:
            self._compiled[key] = make()
        made: T = self._compiled[key]
        return made

    def activations(self, images: np.ndarray, layers: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Return each layer's output, float32 [N, h, w, c] or [N, units], by layer name.

        Args:
            images: [N, H, W, C].
            layers: The names of the layers; all of them by default.

        Raises:
            UsageError: A layer is unknown.
        """
        names = [layer.name for layer in self.layers] if layers is None else list(layers)
        function = self.graph_function(*names)
        parts = self._streamed(function, images)
        if not parts:
            shapes = [tuple(side or 0 for side in self._shape_of(name)) for name in names]
            return {name: np.zeros((0, *shape), np.float32) for name, shape in zip(names, shapes, strict=True)}
        return {name: np.concatenate(part) for name, part in zip(names, parts, strict=True)}

    def input_gradient(
        self, images: np.ndarray, labels: np.ndarray, of: Literal["cross_entropy", "logit"] = "cross_entropy"
    ) -> np.ndarray:
        """Return the gradient of each image's own value in its pixels, float32 [N, H, W, C].

        Args:
            images: [N, H, W, C].
            labels: int [N].
            of: The cross-entropy of the softmax with the label, or the label's logit.

        Raises:
            UsageError: The labels are not one class for each image, or ``of`` is neither.
            CnnlabError: Nothing differentiable leads from the image to the logits, or the cross-entropy is asked of
                classes that are not exclusive.
        """
        from cnnlab.attacks import ClassLogit, CrossEntropy

        objectives = {"cross_entropy": CrossEntropy(), "logit": ClassLogit()}
        if of not in objectives:
            raise UsageError(f"of must be 'cross_entropy' or 'logit'; received {of!r}.")
        if of == "cross_entropy":
            self.check_exclusive("the cross-entropy of a softmax")
        images = self._checked(images)
        labels = self._checked_labels(labels, len(images))
        return self.logits_and_gradient(images, labels, objectives[of])[1]

    def logits_and_gradient(
        self, images: np.ndarray, labels: np.ndarray, objective: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return logits float32 [N, K], and the gradient of each image's own value in its pixels, float32 [N, H, W, C].

        Both come of one pass through the network.

        Args:
            images: [N, H, W, C].
            labels: int [N]; -1 stands for the class that the image is read as.
            objective: What the values are: :class:`~cnnlab.plugin.LogOdds`, ``CrossEntropy``, ``ClassLogit``,
                ``Margin``, or any hashable callable from logits [B, K] and classes [B] to values [B], in TensorFlow.

        Raises:
            UsageError: The labels are not one class for each image.
            NotFiniteError: Some logits are NaN or infinite.
            CnnlabError: Nothing differentiable leads from the image to the logits.

        Example:
            >>> import numpy as np
            >>> from cnnlab.plugin import Margin
            >>> from cnnlab.testing import FakeClassifier
            >>> classifier, image = FakeClassifier.of_brightness(), np.full((1, 2, 2, 1), 0.75)
            >>> logits, gradient = classifier.logits_and_gradient(image, np.array([1]), Margin())
            >>> logits.tolist(), gradient.ravel().tolist()
            ([[-0.25, 0.25]], [-0.5, -0.5, -0.5, -0.5])
        """
        images = self._checked(images)
        labels = self._checked_labels(labels, len(images), least=UNKNOWN)
        function = self.compiled(_gradient_in(objective), lambda: self._gradient_of(objective))

        def implied(batch: Sequence[np.ndarray], answer: Answer) -> Iterator[Implied]:
            """The logits alone, and the same with the classes that images without a label are read as."""
            of, known = batch
            yield LOGITS, [of], answer[:1]
            if (known == UNKNOWN).any():
                yield _gradient_in(objective), [of, known_label(known, answer[0].argmax(axis=1))], answer

        parts = self._streamed(function, images, labels, remember=_gradient_in(objective), implied=implied)
        if not parts:
            return np.zeros((0, self.num_classes), np.float32), np.zeros_like(images)
        return self._finite(np.concatenate(parts[0]), images), np.concatenate(parts[1])

    def _gradient_of(self, objective: Any) -> Callable[[Any, Any], tuple[Any, Any]]:
        """From images and labels to logits and gradients; see :meth:`logits_and_gradient`."""
        import tensorflow as tf

        image, label = tf.TensorSpec([None, *self.input_shape]), tf.TensorSpec([None], tf.int64)
        function = self.logits_function  # made here: what it shares with others is no part of what is compiled below

        @tf.function(autograph=False, input_signature=[image, label])
        @one_at_a_time
        def both(images: Any, labels: Any) -> tuple[Any, Any]:
            with tf.GradientTape() as tape:
                tape.watch(images)
                logits = function(images)
                value = objective(logits, tf.where(labels == UNKNOWN, tf.argmax(logits, axis=1), labels))
            found = tape.gradient(value, images)
            if found is None:
                raise CnnlabError("this model has no differentiable path from its image to its logits.")
            return logits, found

        made: Callable[[Any, Any], tuple[Any, Any]] = both
        return made

    def _callable(self, tensors: Sequence[Any]) -> Callable[[Any], tuple[Any, ...]]:
        """A differentiable callable of any number of images that takes and gives float32, whatever the graph does."""
        import tensorflow as tf

        pruned = self._frozen.prune(tensors)
        dtype = self._frozen.input.dtype

        def converted(images: Any) -> tuple[Any, ...]:
            return tuple(tf.cast(value, tf.float32) for value in pruned(self.preparation.apply(images, dtype)))

        return in_batches_of(self.fixed_batch, converted) if self.fixed_batch else converted

    def _finished(self, values: Any) -> Any:
        """Logits float32 [N, K] of what the graph gives."""
        import tensorflow as tf

        return tf.cast(self._output.finish(values), tf.float32)

    def _shape_of(self, name: str) -> tuple[int | None, ...]:
        return (self.num_classes,) if name == "logits" else self.layer(name).output_shape

    def _checked(self, images: np.ndarray) -> np.ndarray:
        """Return the images as float32; TensorFlow's own answer to a wrong shape may be to end the process."""
        images = np.asarray(images, np.float32)
        sides = zip(images.shape[1:], self.input_shape, strict=False)
        if images.ndim != 4 or any(wanted is not None and side != wanted for side, wanted in sides):
            expected = ", ".join("any" if side is None else str(side) for side in self.input_shape)
            raise UsageError(
                f"this model takes images of shape [N, {expected}]; received {list(images.shape)}. Resize them, or "
                "convert their colours; one image needs an axis N of length 1."
            )
        return images

    def _checked_labels(self, labels: np.ndarray, count: int, least: int = 0) -> np.ndarray:
        labels = np.asarray(labels)
        if labels.shape != (count,) or (count and labels.dtype.kind not in "iu"):
            raise UsageError(
                f"labels must be one whole number for each of {count} images; received {labels.dtype} of shape "
                f"{list(labels.shape)}."
            )
        if count and not least <= labels.min() <= labels.max() < self.num_classes:
            raise UsageError(
                f"labels must be between 0 and {self.num_classes - 1}, the classes of this model; received "
                f"{labels.min()} to {labels.max()}."
            )
        return labels.astype(np.int64)

    def _streamed(
        self,
        function: Callable[..., tuple[Any, ...]],
        images: np.ndarray,
        *more: np.ndarray,
        remember: Hashable = None,
        implied: Callable[[Sequence[np.ndarray], Answer], Iterable[Implied]] = lambda batch, answer: (),
    ) -> list[tuple[np.ndarray, ...]]:
        """Call ``function`` with each batch, and gather the parts of each result.

        Args:
            function: From tensors of images [n, H, W, C], and of each of ``more`` [n, ...], to tensors [n, ...].
            images: [N, H, W, C].
            more: Arrays [N, ...].
            remember: What is asked, where the answers are kept while somebody wants them to be.
            implied: What the answer to a batch answers as well, to be kept with it.
        """
        import tensorflow as tf

        arrays = (self._checked(images), *more)
        least = 1 if self.fixed_batch else least_batch(arrays[0].shape[1:])

        def computed(batch: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
            count = len(batch[0])
            filled = np.arange(-(-count // least) * least) % count
            given = batch if len(filled) == count else [array[filled] for array in batch]
            return tuple(value.numpy()[:count] for value in function(*map(tf.constant, given)))

        def work(first: int, last: int) -> tuple[np.ndarray, ...]:
            batch = [array[first:last] for array in arrays]
            if remember is None or self._recall is None:
                return computed(batch)
            return self._recall(remember, batch, lambda: computed(batch), lambda answer: implied(batch, answer))

        parts = (found for _, _, found in in_parts(len(images), self.batch_size, work, self.shrink))
        return list(zip(*parts, strict=True))


def _image_shape(sides: list[int | None], channels_first: bool) -> tuple[int | None, int | None, int]:
    """Height, width and channels of one image, of the shape of a graph's image tensor."""
    height, width, channels = (sides[2], sides[3], sides[1]) if channels_first else sides[1:]
    assert channels is not None
    return (height, width, channels)


def memory_budget(share: float = 0.25) -> int:
    """Return how many bytes the activations of a forward pass may take: a share of what is free, at most MEMORY."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # not every system tells
        return MEMORY
    return max(1 << 26, min(MEMORY, int(share * free)))


def broken_weights(layers: Sequence[str]) -> str:
    """Say which layers are broken, to go on with.

    >>> broken_weights(["conv1", "fc"])
    'the weights of this model hold numbers that are not finite (NaN or infinity), in conv1 and 1 more layer'
    """
    more = f" and {len(layers) - 1} more layer{'s' if len(layers) > 2 else ''}" if len(layers) > 1 else ""
    return f"the weights of this model hold numbers that are not finite (NaN or infinity), in {layers[0]}{more}"


def _specs(signature: Any) -> list[tuple[str, Any]]:
    """The inputs and outputs of a signature, as ``name ->`` and ``-> name``."""
    _, inputs = signature.structured_input_signature
    outputs = signature.structured_outputs
    return [
        *((f"{name} ->", spec) for name, spec in inputs.items()),
        *((f"-> {name}", spec) for name, spec in sorted(outputs.items())),
    ]
