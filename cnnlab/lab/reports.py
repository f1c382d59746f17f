"""Reports of a lab's results: the ordinary report of them, made as a job, in a new file that replaces none."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnlab.errors import UsageError
from cnnlab.lab.errors import unknown
from cnnlab.lab.kept import Kept
from cnnlab.lab.results import Results
from cnnlab.progress import Progress
from cnnlab.render import html
from cnnlab.reports.of_results import MOST, command, report_of
from cnnlab.reports.places import file_of_results, new_file

REMEMBERED = 200
"""Reports that are remembered; their files stay where they are."""

ALONE = "; ".join(
    (
        "sandbox allow-scripts allow-downloads",  # an origin of its own: it reaches neither the lab nor its cookie
        html.policy(),
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""The Content-Security-Policy of a report's page: the report's own script, and nothing else."""


@dataclass(frozen=True)
class LabReport:
    """A report that was made here.

    Attributes:
        path: Its file.
        title: Its heading.
        command: The command that makes the same.
        results: Of how many results it is.
    """

    path: Path
    title: str
    command: str
    results: int

    def to_json(self, name: str) -> dict[str, Any]:
        """Return what ``GET /api/reports/ID`` does."""
        told = {"title": self.title, "path": str(self.path), "command": self.command, "results": self.results}
        return {"id": name, **told, "page": f"/api/reports/{name}.html"}


class Reports:
    """Reports by id.

    Args:
        results: The lab's results.
    """

    def __init__(self, results: Results) -> None:
        self._results = results
        self._made: Kept[LabReport] = Kept(REMEMBERED, lambda _: 1)

    def check(self, names: Sequence[str]) -> None:
        """Refuse what no report can be made of, before it waits for its turn.

        Raises:
            UsageError: There is none, too many, or one twice.
            RefusedError: There is no such result, or no longer.
        """
        if not 0 < len(names) <= MOST or len(set(names)) < len(names):
            raise UsageError(f"results must be the ids of 1 to {MOST} results of the lab, each once.")
        for name in names:
            self._results.find(name)

    def make(self, names: Sequence[str], progress: Progress) -> str:
        """Make the report of results, which are kept for it, and return its id.

        Args:
            names: The ids of the results, in the order of its sections.
            progress: Where it is said how far it is.

        Raises:
            CnnlabError: A result is not there any longer, or it cannot be written.
        """
        folders = []
        with progress.task("Keeping the results", len(names)) as advance:
            for name in names:
                folders.append(self._results.find(name).keep())
                advance(1)
        found = report_of(folders, progress)
        with new_file(file_of_results(found.record["models"], "html")) as path, progress.stage("Writing the report"):
            found.save(path, force=True)  # over the empty file that claims its place
        name = f"p{secrets.token_hex(6)}"
        self._made.put(name, LabReport(path, found.title, command(folders, path), len(names)))
        return name

    def find(self, name: str) -> LabReport:
        """Return a report.

        Raises:
            RefusedError: There is none of that id, or its file is gone.
        """
        found = self._made.find(name)
        if found is None or not found.path.is_file():
            raise unknown("report", name)
        return found
