"""The same training over several seeds: one run for each, which can be interrupted and gone on with."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cnnlab.errors import UsageError
from cnnlab.runs import DEFAULT_ROOT, Run
from cnnlab.training.api import source_of, train
from cnnlab.training.interrupt import Interrupted
from cnnlab.training.reporter import Reporter
from cnnlab.training.run_choice import choose, stem
from cnnlab.training.settings import Settings

_DIGITS = 18
"""Those of a seed that is surely no slip of the hand, and that every library takes."""


def parse(text: str) -> list[int]:
    """Read seeds as they are typed.

    >>> parse("0, 1,2")
    [0, 1, 2]

    Raises:
        UsageError: They are no whole numbers from 0 on, or two are alike.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() and len(word) <= _DIGITS for word in words):
        raise UsageError(f"seeds must be whole numbers from 0 on with commas between, such as 0,1,2; received {text}.")
    seeds = [int(word) for word in words]
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"the seeds must differ, for the same seed gives the same run; received {text}.")
    return seeds


def train_seeds(
    seeds: Sequence[int],
    given: dict[str, Any],
    *,
    out: str | os.PathLike[str] | None = None,
    device: str = "auto",
    force: bool = False,
    tensorboard: bool = False,
    profile: bool = False,
    reporter: Callable[[], Reporter] = Reporter,
) -> list[Run]:
    """Train once with each seed, one after the other; complete runs are left as they are, unfinished ones gone on with.

    Args:
        seeds: The seeds, each once.
        given: The other arguments of :func:`cnnlab.train`, by name.
        out: What the folders are called before ``-seed0``, ``-seed1``, ...; None for the dataset and the network, below
            ``runs/``.
        device: ``auto``, ``cpu`` or ``gpu:0``.
        force: As for :func:`cnnlab.train`.
        tensorboard: As for :func:`cnnlab.train`.
        profile: As for :func:`cnnlab.train`.
        reporter: Makes what is told of the progress of each run.

    Raises:
        UsageError: A value is wrong by itself, or differs from that of a run that is there already; nothing is begun.
        CnnlabError: A run failed; those before it are kept.
        Interrupted: Ctrl-C; what was done is saved.
    """
    if "dataset" in given:
        given = {**given, "dataset": source_of(given["dataset"])}
    settings = [Settings.from_public({**given, "seed": seed}).filled() for seed in seeds]
    base = str(out) if out is not None else str(DEFAULT_ROOT / stem(settings[0]))
    folders = [Path(f"{base}-seed{seed}") for seed in seeds]
    for each, folder in zip(settings, folders, strict=True):
        choose(each, folder, resume=True, force=force)
    runs = []
    for seed, folder in zip(seeds, folders, strict=True):
        try:
            made = train(
                **given,
                seed=seed,
                device=device,
                out=folder,
                resume=True,
                force=force,
                tensorboard=tensorboard,
                profile=profile,
                reporter=reporter(),
            )
        except Interrupted as stop:
            done = str(stop).partition("\n")[0]
            advice = "Go on with: the same command again; runs that are complete are left as they are."
            raise Interrupted(f"{done}\n{advice}") from None
        runs.append(made)
    return runs
