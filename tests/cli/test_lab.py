"""``cnnlab lab``: which models it opens, and that there may be none yet. The lab itself is tested in tests/lab."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

pytest.importorskip("starlette", reason="cnnlab[lab] is not installed")

from cnnlab import runs
from cnnlab.cli.commands.lab import lab
from cnnlab.errors import CnnlabError
from cnnlab.lab import serving


@pytest.fixture
def served(monkeypatch, tmp_path) -> list:
    """What was to be served, of a folder without runs."""
    monkeypatch.chdir(tmp_path)
    asked: list = []
    monkeypatch.setattr(serving, "serve", lambda choices, place, say, note: asked.append((choices, place)))
    return asked


def test_the_newest_complete_run_is_opened(served, monkeypatch):
    states = {"runs/begun": "unfinished", "runs/mine": "complete", "runs/older": "complete"}
    found = [SimpleNamespace(path=Path(path), state=state) for path, state in states.items()]
    monkeypatch.setattr(runs, "list_runs", lambda: found)
    CliRunner().invoke(lab, ["--memory", "1G"], catch_exceptions=False)
    (choice,), place = served[0]
    assert (choice.model, choice.memory) == (Path("runs/mine"), 2**30)
    assert (place.more.model, place.more.memory) == (None, 2**30)


def test_where_there_is_no_run_one_can_train(served):
    done = CliRunner().invoke(lab, [], catch_exceptions=False)
    assert served[0][0] == []
    assert "there is no complete run below runs yet; train one on the page." in done.output


def test_a_model_that_is_named_and_cannot_be_opened_is_an_error(tmp_path):
    with pytest.raises(CnnlabError, match="missing"):
        CliRunner().invoke(lab, [str(tmp_path / "missing"), "--no-browser"], catch_exceptions=False)
