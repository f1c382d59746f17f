"""Lists that are too long for ``result.json``: the images that were given, and the rows, in files beside it.

A file is written and read line by line. What its columns hold is not in the file: the record says it of rows, and
:data:`INPUTS` of images. So numbers, truth values, texts and None come back as what they were.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import io
import itertools
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.errors import CnnlabError
from cnnlab.files.reading import check_regular, check_unpacked, open_regular
from cnnlab.results.rows import BLOCK, MOST, Column, Kind, Rows
from cnnlab.sources import Packed
from cnnlab.words import shortened

INPUTS: dict[str, Kind] = {"source": "text", "digest": "digest", "shape": "shape", "label": "int"}
"""The columns of ``inputs.csv``."""

INPUTS_FILE = "inputs.csv"
ROWS_FILES = ("rows.parquet", "rows.csv")

PYARROW = (15, 0)
"""The version of pyarrow from which on a file from elsewhere cannot make it run code."""

GROUP = 65_536
"""Rows of a Parquet file that are written at a time."""

_BYTES: dict[Kind, int] = {"text": 8, "int": 9, "float": 8, "bool": 2, "json": 64, "digest": 32, "shape": 12}
"""What a value takes in memory, but for the letters of texts."""


def told_of_inputs(rows: Rows) -> Any:
    """Return what the record says of the images that were given: a list of them, or where it lies."""
    if len(rows) <= MOST:
        return list(rows)
    return {"count": len(rows), "file": INPUTS_FILE, "digest": digest_of(rows)}


def told_of_rows(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return the same of the rows: Parquet where pyarrow is installed, else CSV."""
    if not isinstance(rows, Rows) or rows.images <= MOST:
        return list(rows)
    kinds = {name: rows.column(name).kind for name in rows.names}
    return {"count": len(rows), "file": ROWS_FILES[0 if _has_pyarrow() else 1], "columns": kinds}


def _has_pyarrow() -> bool:
    try:
        version = importlib.metadata.version("pyarrow")
    except importlib.metadata.PackageNotFoundError:
        return False
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal()) >= PYARROW


def digest_of(rows: Rows) -> str:
    """Return the SHA-256 of the CSV file that rows would be written to."""
    found = hashlib.sha256()
    for piece in _lines(rows):
        found.update(piece.encode())
    return found.hexdigest()


def write(path: Path, rows: Rows) -> None:
    """Write rows to a file, of the kind that its name says."""
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            file.writelines(_lines(rows))
    else:
        _write_parquet(path, rows)


def read(path: Path, count: int, kinds: Mapping[str, Kind]) -> Rows:
    """Return the rows of a file, which is read when one of them is looked at for the first time.

    Args:
        path: The file.
        count: How many rows it holds.
        kinds: What its columns are called, and what they hold.

    Raises:
        CnnlabError: There is no such file, or it is too short for so many rows that memory were to be kept for them.
            When they are looked at: the file cannot be read, or holds something else.
    """
    reader = _read_csv if path.suffix == ".csv" else _read_parquet
    size = check_regular(path).stat().st_size
    check_unpacked(path, count * sum(_BYTES[kind] for kind in kinds.values()) + size, size)

    def columns() -> Mapping[str, Sequence[Column]]:
        try:
            return {name: (column,) for name, column in reader(path, count, kinds).items()}
        except (ValueError, OverflowError, csv.Error) as error:
            said = shortened(str(error).rstrip("."), 200)
            raise CnnlabError(f"{path} is damaged: {said}. Run the analysis again.") from error

    return Rows(count, columns)


# CSV.


def _lines(rows: Rows) -> Iterator[str]:
    """The file, some lines at a time."""
    columns = {name: rows.column(name) for name in rows.names}
    yield ",".join(map(_quoted, columns)) + "\n"
    for start in range(0, len(rows), BLOCK):
        cells = [map(_WRITTEN[column.kind], column[start : start + BLOCK]) for column in columns.values()]
        yield "".join(f"{','.join(line)}\n" for line in zip(*cells, strict=True))


def _quoted(text: str) -> str:
    """Write a text so that it is one cell: the csv module leaves a lone carriage return as it is, and ends a line."""
    return '"' + text.replace('"', '""') + '"' if not text or any(sign in text for sign in ',"\r\n') else text


def _number(value: Any) -> str:
    return "" if value is None else repr(value)


_WRITTEN: dict[Kind, Callable[[Any], str]] = {
    "text": _quoted,
    "int": _number,
    "float": _number,
    "bool": lambda value: "" if value is None else str(value).lower(),
    "json": lambda value: _quoted(json.dumps(value, ensure_ascii=False)),
    "digest": str,
    "shape": lambda sides: "x".join(map(str, sides)),
}


def _read_csv(path: Path, count: int, kinds: Mapping[str, Kind]) -> dict[str, Column]:
    found = {name: _Cells(kind) for name, kind in kinds.items()}
    with open_regular(path) as file:
        lines = csv.reader(io.TextIOWrapper(file, "utf-8", newline=""), strict=True)
        _check(next(lines, []) == list(kinds), f"its first line is not {','.join(kinds)}")
        number = 0
        while block := list(itertools.islice(lines, BLOCK)):
            number += len(block)
            _check(number <= count, f"it has more rows than the {count:,} that result.json speaks of")
            _check(all(len(line) == len(found) for line in block), f"a row has not {len(found)} cells")
            for cells, texts in zip(found.values(), zip(*block, strict=True), strict=True):
                cells.take(texts)
    _check(number == count, f"it has {number:,} rows, and result.json speaks of {count:,}")
    return {name: cells.column() for name, cells in found.items()}


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


