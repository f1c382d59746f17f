"""The folder of a result: what lies in it, and whether it is cnnlab's own."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnlab.errors import CnnlabError
from cnnlab.files import places
from cnnlab.files.reading import read_json
from cnnlab.files.writing import BEFORE, alone_in, check_plain, is_leftover, leftovers, move_up
from cnnlab.interrupts import keeping
from cnnlab.results.artifacts import ARTIFACTS
from cnnlab.results.images import IMAGES
from cnnlab.results.record import NAMES, check_record, is_as_signed, lists_beside

RECORD = "result.json"
ARRAYS = "arrays.npz"
DRAWINGS = "drawings.json"
FOLDERS = (IMAGES, ARTIFACTS)


def check_folder(directory: str | os.PathLike[str], *, force: bool = False) -> None:
    """Refuse a folder that no result can be written to, or in which it would lie among what cnnlab did not write.

    Args:
        directory: The folder.
        force: Write there all the same: files called as the result's make way, and no other is touched.

    Raises:
        CnnlabError: It cannot be written to; it holds files and no result of cnnlab's, or a file of the result there
            was changed since; something that is no file is called as one of a result's; it is a run.
    """
    target = Path(directory)
    places.check_folder(target)
    if target.exists():
        places.check_apart(target, "result")
        for name in (path.name for path in target.iterdir()):
            if name in (RECORD, *FOLDERS) or NAMES.fullmatch(name):
                check_plain(target, f"{name}/0.png" if name in FOLDERS else name)
        with alone_in(target):
            _own_files(target, (), force=force)


def move_in(stage: Path, target: Path, names: Sequence[str], *, force: bool = False) -> None:
    """Move staged files into a result's folder, in order; those of an earlier result go, the record first.

    Raises:
        CnnlabError: See :func:`check_folder`; nothing was moved.
    """
    with alone_in(target), keeping():
        move_up(stage, target, names, away=_own_files(target, names, force=force))
        for folder in FOLDERS:
            with contextlib.suppress(OSError):  # it is no longer of use, or never was there
                (target / folder).rmdir()


def tables_of(record: Mapping[str, Any]) -> list[str]:
    """Return those of the files that a record names which are tables, without their ending.

    >>> tables_of({"files": {"arrays.npz": "0", "predictions.csv": "1", "../elsewhere.csv": "2"}})
    ['predictions']
    """
    lists = lists_beside(record).values()
    return [
        name.removesuffix(".csv") for name in record["files"] if re.fullmatch(r"\w+\.csv", name) and name not in lists
    ]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _own_files(target: Path, names: Sequence[str], *, force: bool) -> list[str]:
    """List the files of the result that lies in ``target``: each is proved to be cnnlab's by its digest in a record.

    Args:
        target: The folder.
        names: What is about to be written there.
        force: Whether other files may lie there, and make way where they are called so.
    """
    if all(map(is_leftover, target.iterdir())):
        return []
    written = _written(target / RECORD)
    # A process that was killed while it moved files leaves the records of the old and of the new behind.
    records = [leftover / name for leftover in leftovers(target) for name in (RECORD, f"{BEFORE}/{RECORD}")]
    known = [each for each in (written, *map(_written, records)) if each is not None]
    if not known and not force:
        raise CnnlabError(
            f"{target} is not empty and holds no result of cnnlab's, so nothing was written to it. Name a new folder, "
            "or write there all the same with `force=True`."
        )
    recorded = dict.fromkeys(name for each in known for name in each)
    present = [name for name in dict.fromkeys([*recorded, *names]) if name != RECORD and os.path.lexists(target / name)]
    own = [name for name in present if any(_is_as_written(target, name, each.get(name)) for each in known)]
    others = [name for name in present if name not in own]
    if others and not force:
        raise CnnlabError(
            f"{target / others[0]} is not as cnnlab wrote it, so nothing was written to its folder. Move it elsewhere, "
            "name a new folder, or write there all the same with `force=True`."
        )
    return [RECORD, *own] if written is not None else own


def _is_as_written(folder: Path, name: str, known: str | None) -> bool:
    path = folder / name
    linked = path.is_symlink() or (path.parent != folder and path.parent.is_symlink())
    return known is not None and path.is_file() and not linked and digest(path) == known


def _written(path: Path) -> dict[str, str] | None:
    """What a record says was written beside it, name by digest; None where the file is no record as cnnlab wrote it."""
    try:
        record = check_record(read_json(path), path)
    except CnnlabError:
        return None
    files: dict[str, str] = record["files"]
    told = {ARRAYS, DRAWINGS, *record["figures"], *(image["file"] for image in record.get("images", ()))}
    told |= {*lists_beside(record).values(), *(f"{name}.csv" for name in tables_of(record))}
    told |= {entry["file"] for entry in record.get("artifacts", ())}
    return files if is_as_signed(record) and ARRAYS in files and told.issuperset(files) else None
