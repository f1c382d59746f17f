"""A folder of images with a subfolder for each class, optionally below train/ and test/."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.datasets import images
from cnnlab.datasets.dataset import Dataset, Split
from cnnlab.errors import CnnlabError
from cnnlab.sources import Sources


def read(folder: Path) -> Dataset:
    """Read a dataset whose classes are the subfolders, sorted by name (by number where all are numbers).

    The images take turns, one of each class and again while a class has any left, so that the first so many of them
    (``--limit``) are of every class. They are all of one size, and grey if all of them are, else colour. They stay on
    the disk and are decoded when they are wanted. Without a folder ``test`` there are no test images.

    Raises:
        CnnlabError: There are no class folders or no images, a class of the test images has no training images, or the
            images differ in size.
    """
    parts = {name: folder / name for name in ("train", "test") if (folder / name).is_dir()}
    found = {name: _classes(part) for name, part in parts.items()} if "train" in parts else {"train": _classes(folder)}
    names = _in_order(found["train"])
    unknown = sorted(set(found.get("test", {})) - set(names))
    if unknown:
        raise CnnlabError(f"{parts['test'] / unknown[0]} is a class without training images in {parts['train']}.")
    if not names:
        raise CnnlabError(
            f"{folder} is empty, or no dataset: expected a subfolder of images for each class, perhaps below train/ "
            f"and test/; images are {', '.join(sorted(images.SUFFIXES))}."
        )
    listed = {name: Turns([found.get(name, {}).get(each) for each in names]) for name in ("train", "test")}
    shape = images.common_shape((file, images.stored_shape(file)) for turns in listed.values() for file in turns)
    return Dataset(
        name=folder.resolve().name,
        train=Split(ImageFiles(listed["train"], shape), listed["train"].labels),
        test=Split(ImageFiles(listed["test"], shape), listed["test"].labels),
        class_names=tuple(names),
        provenance=str(folder),
    )


@dataclass(frozen=True)
class Class:
    """The image files of a class.

    Attributes:
        folder: Where they are.
        names: What they are called, sorted.
    """

    folder: Path
    names: Sequence[str]


class Turns(Sequence[Path]):
    """The files of some classes: the first of every class, then the second of every class, and so on.

    Args:
        classes: In the order of their labels; None for one without files.

    Attributes:
        labels: int64 [N].
    """

    def __init__(self, classes: Sequence[Class | None]) -> None:
        self._classes = classes
        counts = [len(each.names) if each else 0 for each in classes]
        labels = np.repeat(np.arange(len(classes)), counts)
        places = np.concatenate([np.arange(count) for count in (*counts, 0)])
        order = np.lexsort((labels, places))
        self.labels, self._places = labels[order], places[order]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Any) -> Any:
        files = self._classes[self.labels[index]]
        assert files is not None, "a class without files has no turn"
        return files.folder / files.names[self._places[index]]


class ImageFiles:
    """Image files as stored pixels uint8 [N, H, W, C], each decoded when it is asked for.

    Args:
        files: Their paths.
        shape: Height, width and channels of each.
    """

    def __init__(self, files: Sequence[Path], shape: tuple[int, int, int]) -> None:
        self._files = files
        self.shape = (len(files), *shape)
        self.dtype = np.dtype(np.uint8)

    def __getitem__(self, indices: Any) -> np.ndarray:
        """Decode the images at ``indices``."""
        chosen, shape = np.atleast_1d(indices), self.shape[1:]
        return images.decode_all(
            lambda place: images.decode_8bit(self._files[chosen[place]], shape), (len(chosen), *shape)
        )


def _classes(folder: Path) -> dict[str, Class]:
    """The image files of each subfolder that has any."""
    found = {}
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not child.name.startswith("."):
            names = Sources.packed(sorted(_images(os.listdir(child))))
            if len(names):
                found[child.name] = Class(child, names)
    return found


def _images(names: Iterable[str]) -> Iterator[str]:
    return (name for name in names if os.path.splitext(name)[1].lower() in images.SUFFIXES)


def _in_order(names: Iterable[str]) -> list[str]:
    names = list(names)
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names)
