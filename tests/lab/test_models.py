"""What is open: models that leave where there is no room and come back, jobs that leave nothing behind."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.lab.errors import RefusedError
from cnnlab.lab.jobs import Jobs
from cnnlab.lab.models import COPIES, Models
from cnnlab.testing import FakeClassifier


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """The models that were opened, in order; each has a thousand parameters."""
    names: list[str] = []

    def open_choice(choice: ModelChoice) -> FakeClassifier:
        names.append(choice.model)
        made = FakeClassifier(lambda images: np.zeros((len(images), 2)), (4, 4, 1), 2)
        made.layers = (SimpleNamespace(parameters=1000),)
        return made

    monkeypatch.setattr(ModelChoice, "open", open_choice)
    return names


def test_a_model_is_opened_once_and_the_least_used_leaves(opened):
    models = Models([ModelChoice(model=name) for name in "abc"], memory=2 * COPIES * 4 * 1000)
    for name in ("m0", "m1", "m0", "m2", "m0"):  # m1 was used least lately when m2 came
        models.find(name)
    assert opened == ["a", "b", "c"]
    models.find("m1")
    assert opened == ["a", "b", "c", "b"]


def test_one_model_stays_however_large_it_is(opened):
    models = Models([ModelChoice(model="a")], memory=1)
    assert models.find("m0") is models.find("m0")
    assert opened == ["a"]


def test_a_job_has_a_model_of_its_own_that_shares_what_is_compiled(opened):
    models = Models([ModelChoice(model="a")])
    own = models.own("m0")
    assert own is not models.find("m0")
    own.compiled("x", lambda: 1)
    assert models.find("m0").compiled("x", lambda: 2) == 1
    with own.recalling():
        assert models.find("m0")._recall is None


def test_a_run_that_joins_is_opened_as_the_others_with_no_word_about_what_runs_say_themselves(monkeypatch, tmp_path):
    asked: list[ModelChoice] = []

    def open_choice(choice: ModelChoice) -> FakeClassifier:
        asked.append(choice)
        return FakeClassifier(lambda images: np.zeros((len(images), 2)), (4, 4, 1), 2)

    monkeypatch.setattr(ModelChoice, "open", open_choice)
    models = Models(
        [ModelChoice(model="a")], more=ModelChoice(input_range="0,255", output="probs", memory=7, trust=True)
    )
    ids = iter(models)
    assert models.add(tmp_path / "run") == "m1"
    assert list(ids) == ["m0"]  # who looks through them is not disturbed
    assert asked == [ModelChoice(model=tmp_path / "run", memory=7, trust=True)]
    assert [each["id"] for each in models.told()] == ["m0", "m1"]
    assert models.told()[1]["name"] == "run"
    assert models.find("m1") is models.find("m1")
    assert len(asked) == 2


def test_a_lab_without_a_model_says_so(opened):
    models = Models([])
    assert models.told() == []
    for ask in (lambda: models.first, lambda: models.find("m0"), lambda: models.own("")):
        with pytest.raises(RefusedError, match=r"there is no model in this lab yet; train one first\.") as refused:
            ask()
        assert refused.value.status == 404


def test_a_job_that_ended_holds_nothing_of_its_work(tools):
    jobs = Jobs()
    job = jobs.add({}, lambda progress: "r")
    tools.until(lambda: job.ended)
    assert (job.work, job.to_json()["result"]) == (None, "r")
    jobs.close(10)


def test_even_the_end_of_the_interpreter_in_a_job_ends_that_job_alone(tools, capfd):
    def leave(progress):
        raise SystemExit(3)

    jobs = Jobs()
    first = jobs.add({}, leave)
    second = jobs.add({}, lambda progress: "r")
    tools.until(lambda: second.ended)
    assert (first.state, second.state) == ("failed", "done")
    jobs.close(10)
