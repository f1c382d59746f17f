"""history.csv: a row per epoch."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cnnlab.errors import CnnlabError
from cnnlab.files import write_beside

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
    """Read the rows: ``epoch`` an integer from 1, everything else floats. No file, no rows.

    Raises:
        CnnlabError: The file is no history.
    """
    path = Path(path)
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            return [
                {column: int(row[column]) if column == "epoch" else float(row[column]) for column in COLUMNS}
                for row in csv.DictReader(handle)
            ]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise CnnlabError(
            f"{path} is not a training history (expected the columns {', '.join(COLUMNS)}): {error}."
        ) from None
