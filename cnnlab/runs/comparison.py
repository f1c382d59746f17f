"""Runs in facts: what lists say of one, and several side by side."""

from __future__ import annotations

import json
import os
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab.errors import CnnlabError
from cnnlab.files.writing import short_names
from cnnlab.runs.folder import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cnnlab.drawings import Tiles

History = Sequence[Mapping[str, Any]]


def facts_of(run: Run) -> dict[str, Any]:
    """Return what tables say of a run, as JSON types; None for what it does not know.

    Accuracy and loss are those on the validation images after the last epoch.
    """
    facts: dict[str, Any] = {"name": run.name, "path": str(run.path), "state": run.state}
    facts["created"] = run.created.isoformat(timespec="seconds")
    config = {} if facts["state"] == "damaged" else run.config
    history = history_of(run)
    metrics = config.get("metrics") or (history[-1] if history else {})
    facts |= {
        "dataset": config["dataset"]["name"] if config else None,
        "architecture": (config["architecture"] + (" +bn" if config.get("batch_norm") else "")) if config else None,
        "epochs": config.get("epochs"),
        "epochs_done": len(history),
        "validated_on": config.get("validated_on"),
        "accuracy": metrics.get("val_accuracy"),
        "loss": metrics.get("val_loss"),
        "train_loss": metrics.get("train_loss", metrics.get("loss")),
        "seconds_per_epoch": statistics.median(line["seconds"] for line in history) if history else None,
    }
    return facts


def history_of(run: Run) -> list[dict[str, Any]]:
    """The rows of a run; none where its history is damaged, for one bad folder must not hide the others."""
    try:
        return run.history
    except CnnlabError:
        return []


@dataclass(frozen=True)
class Spread:
    """How the final numbers of runs spread that differ in nothing but the seed.

    Attributes:
        label: What these runs are called.
        seeds: Their seeds.
        metrics: Of each final number of a run (``test_accuracy``, ``test_loss``, ...) the ``mean``, the
            ``standard_deviation`` (of a sample; None of a single run), the ``least`` and the ``most``.
    """

    label: str
    seeds: tuple[int, ...]
    metrics: dict[str, dict[str, float | None]]

    @classmethod
    def of(cls, label: str, runs: Sequence[Run]) -> Spread:
        """Measure it.

        Args:
            label: What they are called.
            runs: Complete runs, each of another seed.
        """
        names = [name for name in runs[0].metrics if all(name in run.metrics for run in runs)]
        return cls(
            label,
            tuple(int(run.config["seed"]) for run in runs),
            {name: _spread([float(run.metrics[name]) for run in runs]) for name in names},
        )


def _spread(values: list[float]) -> dict[str, float | None]:
    return {
        "mean": statistics.fmean(values),
        "standard_deviation": statistics.stdev(values) if len(values) > 1 else None,
        "least": min(values),
        "most": max(values),
    }


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        rows: What is known of each run: :func:`facts_of`, with a ``label`` and its ``history``.
        spreads: How the numbers spread over seeds, where some of the runs differ in nothing but these.
    """

    rows: list[dict[str, Any]]
    spreads: tuple[Spread, ...] = ()

    @property
    def drawing(self) -> Tiles:
        """The curves of all runs: loss, and accuracy."""
        return curves({row["label"]: row["history"] for row in self.rows})

    @property
    def notes(self) -> list[str]:
        """What somebody who reads the numbers should know."""
        if len({(row["dataset"], row["validated_on"]) for row in self.rows}) == 1:
            return []
        return ["these runs were not validated on the same images, so their numbers differ by that too."]

    def to_json(self) -> dict[str, Any]:
        """Return what ``cnnlab compare --json`` prints."""
        return {"runs": self.rows, "over_seeds": [asdict(spread) for spread in self.spreads]}

    def figure(self) -> Figure:
        """Draw the curves with matplotlib."""
        from cnnlab.render import figure

        return figure(self.drawing)

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write the curves to a file, and return its path.

        Args:
            path: The file; a figure of cnnlab's that lies there is replaced.
            force: Replace also another file.

        Raises:
            CnnlabError: The file cannot be written, or is not cnnlab's.
        """
        from cnnlab.files.places import check_figure
        from cnnlab.render import save

        check_figure(path, force=force)
        save(self.drawing, path)
        return Path(path)


def compare_runs(chosen: Sequence[Run]) -> Comparison:
    """Put runs side by side.

    Args:
        chosen: Two or more.

    Raises:
        CnnlabError: One is no complete run, or has no history.
    """
    rows = []
    for run, label in zip(chosen, labels(chosen), strict=True):
        if not run.history:
            raise CnnlabError(f"{run.path} has no history to draw: {run.history_path} is missing or empty.")
        rows.append(facts_of(run) | {"label": label, "history": run.history})
    return Comparison(rows, tuple(_spreads(dict(zip(labels(chosen), chosen, strict=True)))))


def _spreads(chosen: Mapping[str, Run]) -> Iterator[Spread]:
    """Measure the spread of those runs that differ in nothing but the seed."""
    alike: dict[str, dict[int, str]] = {}
    for label, run in chosen.items():
        record = run.config
        rest = json.dumps([record["dataset"]["digest"], {**record["settings"], "seed": None}], sort_keys=True)
        alike.setdefault(rest, {}).setdefault(record["seed"], label)
    for by_seed in alike.values():
        if len(by_seed) > 1:
            names = list(by_seed.values())
            common = {re.sub(r"-seed\d+$", "", name) for name in names}
            yield Spread.of(", ".join(common if len(common) == 1 else names), [chosen[name] for name in names])


def labels(chosen: Sequence[Run]) -> list[str]:
    """Name runs so that no two have the same name, as :func:`cnnlab.files.writing.short_names` does."""
    return short_names([run.path for run in chosen])


def curves(histories: Mapping[str, History], *, validated_on: str = "") -> Tiles:
    """Draw loss and accuracy against epoch, training and validation, of one run or of several.

    Args:
        histories: The rows of each run, as in history.csv, by its name; the name of a single one may be empty.
        validated_on: What the validation images are, for the legend of a single run.
    """
    from cnnlab.drawings import Curves, Tiles

    several = len(histories) > 1
    y_labels = {"loss": "cross-entropy (nats)", "accuracy": "accuracy"}
    return Tiles(
        tiles=tuple(
            Curves(
                lines=tuple(
                    line
                    for number, (name, history) in enumerate(histories.items())
                    for line in _lines(quantity, history, number, name if several else "", validated_on)
                ),
                title=quantity.capitalize(),
                x_label="epoch",
                y_label=y_label,
                whole=True,
                percent=quantity == "accuracy",
                y_scale="log" if quantity == "loss" else "linear",
            )
            for quantity, y_label in y_labels.items()
        ),
        columns=2,
    )


def _lines(quantity: str, history: History, number: int, name: str, validated_on: str) -> list[Any]:
    from cnnlab.drawings import Line

    epochs = tuple(row["epoch"] for row in history)
    training, validation = (tuple(row[column] for row in history) for column in (quantity, f"val_{quantity}"))
    if not name:
        return [
            Line(name="training (mean over the epoch)", x=epochs, y=training),
            Line(name=f"validation ({validated_on})", x=epochs, y=validation),
        ]
    return [
        Line(name=f"{name}, validation", x=epochs, y=validation, color=number),
        Line(name=f"{name}, training", x=epochs, y=training, color=number, dash="dotted"),
    ]
