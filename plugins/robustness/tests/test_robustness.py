"""The contract, and the curve against closed forms, against its own parts, in any blocks, and against bad input."""

from __future__ import annotations

import tracemalloc
from typing import ClassVar

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, strategies as st

import cnnlab
from cnnlab.cli import cli
from cnnlab.errors import GateError
from cnnlab.plugin import CnnlabError, Context, Inputs, UsageError, wilson_interval
from cnnlab.testing import AnalysisContract
from cnnlab_robustness import RobustnessParams, run as module, smallest

SHAPE = (5, 6, 1)


class TestContract(AnalysisContract):
    analysis = "robustness"
    params: ClassVar = {"steps": 5, "minimal": True, "random_start": True}
    undelivered = ()


@pytest.mark.full
class TestContractInL2(AnalysisContract):
    analysis = "robustness"
    params: ClassVar = {"steps": 5, "norm": "l2", "minimal": True, "random_start": True, "epsilon": (0.5, 1)}
    undelivered = ()


@pytest.fixture(scope="module")
def smooth():
    """A network without kinks."""
    rng = np.random.default_rng(4)
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Flatten(),
            keras.layers.Dense(9, activation="tanh", use_bias=False),
            keras.layers.Dense(4, use_bias=False),
        ]
    )
    model.set_weights([rng.normal(0, 0.6, (30, 9)), rng.normal(0, 0.8, (9, 4))])
    return cnnlab.load(model)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((40, *SHAPE), dtype=np.float32)


@pytest.fixture(scope="module")
def labels(smooth, images):
    """What the network reads, but for four images."""
    read = smooth.predict(images)
    return np.where(np.arange(40) % 10 == 3, (read + 1) % 4, read)


@pytest.fixture
def saved(tmp_path):
    """A file with a model of digits that has learned nothing."""
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def linear_model():
    """Two classes, the second with logit w.x: the smallest perturbations are the margin over a norm of w."""
    weights = np.random.default_rng(2).normal(0, 1, 30).astype(np.float32)
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(2)])
    bias = -float(weights.sum() / 2)
    model.set_weights([np.stack([np.zeros(30, np.float32), weights], axis=1), np.array([0, bias], np.float32)])
    return cnnlab.load(model), weights.astype(np.float64), bias


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_linear_models_curve_is_the_closed_form(norm):
    classifier, weights, bias = linear_model()
    near = 0.5 + 0.1 * (np.random.default_rng(3).random((60, *SHAPE), dtype=np.float32) - 0.5)  # nothing is clipped
    margin = np.abs(near.reshape(60, -1).astype(np.float64) @ weights + bias)
    exact = margin / (np.abs(weights).sum() if norm == "linf" else np.linalg.norm(weights))
    epsilons = tuple(float(np.quantile(exact, share)) for share in (0.21, 0.52, 0.81, 1.0))
    most = epsilons[-1] * 1.01
    result = cnnlab.analyze(
        "robustness",
        classifier,
        near,
        classifier.predict(near),
        epsilon=(*epsilons[:3], most),
        norm=norm,
        minimal=True,
    )
    for strength, epsilon in enumerate(epsilons[:3]):
        expected = exact > epsilon
        np.testing.assert_array_equal(result.arrays["standing"][strength], expected)
        for name in ("fgsm", "pgd", "accuracy"):
            assert result.metrics[f"{name}@{epsilon:g}"] == expected.mean(), "one step is optimal here"
    assert not result.arrays["standing"][-1].any()
    assert result.metrics["smallest_found"] == 1
    found = result.arrays["smallest"]
    assert (found >= exact - 1e-6).all(), "nothing nearer exists"
    assert (found <= exact + most / smallest.PARTS + 1e-5).all()
    assert abs(result.metrics["smallest_epsilon"] - np.median(exact)) <= most / smallest.PARTS + 1e-5


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_is_never_above_fgsm_and_accuracy_never_rises(smooth, images, labels, norm):
    epsilons = (0.01, 0.03, 0.06, 0.1, 0.2, 0.4, 0.8)
    for steps in (1, 3, 10):
        metrics = cnnlab.analyze(
            "robustness", smooth, images, labels, epsilon=epsilons, norm=norm, steps=steps, random_start=True
        ).metrics
        robust, fast, slow = ([metrics[f"{n}@{e:g}"] for e in epsilons] for n in ("accuracy", "fgsm", "pgd"))
        assert (np.diff([metrics["accuracy_before"], *robust]) <= 0).all()
        assert (np.diff(slow) <= 0).all()
        assert (np.array(slow) <= fast).all()
        assert (np.array(robust) <= slow).all()
    assert robust[-1] < robust[0]


