"""The room itself: matplotlib, loaded where its own folder cannot be made."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import logging, os
import cnnlab.render.style
assert os.path.isdir(os.environ["MPLCONFIGDIR"])
logging.getLogger("matplotlib").warning("something else")
"""


def test_a_home_that_cannot_be_written_to_is_no_matter(monkeypatch):
    """matplotlib takes a folder of its own then, which goes with the process; of other things it warns as always."""
    for name in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/dev/null/home")
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "something else\n")
