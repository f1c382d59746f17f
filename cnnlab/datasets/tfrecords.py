"""TFRecord files as datasets: which files are of one, what each is for, and what its classes are called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cnnlab.datasets import images
from cnnlab.datasets.dataset import Dataset, Split, numbered_classes
from cnnlab.datasets.records import Records, Scan
from cnnlab.errors import CnnlabError
from cnnlab.files.reading import read_text
from cnnlab.words import few

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("validation", "valid", "val", "eval", "dev"), "validation"),
}
"""Words in the name of a file, or of the folder it is in, that say what its images are for."""

# `a.tfrecord`, `a.tfrecord-00000-of-00010` as TensorFlow Datasets has it, and the bare `train-00000-of-00010`.
_SUFFIX = r".*\.(tfrecords?|tfrec)"
_NAME = re.compile(rf"{_SUFFIX}(-\d+-of-\d+)?|.*\b({'|'.join(SPLITS)})-\d+-of-\d+", re.IGNORECASE)


def found(path: Path) -> dict[str, list[Path]]:
    """The TFRecord files of a dataset by what they are for, ``train``, ``test`` or ``validation``.

    Args:
        path: A TFRecord file, or a folder of some, perhaps below train/, test/ and validation/. Files whose names do
            not say what they are for are to train on.

    Raises:
        CnnlabError: Some files say what they are for, and others do not.
    """
    if not path.is_dir():
        return {_purpose(path.name) or "train": [path]} if _NAME.fullmatch(path.name) else {}
    parts: dict[str, list[Path]] = {}
    for child in sorted(path.iterdir()):
        if _NAME.fullmatch(child.name) and not child.is_dir():
            parts.setdefault(_purpose(child.name), []).append(child)
        elif child.name.lower() in SPLITS and child.is_dir():
            for file in sorted(child.iterdir()):
                if _NAME.fullmatch(file.name):
                    parts.setdefault(SPLITS[child.name.lower()], []).append(file)
    if "" in parts and len(parts) > 1:
        raise CnnlabError(
            f"{parts[''][0]} does not say what it is for, and other files in {path} do. Call it train-*, test-* or "
            "validation-*, or move it elsewhere."
        )
    return {name or "train": files for name, files in parts.items()}


def _purpose(name: str) -> str:
    """What a file is for by the last word of its name that says it; empty where none does."""
    said = [SPLITS[word] for word in re.findall("[a-z]+", name.lower()) if word in SPLITS]
    return said[-1] if said else ""


def read(path: Path) -> Dataset:
    """Read a dataset from a TFRecord file, or from a folder of some (:func:`found`).

    Class names are taken from a file ``labels.txt`` or ``*.labels.txt`` beside them: one a line, perhaps each after its
    number and a colon.

    Raises:
        CnnlabError: A file is damaged or holds no labelled images, or these differ in size.
    """
    if not path.is_dir():
        return assemble(path.name.partition(".")[0], found(path), str(path), class_names=_class_names(path.parent))
    folder = path.resolve()
    # TensorFlow Datasets has NAME/VERSION.
    name = folder.parent.name if re.fullmatch(r"\d+\.\d+\.\d+", folder.name) else folder.name
    return assemble(name, found(path), str(path), class_names=_class_names(path))


def assemble(
    name: str,
    files: Mapping[str, Sequence[Path]],
    provenance: str,
    *,
    class_names: Sequence[str] | None = None,
    keys: tuple[str, str] | None = None,
) -> Dataset:
    """Make a dataset of TFRecord files. Those to validate with are its test images where there are no others.

    Args:
        name: What it is called.
        files: Those to train on, to test with and to validate with.
        provenance: Where they come from.
        class_names: The classes; None for their numbers.
        keys: What image and label are called in a record; None for the usual names.

    Raises:
        CnnlabError: As :func:`read`.
    """
    scans = [Scan(files.get("train", ()), keys), Scan(files.get("test") or files.get("validation", ()), keys)]
    shape = images.common_shape(each for scan in scans for each in scan.shapes())
    if not shape[2]:
        raise CnnlabError(f"there is no record in {few(file for scan in scans for file in scan.files)}.")
    train, test = (Split(Records(scan, shape), scan.labels) for scan in scans)
    classes = tuple(class_names or numbered_classes(train, test))
    return Dataset(name=name, train=train, test=test, class_names=classes, provenance=provenance)


def _class_names(folder: Path) -> list[str] | None:
    """Read the names of the classes, where a single file beside the records has them."""
    exact = folder / "labels.txt"
    files = [exact] if exact.exists() else sorted(folder.glob("*.labels.txt"))
    if len(files) != 1:
        return None
    lines = [line.strip() for line in read_text(files[0]).splitlines() if line.strip()]
    numbered = [line.partition(":") for line in lines]
    if all(number == str(place) and colon for place, (number, colon, _) in enumerate(numbered)):
        return [name.strip() for *_, name in numbered]
    return lines
