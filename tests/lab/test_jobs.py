"""Jobs: what they tell while they run, and that one is cancelled at once wherever its work is."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from cnnlab.drawings import Picture
from cnnlab.interrupts import CancelledError
from cnnlab.lab import jobs as module
from cnnlab.lab.jobs import Job, Jobs, Telling, _do


@pytest.fixture
def queue(monkeypatch):
    """Jobs of which one runs at a time, and a cancelled one is interrupted soon."""
    monkeypatch.setattr(module, "GRACE", 0.02)
    made = Jobs(1)
    yield made
    made.close(10)


class Loop:
    """Work that never says how far it is, until it is interrupted or let go on."""

    def __init__(self):
        self.begun, self.go_on, self.ended = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, telling):
        self.begun.set()
        try:
            while not self.go_on.is_set():
                pass
        finally:
            self.ended.set()
        return "r1"


def test_work_that_says_nothing_is_cancelled_at_once_and_the_next_begins_when_it_has_ended(queue):
    work, after = Loop(), Loop()
    job = queue.add({}, work, at_once=True)
    waiting = queue.add({}, after, at_once=True)
    assert work.begun.wait(10)
    queue.cancel(job)
    assert job.state == "cancelled"
    assert job.since(0)[-1][1] == "cancelled"
    assert work.ended.wait(10)
    assert after.begun.wait(10)
    assert waiting.state == "running"
    after.go_on.set()
    assert after.ended.wait(10)
    until(lambda: waiting.state == "done")
    assert job.to_json() | {"id": ""} == {
        "id": "",
        "state": "cancelled",
        "progress": None,
        "notes": [],
        "result": None,
        "error": None,
    }


def test_what_may_not_be_interrupted_ends_by_itself(queue):
    work = Loop()
    job = queue.add({}, work)
    assert work.begun.wait(10)
    queue.cancel(job)
    time.sleep(0.1)
    assert job.state == "running"
    assert not work.ended.is_set()
    work.go_on.set()
    until(lambda: job.ended)


def test_work_that_catches_everything_is_interrupted_once_and_its_result_is_dropped(queue):
    caught = []

    def stubborn(telling):
        for _ in range(2):
            begun.set()
            try:
                until(let_go.is_set)
            except BaseException as error:
                caught.append(error)
        return "r1"

    begun, let_go = threading.Event(), threading.Event()
    job = queue.add({}, stubborn, at_once=True)
    assert begun.wait(10)
    queue.cancel(job)
    until(lambda: caught)
    time.sleep(0.1)
    let_go.set()
    last = queue.add({}, lambda telling: "r2")
    until(lambda: last.ended)
    assert [type(error) for error in caught] == [CancelledError]
    assert (job.state, job.to_json()["result"]) == ("cancelled", None)
    assert last.to_json()["result"] == "r2"


def test_what_is_just_being_made_for_others_is_made_first(queue, tmp_path, monkeypatch):
    (tmp_path / "slow_to_import.py").write_text("import time\nfor _ in range(30): time.sleep(0.01)\nDONE = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    begun, imported = threading.Event(), []

    def work(telling):
        begun.set()
        import slow_to_import

        imported.append(slow_to_import.DONE)
        while True:
            pass

    job = queue.add({}, work, at_once=True)
    assert begun.wait(10)
    queue.cancel(job)
    assert job.state == "cancelled"
    last = queue.add({}, lambda telling: "r2")
    until(lambda: last.ended)
    assert imported == [True]


def test_an_interruption_never_hits_the_next_job():
    """It is asked for at every moment about the end of short work, a thousand times."""
    done = []
    for _ in range(1000):
        job = Job({}, lambda telling: "r1", at_once=True)
        begin = threading.Barrier(2)
        other = threading.Thread(target=lambda job=job, begin=begin: (begin.wait(), job.interrupt()))
        other.start()
        begin.wait()
        _do(job, lambda telling: "r1")
        other.join()
        sum(range(50))  # instructions before which it would be raised
        done.append(job.state)
    assert len(done) == 1000
    assert set(done) <= {"done", "cancelled"}


def telling_of(job: Job) -> Telling:
    job.state = "running"
    return Telling(job)


def test_previews_are_made_only_where_somebody_follows_and_not_too_often(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    job, made = Job({}, lambda telling: ""), []
    telling = telling_of(job)

    def make():
        made.append(now[0])
        now[0] += 0.2  # it takes that long to draw
        return Picture(values=np.full((2, 2), len(made)), title=f"number {len(made)}")

    telling.preview(make, last=True)
    assert made == []
    with job.watched():
        for tenths in range(25):
            now[0] = max(now[0], tenths / 10)
            telling.preview(make, last=False)
        assert made == [0.0, 1.0, 2.0]
        telling.preview(make, last=True)
    telling.preview(make, last=True)
    assert len(made) == 4
    ((_, kind, data),) = job.since(0)
    assert kind == "preview"
    assert "number 4" in data["html"]
    job.end("done", {"result": "r1"})
    assert [kind for _, kind, _ in job.since(0)] == ["done"]  # the result takes its place


def test_notes_are_told_once_and_what_comes_after_the_end_is_not():
    job = Job({}, lambda telling: "")
    telling = telling_of(job)
    for text in ("Beware.", "Beware.", "Take care."):
        telling.note(text)
    assert job.to_json()["notes"] == ["Beware.", "Take care."]
    for number in range(2 * module.NOTES):
        telling.note(f"{number}")
    assert len(job.to_json()["notes"]) == module.NOTES
    job.end("cancelled", {})
    telling.note("Late.")
    job.tell("progress", {})
    job.end("done", {"result": "r1"})
    assert (job.state, job.since(0)[-1][1]) == ("cancelled", "cancelled")


def until(what, seconds: float = 30.0):
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if what():
            return
        time.sleep(0.005)
    raise AssertionError("it never came")
