"""Verification: honest adversarial results pass, from the plugin to the disk, and every kind of tampering is found."""

from __future__ import annotations

import json
import shutil
import sys
import types
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from annotated_types import Ge
from PIL import Image

import cnnlab
from cnnlab.analysis import Analysis, Doc, Params, Result
from cnnlab.analysis.adversarial import Claims, measure
from cnnlab.analysis.adversarial_names import ADVERSARIAL_ARRAYS, ADVERSARIAL_METRICS
from cnnlab.analysis.declared import meaning
from cnnlab.analysis.reverify import reverify
from cnnlab.analysis.verify import OTHER_DEVICE, SAME_DEVICE, confirms, verify
from cnnlab.attacks.balls import from_8bit, round_8bit
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.plugins import registry

EPSILONS = (0.0, 0.05, 0.2)


@dataclass(frozen=True, kw_only=True)
class Size(Params):
    size: Annotated[int, Ge(1), Doc("A size.")] = 1


class Mean:
    """A classifier without TensorFlow, for arithmetic by hand: class 1 where the image's mean exceeds a half."""

    bounds = (0.0, 1.0)
    input_shape = (1, 2, 1)
    num_classes = 3

    def logits(self, images):
        mean = images.mean(axis=(1, 2, 3))
        return np.stack([0.5 - mean, mean - 0.5, np.full_like(mean, -9)], axis=1).astype(np.float32)


def images_of(*means):
    return np.array(means, np.float32)[:, None, None, None] * np.ones((1, 1, 2, 1), np.float32)


# Measuring: labels, successes and metrics, worked out by hand.


def test_an_image_misread_before_counts_as_wrong_and_in_no_success_rate():
    # Labels 0: image 0 flips, image 1 stays, image 2 is misread before and read rightly after.
    measured = measure(Mean(), images_of(0.4, 0.1, 0.7), images_of(0.6, 0.3, 0.3), np.array([0, 0, 0]))
    assert measured.arrays["counted"].tolist() == [True, True, False]
    assert measured.arrays["success"].tolist() == [True, False, False]
    assert [row["success"] for row in measured.rows] == ["yes", "no", "misread before"]
    metrics = measured.metrics
    assert metrics["images"] == 3
    assert metrics["misread_before"] == pytest.approx(1 / 3)
    assert metrics["accuracy_before"] == pytest.approx(2 / 3)
    assert metrics["accuracy_after"] == pytest.approx(1 / 3)
    assert metrics["success"] == pytest.approx(1 / 2)
    assert metrics["linf"] == pytest.approx((0.2 + 0.2 + 0.4) / 3)
    assert metrics["l2"] == pytest.approx(np.sqrt(2) * (0.2 + 0.2 + 0.4) / 3)


def test_confidence_is_the_softmax_of_the_label():
    measured = measure(Mean(), images_of(0.4), images_of(0.8), np.array([0]))
    scores = np.exp([0.3, -0.3, -9.0])
    assert measured.arrays["confidence_after"][0] == pytest.approx(scores[0] / scores.sum(), rel=1e-6)


def test_a_target_counts_where_it_is_neither_the_label_nor_the_prediction():
    target = np.array([1, 1, 0, 2])
    measured = measure(
        Mean(), images_of(0.4, 0.7, 0.7, 0.4), images_of(0.6, 0.7, 0.3, 0.6), np.array([0, 0, 0, 0]), target
    )
    assert measured.arrays["counted"].tolist() == [True, False, False, True]
    assert measured.arrays["success"].tolist() == [True, False, False, False]
    assert [row["success"] for row in measured.rows] == ["yes", "read so before", "its own class", "no"]
    assert measured.metrics["success"] == 0.5


def test_an_unknown_label_is_stood_for_by_the_prediction_and_has_no_accuracy():
    measured = measure(Mean(), images_of(0.4, 0.7), images_of(0.6, 0.6), np.array([-1, -1]))
    assert measured.arrays["label"].tolist() == [-1, -1]
    assert measured.arrays["success"].tolist() == [True, False]
    assert np.isnan(measured.metrics["accuracy_before"])
    assert measured.metrics["success"] == 0.5
    assert [row["label"] for row in measured.rows] == [None, None]


