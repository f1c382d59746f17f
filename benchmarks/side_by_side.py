"""Runs pieces of work by turns in one process, so that whatever else the machine does slows all of them alike."""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def race(
    name: str,
    title: str,
    work: dict[str, Callable[[], object]],
    *,
    rounds: int,
    packages: Sequence[str],
    note: str = "",
) -> None:
    """Run every piece of work once to warm up, then all of them by turns, and write results/NAME.md.

    The first is what the others are compared with. A ratio is the median over the rounds of the time over the first's
    time in the same round.
    """
    times: dict[str, list[float]] = {}
    for what, do in work.items():
        do()
        times[what] = []
    for number in range(rounds):
        # Every other round goes backwards, so that nobody always follows the same neighbour.
        for what in list(work)[:: 1 if number % 2 == 0 else -1]:
            gc.collect()
            started = time.perf_counter()
            work[what]()
            times[what].append(time.perf_counter() - started)
    text = _page(title, times, rounds, packages, note)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")


def _page(title: str, times: dict[str, list[float]], rounds: int, packages: Sequence[str], note: str) -> str:
    first = next(iter(times.values()))
    lines = [f"# {title}", "", "| | median | spread | times as long |", "|---|---:|---:|---:|"]
    for what, seconds in times.items():
        ratio = statistics.median(mine / base for mine, base in zip(seconds, first, strict=True))
        lines.append(
            f"| {what} | {_shown(statistics.median(seconds))} | {_shown(min(seconds))} to {_shown(max(seconds))} "
            f"| {ratio:.3g} |"
        )
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages)
    lines += ["", f"{rounds} rounds, by turns, after one to warm up; {os.cpu_count()} CPU cores, no GPU."]
    lines += [f"Python {platform.python_version()}, {versions}.", *(["", note] if note else []), ""]
    return "\n".join(lines)


def _shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"


def rounds_from_command_line(default: int, doc: str | None) -> int:
    """Read ``--rounds N``."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--rounds", type=int, default=default)
    return int(parser.parse_args().rounds)
