"""The folder of a run: a new one, or the one to go on with."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cnnlab.devices.cluster import Cluster
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.files.places import check_apart, check_folder
from cnnlab.files.writing import is_leftover
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.params import fields_of
from cnnlab.pluginhost.sources import command
from cnnlab.runs import DEFAULT_ROOT, Run, list_runs, new_folder
from cnnlab.runs.folder import CHECKPOINT, MODEL, is_run
from cnnlab.training.recipes import SETTABLE
from cnnlab.training.settings import Settings, difference

NAMES = ("dataset", "architecture", "recipe")
"""The settings that are names of what plugins give."""

LATER = {"sync_batch_norm": False}
"""What the settings of runs do not say that were started before there was such a setting."""


@contextlib.contextmanager
def chosen(
    settings: Settings,
    out: str | os.PathLike[str] | None,
    resume: bool,
    *,
    force: bool = False,
    together: Cluster | None = None,
) -> Iterator[Run]:
    """Give the run that :func:`choose` decides for; a new folder is claimed, and goes again where nothing is kept.

    Of processes that train ``together`` the first one decides, and the others take the folder as it is.
    """
    if together and out is None:
        raise UsageError(f"the {len(together.workers)} processes need one folder for their run; name it with `out=`.")
    if together and together.index:
        yield Run(Path(out or ""))
        return
    run = choose(settings, out, resume, force=force)
    if run is not None:
        yield run
        return
    with new_folder(stem(settings)) as folder:
        yield Run(folder)


def choose(settings: Settings, out: str | os.PathLike[str] | None, resume: bool, *, force: bool = False) -> Run | None:
    """Decide where a run goes. Nothing is made on the disk.

    Args:
        settings: What it is told, the recipe's values filled in.
        out: The folder, or None for a new one below ``runs/``.
        resume: Whether to go on with what is there. A folder that does not exist, or is empty, is begun in either case.
        force: Whether a run may be begun among other files.

    Returns:
        The run; None for a new one below ``runs/``.

    Raises:
        UsageError: The run there has other settings.
        CnnlabError: The folder is taken, cannot be written to, or holds no run to go on with.
    """
    run = find_unfinished(out, force=force) if resume else None
    if run is None:
        return None if out is None else Run(_new(Path(out), force))
    said = settings.to_json()
    stored_settings(run, said)
    check_alike(run, said)
    return run


def complete_in(out: str | os.PathLike[str] | None) -> Run | None:
    """Return the complete run in a folder; None where there is none, or no folder is named."""
    run = None if out is None else Run(Path(out))
    return run if run is not None and run.complete else None


def check_alike(run: Run, said: Mapping[str, Any]) -> None:
    """Refuse other settings than those that a run was started with.

    Args:
        run: It. Of a complete one the settings need be none that can still be had, for nothing is done with them.
        said: What it is told now, by name; what is None and the recipe's to say is not said.

    Raises:
        UsageError: They differ.
    """
    fields = [field for field in fields_of(Settings) if field.public in said]
    read = {field.public: field.validate(said[field.public]) for field in fields}
    given = {name: value for name, value in read.items() if value is not None or name not in SETTABLE}
    differs = difference(_as_said(run, given), given)
    if differs:
        raise UsageError(
            f"{run.path} was started with {differs}; `resume=True` goes on with the same settings. Leave out the "
            "options that differ, or train anew in another folder."
        )


def find_unfinished(out: str | os.PathLike[str] | None, *, force: bool = False) -> Run | None:
    """Return the run that ``--resume`` means; None where ``out`` is a folder still to be begun.

    Args:
        out: The run's folder; None for the newest unfinished run below ``runs/``.
        force: Whether a run may be begun among other files.

    Raises:
        CnnlabError: There is none.
    """
    if out is None:
        runs = [run for run in list_runs() if run.state == "unfinished"]
        if not runs:
            raise CnnlabError(f"there is no unfinished run below {DEFAULT_ROOT} to go on with; name one with `out=`.")
        return runs[0]
    folder = Path(out)
    if not os.path.islink(folder):  # a run is gone on with wherever it is
        check_folder(folder)
    if is_run(folder):
        return Run(folder)
    if force or _is_free(folder):
        return None
    raise CnnlabError(f"{folder} holds no run to go on with, and is not empty. Name another folder with `out=`.")


def stored_settings(run: Run, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the settings that a run was started with, as :meth:`Settings.to_json` gives them.

    Args:
        run: It. Those of a complete one are returned as they are.
        given: What it is told now: a full name stands in the place of a name that it means, which others may have
            since.

    Raises:
        CnnlabError: Its record is damaged, or they are none that a run can be started with.
    """
    said = _as_said(run, given or {})
    if run.complete:
        return {field.public: said[field.public] for field in fields_of(Settings) if field.public in said}
    try:
        known = Settings.from_public(said).to_json()
    except UsageError as error:
        raise CnnlabError(
            f"{run.path} cannot be gone on with as it was begun: {error} Where a plugin that it was begun with is "
            "missing, install it; else train anew in another folder."
        ) from error
    if known != said:
        wrong = next(name for name in known if name not in said or known[name] != said[name])
        raise CnnlabError(
            f"the settings of {run.path} are damaged: {wrong} is {said.get(wrong, 'missing')!r}, expected a value such "
            f"as {known[wrong]!r}. Train anew in another folder."
        )
    return said


def _as_said(run: Run, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run, its names as they are said now where the same is meant."""
    stored: dict[str, Any] = {**LATER, **run.config["settings"]}
    named = {name: (given[name], stored.get(name)) for name in NAMES if name in given}
    return stored | {name: said for name, (said, was) in named.items() if registry.means(str(said), str(was))}


def command_to_resume(folder: Path) -> str:
    """Return the command that goes on with a run."""
    return command("train", "--out", str(folder), "--resume")


def taken(run: Run) -> CnnlabError:
    """Return the error that a run is there already."""
    what = "a complete run" if run.complete else "an unfinished run, which `resume=True` goes on with"
    return CnnlabError(f"{run.path} already holds {what}. Name another folder with `out=`, or delete this one.")


def _new(folder: Path, force: bool) -> Path:
    check_folder(folder)
    check_apart(folder, "run")
    if is_run(folder):
        raise taken(Run(folder))
    if _is_free(folder):
        return folder
    if not force:
        raise CnnlabError(
            f"{folder} already exists and is not an empty folder. Name another one with `out=`, or write there all the "
            "same with `force=True`."
        )
    whole = [folder / name for name in (MODEL, CHECKPOINT) if os.path.lexists(folder / name)]
    if whole:
        raise CnnlabError(
            f"{whole[0]} would be replaced with all that is in it. Move it elsewhere, or name another folder."
        )
    return folder


def stem(settings: Settings) -> str:
    """What folders of runs are called after: the dataset and the network."""
    name = Path(settings.dataset.replace(":", "-")).stem
    return f"{name}-{settings.architecture}{'-bn' if settings.batch_norm else ''}"


def _is_free(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and all(map(is_leftover, folder.iterdir())))
