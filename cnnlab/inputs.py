"""The images that an analysis is given, wherever they come from, in the model's own shape and value range."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.datasets import images as image_files
from cnnlab.devices.sharing import gather
from cnnlab.drawings import Picture
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.numerics import UNKNOWN
from cnnlab.results.rows import Column, Rows
from cnnlab.sources import Sources

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.datasets import Dataset, Split

DARK, LIGHT = 0.25, 0.75
"""Where the ground of an image counts as dark, and where as light, black being 0 and white 1."""


ROUNDING = 1e-3
"""Of an image for a model that takes whole numbers, how far a pixel may lie from one without anybody being told."""


class Inputs:
    """Images [N, H, W, C] float32 in the model's value range, their labels, and where they came from.

    The host makes them; a test may.

    Args:
        read: From indices, an integer array [n], to the images there, [n, H, W, C].
        labels: Integers [N]; -1 where unknown.
        sources: N words that say where each image came from.
        bounds: The value range (low, high) of the images.
        dataset: The dataset that they belong to.
        notes: What was done to them.

    Attributes:
        labels: int64 [N]; -1 where unknown.
        sources: Where each image came from: a path, or ``mnist/test:0``. A sequence of N texts, each written when it
            is asked for.
        bounds: The value range (low, high) of the images.
        notes: What was done to make the images fit the model (resized, converted to grey), one sentence each.
        dataset: The dataset that the images belong to, or that the model was trained on; None where there is none.

    Raises:
        CnnlabError: Images are read that hold NaN or infinity.

    Example:
        >>> import numpy as np
        >>> images = np.zeros((3, 2, 2, 1), np.float32)
        >>> inputs = Inputs(lambda indices: images[indices], np.array([0, 1, -1]), ["a.png", "b.png", "c.png"])
        >>> [(batch.shape, labels.tolist()) for batch, labels in inputs.batches(2)]
        [((2, 2, 2, 1), [0, 1]), ((1, 2, 2, 1), [-1])]
    """

    def __init__(
        self,
        read: Callable[[np.ndarray], np.ndarray],
        labels: np.ndarray,
        sources: Sequence[str],
        *,
        bounds: tuple[float, float] = (0.0, 1.0),
        dataset: Dataset | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self._read = read
        self.bounds = bounds
        self.labels = np.asarray(labels, np.int64)
        self.sources = Sources.of(sources)
        self.dataset = dataset
        self.notes = tuple(notes)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def images(self) -> np.ndarray:
        """All images [N, H, W, C], read-only. Use :meth:`batches` where the whole set need not lie in memory."""
        images = self._checked(np.arange(len(self)))
        images.flags.writeable = False
        return images

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images, of which there is one at least."""
        return self._checked(np.arange(1)).shape[1:]

    def picture(self, index: int) -> Picture:
        """Return the image at ``index`` as a picture, called by where it came from."""
        return Picture.of_image(self._checked(np.array([index]))[0], self.bounds, self.sources[index])

    def unit_image(self, index: int) -> np.ndarray:
        """Return the image at ``index`` [H, W, C], its value range mapped to [0, 1], to be shown below other values."""
        low, high = self.bounds
        return (self._checked(np.array([index]))[0] - np.float32(low)) / np.float32(high - low)

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Go through images [n, H, W, C] and labels [n], at most ``size`` at a time, reading only those."""
        for start in range(0, len(self), size):
            yield self.span(start, min(start + size, len(self)))

    def span(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Read images [n, H, W, C] and labels [n] from number ``start`` to the one before ``stop``."""
        return self._checked(np.arange(start, stop)), self.labels[start:stop]

    def select(self, indices: Sequence[int] | np.ndarray) -> Inputs:
        """Return the inputs at ``indices``, in that order."""
        chosen = np.arange(len(self))[np.asarray(indices)]
        return Inputs(
            lambda wanted: self._read(chosen[wanted]),
            self.labels[chosen],
            self.sources[chosen],
            bounds=self.bounds,
            dataset=self.dataset,
            notes=self.notes,
        )

    def records(self, size: int = 1024) -> Rows:
        """Describe every image for ``result.json``: source, digest of its float32 bytes, shape, label (or None).

        ``size`` images are read at a time.
        """

        def of_block(start: int, stop: int) -> dict[str, np.ndarray]:
            images, _ = self.span(start, stop)
            found = b"".join(hashlib.sha256(np.ascontiguousarray(image).data).digest() for image in images)
            return {"digest": np.frombuffer(found, np.uint8).reshape(-1, 32)}

        digests = gather(len(self), size, of_block)["digest"]
        sides = self.shape if len(self) else (0, 0, 0)
        unknown = self.labels == UNKNOWN
        return Rows.of_columns(
            {
                "source": Column("text", self.sources),
                "digest": Column("digest", digests),
                "shape": Column("shape", np.broadcast_to(np.array(sides, np.int32), (len(self), 3))),
                "label": Column("int", self.labels, unknown if unknown.any() else None),
            }
        )

    def _checked(self, indices: np.ndarray) -> np.ndarray:
        images = np.array(self._read(indices), np.float32)
        finite = np.isfinite(images)
        if not finite.all():
            first = int(np.flatnonzero(~finite.all(axis=(1, 2, 3)))[0])
            raise CnnlabError(
                f"{self.sources[indices[first]]} holds values that are not finite (NaN or infinity); every pixel "
                "must be a number. Repair or leave out the image."
            )
        return images


