"""The results of a lab: what its analyses found, and what lies on the disk from earlier, by ids of their own."""

from __future__ import annotations

import hashlib
import io
import itertools
import secrets
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.analysis.again import request_of
from cnnlab.analysis.command import command_of
from cnnlab.errors import CnnlabError
from cnnlab.lab.errors import unknown
from cnnlab.lab.kept import Kept
from cnnlab.render import html
from cnnlab.results.folder import RECORD
from cnnlab.results.meanings import called
from cnnlab.results.result import Result

if TYPE_CHECKING:
    from cnnlab.lab.models import Models

KEPT = 40
"""Results that are kept in memory."""

ROOM = 1 << 30
"""Bytes that they may take together; of more, those that were used least lately leave."""

BESIDE = 500
"""Bytes that a row takes, or what is said of an image."""

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
        model: The id of the model that was asked; empty of an earlier result.
        note: What somebody who repeats it must know.
        images: The ids of the images that were asked about.
        kept: Where it was saved; None where it was not.
    """

    result: Result
    command: str = ""
    python: str = ""
    note: str = ""
    model: str = ""
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
            "html": [{"name": each, "html": self._look(each, inputs)} for each in self.result.drawings],
            "images": list(self.images),
            "command": self.command,
            "python": self.python,
            "note": self.note,
            "kept": str(self.kept) if self.kept else None,
        }

    def _look(self, drawing: str, inputs: Sequence[str]) -> str:
        return str(html.shown(self.result.drawing(drawing), called(self.result.record, drawing), inputs))

    def bytes(self) -> int:
        """Return about how much room it takes in memory."""
        said = len(self.result.rows) + len(self.result.inputs) if self.result.listing is None else 0
        return sum(array.nbytes for array in self.result.arrays.values()) + BESIDE * said


class Results:
    """Results by id.

    Args:
        models: The lab's models, beside which earlier results lie.
        room: Bytes that they may take.
        most: How many are kept in memory.
    """

    def __init__(self, models: Models, room: int = ROOM, most: int = KEPT) -> None:
        self._models = models
        self._parents: dict[str, Path] = {}
        self._kept: Kept[LabResult] = Kept(room, LabResult.bytes, most)

    def add(self, result: LabResult, replaces: str = "") -> str:
        """Remember a result, and return its id.

        Args:
            result: The result.
            replaces: The id of one that nobody wants any more, for this one is newer: of the same analysis and model.
                It goes, unless it was kept.
        """
        before = self._kept.find(replaces) if replaces else None
        if before is not None and before.kept is None and _alike(before, result):
            self._kept.drop(replaces)
        name = f"r{secrets.token_hex(6)}"
        self._kept.put(name, result)
        return name

    def find(self, name: str) -> LabResult:
        """Return a result of this lab, or open an earlier one.

        Raises:
            RefusedError: There is none of that id, or no longer.
            CnnlabError: An earlier one is damaged.
        """
        found = self._kept.find(name)
        if found is not None:
            return found
        for folder in self._earlier():
            if _earlier_id(folder) == name:
                return _opened(folder)
        raise unknown("result", name)

    def _earlier(self) -> list[Path]:
        """The result folders beside the models."""
        from cnnlab.analysis.request import default_parent

        for name in self._models:
            if name not in self._parents:  # a model that left is not opened again for this
                self._parents[name] = default_parent(self._models.find(name).path)
        parents = dict.fromkeys(self._parents.values())
        return [file.parent for parent in parents if parent.is_dir() for file in sorted(parent.glob(f"*/{RECORD}"))]

    def told(self) -> list[dict[str, Any]]:
        """List all, the newest first, as ``GET /api/results`` does."""
        found = list(self._kept.items())[::-1]
        kept_now = {each.kept for _, each in found}
        listed = [_line(name, each.result.record, each.kept) for name, each in found]
        for folder in self._earlier():
            if folder in kept_now:
                continue
            try:
                listed.append(_line(_earlier_id(folder), _read_record(folder), folder))
            except CnnlabError:
                continue  # whatever is damaged there is `cnnlab verify`'s to tell
        return listed


def _alike(one: LabResult, other: LabResult) -> bool:
    records = one.result.record, other.result.record
    return one.model == other.model and records[0]["analysis"] == records[1]["analysis"]


def _opened(folder: Path) -> LabResult:
    """An earlier result, with the command and the line that repeat it, as far as its record tells them."""
    from cnnlab.lab.asking import python_of

    result = Result.load(folder)
    request = request_of(result.record, result.inputs)
    if request is None:
        return LabResult(result, kept=folder)
    images = replace(request.images, indices=tuple(_one_by_one(request.images.indices)))
    return LabResult(result, command_of(request), python_of(replace(request, images=images)), kept=folder)


def _one_by_one(ranges: Iterable[str]) -> Iterator[str]:
    """Indices as a list in Python has them.

    >>> list(_one_by_one(["5:8", "3"]))
    ['5', '6', '7', '3']
    """
    for each in ranges:
        first, _, end = each.partition(":")
        yield from map(str, range(int(first), int(end)) if end else [int(first)])


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
