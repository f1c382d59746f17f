"""Run folders: reading one, finding the newest, listing them all."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cnnlab.errors import CnnlabError, did_you_mean
from cnnlab.files import places
from cnnlab.files.reading import MOST_TEXT, check_regular, read_text
from cnnlab.runs.history import read_history
from cnnlab.runs.lock import RunLock
from cnnlab.runs.record import read_record

if TYPE_CHECKING:
    from cnnlab.drawings import Drawing

DEFAULT_ROOT = Path("runs")
"""Where runs are kept, below the current folder."""

RECORD = "run.json"
MODEL = "model"
KERAS = "model.keras"
HISTORY = "history.csv"
DRAWINGS = "drawings.json"
CHECKPOINT = "checkpoint"
TENSORBOARD = "tensorboard"
SETTINGS = f"{CHECKPOINT}/settings.json"
STATE = f"{CHECKPOINT}/state.npz"

State = Literal["complete", "training", "unfinished", "damaged"]


@dataclass(frozen=True, repr=False)
class Run:
    """One run folder, read when asked.

    Attributes:
        path: The folder.

    Example:
        >>> import cnnlab
        >>> cnnlab.Run("runs/classic").path.name, cnnlab.Run("runs/classic").model_path.name
        ('classic', 'model')
    """

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    def __repr__(self) -> str:
        from cnnlab.words import percent

        words = [str(self.path), "" if self.state == "complete" else self.state]
        if self.state != "damaged" and is_run(self.path):
            words += [
                f"{self.config['architecture']} on {self.config['dataset']['name']}",
                _epochs(self.config["epochs"]),
            ]
        accuracy = self.metrics.get("val_accuracy") if self.state == "complete" else None
        words.append("" if accuracy is None else f"{percent(accuracy, 2)} validation accuracy")
        return f"Run({', '.join(filter(None, words))})"

    def _repr_html_(self) -> str:
        from cnnlab.drawings.tables import Table
        from cnnlab.render.html.notebook import notebook
        from cnnlab.runs.comparison import curves, history_of

        history = [] if self.state == "damaged" else history_of(self)
        return notebook(
            repr(self),
            drawings=[curves({"": history}, validated_on=self.config.get("validated_on", "its images"))]
            if history
            else [],
            tables=[Table(("metric", "value"), list(self.metrics.items()))] if self.state == "complete" else [],
        )

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @property
    def model_path(self) -> Path:
        """The SavedModel folder."""
        return self.path / MODEL

    @property
    def keras_path(self) -> Path:
        """The ``.keras`` file."""
        return self.path / KERAS

    @property
    def history_path(self) -> Path:
        """history.csv."""
        return self.path / HISTORY

    @property
    def record_path(self) -> Path:
        """run.json."""
        return self.path / RECORD

    @property
    def drawings_path(self) -> Path:
        """drawings.json."""
        return self.path / DRAWINGS

    @property
    def checkpoint_path(self) -> Path:
        """The folder that ``--resume`` goes on from."""
        return self.path / CHECKPOINT

    @property
    def tensorboard_path(self) -> Path:
        """The folder of what TensorBoard shows, where that was asked for."""
        return self.path / TENSORBOARD

    @property
    def complete(self) -> bool:
        """Whether training has come to its end: run.json is the last file to be written."""
        return self.record_path.is_file()

    @property
    def state(self) -> State:
        """``complete``; ``training`` in some process just now; ``unfinished``; ``damaged``: no record can be read."""
        if not self.complete and RunLock(self.path).is_held():
            return "training"
        try:
            _ = self.config if is_run(self.path) else None
        except CnnlabError:
            return "damaged"
        return "complete" if self.complete else "unfinished"

    @cached_property
    def config(self) -> dict[str, Any]:
        """run.json as a dictionary; of an unfinished run, the settings that it was started with.

        Raises:
            CnnlabError: It is no JSON object, or not what every run.json is (:mod:`cnnlab.runs.record`).
        """
        if not is_run(self.path):
            raise CnnlabError(f"{self.record_path} does not exist, so {self.path} is no run folder.")
        complete = self.complete
        return read_record(self.record_path if complete else self.path / SETTINGS, complete=complete)

    @property
    def metrics(self) -> dict[str, float]:
        """The final numbers: ``train_loss``, ``train_accuracy``, ``val_loss``, ``val_accuracy`` and others."""
        return dict(self.config.get("metrics", {}))  # of an unfinished run, none

    @property
    def history(self) -> list[dict[str, Any]]:
        """A row per finished epoch: epoch, loss, accuracy, val_loss, val_accuracy, seconds."""
        return read_history(self.history_path)

    @property
    def drawings(self) -> dict[str, Drawing]:
        """What ``curves.png``, ``predictions.png`` and ``confusion.png`` show, as data, by these names.

        Raises:
            CnnlabError: The run is unfinished, or drawings.json is damaged.
        """
        from cnnlab.drawings import from_json

        return from_json(read_text(self.drawings_path))

    @property
    def dataset_name(self) -> str:
        """What :func:`cnnlab.datasets.load` takes to load the dataset again: a name or a path."""
        dataset = self.config["dataset"]
        return str(dataset["source"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits."""
        return tuple(self.config["dataset"]["class_names"])

    @property
    def created(self) -> datetime.datetime:
        """When training started; of a folder that does not say, when it was last changed."""
        try:
            created = datetime.datetime.fromisoformat(self.config["created"])
        except (CnnlabError, ValueError):
            return datetime.datetime.fromtimestamp(self.path.stat().st_mtime, datetime.UTC)
        return created if created.tzinfo else created.replace(tzinfo=datetime.UTC)


