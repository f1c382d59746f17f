"""What every contract shares: promises as tests, and failures that are expected for a stated reason."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

if TYPE_CHECKING:
    from cnnlab.drawings import Drawing

FRAMEWORKS = ("tensorflow", "keras", "torch", "jax", "matplotlib", "scipy")


class Contract:
    """Promises that a plugin keeps, one test method each.

    Attributes:
        expected_failures: Test methods that this plugin fails, each with the reason. Such a test must fail: once the
            promise is kept, the entry has to go.
    """

    expected_failures: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture(autouse=True)
    def _expect_declared_failures(self, request: pytest.FixtureRequest) -> None:
        unknown = [name for name in self.expected_failures if not hasattr(self, name)]
        assert not unknown, f"expected_failures names no such promise: {unknown}"
        reason = self.expected_failures.get(request.node.originalname)
        if reason is not None:
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


def run_python(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a piece of Python in a process of its own, with the same path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, env=environment, timeout=120
    )


def frameworks_imported_by(code: str) -> list[str]:
    """Say which frameworks a piece of Python imports, in a process of its own."""
    done = run_python(f"import sys\n{code}\nprint('MODULES', *sys.modules)")
    assert done.returncode == 0, done.stderr
    roots = {name.partition(".")[0] for name in done.stdout.rpartition("MODULES")[2].split()}
    return sorted(roots & set(FRAMEWORKS))


def assert_same(first: Any, second: Any, what: str) -> None:
    """Check that two arrays are the same to the bit, NaN included."""
    import numpy as np

    assert first.dtype == second.dtype, f"{what}: {first.dtype} and {second.dtype}"
    np.testing.assert_array_equal(first, second, err_msg=what)


def assert_drawn_everywhere(drawing: Drawing, what: str) -> None:
    """Check that a drawing is drawn on paper, on a page, and in terminals of 40 and of 100 columns."""
    from rich.console import Console

    from cnnlab.render import figure, html, terminal

    figure(drawing).draw_without_rendering()
    assert "<figure" in html.render(drawing), what
    for width in (40, 100):
        printed = io.StringIO()
        Console(file=printed, width=width, color_system=None).print(terminal.render(drawing, width))
        assert max(map(len, printed.getvalue().splitlines())) <= width, what
