"""What a dataset is: two splits of labelled images, with names, a value range and a digest."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from cnnlab.drawings import Drawing, Picture, Tiles
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.sources import Sources
from cnnlab.words import few

COLUMNS = 10
"""Images that a notebook shows of a split."""

BLOCK = 4096
BLOCK_BYTES = 256 * 2**20
"""Images, and bytes of them as float32, that are converted or digested at a time, so that no second copy of a large
split lies in memory."""

# As many classes as labels of one byte can tell apart need no proof by as many images.
MOST_UNNAMED = 256


class Pixels(Protocol):
    """Stored images: an array, or something that reads them from a disk when they are asked for by index."""

    @property
    def shape(self) -> tuple[int, ...]:
        """[N, H, W, C], or [N, H, W] for grey ones."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8 or uint16, for which the largest integer is white, or a float type."""

    def __getitem__(self, indices: Any, /) -> Any:
        """The images at an array of indices."""


@dataclass(frozen=True)
class _Part:
    """Some of stored images, read when they are asked for."""

    pixels: Pixels
    chosen: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.chosen), *self.pixels.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.pixels.dtype

    @property
    def files(self) -> np.ndarray | None:
        files = _files(self.pixels)
        return None if files is None else files[self.chosen]

    def __getitem__(self, indices: Any) -> Any:
        return self.pixels[self.chosen[indices]]

    @classmethod
    def of(cls, pixels: Pixels, chosen: np.ndarray) -> _Part:
        """Choose; some of some are some of the whole."""
        return cls(pixels.pixels, pixels.chosen[chosen]) if isinstance(pixels, cls) else cls(pixels, chosen)


def _files(pixels: Pixels) -> np.ndarray | None:
    files: np.ndarray | None = getattr(pixels, "files", None)
    return files