def _epochs(count: int) -> str:
    return f"{count} epoch{'' if count == 1 else 's'}"


def is_run(folder: Path) -> bool:
    """Whether ``folder`` is a run, complete or not."""
    return (folder / RECORD).is_file() or (folder / SETTINGS).is_file()


def list_runs(root: str | os.PathLike[str] = DEFAULT_ROOT) -> list[Run]:
    """List the runs below ``root``, finished or not, newest first. No such folder, no runs."""
    root = Path(root)
    if not root.is_dir():
        return []
    runs = [Run(folder) for folder in root.iterdir() if folder.is_dir() and is_run(folder)]
    return sorted(runs, key=lambda run: (run.created, run.name), reverse=True)


def find(path: str | os.PathLike[str] | None = None, root: str | os.PathLike[str] = DEFAULT_ROOT) -> Run:
    """Open a run that is complete.

    Args:
        path: Its folder, or its name below ``root``; None for the newest complete run below ``root``.
        root: Where runs are kept.

    Raises:
        CnnlabError: There is none, or it is unfinished; the message says what to do.
    """
    if path is None:
        return _newest(Path(root))
    folder = Path(path)
    if not folder.exists() and is_run(Path(root) / folder):
        folder = Path(root) / folder
    run = Run(folder)
    if run.complete:
        _ = run.config
        return run
    if not folder.exists():
        names = [known.name for known in list_runs(root)]
        remedy = did_you_mean(folder.name, names) if names else "Train one with `cnnlab train`."
        raise CnnlabError(f"there is no run {folder}. {remedy}")
    if is_run(folder):
        raise CnnlabError(_unfinished(run))
    raise CnnlabError(
        f"{folder} is no run folder: it has no {RECORD}. `cnnlab runs` lists the runs, `cnnlab train` makes one."
    )


def _newest(root: Path) -> Run:
    runs = list_runs(root)
    for run in runs:
        if run.state == "complete":
            return run
    if runs:
        raise CnnlabError(f"no run below {root} is complete. {_unfinished(runs[0])}")
    raise CnnlabError(
        f"there is no run below {root} yet. Train one with `cnnlab train`, or name a model with `model=`."
    )


def _unfinished(run: Run) -> str:
    if run.state == "damaged":
        return f"{run.path} is damaged: its record cannot be read."
    if run.state == "training":
        return f"{run.path} is still being trained."
    return f"{run.path} is unfinished; go on with `cnnlab train --out {run.path} --resume`."


def files_tell(model: str | os.PathLike[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of a model's classes and layers that can be read off its files without opening it.

    Args:
        model: A run folder or a ``.keras`` file; None for the newest run.

    Returns:
        The classes and the layers; nothing of what cannot be told.
    """
    try:
        run = Run(Path(model)) if model is not None else find(None)
        keras_file = run.path if run.path.suffix == ".keras" else run.keras_path
        classes = run.class_names if run.complete else ()
        with zipfile.ZipFile(check_regular(keras_file)) as archive, archive.open("config.json") as file:
            layers = json.loads(file.read(MOST_TEXT))["config"]["layers"]
        return classes, tuple(str(layer["config"]["name"]) for layer in layers if layer["class_name"] != "InputLayer")
    except Exception:  # what cannot be told is not told
        return (), ()


def new_folder(stem: str, root: str | os.PathLike[str] = DEFAULT_ROOT) -> contextlib.AbstractContextManager[Path]:
    """Claim a folder below ``root`` that nobody else has: ``stem``, the present time, and a number where needed."""
    return places.new_folder(root, f"{stem}-{datetime.datetime.now().strftime('%Y%m%d-%H%M%S')}")
