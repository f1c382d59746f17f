"""Starting is cheap: nothing that only lists or explains imports a framework."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FORBIDDEN = (
    "tensorflow",
    "keras",
    "tf_keras",
    "matplotlib",
    "scipy",
    "pydantic",
    "numpy",
    "PIL",
    "h5py",
    "absl",
)

# May only go down: every module more is time that every command takes before it does anything.
BUDGET = 330

COMMANDS = [
    ["--help"],
    ["--version"],
    ["analyze", "--help"],
    ["analyze", "occlusion", "--help"],
    ["train", "--help"],
    ["plugins", "list"],
    ["plugins", "list", "--json"],
]

PROBE = """
import sys, cnnlab.cli
sys.argv = ["cnnlab", *sys.argv[1:]]
try:
    cnnlab.cli.main()
except SystemExit as stop:
    assert not stop.code, stop.code
print("\\nMODULES", *sorted(sys.modules), file=sys.stderr)
"""


def modules_after(words: list[str]) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words], capture_output=True, text=True, env={**os.environ}, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.rpartition("MODULES")[2].split())


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_that_only_tells_imports_no_framework(words):
    loaded = modules_after(words)
    roots = {name.partition(".")[0] for name in loaded}
    assert not roots & set(FORBIDDEN), f"cnnlab {' '.join(words)} imports {sorted(roots & set(FORBIDDEN))}"
    assert len(loaded) <= BUDGET, f"cnnlab {' '.join(words)} imports {len(loaded)} modules"


def test_importing_cnnlab_imports_no_framework():
    code = "import sys, cnnlab, cnnlab.analysis; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not set(done.stdout.split()) & set(FORBIDDEN)


def test_every_public_name_can_be_had():
    code = "import cnnlab; [getattr(cnnlab, name) for name in cnnlab.__all__]; cnnlab.nothing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "has no attribute 'nothing'" in done.stderr