def test_the_curve_begins_at_the_accuracy_without_attack_and_shows_all_shares(smooth, images, labels):
    curve = cnnlab.analyze("robustness", smooth, images, labels, epsilon=(0.1, 0.2), steps=3).drawing("")
    assert curve.horizontal == {"without attack, 90.00%": 0.9}
    assert curve.y_limits == (-0.02, 1.02)
    for line in curve.lines:
        assert (line.x[0], line.y[0]) == (0, 0.9)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_epsilon_zero_is_the_accuracy_without_attack(smooth, images, labels, norm):
    metrics = cnnlab.analyze(
        "robustness", smooth, images, labels, epsilon=(0, 0.1), norm=norm, steps=3, random_start=True
    ).metrics
    assert metrics["accuracy_before"] == 0.9
    assert metrics["accuracy@0"] == metrics["fgsm@0"] == metrics["pgd@0"] == 0.9
    assert metrics["success@0"] == 0
    alone = cnnlab.analyze("robustness", smooth, images, labels, epsilon=0, norm=norm, steps=2, minimal=True)
    assert alone.metrics["smallest_epsilon"] is None, "nothing was found in a ball of one point"
    assert alone.metrics["smallest_found"] == 0


def test_each_attack_alone_is_what_fgsm_untargeted_measures(smooth, images, labels):
    """Another plugin, which the host verified image by image, gives the same accuracies."""
    epsilons = (0.02, 0.05, 0.1)
    for attack, steps in (("fgsm", 1), ("pgd", 7)):
        robust = cnnlab.analyze("robustness", smooth, images, labels, epsilon=epsilons, attack=attack, steps=steps)
        shown = cnnlab.analyze("fgsm-untargeted", smooth, images, labels, epsilon=epsilons, steps=steps)
        assert not {"fgsm", "pgd"} - {attack} & {name.partition("@")[0] for name in robust.metrics}
        for strength, epsilon in enumerate(epsilons):
            assert robust.metrics[f"{attack}@{epsilon:g}"] == shown.metrics[f"accuracy@{epsilon:g}"]
            if attack == "fgsm":
                after, fresh = robust.arrays["fgsm_label_after"][strength], shown.arrays["label_after"][strength]
                np.testing.assert_array_equal(after, fresh)


def test_the_smallest_epsilon_is_where_the_curve_falls(smooth, images, labels):
    epsilons = tuple(np.linspace(0.02, 0.3, 8))
    result = cnnlab.analyze("robustness", smooth, images, labels, epsilon=epsilons, minimal=True)
    found, before = result.arrays["smallest"], result.arrays["label_before"]
    np.testing.assert_array_equal(found == 0, before != labels)
    fooled = found <= np.array(epsilons)[:, None]
    np.testing.assert_array_equal(result.arrays["standing"], ~fooled)
    for strength, epsilon in enumerate(epsilons):
        assert result.metrics[f"accuracy@{epsilon:g}"] == pytest.approx(1 - fooled[strength].mean())
        assert result.metrics[f"accuracy@{epsilon:g}"] <= result.metrics[f"pgd@{epsilon:g}"]
    counted = before == labels
    assert result.metrics["smallest_epsilon"] == pytest.approx(np.median(found[counted]))
    assert result.metrics["smallest_found"] == 1
    rows = np.array([row["smallest"] for row in result.rows], float)
    np.testing.assert_allclose(rows, np.where(counted, found, np.nan))


def test_images_misread_as_they_are_are_counted_apart(smooth, images, labels):
    result = cnnlab.analyze("robustness", smooth, images, labels, epsilon=(0.01, 0.05), steps=5)
    metrics, standing = result.metrics, result.arrays["standing"]
    assert metrics["misread_before"] == pytest.approx(0.1)
    right = result.arrays["label_before"] == labels
    assert metrics["success@0.05"] == pytest.approx(1 - standing[1][right].mean())
    assert metrics["accuracy@0.05"] == pytest.approx(standing[1].mean())
    assert {row["fooled"] for row, fine in zip(result.rows, right, strict=True) if not fine} == {"misread before"}
    for row, at, fine in zip(result.rows, standing.T, right, strict=True):
        assert row["fooled_at"] == (None if at.all() or not fine else 0.01 if not at[0] else 0.05)


