"""The results of a lab: what its analyses found, and what lies on the disk from earlier, by ids of their own."""

from __future__ import annotations

import hashlib
import io
import itertools
import secrets
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.errors import CnnlabError
from cnnlab.lab.errors import unknown
from cnnlab.render import html
from cnnlab.results.folder import RECORD
from cnnlab.results.result import Result

if TYPE_CHECKING:
    from cnnlab.lab.models import Models

KEPT = 40
"""Results that are kept in memory."""

ROOM = 1 << 30
"""Bytes that their arrays may take; of more, the oldest leave."""

ROWS = 1000
"""Rows of a result that are answered at once."""

_drawing = threading.Lock()
"""Figures are drawn by one thread at a time: matplotlib is made for no more."""


@dataclass
class LabResult:
    """A result that a browser may look at.

    Attributes:
        result: The result.
        command: The command that asks the same again; empty where there is none.
        python: The line of Python that does.
        note: What somebody who repeats it must know.
        images: The ids of the images that were asked about.
        kept: Where it was saved; None where it was not.
    """

    result: Result
    command: str = ""
    python: str = ""
    note: str = ""
    images: tuple[str, ...] = ()
    kept: Path | None = None
    _folder: Any = field(default=None, repr=False)

    def folder(self) -> Path:
        """Return a folder in which it lies whole, written when it is first asked for."""
        if self.kept is not None:
            return self.kept
        with _drawing:
            if self._folder is None:
                made = tempfile.TemporaryDirectory(prefix="cnnlab-lab-")
                self.result.save(Path(made.name) / "result")
                self._folder = made
        return Path(self._folder.name) / "result"

    def keep(self) -> Path:
        """Save it as an ordinary result folder, under its run or under results/, once."""
        from cnnlab.analysis.request import new_folder

        with _drawing:
            if self.kept is None:
                with new_folder(self.result) as folder:
                    self.result.save(folder)
                self.kept = folder
        return self.kept

    def file(self, name: str) -> Path:
        """Return a file of its folder, by the name that it has in the record.

        Raises:
            RefusedError: There is none of that name.
        """
        folder = self.folder()
        if name not in (RECORD, *Result.load(folder).record.get("files", ())):
            raise unknown("file", name)
        return folder / name

    def arrays(self) -> bytes:
        """Return its arrays as an ``.npz`` file."""
        packed = io.BytesIO()
        arrays: dict[str, Any] = dict(self.result.arrays)
        np.savez_compressed(packed, **arrays)
        return packed.getvalue()

    def to_json(self, name: str) -> dict[str, Any]:
        """Return what ``GET /api/results/ID`` does."""
        record = {key: value for key, value in self.result.record.items() if key != "rows"}
        inputs = [str(each["digest"]) for each in itertools.islice(self.result.inputs, ROWS)]
        return {
            "id": name,
            "record": record,
            "rows": [dict(row) for row in itertools.islice(self.result.rows, ROWS)],
            "rows_total": len(self.result.rows),
            "html": [
                {"name": each, "html": str(html.render(self.result.drawing(each), inputs))}
                for each in self.result.drawings
            ],
            "images": list(self.images),
            "command": self.command,
            "python": self.python,
            "note": self.note,
            "kept": str(self.kept) if self.kept else None,
        }

    def bytes(self) -> int:
        """Return how much room its arrays take."""
        return sum(array.nbytes for array in self.result.arrays.values())


class Results:
    """Results by id.

    Args:
        models: The lab's models, beside which earlier results lie.
        room: Bytes that arrays may take.
    """

    def __init__(self, models: Models, room: int = ROOM) -> None:
        self._models, self._room, self._lock = models, room, threading.Lock()
        self._kept: OrderedDict[str, LabResult] = OrderedDict()

    def add(self, result: LabResult) -> str:
        """Remember a result, and return its id."""
        name = f"r{secrets.token_hex(6)}"
        with self._lock:
            self._kept[name] = result
            while len(self._kept) > 1 and (
                len(self._kept) > KEPT or sum(each.bytes() for each in self._kept.values()) > self._room
            ):
                self._kept.popitem(last=False)
        return name

    def find(self, name: str) -> LabResult:
        """Return a result of this lab, or open an earlier one.

        Raises:
            RefusedError: There is none of that id, or no longer.
            CnnlabError: An earlier one is damaged.
        """
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        for folder in self._earlier():
            if _earlier_id(folder) == name:
                return LabResult(Result.load(folder), kept=folder)
        raise unknown("result", name)

    def _earlier(self) -> list[Path]:
        """The result folders beside the models."""
        from cnnlab.analysis.request import default_parent

        parents = dict.fromkeys(default_parent(self._models.find(name).path) for name in self._models)
        return [file.parent for parent in parents if parent.is_dir() for file in sorted(parent.glob(f"*/{RECORD}"))]

    def told(self) -> list[dict[str, Any]]:
        """List all, the newest first, as ``GET /api/results`` does."""
        with self._lock:
            found = [(name, each, True) for name, each in reversed(self._kept.items())]
        kept_now = {each.kept for _, each, _ in found}
        listed = [_line(name, each.result.record, each.kept) for name, each, _ in found]
        for folder in self._earlier():
            if folder in kept_now:
                continue
            try:
                listed.append(_line(_earlier_id(folder), _read_record(folder), folder))
            except CnnlabError:
                continue  # whatever is damaged there is `cnnlab verify`'s to tell
        return listed


def _read_record(folder: Path) -> dict[str, Any]:
    from cnnlab.results.result import read_record

    return read_record(folder)


def _earlier_id(folder: Path) -> str:
    return f"e{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]}"


def _line(name: str, record: Any, kept: Path | None) -> dict[str, Any]:
    return {
        "id": name,
        "analysis": record["analysis"],
        "headline": record.get("headline", ""),
        "model": record["model"],
        "params": record.get("params", {}),
        "seconds": record.get("seconds"),
        "kept": str(kept) if kept else None,
    }
