"""Writing files and folders whole, beside their place first and then renamed into it."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import stat
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from cnnlab.errors import CnnlabError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # not a POSIX system: nothing is locked there
    fcntl = None

_PREFIX = ".partial-cnnlab-"
_LEFTOVER = re.compile(rf"{re.escape(_PREFIX)}(?P<machine>[0-9a-f]{{8}})-(?P<process>\d+)-[0-9a-f]{{8}}(\..*)?")
BEFORE = "before"
"""Within a folder of staged files: those that they replace, until all are in place."""


@contextlib.contextmanager
def write_beside(path: str | os.PathLike[str], *, replace: bool = True) -> Iterator[Path]:
    """Give a place beside ``path`` to write a file or a folder in, and rename it to ``path`` at the end.

    Whoever reads ``path`` sees what was there before, or the new whole, and never a part of it. When the ``with`` block
    raises, what it wrote is removed and ``path`` is left as it was. What killed processes had half-written there goes.

    Args:
        path: The file or folder to make or replace. Its parent folder is made where it is missing.
        replace: Whether a folder that is there already makes way; without, that is an error unless it is empty.

    Yields:
        A path that does not exist yet, on the same file system and with the same suffix, for the block to create.

    Raises:
        CnnlabError: The disk is full, or the place cannot be written to.
    """
    path = Path(path)
    beside = path.parent / partial_name(path.suffix)
    with _whole(path, beside):
        yield beside
        _flush_to_disk(beside)
        _rename(beside, path, replace=replace)


@contextlib.contextmanager
def write_into(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a folder inside ``folder`` to stage files in, which :func:`move_up` moves; it is taken away at the end.

    For folders that hold other things too, which :func:`write_beside` would replace. When the block raises, what was
    staged is removed, and ``folder`` too if it was made in vain.

    Args:
        folder: The folder; it and its parents are made where they are missing.

    Raises:
        CnnlabError: The disk is full, or the folder cannot be written to.
    """
    target = Path(folder)
    stage = target / partial_name()
    with _whole(target, stage):
        stage.mkdir()
        yield stage
        _remove(stage)


def move_up(stage: Path, target: Path, names: Sequence[str], *, away: Sequence[str] = ()) -> None:
    """Move staged files into their folder, in order; where that fails, everything is put back as it was.

    Args:
        stage: What :func:`write_into` gave.
        target: The folder.
        names: What is moved, relative to both; a file of that name makes way.
        away: Files of the folder that make way before any is moved.

    Raises:
        CnnlabError: Something that is no plain file lies where one is to go; nothing was moved.
    """
    for name in (*away, *names):
        check_plain(target, name)
    aside = dict.fromkeys([*away, *(name for name in names if (target / name).exists())])
    moves = [(target / name, stage / BEFORE / name) for name in aside]
    moves += [(stage / name, target / name) for name in names]
    made = {place.parent for _, place in moves if not place.parent.exists()}
    try:
        for source, place in moves:
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, place)
    except BaseException:
        for source, place in reversed(moves):
            if not source.exists() and place.exists():
                os.replace(place, source)
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def check_plain(folder: Path, name: str) -> None:
    """Refuse to move a file onto what is no file, or through what is no folder; links are neither.

    Args:
        folder: The folder that it is moved into.
        name: The file, relative to it.

    Raises:
        CnnlabError: Something that is no plain file or folder is there.
    """
    path = folder / name
    between = [parent for parent in path.parents if parent.is_relative_to(folder) and parent != folder]
    wanted = {**dict.fromkeys(reversed(between), stat.S_ISDIR), path: stat.S_ISREG}
    for place, is_wanted in wanted.items():
        if os.path.lexists(place) and not is_wanted(place.lstat().st_mode):
            raise CnnlabError(
                f"{place} is no plain {'file' if place == path else 'folder'}, so nothing was written there. Move it "
                "elsewhere, or name a new folder."
            )


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process of cnnlab's is moving files in a folder, and keep them waiting meanwhile."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        lock(handle, wait=True)
        yield
    finally:
        os.close(handle)


def lock(handle: int, *, wait: bool = False) -> bool:
    """Take the lock of an open file or folder, which its process loses when it ends; whether that went well.

    A file system without locks counts as unlocked.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def partial_name(suffix: str = "") -> str:
    """Make a name for what is being written, which says by whom: so it is known where that process was killed."""
    return f"{_PREFIX}{_machine()}-{os.getpid()}-{uuid.uuid4().hex[:8]}{suffix if len(suffix) < 16 else ''}"


def is_leftover(path: Path) -> bool:
    """Whether this is being written by cnnlab just now, or a killed process had half-written it."""
    return _LEFTOVER.fullmatch(path.name) is not None


def leftovers(folder: Path) -> list[Path]:
    """List what killed processes had half-written in ``folder``: those of this machine that do not live any more."""
    return [path for path in folder.glob(f"{_PREFIX}*") if _is_orphan(path.name)]


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes had half-written in ``folder``."""
    for leftover in leftovers(folder):
        _remove(leftover)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all; what JSON has no number for must be None already."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text as UTF-8, whole or not at all."""
    with write_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")


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


@contextlib.contextmanager
def _whole(path: Path, place: Path) -> Iterator[None]:
    """Make the folder that ``place`` is in; where the block fails, take away what was made, and say so of ``path``."""
    made = [folder for folder in place.parents if not folder.exists()]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException as error:
        _remove(place)
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(error, Exception) and _is_disk_full(error):
            raise CnnlabError(
                f"the disk is full: {path} could not be written, and nothing of it was kept. Free some space and try "
                "again."
            ) from error
        if isinstance(error, OSError):
            raise CnnlabError(f"{path} cannot be written: {error.strerror or error}.") from error
        if type(error) is CnnlabError:  # of a file in the stage, which nobody is to look for
            raise CnnlabError(str(error).replace(str(place), str(path))) from error
        raise
    remove_leftovers(place.parent)


@functools.cache
def _machine() -> str:
    """Tell machines, and containers on them, apart: each has numbers of its own for its processes."""
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        space = 0
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def _is_orphan(name: str) -> bool:
    """Whether the process that was writing a file of that name is known to have ended."""
    found = _LEFTOVER.fullmatch(name)
    if found is None or found["machine"] != _machine() or os.name != "posix":
        return False
    try:
        os.kill(int(found["process"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _rename(beside: Path, path: Path, *, replace: bool) -> None:
    if replace and path.is_dir() and beside.is_dir():
        # A folder can only be renamed onto an empty one, so the old one steps aside first.
        old = path.parent / partial_name()
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
