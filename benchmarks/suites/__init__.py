"""What is measured, one file for each kind of work."""

from __future__ import annotations

import importlib

from benchmarks.harness import Suite

NAMES = ("training", "occlusion", "attacks", "forward", "commands", "lab")
"""The suites, in the order of the page."""


def load(name: str) -> Suite:
    """Return a suite; nothing heavy is imported by it."""
    found: Suite = importlib.import_module(f"benchmarks.suites.{name}").SUITE
    return found
