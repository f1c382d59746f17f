"""Checking a plugin, as ``cnnlab plugins check`` does: a line per promise, kept or broken."""

from __future__ import annotations

import subprocess
import sys

LAME = """
from cnnlab.plugin import DatasetSource, hookimpl

def load():
    raise RuntimeError("the tap is dry")

@hookimpl
def cnnlab_datasets():
    return [
        DatasetSource(
            name="lame", summary="Nothing.", load="cnnlab_lame:load", shape=(4, 4, 1), class_names=("a", "b"),
            train_size=2, test_size=2, provenance="Made up.", licence="CC0",
        )
    ]
"""


def test_every_declaration_of_a_plugin_is_checked(cnnlab_command):
    done = cnnlab_command("plugins", "check", "mnist")
    assert done.returncode == 0, done.stdout
    dataset, _, architecture = done.stdout.partition("architecture mnist-cnn\n")
    assert dataset.startswith("dataset mnist\n  kept")
    assert "  kept    it ends in logits" in architecture
    assert "broken" not in done.stdout


def test_a_broken_promise_is_named_with_its_reason(cnnlab_command, install_plugin):
    done = cnnlab_command("plugins", "check", "lame", env=install_plugin("cnnlab-lame", LAME))
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "dataset lame"
    assert "  kept    it says where it comes from" in lines
    broken = lines.index("  broken  it is as large as declared")
    assert lines[broken + 1].endswith("RuntimeError: the tap is dry")


def test_what_is_not_installed_cannot_be_checked():
    done = subprocess.run([sys.executable, "-m", "cnnlab.testing", "oclusion"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: no active plugin 'oclusion'. Did you mean 'occlusion'")
