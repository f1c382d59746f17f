"""What an analysis gives back, and how it lies on disk."""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab import drawings as drawing_data
from cnnlab.errors import CnnlabError
from cnnlab.files.reading import read_json, read_npz, read_text
from cnnlab.files.writing import write_into
from cnnlab.results import images as saved_images, lists
from cnnlab.results.artifacts import ARTIFACTS, Artifacts, Attached
from cnnlab.results.claims import Claims
from cnnlab.results.folder import ARRAYS, DRAWINGS, RECORD, check_folder, digest, move_in, tables_of
from cnnlab.results.meanings import called, declared_as
from cnnlab.results.record import check_record, lists_beside, signed
from cnnlab.results.rows import Rows, columns_of
from cnnlab.results.tables import Tables
from cnnlab.words import is_share

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from cnnlab.drawings import Drawing, Panel, Scrub
    from cnnlab.files.places import FigureFormat

    Show = Callable[[int], Sequence[Panel | Scrub | None]]


@dataclass(frozen=True, kw_only=True, repr=False)
class Result:
    """Arrays, metrics, values per image and drawings, with everything needed to repeat them: all of it data.

    A plugin fills in what it found; the host makes ``rows`` of the columns and a drawing of what :attr:`show` shows,
    adds the :attr:`record`, and keeps neither function nor figure.

    Attributes:
        headline: One sentence that answers the question, worked out from the numbers; what a reader sees first.
        arrays: Named arrays, as :attr:`Analysis.arrays` declares them.
        metrics: Named numbers.
        columns: Values for each image by name: [N], or [E, N] where there is an axis of strengths. They become rows.
            Where the analysis requires images, their sources are the first column unless there is one called
            ``image``.
        show: Called with the number of an image; gives the pictures of it, left to right. The host lays out the first
            images so, as the drawing called ``""``.
        title: The heading of that drawing.
        drawings: Named drawings, saved as ``figure-<name>.png``, and ``figure.png`` for the name ``""``. A matplotlib
            figure is taken too, and kept as an image.
        tables: Named tables as the text of CSV files, saved as ``<name>.csv``.
        artifacts: Files that the analysis wrote (:meth:`Context.artifact`), by name; the host fills them in.
        claims: What an attack promises of its images, where there are any (arrays ``original`` and ``adversarial``).
        rows: One flat record per image (and strength): a sequence, of which each is made when it is asked for where
            there are many.
        listing: The images that were given, where they are too many for the record; see :attr:`inputs`.
        record: What ``result.json`` holds beyond the arrays themselves: parameters, model, inputs, seed, versions.

    Example:
        >>> Result(metrics={"mean_brightness": 0.13}).metrics["mean_brightness"]
        0.13
    """

    headline: str = ""
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)
    show: Show | None = None
    title: str = ""
    drawings: Mapping[str, Drawing] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    artifacts: Artifacts = field(default_factory=Artifacts)
    claims: Claims | None = None
    rows: Sequence[Mapping[str, Any]] = ()
    listing: Rows | None = None
    record: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        words = [self.record.get("analysis", "not run by the host")]
        if "model" in self.record:
            words[0] += f" of {self.record['model']['path'] or 'a live model'}"
        counts = {"image": self.inputs, "array": self.arrays, "drawing": self.drawings}
        words += [f"{len(n):,} {name}{'' if len(n) == 1 else 's'}" for name, n in counts.items() if len(n)]
        return f"Result({', '.join(words)})"

    def _repr_html_(self) -> str:
        from cnnlab.drawings.tables import Table
        from cnnlab.render.html.notebook import notebook

        return notebook(
            repr(self),
            headline=self.headline,
            notes=self.warnings,
            drawings=[self.drawing()] if self.drawings else [],
            called=called(self.record, min(self.drawings, key=bool, default="")),
            attached=[Attached.of(name, path) for name, path in self.artifacts.items()],
            tables=[
                Table.of(self.rows, self._shares("columns"), list(columns_of(self.rows))),
                Table(("metric", "value"), list(self.metrics.items()), self._shares("metrics")),
            ],
        )

    def _shares(self, kind: str) -> list[str]:
        """The columns or metrics that are shares, to be read in percent."""
        said = self.record.get("meanings", {}).get(kind, {})
        names = self.metrics if kind == "metrics" else said
        return [name for name in names if is_share(declared_as(said, name) or "")]

    def to_frame(self) -> pandas.DataFrame:
        """Return the rows as a pandas DataFrame: one for each image (and strength).

        Raises:
            CnnlabError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise CnnlabError(
                "result.to_frame() gives a pandas DataFrame, and pandas is not installed. Install it with "
                "`pip install pandas`, or read result.rows."
            ) from error
        return pandas.DataFrame({name: list(values) for name, values in columns_of(self.rows).items()})

    @property
    def inputs(self) -> Sequence[Mapping[str, Any]]:
        """The images that were given: ``source``, ``digest``, ``shape`` and ``label`` (None where unknown) of each."""
        return self.record.get("inputs", ()) if self.listing is None else self.listing

    @property
    def warnings(self) -> list[str]:
        """What the reader should know before believing the numbers."""
        return list(self.record.get("warnings", ()))

    def drawing(self, name: str = "") -> Drawing:
        """Return the drawing called ``name``, with its values in it; without a name, the first.

        Raises:
            CnnlabError: There is no such drawing.
        """
        if not name and "" not in self.drawings and self.drawings:
            name = next(iter(self.drawings))
        if name not in self.drawings:
            raise CnnlabError(f"this result has no figure {name!r}; it has {sorted(self.drawings) or 'none'}.")
        found: Drawing = drawing_data.resolved(self.drawings[name], self.arrays)
        return found

    def figure(self, name: str = "") -> Figure:
        """Draw the drawing called ``name`` with matplotlib; without a name, the first.

        Raises:
            CnnlabError: There is no such drawing.
        """
        from cnnlab.render import figure

        return figure(self.drawing(name))

    def save(
        self,
        directory: str | os.PathLike[str],
        *,
        format: FigureFormat | None = "png",
        dpi: int | None = None,
        force: bool = False,
    ) -> list[Path]:
        """Write ``result.json``, ``arrays.npz``, ``drawings.json``, tables and ``figure*.png``, and return their paths.

        The first adversarial images, where there are any, go to ``images/``, rounded to 8 bits; more than 10,000 images
        are listed in ``inputs.csv``, and their rows in ``rows.parquet`` or ``rows.csv``. Everything is written
        beside its place and moved in at the end, the record last: a folder with a ``result.json`` is a whole result.
        An earlier result there is replaced, its images too; other files are left alone.

        Args:
            directory: The folder.
            format: What the figures are written as: ``png``, ``svg`` or ``pdf``; None for no figures.
            dpi: Dots per inch of the figures, of a PNG and of pictures within other files; 150 by default.
            force: Write also into a folder that holds what cnnlab did not write: files called as the result's are
                replaced, and no other is touched.

        Raises:
            CnnlabError: The folder holds what cnnlab did not write (:func:`cnnlab.results.folder.check_folder`), or
                cannot be written; what was there before is still there.
        """
        target = Path(directory)
        check_folder(target, force=force)
        with write_into(target) as stage:
            figures = self._save_figures(stage, format, dpi) if format else []
            written = [ARRAYS, *self._save_drawings(stage), *figures]
            written += [*self._save_tables(stage), *self._save_images(stage), *self._save_lists(stage)]
            written += self._save_artifacts(stage)
            with open(stage / ARRAYS, "wb") as packed:
                arrays: dict[str, Any] = dict(self.arrays)
                np.savez_compressed(packed, **arrays)
            digests = {name: digest(stage / name) for name in written}
            record = signed({**self.record, "figures": figures, "files": digests})
            with open(stage / RECORD, "w", encoding="utf-8") as file:
                # Piece by piece: the pieces of a record of many images take ten times what its text does.
                json.dump(record, file, indent=2, allow_nan=False, ensure_ascii=False)
                file.write("\n")
            move_in(stage, target, [*written, RECORD], force=force)
        return [target / name for name in [RECORD, *written]]

    def _save_figures(self, stage: Path, format: FigureFormat, dpi: int | None) -> list[str]:
        from cnnlab.render import save
        from cnnlab.render.trying import tried

        names = []
        for name in self.drawings:
            # Layers have names such as block1/conv1, and files have not.
            file = f"figure-{name.replace('/', '.')}.{format}" if name else f"figure.{format}"
            drawing, failure = self.drawing(name), f"{called(self.record, name)} could not be drawn"
            _, note = tried(functools.partial(save, drawing, stage / file, dpi), failure)
            if note:
                (stage / file).unlink(missing_ok=True)
                self._warn(note)
            else:
                names.append(file)
        return names

    def _warn(self, sentence: str) -> None:
        """Add a warning to the record, once: this is what is shown and saved next."""
        warnings = self.record.get("warnings")
        if isinstance(warnings, list) and sentence not in warnings:
            warnings.append(sentence)

    def _save_drawings(self, stage: Path) -> list[str]:
        if not self.drawings:
            return []
        (stage / DRAWINGS).write_text(drawing_data.to_json(self.drawings) + "\n", encoding="utf-8")
        return [DRAWINGS]

    def _save_tables(self, stage: Path) -> list[str]:
        tables = Tables.of(self.tables)
        for name in tables:
            with (stage / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                file.writelines(tables.pieces(name))
        return [f"{name}.csv" for name in tables]

    def _save_artifacts(self, stage: Path) -> list[str]:
        names = []
        for name, path in self.artifacts.items():
            (stage / ARTIFACTS).mkdir(exist_ok=True)
            shutil.copyfile(path, stage / ARTIFACTS / name)
            names.append(f"{ARTIFACTS}/{name}")
        return names

    def _save_lists(self, stage: Path) -> list[str]:
        beside = lists_beside(self.record)
        for key, file in beside.items():
            lists.write(stage / file, Rows.of(self.inputs if key == "inputs" else self.rows))
        return list(beside.values())

    def _save_images(self, stage: Path) -> list[str]:
        """Write what the record lists; without the host's record nobody has verified them, and none is written."""
        if self.claims is None or not self.record.get("images"):
            return []
        low, high = self.record["claims"]["bounds"]
        adversarial = self.arrays["adversarial"]
        return saved_images.write(
            stage, adversarial if adversarial.ndim > 4 else adversarial[None], self.claims, (low, high)
        )

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Result:
        """Read the result saved in ``directory`` back, whole: arrays, metrics, rows, drawings, claims, record.

        Tables, and lists that lie beside the record, are read when they are looked at.

        Raises:
            CnnlabError: There is no result, it was written by a newer cnnlab, or a file of it is damaged.
        """
        record = read_record(directory)
        arrays = read_arrays(directory)
        text = read_text(_part_of(directory, DRAWINGS)) if DRAWINGS in record["files"] else "{}"
        tables = {name: _pieces(_part_of(directory, f"{name}.csv")) for name in tables_of(record)}
        with _reading(directory):
            return cls(
                headline=record.get("headline", ""),
                arrays=arrays,
                metrics=dict(record["metrics"]),
                rows=rows_in(directory, record),
                listing=inputs_in(directory, record) if "inputs" in lists_beside(record) else None,
                drawings=drawing_data.from_json(text),
                tables=Tables(tables),
                artifacts=artifacts_in(directory, record),
                claims=Claims.from_json(record["claims"]) if record.get("claims") else None,
                record=record,
            )