class Split:
    """Labelled images: the training images of a dataset, its test images, or some of these.

    ``split[:100]``, ``split[7]``, ``split[[0, 18]]`` and ``split[split.labels == 7]`` are splits too. Nothing is read
    for them, and they remember which images of which dataset they are.

    Args:
        pixels: [N, H, W, C], or [N, H, W] for grey images: uint8 or uint16, which are scaled to [0, 1], or floats,
            which are taken as they are.
        labels: Integers [N], counted from 0.

    Attributes:
        labels: int64 [N], read-only.
        dataset: The dataset that it is of; None where it is of none.

    Raises:
        CnnlabError: They do not fit together.

    Example:
        >>> import numpy as np
        >>> split = Split(np.full((4, 2, 2), 255, np.uint8), [0, 1, 1, 0])
        >>> len(split), split.shape, float(split.batch([3]).max())
        (4, (2, 2, 1), 1.0)
        >>> split[1:3].labels.tolist(), len(split[split.labels == 0])
        ([1, 1], 2)
    """

    def __init__(self, pixels: Pixels, labels: Sequence[int] | np.ndarray) -> None:
        labels = np.asarray(labels)
        if len(pixels.shape) not in (3, 4) or 0 in pixels.shape[1:]:
            raise CnnlabError(f"images must be [N, H, W, C] or [N, H, W]; received an array {list(pixels.shape)}.")
        if pixels.dtype.kind != "f" and pixels.dtype not in (np.uint8, np.uint16):
            raise CnnlabError(f"images must be uint8, uint16 or floats; received {pixels.dtype}.")
        if labels.shape != (pixels.shape[0],) or (labels.size and labels.dtype.kind not in "iu"):
            raise CnnlabError(
                f"labels must be one integer for each of the {pixels.shape[0]} images; received {labels.dtype} "
                f"{list(labels.shape)}."
            )
        if labels.size and labels.min() < 0:
            raise CnnlabError(f"labels are counted from 0; received {labels.min()}.")
        if labels.size and labels.max() > np.iinfo(np.int64).max:
            raise CnnlabError(f"labels are numbers of classes; received {labels.max()}.")
        self._pixels = pixels
        self.labels: np.ndarray = labels.astype(np.int64)
        self.labels.flags.writeable = False
        self.dataset: Dataset | None = None
        self._name = ""
        self._places: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, key: int | slice | Sequence[int] | np.ndarray) -> Split:
        chosen = self._chosen(key)
        part = copy.copy(self)
        for known in ("images", "digest"):
            vars(part).pop(known, None)
        part._pixels, part.labels = _Part.of(self._pixels, chosen), self.labels[chosen]
        part.labels.flags.writeable = False
        part._places = chosen if self._places is None else self._places[chosen]
        return part

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.images, dtype) if copy else np.asarray(self.images, dtype)

    def __repr__(self) -> str:
        return f"Split({f'{self.name}, ' if self.name else ''}{_images(len(self), self.shape)})"

    def _repr_html_(self) -> str:
        from cnnlab.render.html.notebook import notebook

        return notebook(repr(self), drawings=self._drawn(range(min(len(self), COLUMNS))))

    def _drawn(self, indices: Sequence[int] | range | np.ndarray) -> list[Drawing]:
        """Draw some of the images in a row, each below the name of its class; none where there is none."""
        if not len(indices):
            return []
        images, names = self.batch(indices), self.dataset.class_names if self.dataset else None
        limits = self.value_range or (float(images.min()), float(images.max()))
        return [
            Tiles(
                tiles=tuple(
                    Picture.of_image(image, limits, names[label] if names else str(label))
                    for image, label in zip(images, self.labels[np.asarray(indices)], strict=True)
                ),
                columns=COLUMNS // 2,
            )
        ]

    def _chosen(self, key: Any) -> np.ndarray:
        """Return the indices, counted from 0, that an index, a slice, a list of indices or a mask stands for."""
        count = len(self)
        if isinstance(key, slice):
            return np.arange(count)[key]
        wanted = np.asarray(key) if np.size(key) else np.zeros(0, np.int64)
        if wanted.dtype == bool and wanted.shape == (count,):
            return np.flatnonzero(wanted)
        if wanted.dtype.kind not in "iu" or wanted.ndim > 1:
            raise UsageError(
                f"a split takes an index, a slice, a list of indices, or a mask of its {count} images; "
                f"received {key!r}."
            )
        wanted = np.atleast_1d(wanted).astype(np.int64)
        outside = wanted[(wanted < -count) | (wanted >= count)]
        if outside.size:
            raise IndexError(f"there is no image {outside[0]} in {self!r}; it has 0 to {count - 1}.")
        return wanted % max(count, 1)

    @property
    def name(self) -> str:
        """What it is called, ``mnist/test`` or ``mnist/test[5:10]``; empty where it is of no dataset."""
        if self.dataset is None:
            return ""
        whole = f"{self.dataset.name}/{self._name}"
        return whole if self._places is None else f"{whole}[{_written(self._places)}]"

    @property
    def sources(self) -> Sources:
        """Where each image came from, ``mnist/test:5``; ``array:5`` where that is no dataset."""
        places = range(len(self)) if self._places is None else self._places
        return Sources.numbered(f"{self.dataset.name}/{self._name}" if self.dataset else "array", places)

    @property
    def value_range(self) -> tuple[float, float] | None:
        """The smallest and the largest value that a pixel may have; None where nobody said."""
        if self.dataset is not None:
            return self.dataset.value_range
        return None if self._pixels.dtype.kind == "f" else (0.0, 1.0)

    def of(self, dataset: Dataset, name: str) -> Split:
        """Return it as the split called ``name`` of ``dataset``."""
        own = copy.copy(self)
        own.dataset, own._name, own._places = dataset, name, None
        return own

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of one image."""
        height, width, *channels = self._pixels.shape[1:]
        return (int(height), int(width), int(channels[0]) if channels else 1)

    @property
    def dtype(self) -> np.dtype[Any]:
        """What a stored value is: uint8, uint16 or floats."""
        return self._pixels.dtype

    @property
    def files(self) -> np.ndarray | None:
        """The number of the file that each image lies in, int [N], where files hold several; else None."""
        return _files(self._pixels)

    @property
    def nbytes(self) -> int:
        """How many bytes the images take as float32."""
        return 4 * len(self) * int(np.prod(self.shape))

    @cached_property
    def images(self) -> np.ndarray:
        """All images, float32 [N, H, W, C], read-only; four times the memory of 8-bit ones (see :meth:`batch`)."""
        images = np.empty((len(self), *self.shape), np.float32)
        for block in self._blocks():
            images[block] = self.batch(block)
        images.flags.writeable = False
        return images

    def _blocks(self) -> Iterator[np.ndarray]:
        """Indices of all images, as many at a time as :data:`BLOCK` and :data:`BLOCK_BYTES` allow."""
        size = max(1, min(BLOCK, BLOCK_BYTES * len(self) // max(self.nbytes, 1)))
        for start in range(0, len(self), size):
            yield np.arange(start, min(start + size, len(self)))

    def batch(self, indices: Sequence[int] | range | np.ndarray) -> np.ndarray:
        """Return the images at ``indices``, float32 [n, H, W, C]."""
        stored = self.stored(indices)
        if stored.dtype.kind == "f":
            return stored.astype(np.float32)
        return stored.astype(np.float32) / np.float32(np.iinfo(stored.dtype).max)

    def stored(self, indices: Sequence[int] | range | np.ndarray) -> np.ndarray:
        """Return the images at ``indices`` as they are stored, [n, H, W, C] of :attr:`dtype`."""
        chosen = np.asarray(indices, np.int64)
        return np.asarray(self._pixels[chosen]).reshape(len(chosen), *self.shape)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of shape, type, pixels and labels."""
        state = hashlib.sha256(f"{(len(self), *self.shape)} {self._pixels.dtype.newbyteorder('<').str}".encode())
        for chosen in self._blocks():
            state.update(np.ascontiguousarray(self._pixels[chosen]).astype(self._pixels.dtype.newbyteorder("<")).data)
        state.update(self.labels.astype("<i8").tobytes())
        return state.hexdigest()


