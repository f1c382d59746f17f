"""Progress: a bar where somebody asks for one or sits before a terminal, silence in a script."""

from __future__ import annotations

import io

import numpy as np
import pytest

import cnnlab
from cnnlab import progress
from cnnlab.training.live import RichReporter
from cnnlab.training.reporter import Reporter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("asked", "terminal", "wanted"),
    [(None, True, True), (None, False, False), (True, False, True), (False, True, False)],
)
def test_a_bar_is_shown_where_asked_or_on_a_terminal(monkeypatch, asked, terminal, wanted):
    from cnnlab.training import api

    monkeypatch.setattr("sys.stderr", Terminal() if terminal else io.StringIO())
    assert type(progress.shown(asked)) is (progress.RichProgress if wanted else progress.Silent)
    assert type(api._reporter(asked)) is (RichReporter if wanted else Reporter)


def test_what_was_handed_in_is_used():
    own = progress.Silent()
    assert progress.shown(own) is own


@pytest.mark.parametrize("asked", [None, True])
def test_a_library_call_shows_a_bar_on_a_terminal(monkeypatch, classifier, asked):
    stderr = Terminal()
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setenv("TERM", "xterm")
    cnnlab.evaluate(classifier, cnnlab.datasets.load("mnist").test[:64], progress=asked)
    assert "Evaluating" in stderr.getvalue()


def test_a_script_is_silent(classifier, capsys):
    cnnlab.analyze("occlusion", classifier, np.zeros((28, 28)), patch=14, stride=14)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("total", "said"), [(10, "Counting: 5 of 10, about 50 s left\n"), (None, "Counting: 5\n")])
def test_elsewhere_a_line_is_written_now_and_then(monkeypatch, total, said):
    stderr, seconds = io.StringIO(), iter([0.0, 0.0, 5.0, 50.0, 51.0])
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(seconds))
    with progress.RichProgress().task("Counting", total) as advance:
        for steps in (2, 3, 1):  # after 5, 50 and 51 seconds
            advance(steps)
    assert stderr.getvalue() == said


def test_what_cannot_be_counted_has_a_spinner_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    for stderr, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr("sys.stderr", stderr)
        with progress.RichProgress().stage("Loading [it]"):
            pass
        assert ("Loading [it] ..." in stderr.getvalue()) is shown
