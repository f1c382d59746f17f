"""The folder of a result: what lies in it, and whether it is cnnlab's own."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from cnnlab.errors import CnnlabError
from cnnlab.files import is_leftover
from cnnlab.results.images import IMAGES

SCHEMA = 1
RECORD = "result.json"
ARRAYS = "arrays.npz"
DRAWINGS = "drawings.json"

_NAMES = re.compile(r"arrays\.npz|drawings\.json|\w+\.csv|figure[^/\\]*\.(png|svg|pdf)|images/[^/\\]+\.png")
"""What a result's folder holds beside its record. A record from elsewhere must not lead to other files."""


def check_folder(directory: str | os.PathLike[str]) -> None:
    """Refuse a folder in which a result would replace what cnnlab did not write.

    Raises:
        CnnlabError: It holds files and no result of cnnlab's, or a file of the result there was changed since.
    """
    _own_files(Path(directory))


def move_in(stage: Path, target: Path, names: Sequence[str]) -> None:
    """Move staged files into a result's folder, in order; those of an earlier result go.

    Raises:
        CnnlabError: See :func:`check_folder`; nothing was moved.
    """
    for file in _own_files(target, names):
        file.unlink(missing_ok=True)
    for name in names:
        (target / name).parent.mkdir(exist_ok=True)
        os.replace(stage / name, target / name)
    images = target / IMAGES
    if images.is_dir() and not any(images.iterdir()):
        images.rmdir()


def tables_of(names: Iterable[str]) -> list[str]:
    """Return those of the files that a record names which are tables, without their ending.

    >>> tables_of(["arrays.npz", "predictions.csv", "../elsewhere.csv"])
    ['predictions']
    """
    return [name.removesuffix(".csv") for name in names if re.fullmatch(r"\w+\.csv", name)]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _own_files(target: Path, names: Sequence[str] = ()) -> list[Path]:
    """List the files of the result that lies in ``target``: each is proved to be cnnlab's by its digest in the record.

    Args:
        target: The folder.
        names: What is about to be written there.
    """
    try:
        there = [path for path in target.iterdir() if not is_leftover(path)]
    except OSError:  # nothing is there, or no folder: writing will say so
        return []
    if not there:
        return []
    written = _written(target / RECORD)
    if written is None:
        raise CnnlabError(
            f"{target} is not empty and holds no result of cnnlab's, so nothing was written to it. Name a new folder."
        )
    changed = [name for name, known in written.items() if (target / name).is_file() and digest(target / name) != known]
    foreign = [name for name in names if name not in written and name != RECORD and (target / name).exists()]
    if changed or foreign:
        raise CnnlabError(
            f"{target / [*changed, *foreign][0]} is not as cnnlab wrote it, so nothing was written to its folder. Move "
            "it elsewhere, or name a new folder."
        )
    return [target / RECORD, *(target / name for name in written)]


def _written(record: Path) -> dict[str, str] | None:
    """What a record says was written beside it, name by digest; None where the file is no record of cnnlab's."""
    try:
        said = json.loads(record.read_text(encoding="utf-8"))
        files = dict(said["files"])
        own = said["schema"] == SCHEMA and bool(said["analysis"]) and bool(said["versions"]["cnnlab"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return files if own and all(_NAMES.fullmatch(name) for name in files) else None
