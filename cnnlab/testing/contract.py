"""What every contract shares: promises as tests, and failures that are expected for a stated reason."""

from __future__ import annotations

import functools
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

if TYPE_CHECKING:
    from cnnlab.drawings import Drawing
    from cnnlab.testing.footprint import Footprint

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


class Guest(Contract):
    """What code owes that runs in somebody else's process: all that is shared there is left as it was.

    Attributes:
        draws: Whether its work is to draw from the global generators.
    """

    draws: ClassVar[bool] = False

    def footprint(self) -> Footprint:
        """What it printed and changed, in a process of its own."""
        raise NotImplementedError

    def test_it_prints_nothing(self) -> None:
        """Standard output belongs to the command, which may print JSON there: ``context.warn`` tells the user."""
        printed = self.footprint().printed
        assert not printed, f"it printed {printed[:200]!r}: tell the user with context.warn, or nobody"
        self._assert_left("streams", "use `with contextlib.redirect_stdout(...):`, which ends")

    def test_the_global_random_state_is_left_as_it_was(self) -> None:
        """Neither NumPy's nor Python's global generator is drawn from or seeded, which others draw from too."""
        if self.draws:
            pytest.skip("it is to draw from the global generators")
        self._assert_left("random", "draw from context.rng, or from a generator of your own with a seed of its own")

    def test_what_numpy_does_about_errors_is_left_as_it_was(self) -> None:
        """``np.seterr`` holds for all that follows."""
        self._assert_left("float errors", "use `with np.errstate(...):`, which ends")

    def test_eager_mode_and_precision_are_left_as_they_were(self) -> None:
        """TensorFlow's eager mode, and what precision it and Keras compute in, decide what others find."""
        self._assert_left("modes", "say of single layers and tensors what they are computed in")

    def test_no_thread_is_left_running(self) -> None:
        """What it began, it ends: a thread that goes on keeps the process and its memory."""
        self._assert_left("threads", "use `with ThreadPoolExecutor(...) as pool:`, which waits for its threads")

    def test_environment_and_working_directory_are_left_as_they_were(self) -> None:
        """Environment variables and the working directory are the user's, also while a plugin is imported."""
        self._assert_left("surroundings", "give a child process an `env=` and a `cwd=` of its own")

    def _assert_left(self, shared: str, instead: str) -> None:
        changed = self.footprint().changed[shared]
        assert not changed, f"{'; '.join(changed)}: {instead}"


def run_python(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a piece of Python in a process of its own, with the same path; once for all promises about what it does."""
    return _run_python((code, *words), os.pathsep.join(path for path in sys.path if path))


@functools.cache
def _run_python(words: tuple[str, ...], path: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run([sys.executable, "-c", *words], capture_output=True, text=True, env=environment, timeout=120)


def frameworks_imported_by(code: str) -> list[str]:
    """Say which frameworks a piece of Python imports, in a process of its own."""
    done = run_python(f"import sys\n{code}\nprint('MODULES', *sys.modules)")
    assert done.returncode == 0, done.stderr
    roots = {name.partition(".")[0] for name in done.stdout.rpartition("MODULES")[2].split()}
    return sorted(roots & set(FRAMEWORKS))


def assert_no_framework(module: str) -> None:
    """Hold a plugin's module to it that importing it costs no TensorFlow, so that ``--help`` stays quick."""
    found = frameworks_imported_by(f"import {module}")
    assert not found, f"importing {module} imports {', '.join(found)}: import that where the work is done"


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
