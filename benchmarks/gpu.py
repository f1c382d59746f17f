"""``python -m benchmarks.gpu``: run the tests that need a GPU, and write what they measured to results/gpu.md.

Without a GPU it says so, and writes nothing.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness import RESULTS, ROOT

PAGE = RESULTS / "gpu.md"


@dataclass
class Heard:
    """What pytest tells of the tests.

    Attributes:
        tests: The outcome of each, and what it wrote down.
    """

    tests: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep the outcome of a test: of its call, or of what ended it before or behind that."""
        if report.when == "call" or report.outcome != "passed":
            self.tests[report.nodeid] = report.outcome, dict(report.user_properties)


def main(page: Path = PAGE) -> int:
    """Run them, write the page, and return the exit status: 1 where one failed, or there is no GPU."""
    from cnnlab.devices.listing import listing

    seen = listing()
    if seen.why:
        print(f"No GPU was tested, and nothing was written: {seen.why}.", file=sys.stderr)
        return 1
    heard = Heard()
    status = pytest.main(["-m", "gpu", "-p", "no:cacheprovider", str(ROOT / "tests"), str(ROOT / "plugins")], [heard])
    if heard.tests:
        gpus = {name: what for name, what in seen.devices.items() if name != "cpu"}
        today = datetime.date.today().isoformat()
        page.write_text(written(gpus, seen.devices["cpu"], seen.tensorflow, seen.driver, heard.tests, today))
        print(f"Written: {page}", file=sys.stderr)
    return int(status != 0)


def written(
    gpus: Mapping[str, str],
    cpu: str,
    tensorflow: str,
    driver: str,
    tests: Mapping[str, tuple[str, Mapping[str, Any]]],
    date: str,
) -> str:
    """Return the page.

    Args:
        gpus: What each GPU is, by name.
        cpu: What it was compared with.
        tensorflow: The version, and what it was built for.
        driver: The version of its driver.
        tests: The outcome of each, and what it wrote down.
        date: When.
    """
    lines = [
        "# On a GPU",
        "",
        f"Written by `make test-gpu` on {date}; nothing here was not run.",
        "",
        *(f"- {name}: {what}" for name, what in gpus.items()),
        f"- compared with the CPU: {cpu}",
        f"- TensorFlow {tensorflow}; driver {driver or 'unknown'}",
        "",
        "| what | CPU's time / GPU's | largest difference | allowed | |",
        "|---|---:|---:|---:|---|",
        *(_row(name, outcome, said) for name, (outcome, said) in tests.items()),
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, outcome: str, said: Mapping[str, Any]) -> str:
    numbers: Sequence[str] = ("", "", "")
    if "ratio" in said:
        numbers = f"{said['ratio']:.1f}", f"{said['difference']:.2g}", f"{said['allowed']:g}"
    return f"| {said.get('what', name.rpartition('::')[2])} | {' | '.join(numbers)} | {outcome} |"


if __name__ == "__main__":
    sys.exit(main())
