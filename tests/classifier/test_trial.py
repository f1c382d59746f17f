"""What the process of a trial may take: the kernel holds it to that."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from cnnlab.classifier.opening import _to_try


@pytest.mark.parametrize(
    ("then", "status"),
    [
        ("bytearray(1 << 28)", 0),
        ("try: bytearray(1 << 30)\nexcept MemoryError: raise SystemExit(7)", 7),
        (
            "try: [os.open('/dev/null', os.O_RDONLY) for _ in range(300)]\nexcept OSError: raise SystemExit(8)",
            8,
        ),
        ("[os.open('/dev/null', os.O_RDONLY) for _ in range(200)]", 0),
        ("while True: pass", -signal.SIGALRM),
    ],
    ids=["little memory", "much memory", "many files", "some files", "no end"],
)
def test_it_is_held_to_its_limits(then, status):
    seconds = 0.5 if status == -signal.SIGALRM else 30.0
    source = f"import os\nfrom cnnlab.classifier.trial import _limit\n_limit({seconds}, 1 << 29)\n{then}"
    assert subprocess.run([sys.executable, "-c", source], timeout=60).returncode == status


@pytest.mark.parametrize(
    ("files", "opened", "tried"),
    [
        (["saved_model.pb"], "", ""),
        (["run.json", "model/saved_model.pb"], "", "model"),
        (["run.json", "saved_model.pb"], "", None),
        (["other.txt"], "", None),
        (["model.keras"], "model.keras", "model.keras"),
        (["model.h5"], "model.h5", "model.h5"),
        (["model.txt"], "model.txt", None),
    ],
)
def test_what_opening_would_open_is_what_is_tried(tmp_path, files, opened, tried):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert _to_try(tmp_path / opened) == (None if tried is None else tmp_path / tried)
