"""What a verification came to, as people read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnnlab.cli.views import verification as view
from cnnlab.testing import FakeClassifier
from cnnlab.verification.report import Report, fails, holds, judged, not_checked

FINDINGS = {
    "Holds": [holds("model", "It is the model.")],
    "Holds as far as it was checked": [holds("model", "It is the model."), not_checked("rerun", "It was not run.")],
    "Fails: files, arrays": [
        fails("files", "One is missing."),
        fails("arrays", "x is missing."),
        fails("files", "One more."),
        not_checked("rerun", "It was not run."),
    ],
}


@pytest.mark.parametrize(("verdict", "findings"), FINDINGS.items(), ids=FINDINGS)
def test_the_verdict_comes_first_and_what_was_not_checked_last(capsys, monkeypatch, verdict, findings):
    monkeypatch.setenv("COLUMNS", "80")
    model = FakeClassifier.of_brightness()
    view.show(Report(directory=Path("out"), of="occlusion", record={}, model=model, findings=findings))
    out = capsys.readouterr().out
    assert out.splitlines()[0] == verdict
    looked_at, heading, rest = out.partition("\nNot checked\n")
    assert ("It was not run." in rest) is bool(heading) is any(each.state == "not checked" for each in findings)
    assert all(each.says in looked_at for each in findings if each.state != "not checked")


@pytest.mark.parametrize(
    ("wrong", "says"), [([], "Fine."), (list("abc"), "a; b; c."), (list("abcde"), "a; b; c; and 2 more.")]
)
def test_the_first_things_that_are_wrong_are_named(wrong, says):
    found = judged("files", wrong, "Fine.")
    assert (found.state, found.says) == ("fails" if wrong else "holds", says)
