"""Records of TFRecord files: where each lies, what it is labelled, and its image, read when it is wanted."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.datasets import images
from cnnlab.errors import CnnlabError
from cnnlab.files.reading import check_regular
from cnnlab.words import few

IMAGE_KEYS = ("image/encoded", "image", "image_raw", "image/raw")
LABEL_KEYS = ("image/class/label", "label", "image/label")
SIDES = (("image/height", "image/width"), ("height", "width"))
CHANNELS = ("image/channels", "image/depth", "channels", "depth")
"""What is called so in the files of others: of TensorFlow's tutorials and models, and of TensorFlow Datasets."""

_AT_ONCE = 32
"""Records that are looked at together while files are opened: of large images they take megabytes each."""

_HEADER, _FOOTER = 12, 4
"""Bytes before and after a record: its length, of eight bytes, and checksums."""

MOST = 1 << 28
"""Bytes that a record may have, and that the records looked at together have at most."""

_FILES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
"""What PNG and JPEG files begin with."""


@dataclass(frozen=True)
class Keys:
    """What a ``tf.train.Example`` calls its image and its label.

    Attributes:
        image: An image file, or pixels, uint8 [H, W, C].
        label: A whole number, counted from 0.
        sides: Height and width of an image of pixels; None for image files.
    """

    image: str
    label: str
    sides: tuple[str, str] | None

    @classmethod
    def of(cls, features: Any, name: str, named: tuple[str, str] | None) -> Keys:
        """Find them in the first record of a dataset.

        Args:
            features: Its features.
            name: What to call it.
            named: What image and label are called; None for the usual names.

        Raises:
            CnnlabError: They are called otherwise.
        """
        image, label = (
            _first(features, keys, name) for keys in (((named[0],), (named[1],)) if named else (IMAGE_KEYS, LABEL_KEYS))
        )
        keys = cls(image, label, next((sides for sides in SIDES if all(side in features for side in sides)), None))
        content = _single(features, image, "bytes_list", name)
        # Image files may say their sides, too.
        if keys.sides and (content.startswith(_FILES) or len(content) != np.prod(keys.raw_shape(features, name))):
            keys = cls(image, label, None)
        return keys

    def raw_shape(self, features: Any, name: str) -> tuple[int, int, int]:
        """Height, width and channels that a record of pixels says it has."""
        assert self.sides is not None, "image files say their shape themselves"
        height, width = (_single(features, side, "int64_list", name) for side in self.sides)
        channels = next((key for key in CHANNELS if key in features), None)
        return (height, width, 1 if channels is None else _single(features, channels, "int64_list", name))

    def image_of(self, features: Any, name: str) -> images.Encoded:
        """The image of a record."""
        return images.Encoded(_single(features, self.image, "bytes_list", name), name)

    def label_of(self, features: Any, name: str) -> int:
        """The label of a record."""
        label = int(_single(features, self.label, "int64_list", name))
        if label < 0:
            raise CnnlabError(f"{name} has the label {label} (`{self.label}`); labels are counted from 0.")
        return label

    def shape_of(self, features: Any, name: str) -> tuple[int, int, int]:
        """Height, width and channels of the image of a record, from its header alone."""
        image = self.image_of(features, name)
        if self.sides is None:
            return images.stored_shape(image)
        shape = self.raw_shape(features, name)
        if min(shape) < 1 or len(image.content) != np.prod(shape):
            raise CnnlabError(
                f"{name} has {len(image.content)} bytes of pixels (`{self.image}`); expected {shape[0]} x {shape[1]} x "
                f"{shape[2]}, the height, width and channels that it says."
            )
        return shape


