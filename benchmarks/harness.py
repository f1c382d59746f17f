"""Pieces of work in environments of their own, run by turns, whose results must agree before a time is compared."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / "benchmarks" / ".environments"
RESULTS = ROOT / "benchmarks" / "results"
LOGS = ROOT / "build" / "benchmarks" / "logs"

Arrays = Mapping[str, Any]
"""What a piece of work gives: NumPy arrays by name.

Those of a single number are written down in every round; where one is called ``seconds``, only so much counts.
"""

Records = Mapping[str, Mapping[str, Any]]
"""What was measured, by race."""


@dataclass(frozen=True)
class Side:
    """Who takes part in a race.

    Attributes:
        name: As tables call it.
        environment: Where it runs: ``cnnlab``, or a name in ``environments/``.
        make: From what is given to a function that does the work once and returns its arrays; whatever comes before
            the work (opening the model, handing over the images) is done here, and not timed.
        given: What only this side is given.
    """

    name: str
    environment: str
    make: Callable[..., Callable[[], Arrays]]
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Race:
    """One piece of work and all who do it; the first of them is what the others are compared with.

    Attributes:
        name: A name in the results.
        title: What the work is.
        sides: Who does it.
        given: What each side's ``make`` is given.
        agree: Raises where what the sides gave is not the same; returns what it found, numbers by name.
        rounds: How often each does it, by turns.
        quick: The same in ``make bench-quick``; 0 leaves the race out.
        wanted: How many times as long as the first a side is aimed to take, by its name: ``≥ 6``, ``≤ 2.5``.
        warm: Whether the first time is not counted, in which libraries compile.
        grows: What grows along races of one name before the colon, such as ``images``, and how large it is here.
    """

    name: str
    title: str
    sides: tuple[Side, ...]
    agree: Callable[[Mapping[str, Arrays]], dict[str, float]]
    given: Mapping[str, Any] = field(default_factory=dict)
    rounds: int = 5
    quick: int = 0
    wanted: dict[str, str] = field(default_factory=dict)
    warm: bool = True
    grows: tuple[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Races of one kind of work.

    Attributes:
        name: A name in the results.
        title: A heading.
        says: What the sides do, and how it is made sure that they agree: Markdown.
        races: The races.
        more: What else is to be said of what was measured: lines of Markdown.
    """

    name: str
    title: str
    says: str
    races: tuple[Race, ...]
    more: Callable[[Records], list[str]] = lambda records: []

    def race(self, name: str) -> Race:
        """Return the race of that name."""
        return next(race for race in self.races if race.name == name)


class Worker:
    """A process in an environment, which does one piece of work when it is told to."""

    def __init__(self, environment: str) -> None:
        self.environment = environment
        own = ENVIRONMENTS / environment / "bin" / "python"
        python = Path(sys.executable) if environment == "cnnlab" else own
        if not python.exists():
            raise SystemExit(f"There is no environment {environment}: run `make bench-environments`.")
        LOGS.mkdir(parents=True, exist_ok=True)
        with (LOGS / f"{environment}.log").open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [python, "-m", "benchmarks.worker"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def ask(self, do: str, **given: Any) -> Any:
        """Say what to do, and wait until it is done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"do": do, **given}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"it ended with {self._process.wait()}"}
        if "error" in answer:
            raise SystemExit(f"{self.environment} could not {do} {given}:\n{answer['error']}")
        return answer["done"]

    @cached_property
    def versions(self) -> dict[str, str]:
        """The versions of what it runs on."""
        found: dict[str, str] = self.ask("versions")
        return found

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Workers(contextlib.AbstractContextManager["Workers"]):
    """The processes, each started when it is first wanted."""

    def __init__(self) -> None:
        self._started: dict[str, Worker] = {}

    def __getitem__(self, environment: str) -> Worker:
        if environment not in self._started:
            self._started[environment] = Worker(environment)
        return self._started[environment]

    def __exit__(self, *_: object) -> None:
        for worker in self._started.values():
            worker.close()


def run(suite: Suite, race: Race, workers: Workers, rounds: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Let all sides prepare and do the work once, hold what they give against each other, and then time them by turns.

    Returns:
        The race's record in the results.
    """
    done: dict[str, list[dict[str, Any]]] = {side.name: [] for side in race.sides}
    with tempfile.TemporaryDirectory() as folder:
        given = {}
        for number, side in enumerate(race.sides):
            tell(f"{race.name}: {side.name}")
            workers[side.environment].ask("prepare", suite=suite.name, race=race.name, side=number)
            keep = str(Path(folder) / f"{number}.npz")
            done[side.name].append(workers[side.environment].ask("run", side=number, keep=keep))
            given[side.name] = read(keep)
        checks = race.agree(given)
    for turn in by_turns(range(len(race.sides)), rounds - (not race.warm)):
        side = race.sides[turn]
        done[side.name].append(workers[side.environment].ask("run", side=turn))
    for environment in {side.environment for side in race.sides}:
        workers[environment].ask("drop")
    first = {name: each[0]["seconds"] for name, each in done.items()}
    counted = {name: each[race.warm :] for name, each in done.items()}
    return {
        "title": race.title,
        "checks": checks,
        "first": first,
        "seconds": {name: [round["seconds"] for round in each] for name, each in counted.items()},
        "numbers": {
            name: {number: [round["numbers"][number] for round in each] for number in each[0]["numbers"]}
            for name, each in counted.items()
        },
    }


def by_turns(sides: Sequence[int], rounds: int) -> Iterator[int]:
    """Every other round goes backwards, so that nobody always follows the same neighbour."""
    for number in range(rounds):
        yield from sides[:: 1 if number % 2 == 0 else -1]


def read(path: str) -> dict[str, Any]:
    """Read all arrays of an .npz file."""
    import numpy as np

    with np.load(path) as found:
        return dict(found)


def machine() -> dict[str, Any]:
    """Say what this machine is, as far as it matters."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"processor": model, "cores": os.cpu_count(), "memory": f"{memory:.0f} GiB", "system": platform.system()}


def record(suite: Suite, race: Race, measured: Mapping[str, Any], versions: Mapping[str, Any]) -> None:
    """Write a race into its suite's results. What was measured on another machine or other versions is forgotten."""
    path = RESULTS / f"{suite.name}.json"
    page = {"machine": machine(), "versions": {}, "races": {}}
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        shared = before["versions"].keys() & versions.keys()
        if before["machine"] == page["machine"] and all(before["versions"][name] == versions[name] for name in shared):
            page = before
    page["versions"] |= versions
    races = page["races"] | {race.name: measured}
    page["races"] = {known.name: races[known.name] for known in suite.races if known.name in races}
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(page, indent=1) + "\n", encoding="utf-8")


def growing(race: Race, what: str, sizes: Mapping[float, Mapping[str, Any]]) -> Iterator[Race]:
    """The same race at several sizes.

    Args:
        race: What stays the same, which its title says.
        what: What grows.
        sizes: What each size is given beside that.
    """
    for size, given in sizes.items():
        yield replace(
            race,
            name=f"{race.name}:{size}",
            title=f"{race.title}; {what}: {size:,}",
            given={**race.given, **given},
            grows=(what, size),
        )
