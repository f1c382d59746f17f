"""How predictions look in the terminal."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from rich.text import Text

from cnnlab.cli.views.tables import Column, fitted, print_all
from cnnlab.console import Console
from cnnlab.words import out_of, percent

if TYPE_CHECKING:
    from cnnlab.analysis.prediction import Predictions

MOST_ROWS = 50
"""Images that are shown; ``--json`` and ``--csv`` have them all."""

PLACES = ("1st", "2nd", "3rd")


def show(found: Predictions, top: int) -> None:
    """Print what was read, and the likeliest classes of each image."""
    console, count = Console(), len(found.sources)
    console.print(Text(_headline(found), style="bold"))
    console.print(Text(f"{found.classifier.path}, {count:,} image{'' if count == 1 else 's'}", style="dim"))
    rows = found.rows(top, MOST_ROWS)
    columns = [Column("image", [row["image"] for row in rows])]
    if found.known.any():
        columns.append(Column("label", [row["label"] or "-" for row in rows]))
    for place in range(min(top, found.classifier.num_classes)):
        told = [row["top"][place] for row in rows]
        heading = PLACES[place] if place < len(PLACES) else f"{place + 1}th"
        columns += [
            Column(heading, [each["class"] for each in told]),
            Column("", [percent(each["probability"], 2) for each in told], number=True),
        ]
    more = [Text(f"and {count - MOST_ROWS:,} more; --json and --csv have them all", style="dim")] * (count > MOST_ROWS)
    print_all(console, itertools.chain(fitted(columns, console.width), more))


def _headline(found: Predictions) -> str:
    known, names = int(found.known.sum()), found.classifier.class_names
    if len(found.sources) == 1:
        sure = percent(float(found.probabilities[0].max()), 2)
        label = found.labels[0]
        words = f"Read as {names[found.predicted[0]]}, with a probability of {sure}"
        return f"{words}; it is {names[label]}" if known and label != found.predicted[0] else words
    if known:
        return f"{out_of(found.right, known, 'labelled image', digits=2)} read correctly"
    often = np.bincount(found.predicted)
    common = int(often.argmax())
    return f"{out_of(int(often[common]), len(found.sources))} read as {names[common]}, the most frequent class"