def in_memory(*splits: Split) -> int:
    """Return how many bytes of splits lie in memory now, what they share counted once.

    Images that are read from a disk when they are asked for take none.

    >>> split = Split(np.zeros((4, 2, 2), np.uint8), [0, 1, 1, 0])
    >>> before, _ = in_memory(split, split[:2]), split.images
    >>> before, in_memory(split, split[:2])
    (64, 128)
    """
    held: list[Any] = [split.labels for split in splits]
    held += [split._pixels.pixels if isinstance(split._pixels, _Part) else split._pixels for split in splits]
    held += [vars(split).get("images") for split in splits]
    arrays = {id(each): each for each in held if isinstance(each, np.ndarray) and not isinstance(each, np.memmap)}
    return sum(each.nbytes for each in arrays.values())


@dataclass(frozen=True, kw_only=True, repr=False)
class Dataset:
    """Named images and labels.

    Attributes:
        name: What it is called in tables, files and folder names.
        train: The training images.
        test: The test images; perhaps none.
        class_names: The classes, in the order of their labels.
        value_range: The smallest and the largest value that a pixel may have.
        provenance: Who made it and where it is described.
        licence: The licence of the data.
        source: What :func:`cnnlab.datasets.load` finds it by again, whatever the working directory: a name, or the
            absolute path that it was read from; empty where it was made in Python.

    Raises:
        CnnlabError: It holds no image at all, its splits have different shapes, or a label has no class name.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import Split
        >>> train, test = Split(np.zeros((4, 2, 2), np.uint8), [0, 1, 1, 0]), Split(np.zeros((0, 2, 2), np.uint8), [])
        >>> dataset = Dataset(name="spots", train=train, test=test, class_names=("dark", "bright"))
        >>> dataset.shape, len(dataset.split("test"))
        ((2, 2, 1), 0)
    """

    name: str
    train: Split
    test: Split
    class_names: tuple[str, ...]
    value_range: tuple[float, float] = (0.0, 1.0)
    provenance: str = ""
    licence: str = ""
    source: str = ""

    def __repr__(self) -> str:
        numbers = f"{len(self.train):,} training and {_images(len(self.test), self.shape, 'test ')}"
        return f"Dataset({self.name}, {numbers}, {len(self.class_names)} classes)"

    def _repr_html_(self) -> str:
        from cnnlab.drawings.tables import Table
        from cnnlab.render.html.notebook import notebook

        split = self.train if len(self.train) else self.test
        firsts = np.unique(split.labels, return_index=True)[1][:COLUMNS]
        train, test = (np.bincount(part.labels, minlength=len(self.class_names)) for part in (self.train, self.test))
        rows = [(name, int(train[label]), int(test[label])) for label, name in enumerate(self.class_names)]
        return notebook(
            repr(self), drawings=split._drawn(firsts), tables=[Table(("class", "training images", "test images"), rows)]
        )

    def __post_init__(self) -> None:
        for name in ("train", "test"):
            object.__setattr__(self, name, getattr(self, name).of(self, name))
        if not len(self.train) and not len(self.test):
            raise CnnlabError(f"the dataset {self.name} is empty: it holds no image.")
        if self.train.shape != self.test.shape:
            raise CnnlabError(
                f"the dataset {self.name} has training images of {_by(self.train.shape)} and test images of "
                f"{_by(self.test.shape)}; they must be alike."
            )
        largest = max(int(split.labels.max()) for split in (self.train, self.test) if len(split))
        if largest >= len(self.class_names):
            raise CnnlabError(
                f"the dataset {self.name} has the label {largest}, but {len(self.class_names)} class names; labels "
                "are counted from 0."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of one image."""
        return self.train.shape

    @property
    def digest(self) -> str:
        """SHA-256 of both splits."""
        return hashlib.sha256(f"{self.train.digest} {self.test.digest}".encode()).hexdigest()

    def split(self, name: str) -> Split:
        """Return one of its splits.

        Args:
            name: ``train`` or ``test``.
        """
        return {"train": self.train, "test": self.test}[name]


def check_stored(images: np.ndarray) -> None:
    """Refuse stored images of floats whose values are no brightness.

    Args:
        images: [N, H, W] or [N, H, W, C], of any type.

    Raises:
        CnnlabError: Some are NaN, infinite, below 0 or above 1.
    """
    if images.dtype.kind != "f" or not images.size:
        return
    low, high = float(images.min()), float(images.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise CnnlabError("the images hold NaN or infinity; every pixel must be a finite number.")
    if low < 0 or high > 1:
        raise CnnlabError(
            f"images of floats must lie in [0, 1]; received {low:g} to {high:g}. Scale them, or store them as uint8."
        )


def numbered_classes(train: Split, test: Split) -> tuple[str, ...]:
    """Name classes by their numbers, 0 to the largest label, where a file holds labels and no names.

    Raises:
        CnnlabError: The labels count more classes than the larger of 256 and the number of images.
    """
    classes = max((int(split.labels.max()) for split in (train, test) if len(split)), default=-1) + 1
    images = len(train) + len(test)
    if classes > max(MOST_UNNAMED, images):
        raise CnnlabError(
            f"labels are out of range: expected classes counted from 0; received the label {classes - 1} among those "
            f"of {images} images."
        )
    return tuple(map(str, range(classes)))


def _images(count: int, shape: tuple[int, int, int], kind: str = "") -> str:
    return f"{count:,} {kind}image{'' if count == 1 else 's'} of {_by(shape)}"


def _written(places: np.ndarray) -> str:
    """Write indices as one would type them.

    >>> _written(np.arange(5, 10)), _written(np.arange(0, 9, 2)), _written(np.array([3, 1]))
    ('5:10', ':9:2', '3, 1')
    """
    if not len(places):
        return ":0"
    first, last, steps = int(places[0]), int(places[-1]), set(np.diff(places).tolist())
    if steps == {1}:
        return f"{first or ''}:{last + 1}"
    if len(places) > 2 and len(steps) == 1 and min(steps) > 1:
        return f"{first or ''}:{last + 1}:{min(steps)}"
    return few(places.tolist(), 4)


def _by(shape: tuple[int, int, int]) -> str:
    return "x".join(map(str, shape))
