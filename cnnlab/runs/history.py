"""history.csv: a row per epoch."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cnnlab.errors import CnnlabError
from cnnlab.files.reading import read_text
from cnnlab.files.writing import write_beside

COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")
"""Loss and accuracy on the training images are the means over the epoch's batches, each taken before the step that it
led to; those on the validation images are taken at the epoch's end. Losses are in nats per image, accuracies are
fractions, seconds are wall time of the training steps."""


def write_history(path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows; numbers so that reading them gives the same bits."""
    with write_beside(path) as beside, beside.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(COLUMNS)
        writer.writerows([repr(row[column]) for column in COLUMNS] for row in rows)


def read_history(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read the rows: ``epoch`` counts from 1, everything else is a finite float. No file, no rows.

    Raises:
        CnnlabError: The file is no history.
    """
    path = Path(path)
    if not os.path.lexists(path):
        return []
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
        if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
            raise ValueError(f"it has no {missing[0]}")
        rows = [
            {column: int(row[column]) if column == "epoch" else float(row[column]) for column in COLUMNS}
            for row in reader
        ]
        check_rows(rows)
    except (TypeError, ValueError, csv.Error) as error:
        raise CnnlabError(
            f"{path} is not a training history (expected the columns {', '.join(COLUMNS)}): {error}."
        ) from None
    return rows


def check_rows(rows: Iterable[Mapping[str, Any]]) -> None:
    """Refuse rows that no training wrote.

    Raises:
        ValueError: They do not count the epochs from 1, lack a column, or hold what is no finite number.
    """
    for number, row in enumerate(rows, 1):
        if row["epoch"] != number:
            raise ValueError(f"row {number} is of the epoch {row['epoch']!r}")
        for column in COLUMNS:
            if type(row[column]) not in (int, float) or not math.isfinite(row[column]):
                raise ValueError(f"{column} of the epoch {number} is {row[column]!r}, and no finite number")
