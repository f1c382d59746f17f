"""Writing files and folders whole, beside their place first and then renamed into it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cnnlab.errors import CnnlabError

_PREFIX = ".partial-"


@contextlib.contextmanager
def write_beside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a place beside ``path`` to write a file or a folder in, and rename it to ``path`` at the end.

    Whoever reads ``path`` sees what was there before, or the new whole, and never a part of it. When the ``with`` block
    raises, what it wrote is removed and ``path`` is left as it was.

    Args:
        path: The file or folder to make or replace. Its parent folder is made where it is missing.

    Yields:
        A path that does not exist yet, on the same file system and with the same suffix, for the block to create.

    Raises:
        CnnlabError: The disk is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.parent / f"{_PREFIX}{uuid.uuid4().hex[:8]}-{path.name}"
    try:
        yield beside
        _flush_to_disk(beside)
        _rename(beside, path)
    except BaseException as error:
        _remove(beside)
        if isinstance(error, Exception) and _is_disk_full(error):
            raise CnnlabError(
                f"the disk is full: {path} could not be written, and nothing of it was kept. Free some space and try "
                "again."
            ) from error
        raise


@contextlib.contextmanager
def write_into(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a folder inside ``folder`` to write files in, which the block then moves up; it is taken away at the end.

    For folders that hold other things too, which :func:`write_beside` would replace. When the block raises, what was
    staged is removed, and ``folder`` too if it was made in vain.

    Args:
        folder: The folder; it and its parents are made where they are missing.

    Raises:
        CnnlabError: It cannot be written to.
    """
    target = Path(folder)
    made = [parent for parent in [target, *target.parents] if not parent.exists()]
    stage = target / f"{_PREFIX}{uuid.uuid4().hex[:8]}"
    try:
        stage.mkdir(parents=True)
        yield stage
    except BaseException as error:
        _remove(stage)
        for parent in made:
            if parent.exists() and not any(parent.iterdir()):
                parent.rmdir()
        if isinstance(error, OSError):
            raise CnnlabError(f"the result could not be written to {target}: {error.strerror or error}.") from error
        if type(error) is CnnlabError:  # of a file in the stage, which nobody is to look for
            raise CnnlabError(str(error).replace(str(stage), str(target))) from error
        raise
    finally:
        _remove(stage)


def is_leftover(path: Path) -> bool:
    """Whether a killed process had half-written this file or folder."""
    return path.name.startswith(_PREFIX)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all; what JSON has no number for must be None already."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    with write_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process had half-written in ``folder``. Nobody else may be writing there."""
    for leftover in folder.glob(f"{_PREFIX}*"):
        _remove(leftover)


def short_names(paths: Sequence[Path]) -> list[str]:
    """Name paths so that no two have the same name: as short as that allows, from their ends.

    The same path given twice is told apart by a number.

    >>> short_names([Path("/a/run"), Path("/b/run"), Path("/b/run")])
    ['a/run', 'b/run (1)', 'b/run (2)']
    """
    paths = [path.resolve() for path in paths]
    for parts in range(1, max(len(path.parts) for path in paths) + 1):
        named = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(named)) == len(set(paths)):
            break
    return [
        name if named.count(name) == 1 else f"{name} ({named[: index + 1].count(name)})"
        for index, name in enumerate(named)
    ]


def _rename(beside: Path, path: Path) -> None:
    if path.is_dir() and beside.is_dir():
        # A folder can only be renamed onto an empty one, so the old one steps aside first.
        old = path.parent / f"{_PREFIX}{uuid.uuid4().hex[:8]}-old"
        path.rename(old)
        beside.rename(path)
        _remove(old)
    else:
        os.replace(beside, path)


def _flush_to_disk(path: Path) -> None:
    """Make sure that the contents are on the disk before the name is, so that a power cut leaves no empty file."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    for file in files:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    elif path.parent.is_dir():
        path.unlink(missing_ok=True)


def _is_disk_full(error: Exception) -> bool:
    """Whether ``error`` says so, in Python's words or in those of HDF5 or TensorFlow, which lose the number."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    words = str(error).lower()
    return any(sign in words for sign in ("no space left", f"errno = {errno.ENOSPC}", "disk quota exceeded"))