def inputs_in(directory: str | os.PathLike[str], record: Mapping[str, Any]) -> Any:
    """Return the images that a saved result was given; those in a file are read when they are looked at.

    Raises:
        CnnlabError: There is no such file.
    """
    told = record["inputs"]
    return (
        told if isinstance(told, list) else lists.read(_part_of(directory, told["file"]), told["count"], lists.INPUTS)
    )


def artifacts_in(directory: str | os.PathLike[str], record: Mapping[str, Any]) -> Artifacts:
    """Return the files of a saved result that its analysis wrote.

    Raises:
        CnnlabError: One is not there.
    """
    listed = [entry["file"] for entry in record.get("artifacts", ())]
    return Artifacts({name.partition("/")[2]: _part_of(directory, name) for name in listed})


def rows_in(directory: str | os.PathLike[str], record: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the rows of a saved result, in the same way."""
    told = record.get("rows", [])
    if isinstance(told, list):
        return told
    return lists.read(_part_of(directory, told["file"]), told["count"], told["columns"])


def _pieces(path: Path) -> Callable[[], list[str]]:
    return lambda: [read_text(path)]


def read_record(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """Read ``result.json`` alone.

    Raises:
        CnnlabError: There is none, it is damaged, or it was written by a newer cnnlab.
    """
    path = _part_of(directory, RECORD)
    return check_record(read_json(path), path)


def read_arrays(directory: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read ``arrays.npz`` alone.

    Raises:
        CnnlabError: There is none, or it is damaged.
    """
    return read_npz(_part_of(directory, ARRAYS))


def _part_of(directory: str | os.PathLike[str], name: str) -> Path:
    path = Path(directory) / name
    if not path.exists():
        raise CnnlabError(
            f"{directory} holds no result: {name} is missing. Name a folder that `cnnlab analyze NAME --out DIR` wrote."
        )
    return path


@contextmanager
def _reading(directory: str | os.PathLike[str]) -> Iterator[Path]:
    """Turn whatever goes wrong while a result is read into one sentence."""
    source = Path(directory)
    try:
        yield source
    except Exception as error:
        what = str(error).rstrip(".")
        raise CnnlabError(f"the result in {source} is damaged: {what}. Run the analysis again.") from error
