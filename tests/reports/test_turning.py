"""Conclusions turn: a good network, a bad one and one that learned nothing but noise get different reports."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import cnnlab
from cnnlab.datasets import Split
from cnnlab.reports.profiles import PROFILES
from cnnlab.reports.report import Report


@pytest.fixture(scope="module")
def mnist():
    return cnnlab.datasets.load("mnist")


@pytest.fixture(scope="module")
def bad_run(mnist, tmp_path_factory):
    """A network that was given 64 digits once: a deliberately bad one."""
    few = dataclasses.replace(mnist, name="few", train=mnist.train[:64], test=mnist.test[:200], source="")
    return cnnlab.train(few, epochs=1, learning_rate=1e-5, out=tmp_path_factory.mktemp("bad") / "bad")


@pytest.fixture(scope="module")
def shuffled_run(mnist, tmp_path_factory):
    """A network that learned 300 digits by heart whose labels were shuffled."""
    labels = np.random.default_rng(0).permutation(mnist.train.labels[:300])
    train = Split(mnist.train.batch(range(300)), labels)
    dataset = dataclasses.replace(mnist, name="shuffled", train=train, test=mnist.test[:200], source="")
    return cnnlab.train(dataset, epochs=20, out=tmp_path_factory.mktemp("shuffled") / "shuffled")


def verdicts(report: Report) -> dict[str, list[bool | None]]:
    return {
        each.name: [conclusion.holds for conclusion in each.chapter.conclusions]
        for each in report.sections
        if each.chapter
    }


def says(report: Report, section: str) -> str:
    (found,) = [each for each in report.sections if each.name == section]
    assert found.chapter, found.reason
    return " ".join(conclusion.says for conclusion in found.chapter.conclusions)


@pytest.fixture
def told(monkeypatch):
    """Report on a run with a few sections: ``told(run, dataset) -> Report``."""

    def tell(run, dataset=None, sections=("training", "predictions", "accuracy", "filters", "occlusion")) -> Report:
        profile = dataclasses.replace(PROFILES["assignment"], sections=sections)
        monkeypatch.setitem(PROFILES, "assignment", profile)
        return cnnlab.report(run, profile="assignment", dataset=dataset, limit=2000, progress=False)

    return tell


def test_a_good_network_learned_and_can_be_relied_on(told, trained_run):
    found = told(trained_run)
    assert verdicts(found)["training"][0] is True
    assert says(found, "training").startswith("It learned: 9")
    assert verdicts(found)["predictions"] == [True]
    assert verdicts(found)["accuracy"][0] is True
    assert verdicts(found)["occlusion"][1] is True


def test_a_bad_network_did_not_learn(told, bad_run):
    found = told(bad_run, "mnist")
    assert verdicts(found)["training"][0] is False
    assert says(found, "training").startswith("It did not learn: 1")
    assert verdicts(found)["accuracy"][0] is not True
    assert "sure of no image" in says(found, "predictions")
    assert verdicts(found)["filters"][0] is None
    assert "cannot be told from random ones" in says(found, "filters")
    assert verdicts(found)["occlusion"] == [False, False]


def test_a_network_that_learned_shuffled_labels_by_heart_is_found_out(told, shuffled_run, mnist):
    found = told(shuffled_run, "mnist")
    learned, overfits, in_time = verdicts(found)["training"]
    assert learned is False
    assert overfits is False
    assert in_time is False
    assert "It overfits" in says(found, "training")
    assert verdicts(found)["predictions"] == [False]
    assert "Sure predictions cannot be relied on" in says(found, "predictions")
    assert verdicts(found)["accuracy"][0] is not True
    assert verdicts(found)["occlusion"] == [False, False]


@pytest.mark.full
def test_the_attacks_of_the_whole_report_turn(told, bad_run, shuffled_run):
    """What knows nothing is sure of nothing; what learned noise by heart is fooled, and not for the right reasons."""
    sections = ("fooling", "targeted", "noise-addition")
    bad, shuffled = (verdicts(told(run, "mnist", sections)) for run in (bad_run, shuffled_run))
    assert [bad[name][0] for name in sections] == [False, False, False]
    # Whether it is moved to every one of nine classes, and with 99%, differs between processors.
    assert [shuffled[name][0] for name in ("fooling", "noise-addition")] == [True, True]
    assert shuffled["targeted"][2] is not True
    assert shuffled["noise-addition"][3] is not True
