"""Where something may be written: asked before the work begins, and claimed so that no two take the same place."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from cnnlab.errors import CnnlabError
from cnnlab.files.reading import kind_of
from cnnlab.files.writing import partial_name

MARK = "made with cnnlab"
"""What figures say of themselves."""

_MARKED = 4096
"""Bytes at either end of a file in which they do."""

_LONGEST = 300
"""Characters of a path that a message repeats."""


def check_file(
    path: str | os.PathLike[str],
    *,
    force: bool = False,
    own: Callable[[Path], bool] = lambda path: False,
    what: str = "not cnnlab's",
) -> None:
    """Refuse a place that no file can be written to, or where a file lies that may not be replaced.

    Args:
        path: The file.
        force: Whether any file may be replaced.
        own: Tells a file that cnnlab wrote, which it may replace.
        what: What another one is, for the message.

    Raises:
        CnnlabError: It is such a place.
    """
    path = Path(path)
    if _check(path, "file") and not force and not own(path):
        raise CnnlabError(
            f"{path} is {what}, so it was not replaced. Name a new file, or replace it with `force=True`."
        )


def check_folder(path: str | os.PathLike[str]) -> None:
    """Refuse a place that is no folder to write in and cannot become one; whose it is, is for the caller to tell.

    Raises:
        CnnlabError: It is such a place.
    """
    _check(Path(path), "folder")


def check_figure(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Refuse a place that no figure can be written to, or where a file lies that is no figure of cnnlab's.

    Raises:
        CnnlabError: It is such a place.
    """
    check_file(path, force=force, own=_is_figure, what="no figure of cnnlab's")


@contextlib.contextmanager
def new_folder(parent: str | os.PathLike[str], name: str) -> Iterator[Path]:
    """Claim a folder that nobody else has: ``name`` in ``parent``, with a number behind it where there is one.

    When the ``with`` block raises and nothing lies in it, it is taken away again, and so are parents that were made.

    Raises:
        CnnlabError: It cannot be made.
    """
    first = Path(parent) / name
    check_folder(first.parent)
    made = [folder for folder in first.parents if not folder.exists()]
    for number in itertools.count(1):
        folder = first if number == 1 else first.with_name(f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise CnnlabError(f"{folder} cannot be made: {error.strerror}.") from error
        break
    try:
        yield folder
    except BaseException:
        with contextlib.suppress(OSError):
            for empty in (folder, *made):
                empty.rmdir()
        raise


def _is_figure(path: Path) -> bool:
    """Whether cnnlab's mark is at the beginning of a file, as in PNG and SVG, or at its end, as in PDF."""
    try:
        with path.open("rb") as file:
            beginning = file.read(_MARKED)
            file.seek(max(0, path.stat().st_size - _MARKED))
            return MARK.encode() in beginning + file.read(_MARKED)
    except OSError:
        return False


def _check(path: Path, wanted: Literal["file", "folder"]) -> bool:
    """Whether something of the kind that is wanted is there; what is of another kind is refused."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        mode = None
    except (OSError, ValueError) as error:  # too long, below a file, holds a zero byte
        raise _unwritable(path, error) from error
    if mode is not None:
        if stat.S_ISLNK(mode):
            target = os.readlink(path)
            raise CnnlabError(f"{path} is a symbolic link, which is not written through. Name {target} itself.")
        if (found := kind_of(mode)) != wanted:
            raise CnnlabError(f"{path} is a {found}, where a {wanted} was expected. Name a new {wanted}.")
    there = [path] if mode is not None and wanted == "folder" else []
    _try(path, next(folder for folder in (*there, *path.absolute().parents) if os.path.lexists(folder)))
    return mode is not None


def _try(path: Path, folder: Path) -> None:
    """Refuse a folder that cannot be written to: permissions, mounts and quotas are known by trying alone."""
    trial = folder / partial_name()
    try:
        trial.mkdir()
        trial.rmdir()
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: Exception) -> CnnlabError:
    shown = path if len(str(path)) < _LONGEST else f"{str(path)[:_LONGEST]}..."
    above = [] if isinstance(error, ValueError) else [each for each in path.absolute().parents if _is_no_folder(each)]
    if above:
        return CnnlabError(f"{shown} cannot be written: {above[0]} is no folder. Name a new place.")
    return CnnlabError(f"{shown} cannot be written: {getattr(error, 'strerror', None) or error}. Name a new place.")


def _is_no_folder(path: Path) -> bool:
    return os.path.lexists(path) and not path.is_dir()
