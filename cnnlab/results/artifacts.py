"""Files that an analysis writes itself, such as an animation: kept with its result, by digest and media type."""

from __future__ import annotations

import mimetypes
import re
import shutil
import stat
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARTIFACTS = "artifacts"
"""The folder in a result's that they are written to."""

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"

EMBEDDED = 4 << 20
"""Bytes up to which one lies in a page that shows it; of larger ones the page says where they are."""


class Artifacts(Mapping[str, Path]):
    """Files by name. Those of an analysis that runs lie in a folder of their own, which goes with this object.

    Args:
        files: Where each is; empty for an analysis that runs.

    Example:
        >>> artifacts = Artifacts()
        >>> _ = artifacts.place("frames.txt").write_text("one")
        >>> _ = artifacts.place("nothing.gif")
        >>> artifacts.settle()
        ['nothing.gif']
        >>> list(artifacts), artifacts["frames.txt"].read_text()
        (['frames.txt'], 'one')
    """

    def __init__(self, files: Mapping[str, Path] | None = None) -> None:
        self._files = dict(files or {})
        self._folder: Path | None = None

    def __getitem__(self, name: str) -> Path:
        return self._files[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def place(self, name: str) -> Path:
        """Return where a file of that name is to be written.

        Args:
            name: Letters, digits, ``_``, ``.`` and ``-``; its ending says what it is.

        Raises:
            ValueError: It is no such name.
        """
        if not re.fullmatch(NAME, name):
            raise ValueError(
                f"an artifact's name is letters, digits, dots, hyphens and underscores, such as frames.gif; received "
                f"{name!r}."
            )
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="cnnlab-artifacts-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._files.setdefault(name, self._folder / name)

    def settle(self) -> list[str]:
        """Forget those that are no plain files now, and return their names."""
        missing = [name for name, path in self._files.items() if not _is_plain(path)]
        for name in missing:
            del self._files[name]
        return missing

    def to_json(self) -> list[dict[str, Any]]:
        """Return what ``result.json`` lists: file and media type; the digests stand with those of other files."""
        return [{"file": f"{ARTIFACTS}/{name}", "media_type": media_type(name)} for name in self]


@dataclass(frozen=True)
class Attached:
    """An artifact as a page shows it: a link.

    Attributes:
        name: Its name.
        media_type: What it is, ``image/gif``.
        size: In bytes.
        address: A ``data:`` address that holds it; empty where it is larger than :data:`EMBEDDED`.
    """

    name: str
    media_type: str
    size: int
    address: str = ""

    @classmethod
    def of(cls, name: str, path: Path) -> Attached:
        """Read one."""
        size, kind = path.stat().st_size, media_type(name)
        if size > EMBEDDED:
            return cls(name, kind, size)
        from cnnlab.render.html.addresses import data_url

        return cls(name, kind, size, data_url(path.read_bytes(), kind))


def media_type(name: str) -> str:
    """Say what a file is by the ending of its name.

    >>> media_type("frames.gif"), media_type("weights")
    ('image/gif', 'application/octet-stream')
    """
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
