"""The fixtures that come with cnnlab, wherever pytest runs."""

from __future__ import annotations

import pytest

from cnnlab.testing.models import TinyModels


@pytest.fixture(scope="session")
def tiny_models() -> TinyModels:
    """Tiny opened models with known behaviour: ``tiny_models.linear((8, 8, 1))`` and others, and images for them."""
    return TinyModels()
