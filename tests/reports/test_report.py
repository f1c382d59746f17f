"""Writing sections: each in its guard, what is lacking said in its place, everything kept."""

from __future__ import annotations

import dataclasses
import shlex
from types import SimpleNamespace

import numpy as np
import pytest

from cnnlab.datasets import Dataset, Split
from cnnlab.drawings.tables import Table
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Section
from cnnlab.reports import report as reports
from cnnlab.reports.chapter import Chapter, Conclusion, Metric
from cnnlab.reports.profiles import PROFILES, Profile, find_profile, outline
from cnnlab.reports.subject import Subject
from cnnlab.testing import FakeClassifier


def fine(subject: Subject) -> Chapter:
    return Chapter(says=f"About {subject.name}.", conclusions=[Conclusion(says="Yes.", holds=True, rule="Always.")])


def lacking(subject: Subject) -> Chapter:
    raise CnnlabError("this model has no convolution.")


def broken(subject: Subject) -> Chapter:
    raise ZeroDivisionError("division by zero")


def wrong(subject: Subject) -> str:
    return "a chapter"


def stopped(subject: Subject) -> Chapter:
    raise KeyboardInterrupt


def section(name: str, **more) -> Section:
    return Section(name=name, summary="A section.", title=name.title(), write=f"{__name__}:{name}", **more)


@pytest.fixture
def written(monkeypatch):
    """Write sections: ``written(*sections, subject) -> Report``."""

    def write(*sections: Section, **of_subject):
        known = {each.name: each for each in sections}
        monkeypatch.setattr(registry, "sections", lambda: known)
        monkeypatch.setattr(registry, "provider", lambda _: registry.plugins()[0])
        monkeypatch.setattr(reports, "resolve", lambda path: globals()[path.rpartition(":")[2]])
        profile = Profile(name="quick", title="{model}", summary="", sections=(*known, "absent"))
        subject = Subject(classifier=FakeClassifier.of_brightness(), profile="quick", **of_subject)
        return reports.write(subject, profile, told=lambda each, number, total: told.append((each.name, number, total)))

    told: list[tuple[str, int, int]] = []
    write.told = told
    return write


def test_a_section_that_fails_costs_itself_alone(written):
    found = written(section("broken"), section("lacking"), section("wrong"), section("fine"))
    by_name = {each.name: each for each in found.sections}
    assert by_name["fine"].chapter.paragraphs == ("About a live model.",)
    assert by_name["lacking"].reason == "this model has no convolution."
    assert "the section 'broken' of cnnlab" in by_name["broken"].reason
    assert "ZeroDivisionError: division by zero" in by_name["broken"].reason
    assert "returned str where a cnnlab.plugin.Chapter was expected" in by_name["wrong"].reason
    assert by_name["absent"].reason == "no plugin that is active provides the section 'absent'."
    assert [each.name for each in found.sections if each.failed] == ["broken", "wrong"]
    assert len(found.warnings) == 2
    assert written.told[-1] == ("absent", 5, 5)


def test_what_is_interrupted_stops(written):
    with pytest.raises(KeyboardInterrupt):
        written(section("stopped"), section("fine"))


def test_a_section_is_left_out_where_there_is_no_run_or_no_dataset(written):
    found = written(section("fine", requires=("dataset",)))
    assert found.sections[0].reason == "it needs labelled images: name a dataset with `dataset=`."
    found = written(section("fine", requires=("run",)))
    assert found.sections[0].reason == (
        "it is about a run, a folder that `cnnlab train` wrote, and this model is none."
    )


def test_every_section_of_a_profile_is_provided():
    known = registry.sections()
    for profile in PROFILES.values():
        assert set(profile.sections) <= set(known), profile.name
    assert all(registry.provider(known[name]).built_in for name in known)


def test_plugins_add_sections_behind_the_one_they_name():
    profile = Profile(name="audit", title="", summary="", sections=("a", "b"))
    added = [
        section("fine", profiles=("audit",), after="a"),
        section("lacking", profiles=("audit",), after="nowhere"),
        section("broken", profiles=("quick",)),
        section("wrong", profiles=("audit",)),
    ]
    assert outline(profile, added) == ("a", "fine", "b", "lacking", "wrong")


def test_an_unknown_profile_names_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'audit'"):
        find_profile("audits")