def test_strengths_name_the_metrics_and_the_rows():
    adversarial = np.stack([images_of(0.4, 0.1), images_of(0.6, 0.3)])
    claims = Claims(norm="linf", epsilons=(0, 0.2))
    measured = measure(Mean(), images_of(0.4, 0.1), adversarial, np.array([0, 0]), claims=claims, sources=["a", "b"])
    assert measured.metrics["accuracy@0"] == 1
    assert measured.metrics["accuracy@0.2"] == 0.5
    assert measured.metrics["success@0.2"] == 0.5
    assert measured.arrays["label_after"].tolist() == [[0, 0], [1, 0]]
    assert [(row["image"], row["epsilon"]) for row in measured.rows] == [("a", 0), ("a", 0.2), ("b", 0), ("b", 0.2)]


def test_another_axis_than_epsilon_has_its_own_name():
    claims = Claims(strengths=(1, 2), axis="beta")
    measured = measure(Mean(), images_of(0.4), np.stack([images_of(0.4)] * 2), np.array([0]), claims=claims)
    assert [row["beta"] for row in measured.rows] == [1, 2]
    assert "success@2" in measured.metrics


def test_everything_measured_is_declared():
    single = measure(Mean(), images_of(0.4), images_of(0.6), np.array([0]), np.array([1]))
    several = measure(Mean(), images_of(0.4), np.stack([images_of(0.6)]), np.array([0]), claims=Claims(epsilons=(1,)))
    for measured in (single, several):
        assert not [name for name in measured.arrays if name not in ADVERSARIAL_ARRAYS]
        assert not [name for name in measured.metrics if meaning(ADVERSARIAL_METRICS, name) is None]
    assert set(single.arrays) == set(ADVERSARIAL_ARRAYS)


def test_rounding_can_undo_an_attack_and_the_row_says_so():
    # Both have a mean above 127.51/255; rounding takes the first to levels 127 and 128, the second to 128 and 128.
    levels = np.array([[127.45, 127.58], [127.6, 127.6]], np.float32)
    measured = measure(Flat(), images_of(0.4, 0.4), levels.reshape(2, 1, 2, 1) / 255, np.array([0, 0]))
    assert [row["success"] for row in measured.rows] == ["yes", "yes"]
    assert [row["success_8bit"] for row in measured.rows] == ["undone by rounding", "yes"]
    assert measured.metrics["success"] == 1
    assert measured.metrics["success_8bit"] == 0.5


class Flat(Mean):
    """Class 1 above a mean of 127.51/255."""

    def logits(self, images):
        mean = images.astype(np.float64).mean(axis=(1, 2, 3)) * 255
        return np.stack([np.full_like(mean, 127.51), mean, np.zeros_like(mean)], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("adversarial", "label", "message"),
    [
        (np.zeros((2, 1, 2, 1)), [0], r"adversarial images must be \[N, H, W, C\]"),
        (np.zeros((1, 1, 2, 1)), [0.5], "label must be whole numbers"),
        (np.zeros((1, 1, 2, 1)), [0, 1], r"label must be whole numbers of shape \[1\]"),
    ],
)
def test_what_does_not_fit_is_refused(adversarial, label, message):
    with pytest.raises(UsageError, match=message):
        measure(Mean(), images_of(0.4), adversarial, np.array(label))


def test_strengths_must_fit_and_differ():
    with pytest.raises(UsageError, match="one strength for each of 3"):
        Claims(epsilons=(0.1, 0.2)).along(3)
    with pytest.raises(UsageError, match="must differ"):
        Claims(epsilons=(0.1, 0.1)).along(2)
    assert Claims(epsilons=(0.1, 0.1 + 1e-9)).along(2) == ("0.1", "0.100000001")
    assert Claims().along(2) == ("0", "1")


def test_claims_survive_json():
    claims = Claims(norm="l2", epsilons=(1, 2), eight_bit=True, strengths=(3, 4), axis="beta")
    assert Claims.from_json(json.loads(json.dumps({**claims.to_json(), "bounds": [0, 1]}))) == claims


