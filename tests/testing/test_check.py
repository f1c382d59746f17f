"""Checking a plugin that declares two things, as `cnnlab plugins check` does."""

import subprocess
import sys


def test_every_declaration_of_a_plugin_is_checked():
    done = subprocess.run(
        [sys.executable, "-m", "cnnlab.testing", "mnist"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    dataset, _, architecture = done.stdout.partition("architecture mnist-cnn\n")
    assert dataset.startswith("dataset mnist\n  kept")
    assert "  kept    it ends in logits" in architecture
    assert "broken" not in done.stdout
