"""``python -m cnnlab.testing NAME``: hold an installed plugin's declarations to their contracts.

Prints a line per promise; exit status 1 when one is broken, 2 when nothing of that name is installed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

from cnnlab.errors import did_you_mean
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Declaration

TEMPLATE = """
from cnnlab.testing import {contract}

class TestContract({contract}):
    {noun} = {name!r}
"""


class Lines:
    """A pytest plugin that prints one line per promise."""

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Print why the promises cannot even be read."""
        if report.failed:
            print(f"  broken  {report.longrepr}")

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print a promise and whether it was kept."""
        if report.when == "call" or report.failed:
            promise = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
            print(f"  {'broken' if report.failed else 'kept  '}  {promise}")
            if report.failed:
                reason = str(getattr(report.longrepr, "reprcrash", report.longrepr))
                print(f"            {reason.splitlines()[0]}")


def test_source(declaration: Declaration) -> str:
    """Return the test module that holds ``declaration`` to its contract."""
    noun = registry.kind_of(declaration)
    contract = f"{noun.capitalize()}Contract"
    return TEMPLATE.format(contract=contract, noun=noun, name=declaration.name)


def main(name: str) -> int:
    """Check the plugin, analysis, dataset, architecture or section called ``name``."""
    found = [
        declaration
        for plugin in registry.plugins()
        for declaration in plugin.declarations
        if plugin.state == "active" and name in (plugin.name, declaration.name)
    ]
    if not found:
        print(f"Error: no active plugin {name!r}. {did_you_mean(name, registry.analyses())}", file=sys.stderr)
        return 2
    status = 0
    for number, declaration in enumerate(found):
        print(f"{registry.kind_of(declaration)} {declaration.name}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            # A name of its own each: pytest refuses a second module of the same name in one process.
            path = Path(folder) / f"test_contract_{number}.py"
            path.write_text(test_source(declaration), encoding="utf-8")
            options = [
                "-p",
                "no:terminal",
                "-p",
                "no:cacheprovider",
                "--rootdir",
                folder,
                "--noconftest",
            ]
            status |= int(pytest.main([*options, "-c", "/dev/null", str(path)], plugins=[Lines()])) != 0
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
