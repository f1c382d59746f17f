"""Where something may be written: asked before the work begins, and claimed so that no two take the same place."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, get_args

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.files.reading import kind_of, read_json
from cnnlab.files.seals import is_sealed
from cnnlab.files.writing import partial_name

FigureFormat = Literal["png", "svg", "pdf"]

FIGURES: tuple[FigureFormat, ...] = get_args(FigureFormat)
"""What figures are written as, by the ending of a file's name."""

_RECORDS = {"run.json": "run", "checkpoint/settings.json": "run", "result.json": "result"}
"""What tells that a folder is cnnlab's, and what it is then."""

_SAVEDMODEL = ("saved_model.pb", "saved_model.pbtxt")

_LONGEST = 300
"""Characters of a path that a message repeats."""


def check_file(
    path: str | os.PathLike[str],
    *,
    force: bool = False,
    whose: Callable[[Path], str] = lambda path: "is not cnnlab's",
) -> None:
    """Refuse a place that no file can be written to, or where a file lies that may not be replaced.

    Args:
        path: The file.
        force: Whether any file may be replaced, but one of a run or a result.
        whose: Says of a file that is there why it may not be replaced; nothing of one that cnnlab wrote.

    Raises:
        CnnlabError: It is such a place.
    """
    path = Path(path)
    if not _check(path, "file"):
        return
    real = Path(os.path.realpath(path))
    for folder in real.parents[:2]:
        for kind, files in _records_of(folder):
            if real.relative_to(folder).as_posix() in files:
                raise CnnlabError(
                    f"{path} is a file of the {kind} in {folder}, so it was not replaced. Name a new file."
                )
    if not force and (said := whose(path)):
        raise CnnlabError(f"{path} {said}, so it was not replaced. Name a new file, or replace it with `force=True`.")


def check_folder(path: str | os.PathLike[str]) -> None:
    """Refuse a place that is no folder to write in and cannot become one; whose it is, is for the caller to tell.

    Raises:
        CnnlabError: It is such a place.
    """
    _check(Path(path), "folder")


def check_current() -> None:
    """Refuse a current folder that is gone: no path is below it any more.

    Raises:
        CnnlabError: Somebody has deleted it.
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        raise CnnlabError("the current folder is gone: it was deleted. Go to another one and try again.") from None


def check_apart(folder: Path, kind: str) -> None:
    """Refuse a folder that another kind of cnnlab's lies in: its files have the same names, and force is not asked.

    Args:
        folder: The folder.
        kind: What is to be written there, ``run`` or ``result``.

    Raises:
        CnnlabError: It is such a folder.
    """
    for found, _ in _records_of(folder):
        if found != kind:
            raise CnnlabError(f"{folder} holds a {found}, and a {kind} has files of the same names. Name a new folder.")


def figure_format(path: str | os.PathLike[str]) -> FigureFormat:
    """Return what a figure is written as, by its name.

    Raises:
        UsageError: It cannot be written so.
    """
    found = _figure_format(path)
    if found is None:
        endings = [f".{each}" for each in FIGURES]
        raise UsageError(
            f"{path} does not say what the figure is to be written as: expected a name that ends in "
            f"{', '.join(endings[:-1])} or {endings[-1]}."
        )
    return found


def check_figure(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Refuse a place that no figure can be written to, or where a file lies that is no figure as cnnlab wrote it.

    Raises:
        UsageError: A figure cannot be written as what the name says.
        CnnlabError: It is such a place.
    """
    check_file(path, force=force, whose=lambda path: unlike(path, "figure of cnnlab's", _figure_format(path)))
    figure_format(path)


def unlike(path: Path, what: str, format: str | None) -> str:
    """Say in which way a file is not what cnnlab wrote as a page or a figure; nothing where it is.

    Args:
        path: The file.
        what: What it should be, for the message.
        format: In which format, see :func:`cnnlab.files.seals.seal`; None where it is of no use.
    """
    sealed = None if format is None else is_sealed(path, format)
    if sealed is None:
        return f"is no {what}"
    return "" if sealed else "was changed since cnnlab wrote it"


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


def _figure_format(path: str | os.PathLike[str]) -> FigureFormat | None:
    return next((each for each in FIGURES if Path(path).suffix.lower() == f".{each}"), None)


def _records_of(folder: Path) -> Iterator[tuple[str, set[str]]]:
    """What of cnnlab's lies in a folder, and which files of it are that."""
    for name, kind in _RECORDS.items():
        with contextlib.suppress(CnnlabError):
            said = read_json(folder / name)
            if isinstance(said, dict) and "schema" in said:
                files = said.get("files")
                yield kind, {name, *(files if isinstance(files, dict) else ())}


def _check(path: Path, wanted: Literal["file", "folder"]) -> bool:
    """Whether something of the kind that is wanted is there; what is of another kind is refused."""
    if not path.is_absolute():
        check_current()
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
    above = [*there, *path.absolute().parents]
    _check_outside(path, wanted)
    _try(path, next(folder for folder in above if os.path.lexists(folder)))
    return mode is not None


def _check_outside(path: Path, wanted: str) -> None:
    """Refuse what lies in a SavedModel: its files are the model's alone, and what is added is taken for one of them."""
    real = Path(os.path.realpath(path))
    for folder in (real, *real.parents):
        if any(os.path.lexists(folder / name) for name in _SAVEDMODEL):
            raise CnnlabError(
                f"{folder} is a SavedModel, and nothing else is written into one. Name a new {wanted} elsewhere."
            )


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
