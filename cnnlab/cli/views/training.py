"""How a trained run looks in the terminal: what it came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from cnnlab.cli.views import runs as runs_view
from cnnlab.cli.views.result import paths
from cnnlab.cli.views.tables import Column, fitted, print_all
from cnnlab.console import Console
from cnnlab.runs import Run
from cnnlab.runs.comparison import Spread
from cnnlab.words import percent

FILES = ("curves.png", "predictions.png", "confusion.png", "run.json", "history.csv")
"""What is named at the end, in this order."""

MOST_CLASSES = 20
"""With more classes than this, the table shows those with the lowest accuracy."""


def duration(seconds: float) -> str:
    """Write a time as one would say it.

    >>> duration(7.4), duration(125), duration(7300)
    ('7 s', '2 min 05 s', '2 h 01 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def show(run: Run) -> None:
    """Print what a run came to: losses and accuracies, the classes, and where the files are."""
    stdout = Console()
    record = run.config
    kind = "test" if record["validated_on"] != record["evaluated_on"] else "val"
    accuracy = percent(record["metrics"][f"{kind}_accuracy"], 2)
    stdout.print(Text(f"{accuracy} of the {record['evaluated_on']} read correctly", style="bold"))
    epochs = f"{record['epochs']} epoch{'s' if record['epochs'] > 1 else ''}"
    about = f"{record['architecture']} on {record['dataset']['name']}: {epochs} in {duration(record['seconds'])}"
    stdout.print(Text(about, style="dim"))
    print_all(stdout, [*_results(record, stdout.width), *_classes(record, stdout.width)])
    paths(stdout, [run.path / name for name in FILES])


def show_seeds(runs: Sequence[Run], spread: Spread) -> None:
    """Print how the runs of several seeds spread, what each came to, and where they are."""
    stdout = Console()
    record = runs[0].config
    kind = "test" if "test_accuracy" in spread.metrics else "val"
    found, count = spread.metrics[f"{kind}_accuracy"], len(runs)
    mean, deviation = found["mean"] or 0.0, found["standard_deviation"]
    more = "" if deviation is None else f", standard deviation {percent(deviation, 2)}"
    said = f"{percent(mean, 2)} of the {record['evaluated_on']} read correctly, mean over {count} seed"
    stdout.print(Text(f"{said}{'' if count == 1 else 's'}{more}", style="bold"))
    columns = [
        Column("seed", [str(run.config["seed"]) for run in runs], number=True),
        *(
            Column(name.replace("_", " "), [runs_view.final(name, run.metrics[name]) for run in runs], number=True)
            for name in (f"{kind}_loss", f"{kind}_accuracy", "train_loss")
        ),
        Column("time", [duration(run.config["seconds"]) for run in runs], number=True),
    ]
    print_all(stdout, [*runs_view.spread([spread], stdout.width), *fitted(columns, stdout.width)])
    paths(stdout, [run.path for run in runs])


def _results(record: Mapping[str, Any], width: int) -> list[RenderableType]:
    kinds = {"train": "training (mean over the last epoch)", "val": f"validation ({record['validated_on']})"}
    if record["validated_on"] != record["evaluated_on"]:
        kinds["test"] = record["evaluated_on"]
    metrics = record["metrics"]
    columns = [
        Column("", list(kinds.values())),
        Column("loss", [f"{metrics[f'{kind}_loss']:.4f}" for kind in kinds], number=True),
        Column("accuracy", [percent(metrics[f"{kind}_accuracy"], 2) for kind in kinds], number=True),
    ]
    return fitted(columns, width)


def _classes(record: Mapping[str, Any], width: int) -> list[RenderableType]:
    """The accuracy of each class, on the images that were evaluated last."""
    classes = record["classes"]
    more: list[RenderableType] = []
    if len(classes) > MOST_CLASSES:
        more = [Text(f" the {MOST_CLASSES} least accurate of {len(classes):,} classes", style="dim")]
        classes = sorted(classes, key=lambda entry: 2 if entry["accuracy"] is None else entry["accuracy"])
    shown = classes[:MOST_CLASSES]
    known = [entry["accuracy"] for entry in shown]
    columns = [
        Column("class", [entry["name"] for entry in shown]),
        Column(record["evaluated_on"], [f"{entry['images']:,}" for entry in shown], number=True),
        Column("accuracy", ["-" if value is None else percent(value, 2) for value in known], number=True),
    ]
    return [*fitted(columns, width), *more]
