"""What an analysis gives back, and how it lies on disk."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from cnnlab.analysis import saved_images
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

        The first adversarial images, where there are any, go to ``images/``, rounded to 8 bits. Everything is written
        beside its place and moved in at the end, the record last: a folder with a ``result.json`` is a whole result.
        An earlier result there is replaced, its images too; other files are left alone.

        Raises:
            CnnlabError: The folder holds what cnnlab did not write (:func:`check_folder`), or cannot be written; what
                was there before is still there.
        """
        target = Path(directory)
        check_folder(target)
        with _staged(target) as stage:
            figures = self._save_figures(stage)
            images = self._save_images(stage)
            with open(stage / ARRAYS, "wb") as file:
                arrays: dict[str, Any] = dict(self.arrays)
                np.savez_compressed(file, **arrays)
            written = [ARRAYS, *figures, *images]
            digests = {name: _digest(stage / name) for name in written}
            record = {**self.record, "figures": figures, "files": digests}
            text = json.dumps(record, indent=2, allow_nan=False, ensure_ascii=False)
            (stage / RECORD).write_text(text + "\n", encoding="utf-8")
            _replace(stage, target, [*written, RECORD])
        return [target / name for name in [RECORD, *written]]

    def _save_figures(self, stage: Path) -> list[str]:
        from cnnlab.figures import save

        names = []
        for name in self.figures:
            file = f"figure-{name}.png" if name else "figure.png"
            save(self.figure(name), stage / file)
            names.append(file)
        return names

    def _save_images(self, stage: Path) -> list[str]:
        """Write what the record lists; without the host's record nobody has verified them, and none is written."""
        if self.claims is None or not self.record.get("images"):
            return []
        low, high = self.record["claims"]["bounds"]
        return saved_images.write(stage, self.arrays["adversarial"], self.claims, (low, high))

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Result:
        """Read a saved result back: arrays, metrics, rows and record. Figures stay files (``record["figures"]``).

        Raises:
            CnnlabError: There is no result, it was written by a newer cnnlab, or a file of it is damaged.
        """
        record = read_record(directory)
        arrays = read_arrays(directory)
        with _reading(directory):
            claims = Claims.from_json(record["claims"]) if record.get("claims") else None
            metrics, rows = dict(record["metrics"]), list(record.get("rows", ()))
        return cls(arrays=arrays, metrics=metrics, rows=rows, claims=claims, record=record)


def read_record(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """Read ``result.json`` alone.

    Raises:
        CnnlabError: There is none, it is damaged, or it was written by a newer cnnlab.
    """
    with _reading(directory) as source:
        record = json.loads((source / RECORD).read_text(encoding="utf-8"))
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else None
        raise CnnlabError(f"{source / RECORD} has schema {found!r}; this cnnlab reads schema {SCHEMA}.")
    return record


def read_arrays(directory: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read ``arrays.npz`` alone.

    Raises:
        CnnlabError: There is none, or it is damaged.
    """
    with _reading(directory) as source, np.load(source / ARRAYS, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


@contextmanager
def _reading(directory: str | os.PathLike[str]) -> Iterator[Path]:
    """Turn whatever goes wrong while a result is read into one sentence."""
    source = Path(directory)
    try:
        yield source
    except FileNotFoundError as error:
        missing = error.filename or RECORD
        raise CnnlabError(
            f"{source} holds no result: {Path(missing).name} is missing. Name a folder that "
            "`cnnlab analyze NAME --out DIR` wrote."
        ) from error
    except Exception as error:
        raise CnnlabError(f"the result in {source} is damaged: {error}. Run the analysis again.") from error


def check_folder(directory: str | os.PathLike[str]) -> None:
    """Refuse a folder in which a result would replace what cnnlab did not write.

    Raises:
        CnnlabError: It holds files and no result of cnnlab's, or a file of the result there was changed since.
    """
    _own_files(Path(directory))


def _own_files(target: Path, names: Sequence[str] = ()) -> list[Path]:
    """List the files of the result that lies in ``target``: each is proved to be cnnlab's by its digest in the record.

    Args:
        target: The folder.
        names: What is about to be written there.

    Raises:
        CnnlabError: See :func:`check_folder`.
    """
    try:
        there = [path.name for path in target.iterdir() if not path.name.startswith(_STAGE)]
    except OSError:  # nothing is there, or no folder: writing will say so
        return []
    if not there:
        return []
    written = _written(target / RECORD)
    if written is None:
        raise CnnlabError(
            f"{target} is not empty and holds no result of cnnlab's, so nothing was written to it. Name a new folder "
            "with --out."
        )
    changed = [
        name for name, digest in written.items() if (target / name).is_file() and _digest(target / name) != digest
    ]
    foreign = [name for name in names if name not in written and name != RECORD and (target / name).exists()]
    if changed or foreign:
        raise CnnlabError(
            f"{target / [*changed, *foreign][0]} is not as cnnlab wrote it, so nothing was written to its folder. Move "
            "it elsewhere, or name a new folder with --out."
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
    # A record from elsewhere must not lead out of its folder, nor to files that no result has.
    return files if own and all(_NAMES.fullmatch(name) for name in files) else None


_STAGE = ".cnnlab-"
_NAMES = re.compile(r"arrays\.npz|figure[^/\\]*\.png|images/[^/\\]+\.png")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """Give a temporary folder inside ``target``; take it away at the end, and ``target`` too if it was made in vain."""
    made = [folder for folder in [target, *target.parents] if not folder.exists()]
    stage = None
    try:
        target.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=_STAGE, dir=target))
        yield stage
    except BaseException as error:
        _discard(stage)
        for folder in made:
            if folder.exists() and not any(folder.iterdir()):
                folder.rmdir()
        if isinstance(error, OSError):
            raise CnnlabError(f"the result could not be written to {target}: {error.strerror or error}.") from error
        if type(error) is CnnlabError and stage is not None:  # of a file in the stage, which nobody is to look for
            raise CnnlabError(str(error).replace(str(stage), str(target))) from error
        raise
    finally:
        _discard(stage)


def _discard(stage: Path | None) -> None:
    if stage is not None:
        shutil.rmtree(stage, ignore_errors=True)


def _replace(stage: Path, target: Path, names: Sequence[str]) -> None:
    """Move the staged files into ``target``, in order; those of an earlier result go."""
    for file in _own_files(target, names):
        file.unlink(missing_ok=True)
    for name in names:
        (target / name).parent.mkdir(exist_ok=True)
        os.replace(stage / name, target / name)
    images = target / saved_images.IMAGES
    if images.is_dir() and not any(images.iterdir()):
        images.rmdir()
