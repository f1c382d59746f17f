"""``python -m benchmarks [SUITE ...]``: measure, write results/SUITE.json, and draw docs/performance.md anew."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import harness, material, suites


def main() -> None:
    """Run the races that are asked for, and write down each as soon as it is done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", help=f"of {', '.join(suites.NAMES)}; all by default")
    parser.add_argument("--only", action="append", help="these races alone: a name, or what it begins with")
    parser.add_argument("--quick", action="store_true", help="the quick races alone, in fewer rounds")
    parser.add_argument("--rounds", type=int, help="how often each side does the work, instead of the race's own")
    parser.add_argument("--run", type=Path, default=material.FOLDER / "run", help="a run of the classic recipe")
    asked = parser.parse_args()
    if wrong := set(asked.suites) - set(suites.NAMES):
        parser.error(f"there is no suite {', '.join(sorted(wrong))}; there are {', '.join(suites.NAMES)}.")
    if not material.is_written(asked.run):
        subprocess.run([sys.executable, "-m", "benchmarks.material", asked.run], cwd=harness.ROOT, check=True)
    with harness.Workers() as workers:
        for suite in map(suites.load, asked.suites or suites.NAMES):
            for race in suite.races:
                rounds = asked.rounds or (race.quick if asked.quick else race.rounds)
                left_out = asked.only and not race.name.startswith(tuple(asked.only))
                if left_out or (asked.quick and not race.quick):
                    continue
                started = time.monotonic()
                measured = harness.run(suite, race, workers, rounds, tell)
                versions = {name: workers[name].versions for name in {side.environment for side in race.sides}}
                harness.record(suite, race, measured, versions)
                tell(f"{suite.name} {race.name}: {time.monotonic() - started:.0f} s")
    subprocess.run([sys.executable, harness.ROOT / "docs" / "performance.py"], check=True)


def tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