def from_arrays(
    classifier: Classifier,
    images: Any,
    labels: Any = None,
    *,
    sources: Sequence[str] | None = None,
    dataset: Dataset | None = None,
    notes: Sequence[str] = (),
) -> Inputs:
    """Take arrays that are already in the model's value range.

    Args:
        classifier: The model they are for.
        images: [N, H, W, C], [N, H, W] for grey ones, one image [H, W, C] or [H, W], or None for no image.
        labels: One label, or [N]; None or -1 where unknown.
        sources: Where each image came from; ``array:0`` and so on by default.
        dataset: The dataset they belong to.
        notes: What was done to them.

    Raises:
        UsageError: The shape, the range or a label does not fit the model.
    """
    if images is None:
        images = np.zeros((0, *(side or 1 for side in classifier.input_shape)), np.float32)
    array = _batch(np.asarray(images), classifier.input_shape)
    low, high = classifier.bounds
    slack = 1e-3 * (high - low)
    if array.size and (np.nanmin(array) < low - slack or np.nanmax(array) > high + slack):
        raise UsageError(
            f"the images hold values from {np.nanmin(array):g} to {np.nanmax(array):g}, but the model takes {low:g} "
            f"to {high:g}. Scale them first."
        )
    if classifier.whole_numbers:
        rounded = np.rint(array)
        if array.size and np.nanmax(np.abs(rounded - array)) > ROUNDING:
            notes = [*notes, "the model takes whole numbers, and pixels were rounded to them."]
        array = rounded
    known = _labels(labels, len(array), classifier.num_classes)
    names = sources or Sources.numbered("array", range(len(array)))
    return Inputs(lambda indices: array[indices], known, names, bounds=(low, high), dataset=dataset, notes=notes)


def _batch(array: np.ndarray, shape: tuple[int | None, int | None, int]) -> np.ndarray:
    channels = shape[2]
    if array.ndim == 2 or (array.ndim == 3 and channels == 1 and array.shape[-1] != 1):
        array = array[..., np.newaxis]
    if array.ndim == 3:
        array = array[np.newaxis]
    expected = ", ".join("any" if side is None else str(side) for side in shape)
    if array.ndim != 4 or not _fits(array.shape[1:], shape) or array.dtype.kind not in "fiub":
        raise UsageError(
            f"the images have shape {list(array.shape)} and type {array.dtype}; expected numbers [N, {expected}]."
        )
    return array.astype(np.float32)