def test_images_without_labels_have_no_accuracy_and_it_is_said(smooth, images, labels):
    nobody = cnnlab.analyze("robustness", smooth, images, epsilon=0.1, steps=5)
    assert nobody.metrics["accuracy@0.1"] is None
    assert nobody.metrics["labelled"] == 0
    assert any("40 of 40 images have no label" in warning for warning in nobody.warnings)
    read = cnnlab.analyze("robustness", smooth, images, smooth.predict(images), epsilon=0.1, steps=5)
    assert nobody.metrics["success@0.1"] == read.metrics["success@0.1"] == 1 - read.metrics["accuracy@0.1"]
    some = np.where(np.arange(40) < 10, labels, -1)
    partly = cnnlab.analyze("robustness", smooth, images, some, epsilon=0.1, steps=5)
    first = cnnlab.analyze("robustness", smooth, images[:10], labels[:10], epsilon=0.1, steps=5)
    assert partly.metrics["accuracy@0.1"] == first.metrics["accuracy@0.1"]
    assert not [warning for warning in first.warnings if "label" in warning]


def test_an_attack_that_does_not_succeed_is_reported_as_such(tiny_models):
    given_images, _ = tiny_models.images((8, 8, 1), 3)
    model = tiny_models.constant((8, 8, 1))
    labels = model.predict(given_images)
    result = cnnlab.analyze("robustness", model, given_images, labels, epsilon=0.3, steps=3, minimal=True)
    assert result.metrics["accuracy@0.3"] == 1
    assert result.metrics["smallest_epsilon"] is None
    assert np.isnan(result.arrays["smallest"]).all()
    assert [row["fooled"] for row in result.rows] == ["no"] * 3
    assert any("gradient" in warning for warning in result.warnings), "and that this proves nothing"


def test_results_do_not_depend_on_the_blocks(smooth, images, labels, monkeypatch):
    ask = {"epsilon": (0.05, 0.1), "steps": 6, "random_start": True, "minimal": True, "seed": 2}
    together = cnnlab.analyze("robustness", smooth, images, labels, **ask)
    monkeypatch.setattr(module, "BLOCK", 7)
    apart = cnnlab.analyze("robustness", smooth, images, labels, **ask)
    assert dict(apart.metrics) == dict(together.metrics)
    for name in ("standing", "fgsm_label_after", "pgd_label_after", "smallest"):
        np.testing.assert_array_equal(apart.arrays[name], together.arrays[name])


class Endless:
    """Images made when they are asked for; remembers how many were asked for at a time."""

    def __init__(self, count):
        self.sizes = []
        self.inputs = Inputs(self.read, np.zeros(count, np.int64), [str(index) for index in range(count)])

    def read(self, indices):
        self.sizes.append(len(indices))
        return np.stack([np.random.default_rng(index).random((40, 40, 1), dtype=np.float32) for index in indices])


def test_memory_does_not_grow_with_the_dataset(tiny_models, monkeypatch):
    monkeypatch.setattr(smallest, "STEPS", 2)
    monkeypatch.setattr(module, "BLOCK_BYTES", 16 * 2 * 40 * 40 * 4)
    classifier = tiny_models.linear((40, 40, 1))
    params = RobustnessParams(epsilon=(0.05, 0.1), steps=2, minimal=True)
    peaks = {}
    for count in (16, 48, 192):
        source = Endless(count)
        tracemalloc.start()
        result = module.run(classifier, source.inputs, params, Context())
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert max(source.sizes) == 16
        assert len(result.arrays["label"]) == count
    assert "images" not in vars(source.inputs), "the whole set was never asked for"
    whole = 192 * 40 * 40 * 4
    assert peaks[192] - peaks[48] < whole / 5, "a few numbers an image are kept, and no image"


@pytest.mark.parametrize("attack", ["both", "fgsm", "pgd"])
def test_progress_adds_up(smooth, images, labels, attack):
    params = RobustnessParams(epsilon=(0.05, 0.1), steps=7, attack=attack, minimal=attack != "pgd")
    done = []
    module.attack(smooth, images, labels, params, params.epsilon, 0, done.append)
    assert sum(done) == len(images) * module.steps_of(params, 2)
    assert len(done) > 2, "and not in one leap"


def test_blocks_are_smaller_where_images_are_larger():
    assert module.block_size((28, 28, 1), 6) == module.BLOCK
    assert module.block_size((224, 224, 3), 6) * 6 * 224 * 224 * 3 * 4 <= module.BLOCK_BYTES
    assert module.block_size((9000, 9000, 3), 6) == 1


@given(st.lists(st.one_of(st.floats(0, 1), st.just(float("nan"))), max_size=9))
def test_the_median_takes_what_was_not_found_for_larger_than_all(values):
    found = smallest.median(np.array(values))
    infinite = [np.inf if np.isnan(value) else value for value in values]
    expected = np.median(infinite) if values else np.nan
    np.testing.assert_equal(found, expected if np.isfinite(expected) else np.nan)


