"""A few hundred of the inputs of ``make fuzz``, those that need no TensorFlow; and that what ends wrong is noticed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from cnnlab.errors import CnnlabError
from fuzz import judge, targets
from fuzz.seeds import Seeds


@pytest.fixture(autouse=True)
def own_words(monkeypatch):
    monkeypatch.setattr(sys, "argv", sys.argv)


LIGHT = ["images", "arrays", "npz", "idx", "hints", "checkpoints"]
PATIENT = 60.0
"""Seconds: `make fuzz` takes the time, on a machine that does nothing else."""
EACH = 25


@pytest.mark.parametrize("kind", LIGHT)
def test_every_input_ends_in_a_result_or_in_one_sentence(tmp_path, kind):
    good = Seeds(tmp_path / "good")
    statuses = set()
    for number in range(EACH):
        given = targets.make(kind, number, 1, tmp_path / "input", good)
        verdict = judge.judge(given.ask, tmp_path / "input", given.writes, PATIENT)
        assert verdict.wrong == [], f"{kind} {number}: {verdict}"
        statuses.add(verdict.status)
    assert 1 in statuses, "no input was refused: they are not mutated enough"


def test_the_same_number_makes_the_same_input(tmp_path):
    good = Seeds(tmp_path / "good")
    made = []
    for place in ("one", "two"):
        targets.make("npz", 3, 0, tmp_path / place, good)
        made.append({path.name: path.read_bytes()[100:200] for path in (tmp_path / place).iterdir()})
    assert made[0] == made[1]


def test_the_shares_come_to_the_whole():
    assert sum(target.share for target in targets.TARGETS.values()) == 10_000
    assert len(list(targets.numbered(10_000))) == 10_000


def refuse() -> None:
    raise CnnlabError("it is so.")


def fail() -> None:
    raise KeyError("somewhere")


def colour() -> None:
    print("\x1b[31mred")


def leave() -> None:
    Path("left").touch()


def hoard() -> None:
    bytearray(200 << 20)


def in_c() -> None:
    os.write(2, b"a.cc:7 Traceback (most recent call last)")


@pytest.mark.parametrize(
    ("ask", "status", "wrong"),
    [
        (lambda: None, 0, None),
        (refuse, 1, None),
        (fail, 1, "something unexpected"),
        (colour, 0, "it prints the character '\\x1b'"),
        (leave, 0, "it wrote 'left'"),
        (in_c, 0, "Traceback"),
        (["datasets", "--json"], 0, None),
        (["nonsense"], 2, None),
    ],
)
def test_what_ends_wrong_is_noticed(tmp_path, ask, status, wrong):
    verdict = judge.judge(ask, tmp_path, most_seconds=PATIENT)
    assert verdict.status == status
    assert (wrong in "; ".join(verdict.wrong)) if wrong else not verdict.wrong


def test_time_is_taken(tmp_path):
    assert "it took" in judge.judge(lambda: None, tmp_path, most_seconds=-1).wrong[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its peak")
def test_memory_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(judge, "MOST_MEMORY", 100 << 20)
    assert "MiB" in "; ".join(judge.judge(hoard, tmp_path).wrong)


# What it found


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "nowhere", "--limit-memory", "9" * 5000],
        ["train", "--dataset", "nowhere", "--seeds", "9" * 5000],
        ["train", "--dataset", "nowhere"],
        ["inspect", "x" * 300],
        ["report", "9" * 5000],
        ["summary", "x" * 300],
        ["verify", "\x1b[31m"],
        ["datasets", "export", "line\nbreak\u202e.npz", "--index", "test:0", "out.png"],
    ],
    ids=lambda words: " ".join(words)[:40].encode("unicode_escape").decode(),
)
def test_what_was_found_stays_mended(tmp_path, words):
    verdict = judge.judge(words, tmp_path, most_seconds=PATIENT)
    assert verdict.status in (1, 2)
    assert not verdict.wrong, verdict
