"""How training looks where no bar can be drawn: lines now and then, and a bar below the cell of a notebook."""

from __future__ import annotations

import io

import pytest

from cnnlab.training import live
from cnnlab.training.reporter import Progress

HALF = Progress(epoch=1, epochs=2, step=5, steps=10, loss=0.5, accuracy=0.75, images_per_second=1000, seconds_left=65.0)
SAID = "epoch 1/2: batch 5/10, loss 0.5000, accuracy 75.00%, 1,000 img/s, 1:05 left"


@pytest.mark.parametrize(("every", "lines"), [(0.0, 2), (1000.0, 0)])
def test_elsewhere_a_line_is_printed_now_and_then(monkeypatch, every, lines):
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setattr(live, "EVERY_SECONDS", every)
    reporter = live.RichReporter()
    reporter.epoch_started(1, 2, 10)
    for _ in range(2):
        reporter.progress(HALF)
    assert stderr.getvalue() == f"{SAID}\n" * lines


def test_a_notebook_has_a_bar_below_the_cell(monkeypatch):
    class Bar:
        def show(self, *state):
            shown.append(state)

        def stop(self):
            shown.append("gone")

    shown, stderr = [], io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setattr(live, "in_notebook", lambda: True)
    monkeypatch.setattr(live, "NotebookBar", Bar)
    reporter = live.RichReporter()
    reporter.epoch_started(1, 2, 10)
    reporter.progress(HALF)
    reporter.finished()
    assert shown == [(SAID, 5, 10), "gone"]
    assert stderr.getvalue() == ""
