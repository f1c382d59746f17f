"""The contract of sections: each promise is broken by a section that breaks it, and kept by one that does not."""

from __future__ import annotations

import itertools
import os
import random

import pytest

from cnnlab.errors import CnnlabError, FailedError
from cnnlab.plugin import Bars, Chapter, Conclusion, Figure, Metric, Section, Series, Subject
from cnnlab.testing import SectionContract, section as contract

BARS = Bars(names=("a",), series=(Series(name="b", values=(1.0,)),), label="")
CALLS = itertools.count()


@pytest.fixture
def held(monkeypatch):
    """Hold a function to the contract: ``held(write) -> SectionContract``."""

    def hold(write) -> SectionContract:
        monkeypatch.setattr(contract, "resolve", lambda _: write)
        made = SectionContract()
        made.declaration = Section(name="own", summary="Own.", title="Own", write="nowhere:write")
        return made

    return hold


def fine(subject: Subject) -> Chapter:
    """Accuracy, from the 16 images that the contract makes."""
    wrong = len(subject.mistakes(100))
    bars = Bars(names=("right", "wrong"), series=(Series(name="images", values=(16 - wrong, wrong)),), label="images")
    return Chapter(
        says="How many images are read correctly.",
        figures=[Figure(drawing=bars, caption="Images by what became of them.")],
        metrics=[Metric.share("right", 16 - wrong, 16, "share of the images that are read correctly")],
        conclusions=[Conclusion(says=f"{wrong} images are misread.", holds=wrong < 5, rule="Few are up to 4.")],
    )


def test_a_section_that_keeps_them_all(held, tiny_models, capfd):
    made = held(fine)
    made.test_it_says_what_is_shown_and_prints_nothing(tiny_models, capfd)
    made.test_what_a_process_shares_is_left_as_it_was(tiny_models)
    made.test_every_conclusion_has_a_rule(tiny_models)
    made.test_every_share_has_its_sample(tiny_models)
    made.test_every_figure_is_drawn_everywhere(tiny_models)
    made.test_writing_twice_says_the_same(tiny_models)
    made.test_images_of_any_shape(tiny_models)
    made.test_a_model_that_ignores_its_input(tiny_models)


@pytest.mark.parametrize("wrong", [0, 4, 16])
def test_as_many_images_are_misread_as_it_says(held, tiny_models, wrong):
    written = held(fine).write(tiny_models.convolutional((8, 8, 1)), wrong)
    assert written.conclusions[0].says == f"{wrong} images are misread."
    in_other_units = held(fine).write(tiny_models.convolutional((8, 8, 1), (-1.0, 1.0)), wrong)
    assert in_other_units.conclusions[0].says == f"{wrong} images are misread."


BROKEN = {
    "nothing said": (
        lambda _: Chapter(says=[]),
        "test_it_says_what_is_shown_and_prints_nothing",
        "paragraphs",
    ),
    "printed": (
        lambda _: (print("hello"), Chapter(says="Something."))[1],
        "test_it_says_what_is_shown_and_prints_nothing",
        "hello",
    ),
    "printed past Python": (
        lambda _: (os.write(1, b"hello"), Chapter(says="Something."))[1],
        "test_it_says_what_is_shown_and_prints_nothing",
        "hello",
    ),
    "drawn from what others draw from": (
        lambda _: (random.random(), Chapter(says="Something."))[1],
        "test_what_a_process_shares_is_left_as_it_was",
        "Python's global generator was drawn from or seeded",
    ),
    "no chapter": (lambda _: "a text", "test_every_conclusion_has_a_rule", "received str"),
    "no rule": (
        lambda _: Chapter(says="Something.", conclusions=[Conclusion(says="Yes.", holds=True, rule=" ")]),
        "test_every_conclusion_has_a_rule",
        "by which rule",
    ),
    "a number as a verdict": (
        lambda _: Chapter(says="Something.", conclusions=[Conclusion(says="Yes.", holds=0.7, rule="Some.")]),
        "test_every_conclusion_has_a_rule",
        "Yes",
    ),
    "a share of nobody knows what": (
        lambda _: Chapter(says="Something.", metrics=[Metric(name="a", value=0.5, meaning="share of the images")]),
        "test_every_share_has_its_sample",
        "a share of how many",
    ),
    "a share in percent": (
        lambda _: Chapter(says="Something.", metrics=[Metric(name="a", value=50, of=9, meaning="share of images")]),
        "test_every_share_has_its_sample",
        "a is no share: 50",
    ),
    "an interval elsewhere": (
        lambda _: Chapter(says="Something.", metrics=[Metric(name="a", value=2, of=9, interval=(0, 1))]),
        "test_every_share_has_its_sample",
        "outside its interval",
    ),
    "no caption": (
        lambda _: Chapter(says="Something.", figures=[Figure(drawing=BARS)]),
        "test_every_figure_is_drawn_everywhere",
        "a caption says what is seen",
    ),
    "a drawing that cannot be drawn": (
        lambda _: Chapter(says="Something.", figures=[Figure(drawing="a picture", caption="Seen.")]),
        "test_every_figure_is_drawn_everywhere",
        "a Drawing was expected; received str",
    ),
    "another text each time": (
        lambda _: Chapter(says=f"Number {next(CALLS)}."),
        "test_writing_twice_says_the_same",
        "Number",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_section_that_breaks_one_is_found_out(held, tiny_models, capfd, broken):
    write, promise, said = BROKEN[broken]
    fixtures = (tiny_models, capfd) if "prints" in promise else (tiny_models,)
    with pytest.raises(AssertionError, match=said):
        getattr(held(write), promise)(*fixtures)


def test_a_refusal_is_no_failure(held, tiny_models):
    def refuse(subject):
        raise CnnlabError("no.")

    def fail(subject):
        raise FailedError("the analysis failed.")

    held(refuse).test_whatever_is_misread(tiny_models, 16)
    with pytest.raises(FailedError):
        held(fail).test_whatever_is_misread(tiny_models, 16)


def test_a_section_on_a_run_is_skipped(held, tiny_models):
    made = held(fine)
    made.declaration = Section(name="own", summary="Own.", title="Own", write="nowhere:write", requires=("run",))
    with pytest.raises(pytest.skip.Exception, match="about a run"):
        made.write(tiny_models.convolutional((8, 8, 1)))
