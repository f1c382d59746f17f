"""Does pieces of work when it is told to: a line of JSON on stdin for each, and one on stdout when it is done.

It runs in every environment, and imports nothing but NumPy: what a piece of work needs, that imports itself.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.suites import load

ENVIRONMENTS = Path(__file__).parent / "environments"

READY: dict[int, Callable[[], Any]] = {}
"""The work of the race that is on, by side."""


def prepare(suite: str, race: str, side: int) -> None:
    asked = load(suite).race(race)
    chosen = asked.sides[side]
    READY[side] = chosen.make(**asked.given, **chosen.given)


def run(side: int, keep: str = "") -> dict[str, Any]:
    gc.collect()
    started = time.perf_counter()
    found = READY[side]()
    seconds = time.perf_counter() - started
    if keep:
        np.savez(keep, **found)
    numbers = {name: float(value) for name, value in found.items() if np.ndim(value) == 0}
    return {"seconds": numbers.pop("seconds", seconds), "numbers": numbers}


def drop() -> None:
    READY.clear()
    gc.collect()


def versions() -> dict[str, str]:
    """Those of Python and of the libraries that the environment is about, which its list begins with."""
    name = Path(sys.prefix).name
    about = ["cnnlab", "tensorflow", "keras", "numpy"]
    if (listed := ENVIRONMENTS / f"{name}.txt").exists():
        about = listed.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ").split(", ")
    return {"Python": platform.python_version()} | {package: importlib.metadata.version(package) for package in about}


def main() -> None:
    # What libraries print is not to be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    known = {do.__name__: do for do in (prepare, run, drop, versions)}
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"done": known[asked.pop("do")](**asked)}
        except BaseException:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
