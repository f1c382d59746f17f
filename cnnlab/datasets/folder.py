"""A folder of images with a subfolder for each class, optionally below train/ and test/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.datasets import images
from cnnlab.datasets.dataset import Dataset, Split
from cnnlab.errors import CnnlabError


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
    listed = {split: _taking_turns([classes.get(name, []) for name in names]) for split, classes in found.items()}
    if not listed["train"]:
        raise CnnlabError(
            f"{folder} is empty, or no dataset: expected a subfolder of images for each class, perhaps below train/ "
            f"and test/; images are {', '.join(sorted(images.SUFFIXES))}."
        )
    shape = _common_shape([file for each in listed.values() for file, _ in each])

    def split(name: str) -> Split:
        files = [file for file, _ in listed.get(name, [])]
        labels = [label for _, label in listed.get(name, [])]
        return Split(ImageFiles(files, shape), np.asarray(labels, np.int64))

    return Dataset(
        name=folder.resolve().name,
        train=split("train"),
        test=split("test"),
        class_names=tuple(names),
        provenance=str(folder),
    )


class ImageFiles:
    """Image files as stored pixels uint8 [N, H, W, C], each decoded when it is asked for.

    Args:
        files: Their paths.
        shape: Height, width and channels of each.
    """

    def __init__(self, files: Sequence[Path], shape: tuple[int, int, int]) -> None:
        self._files = list(files)
        self.shape = (len(self._files), *shape)
        self.dtype = np.dtype(np.uint8)

    def __getitem__(self, indices: Any) -> np.ndarray:
        """Decode the images at ``indices``."""
        chosen = [self._files[int(index)] for index in np.atleast_1d(indices)]
        decoded = np.empty((len(chosen), *self.shape[1:]), np.uint8)
        for position, file in enumerate(chosen):
            decoded[position] = images.decode_8bit(file, channels=self.shape[3])
        return decoded


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The image files of each subfolder that has any."""
    found = {}
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not child.name.startswith("."):
            files = sorted(file for file in child.iterdir() if file.suffix.lower() in images.SUFFIXES)
            if files:
                found[child.name] = files
    return found


def _taking_turns(classes: Sequence[Sequence[Path]]) -> list[tuple[Path, int]]:
    """Each file with its label: the first of every class, then the second of every class, and so on."""
    turns = [(turn, label, file) for label, files in enumerate(classes) for turn, file in enumerate(files)]
    return [(file, label) for _, label, file in sorted(turns, key=lambda each: each[:2])]


def _in_order(names: Sequence[str] | dict[str, Any]) -> list[str]:
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names)


def _common_shape(files: Sequence[Path]) -> tuple[int, int, int]:
    channels, first = 1, images.stored_shape(files[0])
    for file in files:
        shape = images.stored_shape(file)
        if shape[:2] != first[:2]:
            raise CnnlabError(
                f"{file} is {shape[1]}x{shape[0]} pixels and {files[0]} is {first[1]}x{first[0]}; the images of a "
                "dataset must be of one size. Resize them first."
            )
        channels = max(channels, shape[2])
    return (first[0], first[1], channels)