class Scan:
    """One pass over all records of some files, which notes where each lies and what it is labelled.

    Args:
        files: The files; their records follow each other.
        named: What image and label are called; None for the usual names.

    Attributes:
        files: As given.
        keys: What image and label are called, once a record was seen.
    """

    def __init__(self, files: Sequence[Path], named: tuple[str, str] | None = None) -> None:
        self.files = tuple(files)
        self.keys: Keys | None = None
        self._named = named
        self._labels, self._starts, self._lengths, self._files = array("q"), array("q"), array("I"), array("i")

    def shapes(self) -> Iterator[tuple[str, tuple[int, int, int]]]:
        """Go through the records and yield what each is called, and the height, width and channels of its image.

        Raises:
            CnnlabError: A file or a record is damaged, or is no labelled image.
        """
        for number, file in enumerate(self.files):
            for place, (start, record) in enumerate(_records(file)):
                name = _called(file, place)
                features = _features(record, name)
                self.keys = self.keys or Keys.of(features, name, self._named)
                shape = self.keys.shape_of(features, name)
                self._labels.append(self.keys.label_of(features, name))
                self._starts.append(start)
                self._lengths.append(len(record))
                self._files.append(number)
                yield name, shape

    @property
    def labels(self) -> np.ndarray:
        """int64 [N]."""
        return np.array(self._labels, np.int64)

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each record, the number of its file, where in it it begins, and how many bytes it has; [N] each."""
        return np.array(self._files, np.int32), np.array(self._starts, np.int64), np.array(self._lengths, np.uint32)


class Records:
    """The images of TFRecord files as stored pixels uint8 [N, H, W, C], each read when it is asked for.

    Args:
        scan: Where they are, after its pass.
        shape: Height, width and channels of each.

    Attributes:
        files: The number of the file that each is in, int32 [N].
    """

    def __init__(self, scan: Scan, shape: tuple[int, int, int]) -> None:
        self.files, self._starts, self._lengths = scan.places
        self._paths, self._keys = scan.files, scan.keys
        self.shape = (len(self.files), *shape)
        self.dtype = np.dtype(np.uint8)

    def __getitem__(self, indices: Any) -> np.ndarray:
        """Read and decode the images at ``indices``."""
        chosen = np.atleast_1d(indices)
        contents = self._read(chosen)
        return images.decode_all(
            lambda place: self._pixels(contents[place], int(chosen[place])), (len(chosen), *self.shape[1:])
        )

    def _read(self, chosen: np.ndarray) -> list[bytes]:
        """Read records, those of a file in the order in which they lie there."""
        contents = [b""] * len(chosen)
        files, starts = self.files[chosen], self._starts[chosen]
        order = np.lexsort((starts, files))
        for places in np.split(order, np.flatnonzero(np.diff(files[order])) + 1):
            if not len(places):
                continue
            path = check_regular(self._paths[files[places[0]]])
            try:
                with path.open("rb") as file:
                    for place in places:
                        file.seek(starts[place])
                        contents[place] = file.read(int(self._lengths[chosen[place]]))
            except OSError as error:
                raise CnnlabError(f"{path} cannot be read: {error.strerror or error}.") from error
        return contents

    def _pixels(self, record: bytes, index: int) -> np.ndarray:
        number, (height, width, channels), keys = self.files[index], self.shape[1:], self._keys
        assert keys is not None, "a record was seen"
        name = _called(self._paths[number], index - int(np.searchsorted(self.files, number)))
        if len(record) != self._lengths[index]:
            raise CnnlabError(f"{name} is cut off: the file has changed since it was opened.")
        features = _features(record, name)
        image = keys.image_of(features, name)
        if keys.sides is None:
            return images.decode_8bit(image, (height, width, channels))
        if keys.shape_of(features, name)[:2] != (height, width):
            raise CnnlabError(f"{name} has changed since it was opened: its image is of another size.")
        return np.broadcast_to(np.frombuffer(image.content, np.uint8).reshape(height, width, -1), self.shape[1:])


def _called(file: Path, place: int) -> str:
    return f"record {place} of {file}"


def _records(file: Path) -> Iterator[tuple[int, bytes]]:
    """Read a file from its beginning, with its checksums looked at: where each record begins, and its bytes."""
    import tensorflow as tf

    starts, longest = _starts(file)
    at_once, done = max(1, min(_AT_ONCE, MOST // max(1, longest))), 0
    try:
        for batch in tf.data.TFRecordDataset(str(file)).batch(at_once):
            for record in batch.numpy():
                yield starts[done], record
                done += 1
    except tf.errors.DataLossError:
        with suppress(tf.errors.DataLossError):
            for _ in tf.data.TFRecordDataset(str(file)).skip(done):
                done += 1
        raise _damaged(file, done, "its checksum does not hold") from None
    except tf.errors.OpError as error:
        raise CnnlabError(f"{file} cannot be read: {error.message}.") from error


def _starts(file: Path) -> tuple[array[int], int]:
    """Where each record of a file begins, and the bytes of the longest.

    TensorFlow believes a record that says how long it is, and dies of one that says a terabyte.
    """
    size, starts, start, longest = check_regular(file).stat().st_size, array("q"), 0, 0
    try:
        with file.open("rb") as opened:
            while start < size:
                opened.seek(start)
                length = int.from_bytes(opened.read(8), "little")
                if start + _HEADER + length + _FOOTER > size:
                    raise _damaged(file, len(starts), "it is longer than what is left of the file")
                if length > MOST:
                    raise CnnlabError(
                        f"{_called(file, len(starts))} has {length:,} bytes, more than the {MOST:,} that are read."
                    )
                starts.append(start + _HEADER)
                start, longest = start + _HEADER + length + _FOOTER, max(longest, length)
    except OSError as error:
        raise CnnlabError(f"{file} cannot be read: {error.strerror or error}.") from error
    return starts, longest


def _damaged(file: Path, place: int, reason: str) -> CnnlabError:
    with file.open("rb") as opened:
        if not place and opened.read(2) == b"\x1f\x8b":
            return CnnlabError(
                f"{file} is compressed, and images are read from the middle of a file. Unpack it first, with `gunzip`."
            )
    return CnnlabError(f"{_called(file, place)} is damaged or cut off: {reason}. Write the file again.")


def _features(record: bytes, name: str) -> Any:
    """The features of a ``tf.train.Example``."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.example.example_pb2 import Example

    try:
        return Example.FromString(record).features.feature
    except DecodeError:
        raise CnnlabError(f"{name} is no tf.train.Example, which labelled images are expected in.") from None


def _first(features: Any, keys: Sequence[str], name: str) -> str:
    for key in keys:
        if key in features:
            return key
    there = few((f"`{key}`" for key in sorted(features)), 12) or "none"
    raise CnnlabError(
        f"{name} lacks {' or '.join(f'`{key}`' for key in keys)}; received the keys {there}. Expected an image (a PNG "
        f"or JPEG file, or bytes with height and width) under {few(f'`{key}`' for key in IMAGE_KEYS)}, and its class, "
        f"a whole number, under {few(f'`{key}`' for key in LABEL_KEYS)}."
    )


def _single(features: Any, key: str, kind: str, name: str) -> Any:
    """The single value of a feature."""
    there = features[key].WhichOneof("kind") if key in features else None
    values = getattr(features[key], there).value if there else []
    if there != kind or len(values) != 1:
        expected = "the bytes of one image" if kind == "bytes_list" else "one whole number"
        received = f"{there} of {len(values)}" if there else "nothing"
        raise CnnlabError(f"{name} has {received} under `{key}`; expected {expected}.")
    return values[0]
