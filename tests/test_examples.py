"""The examples run as they are written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_quickstart(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "quickstart.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    accuracy = float(re.search(r"([\d.]+)% validation accuracy", done.stdout)[1])
    assert accuracy > 90
    assert list(tmp_path.glob("runs/*/analyses/quickstart/figure.png"))