@given(st.integers(1, 2000), st.data())
def test_the_intervals_end_where_the_share_is_as_unlikely_as_5_percent(count, data):
    """Wilson's: at its ends, the share lies 1.96 standard deviations from the probability."""
    share = data.draw(st.integers(0, count)) / count
    low, high = wilson_interval(share, count)
    assert 0 <= low <= share <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            assert abs(share - end) == pytest.approx(1.959964 * np.sqrt(end * (1 - end) / count), abs=1e-9)


def test_an_attack_that_leaves_its_ball_is_not_believed(smooth, images, monkeypatch):
    monkeypatch.setattr(module, "distances", lambda *given: np.full((1, len(images)), 0.2))
    with pytest.raises(CnnlabError, match=r"moved an image by 0\.2 where epsilon is 0\.1"):
        cnnlab.analyze("robustness", smooth, images, epsilon=0.1, steps=2)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"epsilon": -0.1}, "epsilon must be .* at least 0; received -0.1"),
        ({"epsilon": (0.1, 1.5)}, "epsilon must be from 0 to 1, the model's value range; received 1.5"),
        ({"attack": "deepfool"}, "'both', 'fgsm' or 'pgd'; received deepfool"),
        ({"steps": 0}, "steps must be an integer of at least 1"),
    ],
)
def test_wrong_numbers_are_refused_in_words(smooth, images, params, words):
    with pytest.raises(UsageError, match=words):
        cnnlab.analyze("robustness", smooth, images, **params)


def test_strengths_that_are_almost_alike_keep_names_of_their_own(smooth, images, labels):
    metrics = cnnlab.analyze("robustness", smooth, images, labels, epsilon=(0.1, 0.1000000001, 0.1), steps=1).metrics
    names = [name for name in metrics if name.startswith("accuracy@")]
    assert names == ["accuracy@0.1", "accuracy@0.1000000001"]


def test_the_command_is_a_gate(saved, tmp_path):
    words = ["analyze", "robustness", "--model", str(saved), "--dataset", "mnist", "--limit", "20"]
    words += ["--epsilon", "0.001", "--epsilon", "0.1", "--steps", "2", "--out", str(tmp_path / "out")]
    passed = CliRunner().invoke(cli, [*words, "--minimal", "--fail-under", "accuracy@0.1=0"])
    assert passed.exit_code == 0, passed.output
    for name in ("figure.png", "figure-smallest.png"):
        assert (tmp_path / "out" / name).stat().st_size
    failed = CliRunner().invoke(cli, [*words, "--fail-under", "accuracy@0.1=0.70"])
    assert isinstance(failed.exception, GateError), failed.output
    unknown = CliRunner().invoke(cli, [*words, "--fail-under", "accuracy@0.2=0.70"])
    assert isinstance(unknown.exception, UsageError), "there is no such strength"


def test_the_curves_begin_without_attack(smooth, images, labels):
    result = cnnlab.analyze("robustness", smooth, images, labels, epsilon=(0.05, 0.1), steps=4, minimal=True)
    lines = {line.get_label(): line for line in result.figure().axes[0].lines}
    fast, slow = lines["FGSM"], lines["PGD, 4 steps"]
    assert fast.get_xdata().tolist() == [0, 0.05, 0.1]
    assert fast.get_ydata().tolist() == [0.9, result.metrics["fgsm@0.05"], result.metrics["fgsm@0.1"]]
    assert slow.get_ydata().tolist() == [0.9, result.metrics["pgd@0.05"], result.metrics["pgd@0.1"]]
    for line in result.drawing().lines:
        low, high = wilson_interval(line.y, 40)
        np.testing.assert_array_equal(line.low, low)
        np.testing.assert_array_equal(line.high, high)
    standing = result.figure("smallest").axes[0].lines[0].get_ydata()
    assert standing[0] == pytest.approx(0.9)
    assert standing[-1] == pytest.approx(np.mean(~(result.arrays["smallest"] <= 0.1)))


@pytest.mark.full
def test_the_classic_network_is_in_its_bands(tmp_path):
    run = cnnlab.train("mnist", seed=0, out=tmp_path / "classic")
    split = cnnlab.datasets.load("mnist").test
    images, labels = split.batch(range(1000)), split.labels[:1000]
    metrics = cnnlab.analyze("robustness", run.path, images, labels, epsilon=(0.1, 0.2, 0.3), minimal=True).metrics
    assert 0.70 <= metrics["fgsm@0.1"] <= 0.92
    assert metrics["fgsm@0.3"] <= 0.35
    assert metrics["pgd@0.3"] < 0.005
    assert 0.07 <= metrics["smallest_epsilon"] <= 0.13
    assert metrics["smallest_found"] == 1
