"""IDX files, the format that MNIST is published in: http://yann.lecun.com/exdb/mnist (FILE FORMATS)."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from cnnlab.datasets.dataset import Dataset, Split, check_stored, numbered_classes
from cnnlab.errors import CnnlabError
from cnnlab.files.reading import check_unpacked, open_regular

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(name).newbyteorder("=").str: code for code, name in _TYPES.items()}

_MOST_AXES = 4

_PREFIXES = {"train": ("train",), "test": ("t10k", "test")}
_PARTS = {"images": ("images-idx3-ubyte", "images.idx3-ubyte", "images-idx4-ubyte", "images.idx4-ubyte"),
          "labels": ("labels-idx1-ubyte", "labels.idx1-ubyte")}  # fmt: skip


def is_idx_folder(folder: Path) -> bool:
    """Whether a folder holds IDX files under the usual names."""
    return any(_find(folder, split, part) for split in _PREFIXES for part in _PARTS)


def read(folder: Path) -> Dataset:
    """Read train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte.

    Each may be gzipped (``.gz``). Without the t10k files there are no test images.

    Raises:
        CnnlabError: A file is missing or damaged, or images and labels do not fit together.
    """
    train = _read_split(folder, "train")
    if train is None:
        raise CnnlabError(f"{folder} has no train-images-idx3-ubyte (or .gz), which every folder of IDX files needs.")
    try:
        learned = _split(*train)
        images, labels = _read_split(folder, "test") or (train[0][:0], train[1][:0])
        splits = learned, _split(images, labels)
        return Dataset(
            name=folder.resolve().name,
            train=splits[0],
            test=splits[1],
            class_names=numbered_classes(*splits),
            provenance=str(folder),
        )
    except CnnlabError as error:
        raise CnnlabError(f"{folder}: {error}") from error


def read_array(path: Path) -> np.ndarray:
    """Read one IDX file, gzipped or not; no more of it is unpacked than its header speaks of.

    Raises:
        CnnlabError: It is no IDX file, it is cut short or too long, or it would fill the memory.
    """
    with open_regular(path) as file:
        packed = os.fstat(file.fileno()).st_size
        try:
            if path.suffix != ".gz":
                return _read_stream(file, path, packed)
            with gzip.GzipFile(fileobj=file) as unpacking:
                return _read_stream(cast(IO[bytes], unpacking), path, packed)
        except (OSError, EOFError, zlib.error) as error:
            raise CnnlabError(f"{path} cannot be read: {error}.") from error


def parse_idx(content: bytes, path: Path) -> np.ndarray:
    """Return the array that the bytes of an IDX file hold, in this machine's byte order.

    IDX is the format that MNIST is published in (http://yann.lecun.com/exdb/mnist, "FILE FORMATS"): two zeros, a byte
    for the type, one for the number of axes, their lengths, and the values, all big-endian.

    Args:
        content: The file's bytes.
        path: What to call it in an error.

    Raises:
        CnnlabError: It is no IDX file, or it is cut short.

    Example:
        >>> from pathlib import Path
        >>> content = bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 9])
        >>> parse_idx(content, Path("digits.idx")).tolist()
        [[7, 8, 9]]
    """
    start = _header_size(content[:4], path)
    kind, shape = _claimed(content[:start], path)
    return _as_array(content[start:], kind, shape, path)


def to_bytes(array: np.ndarray) -> bytes:
    """Return an array as the bytes of an IDX file: two zeros, type, rank, sides (big-endian), values (big-endian)."""
    header = bytes((0, 0, _CODES[array.dtype.newbyteorder("=").str], array.ndim))
    sides = np.array(array.shape, ">u4").tobytes()
    return header + sides + array.astype(array.dtype.newbyteorder(">")).tobytes()


def _find(folder: Path, split: str, part: str) -> Path | None:
    names = [f"{prefix}-{name}{end}" for prefix in _PREFIXES[split] for name in _PARTS[part] for end in ("", ".gz")]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read_split(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray] | None:
    images, labels = _find(folder, split, "images"), _find(folder, split, "labels")
    if images is None and labels is None:
        return None
    if images is None or labels is None:
        missing = "images" if images is None else "labels"
        raise CnnlabError(f"{folder} has IDX files for {split}, but no {_PREFIXES[split][0]}-{_PARTS[missing][0]}.")
    return read_array(images), read_array(labels)


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    check_stored(images)
    return Split(images, labels)


def _read_stream(file: IO[bytes], path: Path, packed: int) -> np.ndarray:
    head = file.read(4)
    head += file.read(_header_size(head, path) - 4)
    kind, shape = _claimed(head, path)
    size = kind.itemsize * math.prod(shape)
    check_unpacked(path, size, packed)
    return _as_array(file.read(size + 1), kind, shape, path)


def _header_size(magic: bytes, path: Path) -> int:
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES:
        raise CnnlabError(f"{path} is no IDX file: it begins with {magic.hex() or 'nothing'}.")
    if not 1 <= magic[3] <= _MOST_AXES:
        raise CnnlabError(f"{path} is no IDX file of images or labels: it has {magic[3]} axes, and these have 1 to 4.")
    return 4 + 4 * magic[3]


def _claimed(header: bytes, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """The type and the lengths of the axes that a header speaks of."""
    if len(header) < 4 + 4 * header[3]:
        raise CnnlabError(f"{path} is damaged: it ends within its header.")
    return np.dtype(_TYPES[header[2]]), tuple(int(side) for side in np.frombuffer(header[4:], ">u4"))


def _as_array(content: bytes, kind: np.dtype[Any], shape: tuple[int, ...], path: Path) -> np.ndarray:
    expected = kind.itemsize * math.prod(shape)
    if len(content) != expected:
        found = "more" if len(content) > expected else f"{len(content):,}"
        raise CnnlabError(f"{path} is damaged: expected {expected:,} bytes for {list(shape)}, found {found}.")
    return np.frombuffer(content, kind).reshape(shape).astype(kind.newbyteorder("="))
