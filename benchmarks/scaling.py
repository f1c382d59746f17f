"""``python -m benchmarks.scaling [WHAT ...] --run RUN``: what several processes cost, into results/scaling.json.

Each measurement is of `cnnlab launch -n N` with two sizes, which part what an image costs from what comes on top: in
training the seconds of a step are those of its images and of a step (the update of the weights, and the exchange
between processes); in evaluating those of a command are those of its images and of the command (beginning, opening the
model, and parting the work). `docs/scaling.md` shows what :func:`table` and :func:`arithmetic` make of it.
"""

from __future__ import annotations

import argparse
import csv
import functools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS, ROOT

FILE = RESULTS / "scaling.json"
PROCESSES = (1, 2, 4)
BATCHES = (64, 512)
IMAGES = 12_288
"""Of which both batches make whole steps."""
EVALUATED = (10_000, 60_000)
ROUNDS = 2
WEIGHTS = 799_078
NETWORK = 10e9 / 8
"""Bytes a second of the network that is reckoned with."""


def launched(processes: int, *words: object) -> float:
    """Run a command in so many processes; return its seconds."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "cnnlab", "launch", "-n", processes, "--", "cnnlab", *words]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    subprocess.run(list(map(str, command)), cwd=ROOT, check=True, **quiet)  # type: ignore[call-overload]
    return time.perf_counter() - started


def a_step(processes: int, folder: Path, batch: int) -> float:
    """The seconds of a training step of so many images, the least of the epochs after the first."""
    out = folder / f"run-{processes}-{batch}"
    launched(processes, "train", "--out", out, "--limit", IMAGES, "--epochs", 3, "--batch-size", batch)
    with (out / "history.csv").open() as file:
        epochs = [float(row["seconds"]) for row in csv.DictReader(file)][1:]
    return min(epochs) * batch / IMAGES


def a_command(processes: int, run: Path, images: int) -> float:
    """The seconds of evaluating so many images, the median of some rounds."""
    words = ("evaluate", "--model", run, "--dataset", "mnist", "--split", "train", "--limit", images)
    return statistics.median(launched(processes, *words) for _ in range(ROUNDS))


def parted(sizes: Sequence[int], measure: Callable[[int], float]) -> dict[str, float]:
    """Part the seconds at two sizes into those of an image and those on top.

    >>> parted((10, 20), lambda images: 5.0 + 0.1 * images)
    {'an image': 0.1, 'on top': 5.0}
    """
    few, many = sizes
    first, second = measure(few), measure(many)
    image = (second - first) / (many - few)
    return {"an image": round(image, 9), "on top": round(first - few * image, 6)}


def table(measured: Mapping[str, Any]) -> str:
    """The table of `docs/scaling.md`."""
    lines = [
        "| processes | training: an image | a step on top | evaluating: an image | the command on top |",
        "|---:|---:|---:|---:|---:|",
    ]
    for count in map(str, PROCESSES):
        train, evaluate = measured["train"][count], measured["evaluate"][count]
        lines.append(
            f"| {count} | {1e6 * train['an image']:.0f} µs | {1e3 * train['on top']:.1f} ms | "
            f"{1e6 * evaluate['an image']:.0f} µs | {evaluate['on top']:.0f} s |"
        )
    return "\n".join(lines)


def arithmetic(measured: Mapping[str, Any]) -> str:
    """The second table of `docs/scaling.md`: the hours of ten epochs of ten million images, computed from the first.

    A step of B images on W machines takes the time of B / W images, that of a step, and that of the gradients' way to
    the others and back: in a ring each machine sends and receives 2 (W - 1) / W of their bytes.
    """
    one = measured["train"]["1"]
    lines = ["| machines | batches of 64 | batches of 4,096 |", "|---:|---:|---:|"]
    for machines in (1, 4, 16):
        exchange = 2 * (machines - 1) / machines * 4 * WEIGHTS / NETWORK
        steps = {batch: batch / machines * one["an image"] + one["on top"] + exchange for batch in (64, 4096)}
        hours = [10 * 10_000_000 / batch * seconds / 3600 for batch, seconds in steps.items()]
        lines.append(f"| {machines} | {hours[0]:.1f} h | {hours[1]:.1f} h |")
    return "\n".join(lines)


def main() -> None:
    """Measure what is asked for, and write down each as soon as it is done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("what", nargs="*", help="train, evaluate; both by default")
    parser.add_argument("--processes", type=int, action="append", help="1, 2, 4 by default")
    parser.add_argument("--run", type=Path, required=True, help="a run of the classic recipe, to be evaluated")
    asked = parser.parse_args()
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    if known.get("machine") != machine:
        known = {"machine": machine, "train": {}, "evaluate": {}}
    for what in asked.what or ("train", "evaluate"):
        for count in asked.processes or PROCESSES:
            with tempfile.TemporaryDirectory() as folder:
                if what == "train":
                    found = parted(BATCHES, functools.partial(a_step, count, Path(folder)))
                else:
                    found = parted(EVALUATED, functools.partial(a_command, count, asked.run))
            known[what][str(count)] = found
            FILE.write_text(json.dumps(known, indent=2) + "\n")
            print(what, count, found, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