class _Cells:
    """A column as it is read, some cells at a time."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._texts, self._values = Packed(), [_EMPTY.get(kind, np.zeros(0, bool))]
        self._missing = [np.zeros(0, bool)]
        self._any: list[Any] = []

    def take(self, texts: Sequence[str]) -> None:
        """Read some more cells."""
        if self._kind == "text":
            for text in texts:
                self._texts.append(text)
        elif self._kind == "json":
            self._any += map(_value, texts)
        else:
            self._values.append(_READ[self._kind](texts))
            self._missing.append(np.array([not text for text in texts]))

    def column(self) -> Column:
        """Return them all."""
        if self._kind == "text":
            return Column("text", self._texts.sources())
        if self._kind == "json":
            return Column("json", self._any)
        missing = np.concatenate(self._missing)
        absent = missing if self._kind in ("int", "bool") and missing.any() else None
        return Column(self._kind, np.concatenate(self._values), absent)


_EMPTY: dict[Kind, np.ndarray] = {
    "int": np.zeros(0, np.int64),
    "float": np.zeros(0),
    "digest": np.zeros((0, 32), np.uint8),
    "shape": np.zeros((0, 3), np.int32),
}


def _floats(texts: Sequence[str]) -> np.ndarray:
    values = np.array([float(text) if text else math.nan for text in texts])
    _check(bool(np.isfinite(values[[bool(text) for text in texts]]).all()), "a number is not finite")
    return values


def _digests(texts: Sequence[str]) -> np.ndarray:
    _check(all(len(text) == 64 for text in texts), "a digest has not 64 digits")
    return np.frombuffer(bytes.fromhex("".join(texts)), np.uint8).reshape(-1, 32)


def _shapes(texts: Sequence[str]) -> np.ndarray:
    sides = np.array([[int(side) for side in text.split("x")] for text in texts], np.int32)
    _check(sides.shape == (len(texts), 3) and bool((sides > 0).all()), "a shape is not of three sides")
    return sides


def _value(text: str) -> Any:
    value = json.loads(text)
    _check(isinstance(value, str | bool | int | float | None), "a cell holds more than a value")
    return value


def _bools(texts: Sequence[str]) -> np.ndarray:
    _check({"true", "false", ""}.issuperset(texts), "a truth value is neither true nor false")
    return np.array([text == "true" for text in texts])


_READ: dict[Kind, Callable[[Sequence[str]], np.ndarray]] = {
    "int": lambda texts: np.array([int(text or 0) for text in texts], np.int64),
    "float": _floats,
    "bool": _bools,
    "digest": _digests,
    "shape": _shapes,
}


# Parquet.


def _write_parquet(path: Path, rows: Rows) -> None:
    import pyarrow
    from pyarrow import parquet

    columns = {name: rows.column(name) for name in rows.names}
    schema = pyarrow.schema([(name, _TYPES[column.kind](pyarrow)) for name, column in columns.items()])
    with parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, len(rows), GROUP):
            cells = [_stored(column.kind, column[start : start + GROUP]) for column in columns.values()]
            arrays = [pyarrow.array(each, field.type) for each, field in zip(cells, schema, strict=True)]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))


def _stored(kind: Kind, values: list[Any]) -> list[Any]:
    return [json.dumps(value, ensure_ascii=False) for value in values] if kind == "json" else values


_TYPES: dict[Kind, Callable[[Any], Any]] = {
    "text": lambda pyarrow: pyarrow.string(),
    "int": lambda pyarrow: pyarrow.int64(),
    "float": lambda pyarrow: pyarrow.float64(),
    "bool": lambda pyarrow: pyarrow.bool_(),
    "json": lambda pyarrow: pyarrow.string(),
}


def _read_parquet(path: Path, count: int, kinds: Mapping[str, Kind]) -> dict[str, Column]:
    if not _has_pyarrow():
        raise CnnlabError(
            f"{path} is read with pyarrow {'.'.join(map(str, PYARROW))} or later, which is not installed here. Install "
            "it with `pip install pyarrow`."
        )
    import pyarrow
    from pyarrow import parquet

    found = {name: _Cells(kind) for name, kind in kinds.items()}
    letters = 0
    try:
        with open_regular(path) as file, parquet.ParquetFile(file) as table:
            _check(table.schema_arrow.names == list(kinds), f"its columns are not {', '.join(kinds)}")
            rows = table.metadata.num_rows
            _check(rows == count, f"it has {rows:,} rows, and result.json speaks of {count:,}")
            for batch in table.iter_batches(BLOCK):
                letters += batch.nbytes
                check_unpacked(path, letters, os.fstat(file.fileno()).st_size)
                for (name, kind), values in zip(kinds.items(), batch.columns, strict=True):
                    _check(values.type == _TYPES[kind](pyarrow), f"{name} is of the type {values.type}")
                    found[name].take(_as_text(kind, values.to_pylist()))
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(str(error)) from error
    return {name: cells.column() for name, cells in found.items()}


def _as_text(kind: Kind, values: list[Any]) -> list[str]:
    """The cells as CSV has them, so that both are read alike."""
    if kind not in ("text", "json"):
        return list(map(_WRITTEN[kind], values))
    _check(None not in values, "a text is missing")
    return values
