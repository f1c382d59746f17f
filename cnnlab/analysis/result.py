"""What an analysis gives back, and how it lies on disk."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from cnnlab.analysis.adversarial import Claims
from cnnlab.errors import CnnlabError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cnnlab.figures import Picture

Drawing = Union["Figure", "Callable[[], Figure]"]

SCHEMA = 1
RECORD = "result.json"
ARRAYS = "arrays.npz"


@dataclass(frozen=True, kw_only=True)
class Result:
    """Arrays, metrics and figures, with everything needed to repeat them.

    An analysis fills the first six; the host adds the :attr:`record`.

    Attributes:
        arrays: Named arrays. Their meaning is declared in :attr:`cnnlab.analysis.Analysis.arrays`.
        metrics: Named numbers.
        figures: Named matplotlib figures, or functions that draw them when they are wanted. They are saved as
            ``figure-<name>.png``, and ``figure.png`` for the name ``""``.
        rows: One flat record per image, where there is something to say of each.
        pictures: What the terminal shows.
        claims: What an attack promises of its images, where there are any (arrays ``original`` and ``adversarial``).
        record: What ``result.json`` holds beyond the arrays themselves: parameters, model, inputs, seed, versions.
    """

    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    figures: Mapping[str, Drawing] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()
    pictures: Sequence[Picture] = ()
    claims: Claims | None = None
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """What the reader should know before believing the numbers."""
        return list(self.record.get("warnings", ()))

    def figure(self, name: str = "") -> Figure:
        """Draw one figure, by name; without a name, the first.

        Raises:
            CnnlabError: There is no such figure.
        """
        if not name and "" not in self.figures and self.figures:
            name = next(iter(self.figures))
        if name not in self.figures:
            raise CnnlabError(f"this result has no figure {name!r}; it has {sorted(self.figures) or 'none'}.")
        drawing = self.figures[name]
        return drawing() if callable(drawing) else drawing

    def save(self, directory: str | os.PathLike[str]) -> list[Path]:
        """Write ``result.json``, ``arrays.npz`` and ``figure*.png`` into ``directory``, and return their paths.

        Everything is written beside its place and moved in at the end, the record last: a folder with a
        ``result.json`` is a whole result. An earlier result there is replaced; other files are left alone.

        Raises:
            CnnlabError: The folder cannot be written; what was there before is still there.
        """
        target = Path(directory)
        with _staged(target) as stage:
            names = [ARRAYS, *self._save_figures(stage)]
            with open(stage / ARRAYS, "wb") as file:
                arrays: dict[str, Any] = dict(self.arrays)
                np.savez_compressed(file, **arrays)
            record = {**self.record, "figures": names[1:]}
            text = json.dumps(record, indent=2, allow_nan=False, ensure_ascii=False)
            (stage / RECORD).write_text(text + "\n", encoding="utf-8")
            _replace(stage, target, [*names, RECORD])
        return [target / name for name in [RECORD, *names]]

    def _save_figures(self, stage: Path) -> list[str]:
        from cnnlab.figures import save

        names = []
        for name in self.figures:
            file = f"figure-{name}.png" if name else "figure.png"
            save(self.figure(name), stage / file)
            names.append(file)
        return names

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Result:
        """Read a saved result back: arrays, metrics, rows and record. Figures stay files (``record["figures"]``).

        Raises:
            CnnlabError: There is no result, it was written by a newer cnnlab, or a file of it is damaged.
        """
        source = Path(directory)
        try:
            record = json.loads((source / RECORD).read_text(encoding="utf-8"))
            with np.load(source / ARRAYS, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except FileNotFoundError as error:
            missing = error.filename or RECORD
            raise CnnlabError(
                f"{source} holds no result: {Path(missing).name} is missing. Name a folder that "
                "`cnnlab analyze NAME --out DIR` wrote."
            ) from error
        except Exception as error:
            raise CnnlabError(f"the result in {source} is damaged: {error}. Run the analysis again.") from error
        if not isinstance(record, dict) or record.get("schema") != SCHEMA:
            found = record.get("schema") if isinstance(record, dict) else None
            raise CnnlabError(f"{source / RECORD} has schema {found!r}; this cnnlab reads schema {SCHEMA}.")
        return cls(arrays=arrays, metrics=record["metrics"], rows=record.get("rows", ()), record=record)


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """Give a temporary folder inside ``target``; take it away at the end, and ``target`` too if it was made in vain."""
    made = [folder for folder in [target, *target.parents] if not folder.exists()]
    stage = None
    try:
        target.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".cnnlab-", dir=target))
        yield stage
    except OSError as error:
        _discard(stage)
        for folder in made:
            if folder.exists() and not any(folder.iterdir()):
                folder.rmdir()
        raise CnnlabError(f"the result could not be written to {target}: {error.strerror or error}.") from error
    finally:
        _discard(stage)


def _discard(stage: Path | None) -> None:
    if stage is not None:
        shutil.rmtree(stage, ignore_errors=True)


def _replace(stage: Path, target: Path, names: Sequence[str]) -> None:
    """Move the staged files into ``target``, in order; the stale figures and record of an earlier result go first."""
    for file in _earlier_files(target):
        file.unlink(missing_ok=True)
    for name in names:
        os.replace(stage / name, target / name)


def _earlier_files(target: Path) -> list[Path]:
    """The record and the figures of the result that lies in ``target``, so that none of them outlives it."""
    record = target / RECORD
    try:
        figures = json.loads(record.read_text(encoding="utf-8"))["figures"]
        return [record, *(target / Path(name).name for name in figures)]
    except (OSError, ValueError, KeyError, TypeError):
        return [record]