def test_confirming_allows_for_rounding_and_no_more():
    logits = np.array([[10.0, 10.0 - 1e-4, 0.0], [10.0, 9.9, 0.0]])
    assert confirms(logits, np.array([1, 1]), None, SAME_DEVICE).tolist() == [True, False]
    assert confirms(logits, np.array([1, 1]), None, OTHER_DEVICE).tolist() == [True, True]
    exact = np.float32(1 / (1 + np.exp(-0.1) + np.exp(-10)))
    for claimed, good in ((exact, True), (exact + 1e-4, True), (exact + 2e-3, False), (exact - 2e-3, False)):
        assert confirms(logits[1], np.array(0), np.float32(claimed), SAME_DEVICE) == good
    assert not confirms(logits[1], np.array(0), np.float32(np.nan), SAME_DEVICE)
    assert not confirms(logits[1], np.array(-1), None, SAME_DEVICE)


# The host: a plugin is believed what verifies.


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small network on disk."""
    return saved_model(tmp_path_factory.mktemp("model") / "small.keras", seed=1)


def saved_model(path, seed, shape=(8, 8, 1), classes=4):
    import keras

    def drawn(add):
        return keras.initializers.RandomNormal(stddev=0.5, seed=seed + add)

    keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(4, 3, activation="relu", kernel_initializer=drawn(0)),
            keras.layers.Flatten(),
            keras.layers.Dense(classes, kernel_initializer=drawn(5)),
        ]
    ).save(path)
    return path


@pytest.fixture(scope="module")
def opened(model):
    return cnnlab.load(model)


@pytest.fixture
def images(opened):
    """Eight images, all but the last with the label that the model gives them."""
    return drawn_for(opened)


def drawn_for(opened):
    drawn = np.random.default_rng(0).random((8, 8, 8, 1), np.float32)
    labels = opened.predict(drawn)
    labels[-1] = (labels[-1] + 1) % 4
    return drawn, labels


@pytest.fixture
def analysis(monkeypatch):
    """Install an adversarial analysis whose ``run`` a test sets."""
    return lambda run, **declared: install(monkeypatch, run, **declared)


def install(patch, run, **declared):
    module = types.ModuleType("one_attack")
    module.run = run
    patch.setitem(sys.modules, "one_attack", module)
    made = Analysis(name="one", summary="One.", params=Size, run="one_attack:run", **declared)
    plugin = registry.Plugin("one", "one_attack", "cnnlab-one", "3.1", declarations=(made,))
    patch.setattr(registry, "plugins", lambda: (plugin,))


def attack(classifier, inputs, params, context, *, lie=None, eight_bit=False):
    """FGSM at three strengths; ``lie`` changes the arrays, metrics and claims before they are given back."""
    from cnnlab.attacks import fgsm

    labels = np.where(inputs.labels < 0, classifier.predict(inputs.images), inputs.labels)
    original = round_8bit(inputs.images, classifier.bounds) if eight_bit else inputs.images
    outcome = fgsm(eight_bit=eight_bit).run(classifier, original, labels, epsilon=np.array(EPSILONS)[:, None])
    claims = Claims(norm="linf", epsilons=EPSILONS, eight_bit=eight_bit)
    measured = measure(classifier, original, outcome.adversarial, inputs.labels, claims=claims, sources=inputs.sources)
    result = Result(arrays=measured.arrays, metrics=measured.metrics, rows=measured.rows, claims=claims)
    return lie(result) if lie else result


def test_an_honest_result_is_believed_and_recorded(analysis, opened, images):
    analysis(attack, requires=("gradients",))
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
    assert record["preflight"] == {"images": 8, "zero_gradients": 0, "saturated": 0, "reasons": {}}
    assert result.claims == Claims(norm="linf", epsilons=EPSILONS)


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
    "row": (lambda r: replace(r, rows=[{**r.rows[0], "after": 7}, *r.rows[1:]]), "row 0: after"),
    "missing": (lambda r: without(r, "confidence_before"), "confidence_before too"),
    "short": (lambda r: replace(r, arrays={**r.arrays, "label_after": r.arrays["label_after"][0]}), "label_after is"),
    "no class": (change("label_after", set_at(0, 0, value=4)), "no class of the model"),
    "float64": (
        lambda r: replace(r, arrays={**r.arrays, "adversarial": r.arrays["adversarial"].astype(float)}),
        "must be float32",
    ),
    "strengths": (lambda r: replace(r, claims=Claims(norm="linf", epsilons=(0.1, 0.2))), "one strength for each of 3"),
    "unbounded": (lambda r: replace(r, claims=Claims(norm="linf", strengths=EPSILONS)), "without its epsilons"),
}


def without(result, name):
    return replace(result, arrays={key: value for key, value in result.arrays.items() if key != name})


@pytest.mark.parametrize(("lie", "message"), LIES.values(), ids=LIES)
def test_a_lying_plugin_is_blamed(analysis, opened, images, lie, message):
    analysis(lambda *arguments: attack(*arguments, lie=lie))
    with pytest.raises(CnnlabError, match=rf"'one' of cnnlab-one 3\.1 gave adversarial .*do not verify.*{message}"):
        cnnlab.analyze("one", opened, *images)


def test_labels_other_than_those_given_are_a_lie(analysis, opened, images):
    drawn, labels = images

    def relabel(classifier, inputs, params, context):
        measured = measure(classifier, inputs.images, inputs.images, (labels + 1) % 4)
        return Result(arrays=measured.arrays)

    analysis(relabel)
    with pytest.raises(CnnlabError, match="labels are not those of the images"):
        cnnlab.analyze("one", opened, drawn, labels)
    cnnlab.analyze("one", opened, drawn)


def test_the_host_warns_of_attacks_that_rounding_undoes(analysis, opened):
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
        return Result(arrays=measured.arrays, metrics=measured.metrics, rows=measured.rows)

    analysis(run)
    result = cnnlab.analyze("one", opened, first[None], labels[:1])
    assert "Rounding to 8 bits undoes 1 of 1 successful attacks." in result.warnings
    assert result.metrics["success"] == 1
    assert result.metrics["success_8bit"] == 0
    assert result.record["images"][0]["success"] is False


# On disk: the files, and what the command finds.


@pytest.fixture(scope="module")
def honest(model, opened, tmp_path_factory):
    """An honest result on disk, made once."""
    folder = tmp_path_factory.mktemp("honest") / "out"
    with pytest.MonkeyPatch.context() as patch:
        install(patch, attack, requires=("gradients",))
        cnnlab.analyze("one", opened, *drawn_for(opened)).save(folder)
    return folder


@pytest.fixture
def saved(honest, tmp_path):
    """A copy of it, to do with as one likes."""
    return Path(shutil.copytree(honest, tmp_path / "out"))


@pytest.fixture
def run(command_line):
    """Run the whole command line in this process: ``run("verify", ...) -> (status, out, err)``."""
    return command_line


def test_the_png_files_hold_the_rounded_images(saved):
    result = Result.load(saved)
    assert result.claims == Claims(norm="linf", epsilons=EPSILONS)
    entries = result.record["images"]
    assert sorted(path.name for path in (saved / "images").iterdir()) == sorted(
        Path(entry["file"]).name for entry in entries
    )
    for entry in entries:
        pixels = np.asarray(Image.open(saved / entry["file"]))[..., None]
        due = result.arrays["adversarial"][EPSILONS.index(entry["epsilon"]), entry["index"]]
        np.testing.assert_array_equal(from_8bit(pixels, (0, 1)), round_8bit(due, (0, 1)))


def test_an_honest_result_verifies(run, saved):
    status, out, _ = run("verify", saved)
    assert status == 0, out
    for word in ("claim", "model", "norm", "label_after_8bit", "metrics", "rows", "images", "Verified"):
        assert word in out
    assert "fails" not in out


def test_json_is_all_there_is_on_stdout(run, saved, model):
    status, out, _ = run("verify", saved, "--json")
    report = json.loads(out)
    assert status == 0
    assert report["verified"] is True
    assert report["analysis"] == "one"
    assert report["model"]["path"] == str(model)
    states = {finding["claim"]: finding["state"] for finding in report["findings"]}
    assert states["images"] == states["original"] == states["range"] == states["rows"] == "holds"
    assert states["inputs"] == "not checked", "arrays of a caller cannot be read again"


def rewrite(folder, edit):
    path = folder / "result.json"
    record = json.loads(path.read_text())
    edit(record)
    path.write_text(json.dumps(record))


def rewrite_array(folder, name, edit):
    with np.load(folder / "arrays.npz") as archive:
        arrays = {key: archive[key] for key in archive.files}
    edit(arrays[name])
    np.savez_compressed(folder / "arrays.npz", **arrays)


def rewrite_png(folder):
    path = folder / "images" / "0-eps0.2.png"
    pixels = np.asarray(Image.open(path)).copy()
    pixels[0, 0] ^= 255
    Image.fromarray(pixels).save(path)


def swap_label(array):
    array[1, 0] = (array[1, 0] + 1) % 4


def damage(folder):
    path = folder / "arrays.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(bytes(content))


def edit_image(**values):
    return lambda folder: rewrite(folder, lambda record: record["images"][2].update(values))


TAMPERING = {
    "changed label_after": (lambda f: rewrite_array(f, "label_after", swap_label), "label_after"),
    "image outside the range": (lambda f: rewrite_array(f, "adversarial", set_at(2, 0, 0, 0, 0, value=2)), "range"),
    "image further away": (lambda f: rewrite_array(f, "adversarial", lambda a: np.clip(a * 0.5, 0, 1, a)), "norm"),
    "another original": (lambda f: rewrite_array(f, "original", set_at(0, 0, 0, 0, value=0.123)), "original"),
    "another label": (lambda f: rewrite_array(f, "label", lambda a: a.__setitem__(0, (a[0] + 1) % 4)), "original"),
    "narrower claim": (lambda f: rewrite(f, lambda r: r["claims"].update(epsilons=[0, 0.05, 0.1])), "norm"),
    "no claim": (lambda f: rewrite(f, lambda r: r.update(claims=None)), "claims"),
    "damaged claim": (lambda f: rewrite(f, lambda r: r["claims"].pop("original")), "claims"),
    "8-bit claim": (lambda f: rewrite(f, lambda r: r["claims"].update(eight_bit=True)), "8-bit grid"),
    "altered PNG": (rewrite_png, "images"),
    "missing PNG": (lambda f: (f / "images" / "3-eps0.05.png").unlink(), "images"),
    "damaged PNG": (lambda f: (f / "images" / "3-eps0.05.png").write_bytes(b"\x89PNG"), "images"),
    "16-bit PNG": (
        lambda f: Image.fromarray(np.zeros((8, 8), np.uint16)).save(f / "images" / "3-eps0.05.png"),
        "images",
    ),
    "unlisted PNG": (lambda f: rewrite(f, lambda r: r["images"].pop()), "images"),
    "listed label": (edit_image(label_after=0, confidence_after=0.1), "images"),
    "listed confidence": (edit_image(confidence_after=0.123), "images"),
    "listed success": (lambda f: rewrite(f, lambda r: [i.update(success=True) for i in r["images"]]), "images"),
    "listed epsilon": (edit_image(epsilon=0.01), "images"),
    "damaged arrays": (damage, "arrays"),
    "missing arrays": (lambda f: (f / "arrays.npz").unlink(), "arrays"),
    "other shapes": (lambda f: rewrite(f, lambda r: r["arrays"]["linf"].update(shape=[1])), "arrays"),
    "edited metric": (lambda f: rewrite(f, lambda r: r["metrics"].update({"success@0.05": 0.999})), "metrics"),
    "edited row": (lambda f: rewrite(f, lambda r: r["rows"][-1].update(success="yes")), "rows"),
    "edited confidence": (lambda f: rewrite_array(f, "confidence_after", lambda a: a.fill(0.9)), "confidence_after"),
    "edited success": (lambda f: rewrite_array(f, "success", lambda a: a.fill(True)), "success"),
}


@pytest.mark.parametrize(("tamper", "claim"), TAMPERING.values(), ids=TAMPERING)
def test_tampering_is_found(opened, saved, tamper, claim):
    tamper(saved)
    assert claim in [finding.claim for finding in reverify(saved, opened).failed]


def test_what_fails_is_listed_with_status_1(run, saved):
    rewrite_array(saved, "label_after", swap_label)
    (saved / "images" / "3-eps0.05.png").unlink()
    status, out, _ = run("verify", saved)
    assert status == 1
    assert "other labels after it (1 of 24; first: image 0 at strength 1)" in out
    assert "3-eps0.05.png is missing" in out
    assert "Not verified: label_after, " in out
    status, out, _ = run("verify", saved, "--json")
    assert status == 1
    assert json.loads(out)["verified"] is False


def test_another_model_is_found_and_listed(run, saved, tmp_path):
    other = saved_model(tmp_path / "other.keras", seed=9)
    status, out, _ = run("verify", saved, "--model", other)
    assert status == 1
    assert "another model" in out
    assert "Not verified: model" in out


def test_a_model_that_is_gone_is_asked_for(run, saved):
    rewrite(saved, lambda record: record["model"].update(path="gone.keras"))
    status, _, err = run("verify", saved)
    assert status == 1
    assert "gone.keras, the model of the result" in err
    assert "--model" in err


def test_a_folder_without_a_result_is_refused(run, tmp_path):
    status, _, err = run("verify", tmp_path)
    assert status == 1
    assert "result.json is missing" in err


def test_an_eight_bit_result_verifies_and_says_what_its_originals_are(analysis, model, images, tmp_path, run):
    analysis(lambda *arguments: attack(*arguments, eight_bit=True))
    result = cnnlab.analyze("one", model, *images)
    assert result.record["claims"]["original"] == "inputs rounded to 8 bits"
    np.testing.assert_array_equal(result.arrays["label_after"], result.arrays["label_after_8bit"])
    result.save(tmp_path / "out")
    status, out, _ = run("verify", tmp_path / "out")
    assert status == 0, out
    assert "256 levels" in out


def test_saving_again_leaves_no_stale_image_and_keeps_other_files(analysis, model, images, saved):
    (saved / "images" / "mine.txt").write_text("mine")
    analysis(attack)
    drawn, labels = images
    cnnlab.analyze("one", model, drawn[:2], labels[:2]).save(saved)
    assert sorted(path.name for path in (saved / "images").iterdir()) == sorted(
        [f"{index}-eps{epsilon:g}.png" for index in range(2) for epsilon in EPSILONS] + ["mine.txt"]
    )
    assert not reverify(saved).failed
    (saved / "images" / "mine.txt").unlink()
    analysis(lambda *_: Result(metrics={"x": 1}))
    cnnlab.analyze("one", model, drawn[:2], labels[:2]).save(saved)
    assert not (saved / "images").exists()


def test_nothing_half_written_replaces_an_earlier_result(analysis, model, images, saved, monkeypatch):
    before = {path: path.read_bytes() for path in saved.rglob("*") if path.is_file()}
    drawn, labels = images
    analysis(attack)
    result = cnnlab.analyze("one", model, drawn[:2], labels[:2])

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(CnnlabError, match="No space left"):
        result.save(saved)
    assert {path: path.read_bytes() for path in saved.rglob("*") if path.is_file()} == before


def test_a_record_cannot_lead_out_of_its_folder(analysis, model, images, saved):
    outside = saved.parent / "precious.png"
    outside.write_bytes(b"precious")
    rewrite(saved, lambda record: record["images"].append({"file": "images/../../precious.png"}))
    analysis(attack)
    cnnlab.analyze("one", model, *images).save(saved)
    assert outside.read_bytes() == b"precious"


def test_a_result_moved_or_saved_again_still_verifies(saved, tmp_path):
    shutil.move(saved, tmp_path / "elsewhere")
    Result.load(tmp_path / "elsewhere").save(tmp_path / "again")
    assert not reverify(tmp_path / "again").failed


def test_a_result_that_is_not_adversarial_verifies_what_it_can(analysis, model, images, tmp_path, run):
    path = tmp_path / "image.png"
    Image.fromarray((images[0][0, ..., 0] * 255).astype(np.uint8)).save(path)

    def figure():
        from matplotlib.figure import Figure

        return Figure()

    analysis(lambda c, inputs, p, x: Result(arrays={"x": inputs.images}, metrics={"m": 1}, figures={"": figure}))
    cnnlab.analyze("one", model, str(path)).save(tmp_path / "out")
    status, out, _ = run("verify", tmp_path / "out", "--json")
    states = {finding["claim"]: finding["state"] for finding in json.loads(out)["findings"]}
    assert status == 0
    assert states == dict.fromkeys(["model", "arrays", "inputs", "figures"], "holds") | {"metrics": "not checked"}

    (tmp_path / "out" / "figure.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    rewrite(tmp_path / "out", lambda record: record["arrays"].pop("x"))
    failed = {finding.claim for finding in reverify(tmp_path / "out").failed}
    assert failed == {"figures", "inputs", "arrays"}


def test_images_of_a_dataset_are_read_again(tmp_path):
    from cnnlab.analysis.inputs import from_split

    opened = cnnlab.load(saved_model(tmp_path / "large.keras", seed=2, shape=(28, 28, 1), classes=10))
    inputs = from_split(opened, cnnlab.datasets.load("mnist"), "test", [3, 5])
    with pytest.MonkeyPatch.context() as patch:
        install(patch, attack)
        cnnlab.analyze("one", opened, inputs).save(tmp_path / "out")
    states = {finding.claim: finding.state for finding in reverify(tmp_path / "out", opened).findings}
    assert states["inputs"] == states["original"] == "holds"
    rewrite(tmp_path / "out", lambda record: record["inputs"][1].update(source="mnist/test:6"))
    assert [finding.claim for finding in reverify(tmp_path / "out", opened).failed] == ["inputs"]
    rewrite(tmp_path / "out", lambda record: record["inputs"][1].update(source="nowhere/test:5"))
    states = {finding.claim: finding.state for finding in reverify(tmp_path / "out", opened).findings}
    assert states["inputs"] == "not checked"


def test_other_bounds_than_zero_to_one_map_to_the_256_levels(analysis, tmp_path):
    """A model on [-1, 1] in three channels: its PNG files hold 0 to 255, in colour."""
    import keras

    keras.Sequential(
        [keras.Input((4, 5, 3)), keras.layers.Flatten(), keras.layers.Dense(3, kernel_initializer="glorot_normal")]
    ).save(tmp_path / "m.keras")
    opened = cnnlab.load(tmp_path / "m.keras")
    opened.bounds = (-1.0, 1.0)
    drawn = np.random.default_rng(0).uniform(-1, 1, (2, 4, 5, 3)).astype(np.float32)
    analysis(attack)
    result = cnnlab.analyze("one", opened, drawn)
    result.save(tmp_path / "out")
    pixels = np.asarray(Image.open(tmp_path / "out" / "images" / "1-eps0.2.png"))
    assert pixels.shape == (4, 5, 3)
    np.testing.assert_array_equal(
        pixels, np.clip(np.rint((result.arrays["adversarial"][2, 1].astype(float) + 1) * 127.5), 0, 255)
    )
    assert not reverify(tmp_path / "out", opened).failed
    failed = [finding for finding in reverify(tmp_path / "out").failed if finding.claim == "range"]
    assert any("made for [-1.0, 1.0]" in finding.says for finding in failed)


def test_only_the_first_hundred_images_are_written(analysis, opened, tmp_path):
    drawn = np.random.default_rng(0).random((40, 8, 8, 1), np.float32)
    analysis(attack)
    result = cnnlab.analyze("one", opened, drawn)
    result.save(tmp_path / "out")
    assert len(list((tmp_path / "out" / "images").iterdir())) == len(result.record["images"]) == 100


def test_the_terminal_names_the_folder_of_images_once(capsys):
    from rich.console import Console

    from cnnlab.cli import show

    files = [Path("out/result.json"), Path("out/figure.png"), Path("out/images/0.png"), Path("out/images/1.png")]
    show.paths(Console(width=80), files)
    assert capsys.readouterr().out.split("\n")[:3] == ["  out/result.json", "  out/figure.png", "  out/images (2 PNG)"]


def test_verification_itself_needs_no_plugin(saved, monkeypatch):
    monkeypatch.setattr(registry, "plugins", tuple)
    assert not reverify(saved).failed


def test_verify_lists_every_failure(opened, images):
    drawn, labels = images
    measured = measure(opened, drawn, np.clip(drawn + 0.3, 0, 1), labels)
    wrong = {**measured.arrays, "label_after": (measured.arrays["label_after"] + 1) % 4}
    found = verify(
        opened, Result(arrays=wrong, metrics={"linf": 0.0}, claims=Claims(norm="linf", epsilons=(0.1,), eight_bit=True))
    )
    assert {"norm", "8-bit grid", "label_after", "metrics"} <= {finding.claim for finding in found.failed}


# The preflight.


def test_a_model_without_gradients_is_told_of(analysis, tiny_models):
    analysis(lambda *_: Result(), requires=("gradients",))
    result = cnnlab.analyze("one", tiny_models.constant((8, 8, 1)), *tiny_models.images((8, 8, 1), 3))
    assert result.record["preflight"]["zero_gradients"] == 1
    assert any("3 of 3 images" in warning and "whatever the image" in warning for warning in result.warnings)


def test_a_model_without_a_differentiable_path_is_refused(analysis):
    import keras

    cut = keras_model([keras.layers.Lambda(keras.ops.stop_gradient)])
    analysis(lambda *_: Result(), requires=("gradients",))
    with pytest.raises(CnnlabError, match="one follows gradients, and cannot here: this model has no differentiable"):
        cnnlab.analyze("one", cut, np.ones((1, 2, 2, 1), np.float32))


def test_no_preflight_without_gradients_or_images(analysis, tiny_models):
    analysis(lambda *_: Result(), inputs="optional")
    assert cnnlab.analyze("one", tiny_models.linear((8, 8, 1))).record["preflight"] is None
    analysis(lambda *_: Result(), inputs="optional", requires=("gradients",))
    assert cnnlab.analyze("one", tiny_models.linear((8, 8, 1))).record["preflight"] is None


def keras_model(last, *, scale=1.0, first=()):
    """A dense layer of known weights, and what comes after it."""
    import keras

    dense = keras.layers.Dense(3, use_bias=False)
    layers = [keras.Input((2, 2, 1)), *first, keras.layers.Flatten(), dense, *last]
    model = keras.Sequential(layers)
    dense.set_weights([scale * np.arange(12, dtype=np.float32).reshape(4, 3) ** 2 / 50])
    return cnnlab.load(model)


def test_a_saturated_softmax_is_counted_and_is_no_reason_to_warn():
    import keras

    from cnnlab.classifier.preflight import preflight

    images, labels = np.ones((2, 2, 2, 1), np.float32), np.array([2, -1])
    sure = keras_model([keras.layers.Softmax()], scale=100)
    found = preflight(sure, [(images, labels)])
    assert (found.zero, found.saturated, found.warning) == (0, 2, None)
    # The oracle: the cross-entropy's own gradient is exactly zero there, and is not on the unscaled model.
    assert not sure.input_gradient(images, np.array([2, 2])).any()
    calm = keras_model([keras.layers.Softmax()])
    assert preflight(calm, [(images, labels)]).saturated == 0
    assert calm.input_gradient(images, np.array([2, 2])).any()


def test_probabilities_that_hide_their_softmax_are_a_reason():
    import keras

    from cnnlab.classifier.preflight import preflight

    def softmax(x):
        powers = keras.ops.exp(x - keras.ops.max(x, axis=1, keepdims=True))
        return powers / keras.ops.sum(powers, axis=1, keepdims=True)

    with pytest.raises(CnnlabError, match="saturated: 1 to the last digit"):
        keras_model([keras.layers.Lambda(softmax)], scale=100)
    # Sure to the last digit on white images, and not on the noise that it is opened with.
    steep = keras.layers.Lambda(lambda x: x**40)
    hidden = keras_model([keras.layers.Lambda(softmax)], scale=110, first=[steep])
    found = preflight(hidden, [(np.ones((2, 2, 2, 1), np.float32), np.array([-1, -1]))])
    assert found.zero == 2
    assert found.warning is not None
    assert "gives probabilities without a softmax to take off" in found.warning


def test_dead_units_are_a_reason():
    import keras

    from cnnlab.classifier.preflight import preflight

    dead = keras_model([keras.layers.Lambda(lambda x: keras.ops.relu(x - 2))])
    images = np.stack([np.zeros((2, 2, 1)), np.ones((2, 2, 1))]).astype(np.float32)
    found = preflight(dead, [(images, np.array([0, 2]))])
    assert found.images == 2
    assert found.zero == 1
    assert found.to_json()["zero_gradients"] == 0.5
    assert found.warning is not None
    assert "1 of 2 images" in found.warning
