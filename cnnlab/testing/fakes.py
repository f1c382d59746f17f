"""Stand-ins: a model whose logits are any function, images without a guard, progress that is counted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.classifier import Classifier, Layer
from cnnlab.classifier.hints import About
from cnnlab.datasets import Dataset
from cnnlab.inputs import Inputs
from cnnlab.progress import Silent


class FakeClassifier(Classifier):
    """A classifier whose logits are a function of yours, so that a test knows what is right without a network.

    Args:
        logits: From images [N, H, W, C] to logits [N, K]. It is called with NumPy arrays, and by what follows gradients
            with TensorFlow's tensors: what is to be attacked is written in TensorFlow.
        input_shape: (H, W, C); None where a side is open.
        num_classes: K.
        bounds: The value range of its images.
        class_names: Its classes; their numbers by default.
        layers: What it says of its layers; none by default.
        batch_size: How many images it takes at once.
        fixed_batch: The same, where it takes no other number.
        path: Where it says that it came from.
        whole_numbers: Whether it says that it takes whole numbers alone.

    Example:
        >>> import numpy as np
        >>> brightness = FakeClassifier(lambda images: images.mean(axis=(1, 2, 3))[:, None] * [[0, 1]], (2, 2, 1), 2)
        >>> brightness.predict(np.ones((1, 2, 2, 1), np.float32)).tolist()
        [1]
    """

    def __init__(
        self,
        logits: Callable[[Any], Any],
        input_shape: tuple[int | None, int | None, int],
        num_classes: int,
        *,
        bounds: tuple[float, float] = (0.0, 1.0),
        class_names: Sequence[str] | None = None,
        layers: Sequence[Layer] = (),
        batch_size: int = 16,
        fixed_batch: int | None = None,
        path: Path | None = None,
        whole_numbers: bool = False,
    ) -> None:
        self.logits_function, self.whole_numbers = logits, whole_numbers
        self.input_shape, self.num_classes, self.bounds = input_shape, num_classes, bounds
        self.class_names = tuple(class_names or map(str, range(num_classes)))
        self.layers, self.batch_size, self.fixed_batch = tuple(layers), batch_size, fixed_batch
        self.path, self.kind, self.digest = path, "live", "of a fake"
        self.output_kind, self.about, self.dataset_name, self.notes = "logits", About(), None, ()
        self._compiled = {}

    @classmethod
    def of_brightness(cls, input_shape: tuple[int | None, int | None, int] = (2, 2, 1), **more: Any) -> FakeClassifier:
        """Make one with two classes, ``dark`` and ``bright``: an image is bright whose mean exceeds a half.

        Its logits, half less the mean and the mean less a half, have gradients.

        Args:
            input_shape: As above.
            more: As above.

        Example:
            >>> import numpy as np
            >>> FakeClassifier.of_brightness().predict(np.full((1, 2, 2, 1), 0.6)).tolist()
            [1]
        """

        def logits(images: Any) -> Any:
            import tensorflow as tf

            mean = tf.reduce_mean(images, axis=(1, 2, 3))
            return tf.stack([0.5 - mean, mean - 0.5], axis=1)

        return cls(logits, input_shape, 2, **{"class_names": ("dark", "bright"), **more})

    _incremental, _not_followed = None, ""

    def _unchecked_logits(self, images: np.ndarray) -> np.ndarray:
        return np.asarray(self.logits_function(self._checked(images)), np.float32)

    def _not_finite_from(self, image: np.ndarray) -> str:
        return ""


class UnguardedInputs(Inputs):
    """Inputs that hand out the very array, which can be written to: whoever changes images is found out.

    Args:
        images: [N, H, W, C].
        labels: [N].
        dataset: What they are of.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, dataset: Dataset | None = None) -> None:
        sources = [f"array:{index}" for index in range(len(labels))]
        super().__init__(lambda indices: images[indices], labels, sources, dataset=dataset)
        self.images = images

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Go through views of the array."""
        for start in range(0, len(self), size):
            yield self.images[start : start + size], self.labels[start : start + size]


class CountedProgress(Silent):
    """Progress that is counted instead of shown.

    Attributes:
        tasks: Of each task its description, its total as it was said, and how many steps were done.
    """

    def __init__(self) -> None:
        self.tasks: list[tuple[str, int | None, int]] = []

    @contextlib.contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Count the steps of a task while the context lasts."""
        done: list[int] = []
        yield done.append
        self.tasks.append((description, total, sum(done)))


class Spectator(Silent):
    """Somebody who sees whatever an analysis shows and says while it runs.

    Attributes:
        previews: The drawings, in their order.
        notes: The sentences.
    """

    def __init__(self) -> None:
        self.previews: list[Any] = []
        self.notes: list[str] = []

    def preview(self, make: Callable[[], Any], last: bool) -> None:
        """Have a drawing made, be it the ``last`` of a task or another."""
        self.previews.append(make())

    def note(self, text: str) -> None:
        """Hear a sentence."""
        self.notes.append(text)
