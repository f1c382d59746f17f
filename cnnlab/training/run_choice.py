"""The folder of a run: a new one, or the one to go on with."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.runs import DEFAULT_ROOT, Run, list_runs, new_folder
from cnnlab.runs.folder import is_run
from cnnlab.training.settings import Settings, difference


def choose(settings: Settings, out: str | os.PathLike[str] | None, resume: bool) -> Run:
    """Decide where a run goes. Nothing is made on the disk.

    Args:
        settings: What it is told, the recipe's values filled in.
        out: The folder, or None for a new one below ``runs/``.
        resume: Whether to go on with what is there. A folder that does not exist, or is empty, is begun in either case.

    Raises:
        UsageError: The run there has other settings.
        CnnlabError: The folder is taken, or holds no run to go on with.
    """
    run = find_unfinished(out) if resume else None
    if run is None:
        return Run(_new(settings, out))
    differs = difference(stored_settings(run), settings.to_json())
    if differs:
        raise UsageError(
            f"{run.path} was started with {differs}; `resume=True` goes on with the same settings. Leave out the "
            "options that differ, or train anew in another folder."
        )
    return run


def find_unfinished(out: str | os.PathLike[str] | None) -> Run | None:
    """Return the run that ``--resume`` means; None where ``out`` is a folder still to be begun.

    Args:
        out: The run's folder; None for the newest unfinished run below ``runs/``.

    Raises:
        CnnlabError: There is none.
    """
    if out is None:
        runs = [run for run in list_runs() if run.state == "unfinished"]
        if not runs:
            raise CnnlabError(f"there is no unfinished run below {DEFAULT_ROOT} to go on with; name one with `out=`.")
        return runs[0]
    folder = Path(out)
    if is_run(folder):
        return Run(folder)
    if _is_free(folder):
        return None
    raise CnnlabError(f"{folder} holds no run to go on with, and is not empty. Name another folder with `out=`.")


def stored_settings(run: Run) -> dict[str, Any]:
    """Return the settings that a run was started with, as :meth:`Settings.to_json` gives them.

    Raises:
        CnnlabError: Its record is damaged, or they are none that a run can be started with.
    """
    said: dict[str, Any] = run.config["settings"]
    try:
        known = Settings.from_public(said).to_json()
    except UsageError as error:
        raise CnnlabError(f"the settings of {run.path} are damaged: {error} Train anew in another folder.") from error
    if known != said:
        wrong = next(name for name in known if name not in said or known[name] != said[name])
        raise CnnlabError(
            f"the settings of {run.path} are damaged: {wrong} is {said.get(wrong, 'missing')!r}, expected a value such "
            f"as {known[wrong]!r}. Train anew in another folder."
        )
    return said


def command_to_resume(folder: Path) -> str:
    """Return the command that goes on with a run."""
    return f"cnnlab train --out {shlex.quote(str(folder))} --resume"


def _new(settings: Settings, out: str | os.PathLike[str] | None) -> Path:
    if out is None:
        return new_folder(stem(settings))
    folder = Path(out)
    if is_run(folder):
        run = Run(folder)
        what = "a complete run" if run.complete else "an unfinished run, which `resume=True` goes on with"
        raise CnnlabError(f"{folder} already holds {what}. Name another folder with `out=`, or delete this one.")
    if not _is_free(folder):
        raise CnnlabError(f"{folder} already exists and is not an empty folder. Name another one with `out=`.")
    return folder


def stem(settings: Settings) -> str:
    """What folders of runs are called after: the dataset and the network."""
    name = Path(settings.dataset.replace(":", "-")).stem
    return f"{name}-{settings.architecture}{'-bn' if settings.batch_norm else ''}"


def _is_free(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
