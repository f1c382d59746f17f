"""What the tests of every kind of model ask alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import cnnlab
from cnnlab.errors import CnnlabError


@pytest.fixture
def refused() -> Callable[[Path], str]:
    """Loads a model that is not to be opened, and returns the sentence that says so."""

    def load(model: Path) -> str:
        with pytest.raises(CnnlabError) as caught:
            cnnlab.load(model)
        assert caught.value.exit_code == 1
        message = str(caught.value)
        assert "trust=True" in message
        assert "\n" not in message
        return message

    return load
