"""The fixtures that come with cnnlab, wherever pytest runs."""

from __future__ import annotations

import pytest

from cnnlab.testing.models import TinyModels

# A broken promise says what was found, also where cnnlab is installed so that pytest does not find it by itself.
pytest.register_assert_rewrite(
    *(f"cnnlab.testing.{name}" for name in ("analysis", "architecture", "contract", "dataset", "recipe", "section"))
)


@pytest.fixture(scope="session")
def tiny_models() -> TinyModels:
    """Tiny opened models with known behaviour: ``tiny_models.linear((8, 8, 1))`` and others, and images for them."""
    return TinyModels()