PIXELS = np.array([[0, 60, 120, 130, 140, 200, 255, 110, 90, 250]], np.uint8).reshape(10, 1, 1)
LABELS = [0, 0, 0, 0, 1, 1, 1, 1, 0, 0]  # 130 of class 0 and 110 of class 1 and 250 of class 0 are misread


@pytest.fixture
def subject():
    split = Split(PIXELS, LABELS)
    dataset = Dataset(name="spots", train=split[:0], test=split, class_names=("dark", "bright"))
    return Subject(classifier=FakeClassifier.of_brightness((1, 1, 1)), profile="audit", dataset=dataset)


def test_images_are_chosen_by_what_the_model_makes_of_them(subject):
    assert subject.one_per_class() == [0, 4]
    assert subject.mistakes(5) == [9, 7, 3]
    assert subject.mistakes(1) == [9]
    assert set(subject.most_certain(2)) == {0, 6}
    assert subject.least_certain(1) == [3]


def test_many_classes_are_spread_over_all():
    many = Subject(classifier=FakeClassifier(lambda images: images, (1, 1, 1), 1000), profile="audit")
    assert len(many.some_classes(10)) == 10
    assert (many.some_classes(10)[0], many.some_classes(10)[-1]) == ("0", "999")


def test_an_answer_is_asked_of_the_images_and_can_be_repeated(subject):
    answer = subject.ask("occlusion", [6, 0], patch=1)
    assert [each["source"] for each in answer.result.record["inputs"]] == ["spots/test:6", "spots/test:0"]
    assert answer.command == ""  # the model was never on the disk
    figure = answer.figure(caption="Seen.")
    assert (figure.caption, figure.seed, figure.params["patch"]) == ("Seen.", 0, 1)
    assert len(figure.images) == 2


def test_a_metric_of_an_answer_has_its_meaning_and_interval(subject):
    accuracy = subject.evaluation.metric("accuracy", "read correctly", of=10, reported=0.9)
    assert accuracy.name == "read correctly"
    assert accuracy.meaning.startswith("share")
    assert accuracy.value == 0.7
    assert accuracy.interval == Metric.share("", 7, 10, "share").interval
    assert subject.evaluation.metric("there_is_none").value is None


def test_without_a_dataset_one_is_asked_for():
    with pytest.raises(CnnlabError, match="name a dataset with `dataset=`"):
        _ = Subject(classifier=FakeClassifier.of_brightness(), profile="audit").evaluation


def test_a_share_of_nothing_has_no_value():
    nothing = Metric.share("fooled", 0, 0, "share")
    assert (nothing.value, nothing.interval, nothing.of) == (None, None, 0)


def test_a_table_says_how_many_rows_are_not_shown():
    table = Table(("a",), [(1,)] * 30)
    assert (len(table.shown), table.more) == (20, "10 more")


def test_the_command_of_a_report_says_what_is_not_by_default(subject, tmp_path):
    assert subject.command == ""  # neither model nor images were ever on the disk
    subject.classifier.path = tmp_path / "a model"
    subject.dataset = dataclasses.replace(subject.dataset, source="spots.npz")
    subject.limit, subject.seed = 100, 3
    words = ["--profile", "audit", "--dataset", "spots.npz", "--limit", "100", "--seed", "3"]
    assert shlex.split(subject.command) == ["cnnlab", "report", str(tmp_path / "a model"), *words]


def test_a_model_that_computes_more_is_asked_for_fewer_images(subject):
    def asked(*work):
        subject.classifier.layers = [SimpleNamespace(multiply_adds=each) for each in work]
        return subject.affordable(100, least=16, work=2e9)

    assert [asked(), asked(3e7, 1e7, None), asked(4e9)] == [100, 50, 16]


def test_a_mean_has_students_interval_over_what_is_finite():
    values = np.array([1.0, 2.0, 3.0, np.nan, np.inf])
    found = Metric.mean("steps", values, "steps taken")
    assert (found.value, found.of) == (2.0, 3)
    np.testing.assert_allclose(found.interval, (2 - 4.3027 / np.sqrt(3), 2 + 4.3027 / np.sqrt(3)), rtol=1e-4)
    assert Metric.mean("steps", np.array([4.0]), "").interval is None
    assert Metric.mean("sure", np.array([0.0, 0.9]), "probability of the class").interval == (0.0, 1.0)
    assert Metric.mean("steps", np.array([np.nan]), "").value is None
