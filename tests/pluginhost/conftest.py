"""The command line with plugins that a test has installed, in this process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from cnnlab.pluginhost import records, registry


@pytest.fixture
def cnnlab_here(command_line, plugins_anew, monkeypatch, tmp_path) -> Callable[..., Any]:
    """Run ``cnnlab`` as ``cnnlab_command`` does, in this process, which takes a tenth of the time.

    Plugins are found anew each time, and what a test wrote is imported anew.
    """

    def run(
        *words: object, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        env = env or {}
        before = {*sys.modules}
        with mock.patch.dict(os.environ, env), monkeypatch.context() as patch:
            patch.setattr(records, "COARSE", 0)  # what a test wrote just now is as if it had lain there
            patch.setattr(sys, "dont_write_bytecode", True)  # which knows a change by the second
            for path in filter(None, env.get("PYTHONPATH", "").split(os.pathsep)):
                patch.syspath_prepend(path)
            patch.chdir(cwd or tmp_path)
            registry.plugins.cache_clear()
            done = subprocess.CompletedProcess(words, *command_line(*words))
        for name in {*sys.modules} - before:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
                del sys.modules[name]
        return done

    return run
