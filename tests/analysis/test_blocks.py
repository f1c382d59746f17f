"""Analyses that declare their images independent: asked about some at a time, and joined as if about all at once."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cnnlab.analysis import host
from cnnlab.devices.replicas import Replicas
from cnnlab.devices.sharing import sharing
from cnnlab.drawings import At, Picture, to_json
from cnnlab.errors import CnnlabError
from cnnlab.inputs import from_arrays
from cnnlab.memory import LEAST
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Array
from cnnlab.results.result import Result
from cnnlab.testing import FakeClassifier
from cnnlab.testing.fakes import CountedProgress

COUNT = 3 * LEAST + 1
IMAGES = np.random.default_rng(0).random((COUNT, 2, 2, 1), np.float32)
DECLARED = {
    "copy": Array("the image", axes=("N", "H", "W", "C")),
    "mean": Array("mean of the pixels", axes=("E?", "N")),
    "sides": Array("height and width", axes=("sides",)),
}


def model(batch_size):
    made = FakeClassifier.of_brightness()
    made.batch_size = batch_size
    return made


def looks_at_each(classifier, inputs, params, context):
    context.warn_of(int((inputs.images[:, 0, 0, 0] > 0.5).sum()), len(inputs), "begin bright.")
    for _ in context.track(range(len(inputs)), "looking"):
        pass
    means = inputs.images.mean(axis=(1, 2, 3))
    return Result(
        arrays={"copy": inputs.images, "mean": np.stack([means, means / 2]), "sides": np.array([2, 2])},
        show=lambda index: [Picture(values=At("copy", index), title=f"{means[index]:.3f}")],
        title="Copies",
    )


def sums(classifier, result, params):
    return Result(headline="Bright", metrics={"mean": float(result.arrays["mean"][0].mean())})


@pytest.fixture
def ask(analysis, monkeypatch):
    """Asks an analysis that looks at each image by itself, on a model that takes so many images at once."""
    monkeypatch.setattr(host, "resolve", lambda name: looks_at_each)
    monkeypatch.setattr(host, "sums_of", lambda analysis, *rest: sums(*rest))

    def asked(run=looks_at_each, batch_size=500, *, images=IMAGES, arrays=DECLARED, sum_up="x:y", **options):
        monkeypatch.setattr(host, "resolve", lambda name: run)
        declared = analysis(run, arrays=arrays, sum_up=sum_up, independent=True)
        opened = model(batch_size)
        return host.run(declared, opened, from_arrays(opened, images), declared.params(), **options)

    return asked


@pytest.mark.parametrize("threads", [1, 2])
def test_some_images_at_a_time_are_said_what_all_at_once_are(ask, threads):
    whole = ask()
    with sharing(Replicas("cpu", devices=("CPU:0",) * threads)):
        parts = ask(batch_size=1)
    assert set(parts.arrays) == set(whole.arrays) == set(DECLARED)
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(parts.arrays[name], array)
    assert parts.arrays["mean"].shape == (2, COUNT)
    assert to_json(parts.drawings) == to_json(whole.drawings)
    assert parts.drawing().title == f"Copies: the first 8 of {COUNT} images"
    bright = int((IMAGES[:, 0, 0, 0] > 0.5).sum())
    assert parts.warnings == whole.warnings == [f"{bright} of {COUNT} images begin bright."]
    assert (parts.headline, parts.metrics) == ("Bright", whole.metrics)
    assert [row["digest"] for row in parts.inputs] == [row["digest"] for row in whole.inputs]


def test_it_is_asked_about_no_more_images_than_there_is_room_for(ask):
    counts = []

    def run(classifier, inputs, params, context):
        counts.append(len(inputs))
        return looks_at_each(classifier, inputs, params, context)

    ask(run, batch_size=1)
    assert sum(counts) == COUNT
    assert max(counts) <= LEAST
    assert counts[0] >= 8, "what is shown is of the first"


def test_nothing_but_the_images_is_dropped_where_they_are_not_kept(ask):
    whole, numbers = ask(), ask(batch_size=1, keep="metrics")
    assert set(numbers.arrays) == {"mean", "sides"}
    assert numbers.record["left_out"] == ["arrays.copy"]
    assert numbers.metrics == whole.metrics
    # What is shown holds its own values then.
    shown = numbers.drawing().tiles[3]
    np.testing.assert_array_equal(shown.values, IMAGES[3])


def test_a_task_is_shown_once_for_all_images(ask):
    progress = CountedProgress()
    ask(batch_size=1, progress=progress)
    (told,) = [(total, done) for name, total, done in progress.tasks if name == "looking"]
    assert told[1] == COUNT
    assert abs(told[0] - COUNT) <= 4, "the first block says how many there are in all"


def test_an_image_is_called_by_its_place_among_all(ask):
    def run(classifier, inputs, params, context):
        from cnnlab.classifier.finite import NotFiniteError

        if 0.0 in inputs.images.max(axis=(1, 2, 3)):
            raise NotFiniteError(int(inputs.images.max(axis=(1, 2, 3)).argmin()))
        return looks_at_each(classifier, inputs, params, context)

    dark = IMAGES.copy()
    dark[40] = 0
    with pytest.raises(CnnlabError, match="array:40"):
        ask(run, batch_size=1, images=dark)


@pytest.mark.parametrize(
    ("extra", "sum_up", "said"),
    [
        ({"drawings": {"c": Picture(values=np.zeros((2, 2)))}}, "x:y", "gave the drawing 'c' of some of the images"),
        ({"tables": {"t": "a\n1\n"}}, "x:y", "gave the table 't' of some of the images"),
        ({"headline": "Well"}, "x:y", "gave a headline where it ran"),
    ],
)
def test_what_can_be_said_of_all_images_alone_is_refused(ask, extra, sum_up, said):
    with pytest.raises(CnnlabError, match=rf"'one' of cnnlab-one 3\.1 {said}"):
        ask(lambda *given: Result(arrays={"mean": np.zeros((1, len(given[1])))}, **extra), sum_up=sum_up)


def test_attacked_images_are_verified_before_they_are_put_away(tiny_models):
    """The judge sees every image, also those that nobody keeps; and says of all what it says of some."""
    fgsm = registry.find_analysis("fgsm-untargeted")
    images, labels = tiny_models.images((8, 8, 1), COUNT)
    results = []
    for batch_size, keep in ((500, "arrays"), (1, "arrays"), (1, "metrics")):
        classifier = tiny_models.convolutional((8, 8, 1))
        before, classifier.batch_size = classifier.batch_size, batch_size
        try:
            inputs = from_arrays(classifier, images, labels)
            results.append(host.run(fgsm, classifier, inputs, fgsm.params(), keep=keep))
        finally:
            classifier.batch_size = before
    whole, parts, numbers = results
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(parts.arrays[name], array, name)
    assert {"original", "adversarial"} & set(numbers.arrays) == set()
    for other in (parts, numbers):
        assert other.metrics == whole.metrics
        assert other.record["claims"] == whole.record["claims"]
        assert other.record["images"] == whole.record["images"]
        assert other.warnings == whole.warnings
        assert json.dumps(list(other.rows)) == json.dumps(list(whole.rows))
