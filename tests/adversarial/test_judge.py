"""The host believes of an attack what verifies in a forward pass of its own, and blames the plugin for the rest."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import cnnlab
from cnnlab.adversarial.judge import OTHER_DEVICE, OUTSIDE_INPUT, SAME_DEVICE, confirms, judge
from cnnlab.adversarial.measure import measure
from cnnlab.errors import CnnlabError
from cnnlab.perturbations import round_8bit
from cnnlab.results.claims import Claims
from cnnlab.results.result import Result
from cnnlab.testing import FakeClassifier

EPSILONS = (0.0, 0.05, 0.2)


def test_confirming_allows_for_rounding_and_no_more():
    logits = np.array([[10.0, 10.0 - 1e-4, 0.0], [10.0, 9.9, 0.0]])
    assert confirms(logits, np.array([1, 1]), None, SAME_DEVICE).tolist() == [True, False]
    assert confirms(logits, np.array([1, 1]), None, OTHER_DEVICE).tolist() == [True, True]
    exact = np.float32(1 / (1 + np.exp(-0.1) + np.exp(-10)))
    for claimed, good in ((exact, True), (exact + 1e-4, True), (exact + 2e-3, False), (exact - 2e-3, False)):
        assert confirms(logits[1], np.array(0), np.float32(claimed), SAME_DEVICE) == good
    assert not confirms(logits[1], np.array(0), np.float32(np.nan), SAME_DEVICE)
    assert not confirms(logits[1], np.array(-1), None, SAME_DEVICE)


@pytest.mark.parametrize(("apart", "good"), [(1.9, True), (2.1, False)])
def test_each_of_two_logits_may_be_off_by_as_much(apart, good):
    off = SAME_DEVICE * (1 + 10.0)
    assert confirms(np.array([[10.0, 10.0 - apart * off]]), np.array([1]), None, SAME_DEVICE).tolist() == [good]


@pytest.mark.parametrize(("beyond", "good"), [(0.9, True), (1.1, False)])
def test_an_original_may_leave_the_range_by_a_hair_and_its_copy_as_far(beyond, good):
    low, high = -3.0, 1.0
    brightness = FakeClassifier.of_brightness((2, 2, 1), bounds=(low, high))
    drawn = np.full((1, 2, 2, 1), high + beyond * OUTSIDE_INPUT * (high - low), np.float32)
    found = judge(brightness, Result(arrays=measure(brightness, drawn, drawn, np.array([1])).arrays))
    assert {finding.claim: finding.state for finding in found.findings}["range"] == ("holds" if good else "fails")


def test_an_honest_result_is_believed_and_recorded(adversarial, attack, opened, images):
    adversarial(attack, requires=("gradients",))
    result = cnnlab.analyze("one", opened, *images)
    record = json.loads(json.dumps(result.record, allow_nan=False))
    assert record["claims"]["norm"] == "linf"
    assert record["claims"]["epsilons"] == list(EPSILONS)
    assert record["claims"]["bounds"] == [0, 1]
    assert record["claims"]["original"] == "inputs"
    assert len(record["images"]) == 24
    assert record["images"][1]["file"] == "images/0-eps0.05.png"
    assert [entry["success"] for entry in record["images"][-3:]] == [None] * 3, "misread before"
    assert any(entry["success"] for entry in record["images"])
    assert record["preflight"] == {"images": 8, "zero_gradients": 0, "saturated": 0, "not_finite": 0, "reasons": {}}
    assert result.claims == Claims(norm="linf", epsilons=EPSILONS)


def test_an_honest_result_on_the_8_bit_grid_is_believed(adversarial, attack, opened, images):
    adversarial(lambda *arguments: attack(*arguments, eight_bit=True), requires=("gradients",))
    assert cnnlab.analyze("one", opened, *images).claims.eight_bit


def change(name, edit):
    def lie(result):
        array = result.arrays[name].copy()
        edit(array)
        return replace(result, arrays={**result.arrays, name: array})

    return lie


def set_at(*index, value):
    return lambda array: array.__setitem__(index, value)


LIES = {
    "label_after": (change("label_after", lambda a: a.__setitem__((1, 0), (a[1, 0] + 1) % 4)), "other labels after it"),
    "label_after_8bit": (change("label_after_8bit", lambda a: a.__imul__(0)), "other labels after rounding"),
    "label_before": (change("label_before", lambda a: a.__setitem__(0, (a[0] + 1) % 4)), "other labels before"),
    "confidence": (change("confidence_after", lambda a: a.__imul__(0.9)), "not so sure"),
    "range": (change("adversarial", set_at(0, 0, 0, 0, 0, value=1.1)), "outside of 0 to 1"),
    "nan": (change("adversarial", set_at(0, 0, 0, 0, 0, value=np.nan)), "outside of 0 to 1"),
    "norm": (lambda result: replace(result, claims=Claims(norm="linf", epsilons=(0, 0.04, 0.2))), "exceed"),
    "l2 norm": (lambda result: replace(result, claims=Claims(norm="l2", epsilons=EPSILONS)), "exceed"),
    "grid": (lambda result: replace(result, claims=replace(result.claims, eight_bit=True)), "between the 256 levels"),
    "linf": (change("linf", lambda a: a.__imul__(0.5)), "does not follow"),
    "success": (change("success", lambda a: np.logical_not(a, out=a)), "not follow"),
    "metric": (lambda result: replace(result, metrics={**result.metrics, "success@0.2": 0.123}), r"success@0\.2"),
    "row": (lambda r: replace(r, columns={**r.columns, "after": 3 - r.columns["after"]}), "row 0: after"),
    "missing": (lambda r: without(r, "confidence_before"), "confidence_before too"),
    "no class": (change("label_after", set_at(0, 0, value=4)), "no class of the model"),
    "float64": (
        lambda r: replace(r, arrays={**r.arrays, "adversarial": r.arrays["adversarial"].astype(float)}),
        "must be float32",
    ),
    "unbounded": (lambda r: replace(r, claims=Claims(norm="linf", strengths=EPSILONS)), "without its epsilons"),
}


def without(result, name):
    return replace(result, arrays={key: value for key, value in result.arrays.items() if key != name})


@pytest.mark.parametrize(("lie", "message"), LIES.values(), ids=LIES)
def test_a_lying_plugin_is_blamed(adversarial, attack, opened, images, lie, message):
    adversarial(lambda *arguments: attack(*arguments, lie=lie))
    with pytest.raises(CnnlabError, match=rf"'one' of cnnlab-one 3\.1 gave adversarial .*do not verify.*{message}"):
        cnnlab.analyze("one", opened, *images)


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        (
            lambda r: replace(r, arrays={**r.arrays, "label_after": r.arrays["label_after"][0]}),
            r"gave the array 'label_after' as \[8\], which it declares as \[\(E,\) N\]",
        ),
        (
            lambda r: replace(r, claims=Claims(norm="linf", epsilons=(0.1, 0.2))),
            "gave adversarial images that do not verify.*one strength for each of 3",
        ),
    ],
    ids=["short", "strengths"],
)
def test_what_does_not_fit_together_is_blamed(adversarial, attack, opened, images, lie, message):
    adversarial(lambda *arguments: attack(*arguments, lie=lie))
    with pytest.raises(CnnlabError, match=rf"'one' of cnnlab-one 3\.1 {message}"):
        cnnlab.analyze("one", opened, *images)


@pytest.mark.parametrize("eight_bit", [False, True])
def test_labels_other_than_those_given_are_a_lie(adversarial, opened, images, eight_bit):
    drawn, labels = images

    def relabel(classifier, inputs, params, context):
        shown = round_8bit(inputs.images, classifier.bounds) if eight_bit else inputs.images
        measured = measure(classifier, shown, shown, (labels + 1) % 4)
        return Result(arrays=measured.arrays)

    adversarial(relabel)
    with pytest.raises(CnnlabError, match="labels are not those of the images"):
        cnnlab.analyze("one", opened, drawn, labels)
    cnnlab.analyze("one", opened, drawn)


def test_the_host_warns_of_attacks_that_rounding_undoes(adversarial, opened):
    # A pixel less than half a level beyond a decision: found by bisection between two images of different classes.
    drawn = np.random.default_rng(3).random((64, 8, 8, 1), np.float32)
    labels = opened.predict(drawn)
    first, second = drawn[0], drawn[np.flatnonzero(labels != labels[0])[0]]
    near, far = 0.0, 1.0
    for _ in range(18):
        middle = (near + far) / 2
        wrong = opened.predict((first + middle * (second - first))[None])[0] != labels[0]
        near, far = (near, middle) if wrong else (middle, far)
    # Just beyond the decision; rounding moves it to the one side or the other.
    candidates = np.stack([first + (far + step * 1e-5) * (second - first) for step in range(200)])
    rounded = opened.predict(round_8bit(candidates, (0, 1)))
    undone = candidates[(opened.predict(candidates) != labels[0]) & (rounded == labels[0])]
    assert len(undone), "the test needs an image that rounding brings back"

    def run(classifier, inputs, params, context):
        measured = measure(classifier, inputs.images, undone[:1], inputs.labels)
        return Result(arrays=measured.arrays, metrics=measured.metrics, columns=measured.columns)

    adversarial(run)
    result = cnnlab.analyze("one", opened, first[None], labels[:1])
    assert "Rounding to 8 bits undoes 1 of 1 successful attacks." in result.warnings
    assert result.metrics["success"] == 1
    assert result.metrics["success_8bit"] == 0
    assert result.record["images"][0]["success"] is False


def test_every_failure_is_listed(opened, images):
    drawn, labels = images
    measured = measure(opened, drawn, np.clip(drawn + 0.3, 0, 1), labels)
    wrong = {**measured.arrays, "label_after": (measured.arrays["label_after"] + 1) % 4}
    found = judge(
        opened, Result(arrays=wrong, metrics={"linf": 0.0}, claims=Claims(norm="linf", epsilons=(0.1,), eight_bit=True))
    )
    assert {"norm", "8-bit grid", "label_after", "metrics"} <= {finding.claim for finding in found.failed}


@pytest.fixture
def unchanged(opened, images):
    """A result whose images are the originals, at three strengths."""
    drawn, labels = images
    claims = Claims(norm="linf", epsilons=EPSILONS)
    measured = measure(opened, drawn, np.repeat(drawn[None], 3, axis=0), labels, claims=claims)
    return Result(arrays=measured.arrays, metrics=measured.metrics, columns=measured.columns, claims=claims)


def cut(result, names, *index):
    return replace(result, arrays={**result.arrays, **{name: result.arrays[name][index] for name in names}})


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            lambda r: cut(r, ["original"], slice(5)),
            "original is [5, 8, 8, 1] and adversarial [3, 8, 8, 8, 1]: they do not fit.",
        ),
        (
            lambda r: cut(r, ["original", "adversarial"], Ellipsis, slice(7), slice(None)),
            "the images are [8, 7, 1], and the model takes [8, 8, 1].",
        ),
        (lambda r: cut(r, ["label_after"], 0), "label_after is [8]; expected [3, 8]."),
        (lambda r: cut(r, ["label"], slice(2)), "label is [2]; expected [8]."),
        (
            lambda r: replace(r, claims=Claims(norm="linf", epsilons=(0.1, 0.2), strengths=(1, 2, 3))),
            "2 epsilons are claimed for 3 strength(s).",
        ),
    ],
    ids=["originals", "sides", "labels after", "labels", "epsilons"],
)
def test_arrays_that_cannot_be_looked_at_are_said(opened, unchanged, edit, said):
    found = judge(opened, edit(unchanged))
    assert [(finding.claim, finding.state, finding.says) for finding in found.findings] == [("arrays", "fails", said)]
    assert not found.measured.arrays


@pytest.mark.parametrize(
    ("left_out", "claims"),
    [
        (["label_after_8bit", "confidence_after_8bit"], {"label_after_8bit", "confidence_after_8bit"}),
        (["label_after_8bit"], {"label_after_8bit", "confidence_after_8bit"}),
        (["confidence_after_8bit"], {"confidence_after_8bit"}),
        (["linf", "success"], {"linf", "success"}),
    ],
)
def test_of_what_a_result_leaves_out_nothing_is_found(opened, unchanged, left_out, claims):
    whole = {finding.claim for finding in judge(opened, unchanged).findings}
    for name in left_out:
        unchanged = without(unchanged, name)
    found = judge(opened, unchanged)
    assert not found.failed
    assert whole - {finding.claim for finding in found.findings} == claims


def test_rows_of_something_else_are_not_held_against_the_images(opened, unchanged):
    found = judge(opened, replace(unchanged, columns={}, rows=[{"layer": "conv1"}]))
    assert not found.failed
    (finding,) = [finding for finding in found.findings if finding.claim == "rows"]
    assert (finding.state, finding.says) == ("not checked", "There are 1 rows for 24 adversarial images.")
    assert "rows" not in {finding.claim for finding in judge(opened, replace(unchanged, columns={})).findings}


def test_what_was_just_measured_is_judged_without_a_second_pass(tiny_models, monkeypatch):
    model, ran = tiny_models.linear((4, 4, 1)), []
    run = model.logits_function

    def counted(images):
        ran.append(len(images))
        return run(images)

    monkeypatch.setitem(vars(model), "logits_function", counted)
    original = np.linspace(0.1, 0.9, 5, dtype=np.float32)[:, None, None, None] * np.ones((5, 4, 4, 1), np.float32)
    moved = round_8bit(original, model.bounds)
    moved[:2] += np.float32(0.0004)
    with model.recalling():
        measured = measure(model, original, moved, np.zeros(5, int))
        assert len(ran) == 3, "the originals, what became of them, and those that rounding changes"
        result = Result(arrays=measured.arrays)
        assert not judge(model, result).failed
        assert len(ran) == 3
        changed = {**measured.arrays, "adversarial": 1 - measured.arrays["adversarial"]}
        assert judge(model, Result(arrays=changed)).failed
        assert len(ran) == 5, "other images are run, whatever is said of them"
    assert not judge(model, result).failed
    assert len(ran) == 8, "what was run is forgotten with the analysis"
