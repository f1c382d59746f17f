"""``python -m fuzz``: so many inputs of every kind, what was wrong with which, and its files."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click

from fuzz import targets
from fuzz.judge import MOST_SECONDS
from fuzz.seeds import MAKERS, Seeds
from fuzz.workers import Worker, scratch

EVERY = 500
"""After so many inputs, how far it has come is told."""


@click.command()
@click.option("--inputs", type=click.IntRange(min=1), default=10_000, show_default=True, help="How many, of all kinds.")
@click.option("--seed", default=0, show_default=True, help="Another one gives other inputs.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(list(targets.TARGETS)), help="Only of this kind.")
@click.option("--number", type=click.IntRange(min=0), help="Only the input of this number, of each --kind.")
@click.option("--start", type=click.IntRange(min=0), default=0, show_default=True, help="Begin with this number.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Processes side by side.")
@click.option("--good", type=click.Path(path_type=Path), help="Where good files are kept, to be made once.")
@click.option("--seconds", default=MOST_SECONDS, show_default=True, help="What takes longer counts as hanging.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="build/fuzz",
    show_default=True,
    help="Where what was found is kept.",
)
def main(
    inputs: int,
    seed: int,
    kinds: tuple[str, ...],
    number: int | None,
    start: int,
    jobs: int,
    good: Path | None,
    seconds: float,
    out: Path,
) -> None:
    """Run mutated files and command lines; each must end in a result or in one sentence of cnnlab's own."""
    chosen = [each for each in targets.numbered(inputs) if (not kinds or each[0] in kinds) and each[1] >= start]
    if number is not None:
        chosen = [(kind, number) for kind in kinds or targets.TARGETS]
    folder, began = scratch(), time.monotonic()
    good = (good or folder / "good").resolve()
    _make_seeds(Seeds(good))
    found: Counter[str] = Counter()
    statuses: Counter[tuple[str, int]] = Counter()

    def work(job: int) -> None:
        worker = Worker(folder / f"worker{job}", good, seed, seconds)
        for kind, each in chosen[job::jobs]:
            verdict = worker.judge(kind, each)
            statuses[kind, verdict["status"]] += 1
            if verdict["wrong"]:
                found[kind] += 1
                _keep(out, kind, each, seed, verdict, folder / f"worker{job}" / "input")
                click.echo(f"{kind} {each}: {'; '.join(verdict['wrong'])}", err=True)
            if not (done := statuses.total()) % EVERY:
                left = (time.monotonic() - began) * (len(chosen) / done - 1)
                click.echo(f"{done:,} of {len(chosen):,}; {left / 60:.0f} minutes left", err=True)
        worker.close()

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(work, range(jobs)))
    for kind in dict.fromkeys(kind for kind, _ in chosen):
        ended = ", ".join(f"{count} with {status}" for (of, status), count in sorted(statuses.items()) if of == kind)
        click.echo(f"{kind:14} {ended}; {found[kind]} wrong")
    click.echo(f"{len(chosen):,} inputs in {time.monotonic() - began:.0f} s; {sum(found.values())} ended wrong")
    shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if found else 0)


def _make_seeds(good: Seeds) -> None:
    """Make the good files, before time is taken."""
    from fuzz import judge

    judge.prepare()
    for name in MAKERS:
        good.kept(name)


def _keep(out: Path, kind: str, number: int, seed: int, verdict: dict[str, Any], given: Path) -> None:
    """Keep what was found: the verdict, and the files where they are small."""
    place = out / f"{kind.replace(' ', '-')}-{number}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    again = f"python -m fuzz --seed {seed} --kind '{kind}' --number {number}"
    (place / "verdict.json").write_text(json.dumps({"again": again, **verdict}, indent=2))
    for file in given.rglob("*") if given.is_dir() else ():
        if file.is_file() and not file.is_symlink() and file.stat().st_size < 100_000:
            kept = place / "input" / file.relative_to(given)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, kept)


if __name__ == "__main__":
    main()