def _fits(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return all(want is None or have == want for have, want in zip(shape, wanted, strict=True))


def _by(shape: Sequence[int | None]) -> str:
    return "x".join("any" if side is None else str(side) for side in shape)


def _labels(labels: Any, count: int, classes: int) -> np.ndarray:
    if labels is None:
        return np.full(count, UNKNOWN, np.int64)
    array = np.asarray(labels)
    if array.size and array.dtype.kind not in "iu":
        raise UsageError(f"labels must be integers; received {array.dtype}.")
    array = np.atleast_1d(array).astype(np.int64)
    if array.shape != (count,):
        raise UsageError(f"there are {count} images and labels of shape {list(array.shape)}; expected [{count}].")
    wrong = array[(array < UNKNOWN) | (array >= classes)]
    if wrong.size:
        raise UsageError(f"the label {wrong[0]} is none of the model's {classes} classes, 0 to {classes - 1}.")
    return array


def from_files(
    classifier: Classifier,
    paths: Sequence[str | os.PathLike[str]],
    labels: Any = None,
    *,
    dataset: Dataset | None = None,
    fit: image_files.Fit = "stretch",
    invert: bool = False,
    strict: bool = False,
) -> Inputs:
    """Read image files, and bring them to the model's shape and value range; what was done to them becomes a note.

    Args:
        classifier: The model they are for.
        paths: Image files, or folders of them.
        labels: As for :func:`from_arrays`.
        dataset: The dataset that the model was trained on: whether its images are light on dark or dark on light is
            what these are compared with.
        fit: How to bring an image of another aspect ratio to the model's: ``stretch``, ``crop`` or ``pad``.
        invert: Exchange black and white.
        strict: Refuse an image of another size or number of channels.

    Raises:
        CnnlabError: A file cannot be read, or does not fit.
        UsageError: A label does not fit the model, or the model's sides are open and the images differ in size.
    """
    files = image_files.expand(paths)
    read = [
        image_files.read_image(file, classifier.input_shape, fit=fit, invert=invert, strict=strict) for file in files
    ]
    notes = [note for image in read for note in image.notes]
    light = [str(file) for file, image in zip(files, read, strict=True) if _looks_inverted(image.pixels, dataset)]
    if light:
        notes.append(
            f"{', '.join(light)}: dark on a light ground, while this model was trained on light on dark; "
            "`invert=True` exchanges them."
        )
    shapes = {image.pixels.shape for image in read}
    if len(shapes) > 1:
        raise UsageError(
            f"the images have different sizes ({', '.join(f'{s[1]}x{s[0]}' for s in sorted(shapes))}), and the model "
            "takes any: analyse them one at a time, or resize them first."
        )
    pixels = np.stack([image.pixels for image in read])
    return from_arrays(
        classifier,
        _rescale(pixels, (0.0, 1.0), classifier.bounds),
        labels,
        sources=[str(file) for file in files],
        dataset=dataset,
        notes=notes,
    )


def _looks_inverted(pixels: np.ndarray, dataset: Dataset | None, sample: int = 64) -> bool:
    """Whether a grey image has a light ground where the images that the model learned have a dark one."""
    if dataset is None or pixels.shape[-1] != 1 or image_files.ground(pixels) < LIGHT:
        return False
    split = dataset.test if len(dataset.test) else dataset.train
    learned = _rescale(split.batch(range(min(sample, len(split)))), dataset.value_range, (0.0, 1.0))
    return bool(np.median([image_files.ground(image) for image in learned]) < DARK)


def from_split(
    classifier: Classifier, dataset: Dataset, split_name: str, indices: Sequence[int] | np.ndarray
) -> Inputs:
    """Take images of a dataset, read as they are wanted and brought to the model's value range.

    Args:
        classifier: The model they are for.
        dataset: The dataset.
        split_name: ``train`` or ``test``.
        indices: Which images, counted from 0, in the order wanted, [N].

    Raises:
        UsageError: The dataset's images or labels do not fit the model, or an index is out of range.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import Dataset, Split
        >>> from cnnlab.testing import FakeClassifier
        >>> split = Split(np.zeros((4, 2, 2), np.uint8), [0, 1, 1, 0])
        >>> dataset = Dataset(name="spots", train=split, test=split, class_names=("dark", "bright"))
        >>> inputs = from_split(FakeClassifier.of_brightness(), dataset, "test", [3, 1])
        >>> inputs.sources, inputs.labels.tolist()
        (['spots/test:3', 'spots/test:1'], [0, 1])
    """
    split = dataset.split(split_name)
    chosen = np.asarray(indices, np.int64)
    if chosen.size:
        check_within(split, range(chosen.min(), chosen.max() + 1))
    return of_split(classifier, split[chosen])


def check_within(split: Split, indices: range) -> None:
    """Refuse a range of indices that a split does not have all of; it may be longer than any memory.

    Args:
        split: Part of a dataset.
        indices: One or more, one after the other.

    Raises:
        UsageError: There is no image of one of them.
    """
    count = len(split)
    missing = [index for index in (indices[0], indices[-1]) if not 0 <= index < count]
    if missing:
        has = f"{count:,} images, 0 to {count - 1}" if count else "none"
        raise UsageError(f"there is no image {missing[0]} in {split.name}; it has {has}.")


def of_split(
    classifier: Classifier,
    split: Split,
    labels: Any = None,
    *,
    dataset: Dataset | None = None,
    notes: tuple[str, ...] = (),
) -> Inputs:
    """Take a split, or some images of one, read as they are wanted and brought to the model's value range.

    Args:
        classifier: The model they are for.
        split: The images, with their labels.
        labels: Other labels, as for :func:`from_arrays`.
        dataset: The dataset they belong to, where the split is of none.
        notes: What somebody who reads numbers of them should know.

    Raises:
        UsageError: The images or labels do not fit the model.
    """
    if not _fits(split.shape, classifier.input_shape):
        raise UsageError(
            f"{f'the dataset {split.dataset.name}' if split.dataset else 'the split'} has images of "
            f"{_by(split.shape)}, but the model takes {_by(classifier.input_shape)}; name a dataset of the model's own "
            "size with `dataset=`."
        )

    def read(wanted: np.ndarray) -> np.ndarray:
        images = _rescale(split.batch(wanted), split.value_range or classifier.bounds, classifier.bounds)
        return np.rint(images) if classifier.whole_numbers else images

    return Inputs(
        read,
        _labels(split.labels if labels is None else labels, len(split), classifier.num_classes),
        split.sources,
        bounds=classifier.bounds,
        dataset=split.dataset or dataset,
        notes=notes,
    )


def _rescale(images: np.ndarray, source: tuple[float, float], target: tuple[float, float]) -> np.ndarray:
    if source == target:
        return images
    unit = (images - source[0]) / (source[1] - source[0])
    return (unit * (target[1] - target[0]) + target[0]).astype(np.float32)
