"""Results side by side: paired by image whatever the order, with intervals, and refused where they do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnnlab.drawings import Curves, Image, Line, Tiles
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.numerics import UNKNOWN, mean_interval, paired_share_interval
from cnnlab.results.claims import Claims
from cnnlab.results.comparison import compare_results
from cnnlab.results.result import Result

CURVES = Curves(lines=(Line(name="a", x=(1.0, 2.0), y=(3.0, 4.0)),), x_label="x", y_label="y")


def of(images, *, metrics=None, columns=None, params=None, model="a", analysis="sharpness", arrays=None, **more):
    """A result about images that are called by letters; each letter stands for the same pixels everywhere."""
    names = [f"{model}/{letter}.png" for letter in images]
    rows = [
        {"image": name, **{key: values[place] for key, values in (columns or {}).items()}}
        for place, name in enumerate(names)
    ]
    metrics = metrics if metrics is not None else {name: float(np.mean(cells)) for name, cells in columns.items()}
    record = {
        "analysis": analysis,
        "params": params or {"patch": 4},
        "seed": 0,
        "model": {"path": f"runs/{model}", "kind": "run", "digest": model},
        "inputs": [{"source": name, "digest": letter} for name, letter in zip(names, images, strict=True)],
    }
    return Result(metrics=metrics, rows=rows if columns else (), arrays=arrays or {}, record=record, **more)


def by(result, distribution):
    """The same, as the analysis of a distribution."""
    return replace(result, record=result.record | {"plugin": {"distribution": distribution, "version": "1.0"}})


def number_of(found, name, place=0):
    return next(each for each in found.against[place].differences if each.name == name)


def test_images_are_paired_by_their_pixels_whatever_their_order_and_files():
    first, second = {"a": 0.1, "b": 0.4, "c": 0.2}, {"c": 0.9, "a": 0.35, "b": 0.5}
    one = of(list(first), columns={"blur": list(first.values())})
    other = of(list(second), columns={"blur": list(second.values())}, model="b")
    found = compare_results([one, other], [None, None])
    assert found.labels == ("a", "b")
    assert found.against[0].images == 3
    blur = number_of(found, "blur")
    differences = [second[letter] - first[letter] for letter in "abc"]
    assert blur.kind == "mean"
    assert blur.difference == pytest.approx(np.mean(differences))
    assert (blur.low, blur.high) == pytest.approx(mean_interval(np.array(differences)))
    assert found.notes == []


def test_only_images_of_both_count_and_that_is_said():
    one = of("abcd", columns={"blur": [0.1, 0.2, 0.3, 0.9]})
    other = of("cbx", columns={"blur": [0.35, 0.2, 0.7]}, model="b")
    found = compare_results([one, other], [None, None])
    blur = number_of(found, "blur")
    assert (blur.images, blur.first, blur.second) == (2, pytest.approx(0.25), pytest.approx(0.275))
    assert found.notes == ["both have 2 images, of 4 in a and 3 in b; paired numbers are over these."]


def test_words_are_shares_of_the_images_that_take_part_in_both():
    one = of("abcde", columns={"success": ["yes", "no", "yes", "yes", "misread before"]}, metrics={"success": 0.75})
    other = of("abcde", columns={"success": ["no", "no", "yes", "undone by rounding", "yes"]}, metrics={"success": 0.4})
    success = number_of(compare_results([one, other], [None, None]), "success")
    assert (success.kind, success.images, success.first, success.second) == ("share", 4, 0.75, 0.25)
    expected = paired_share_interval(np.array([1, 0, 1, 1], bool), np.array([0, 0, 1, 0], bool))
    assert (success.low, success.high) == expected


def test_a_metric_that_is_no_mean_of_its_column_is_not_paired():
    one = of("abc", columns={"smallest": [0.1, 0.2, 0.9]}, metrics={"smallest": 0.2})
    other = of("abc", columns={"smallest": [0.3, 0.4, 0.9]}, metrics={"smallest": 0.4}, model="b")
    smallest = number_of(compare_results([one, other], [None, None]), "smallest")
    assert (smallest.kind, smallest.low) == ("number", None)
    assert smallest.difference == pytest.approx(0.2)


def test_classes_are_no_numbers_and_columns_without_a_metric_are():
    columns = {"predicted": [3, 7, 7], "drop": [0.25, 0.5, 0.75]}
    found = compare_results(
        [of("abc", columns=columns, metrics={}), of("abc", columns=columns, metrics={})], [None] * 2
    )
    assert [each.name for each in found.against[0].differences] == ["drop"]


def test_several_rows_of_an_image_count_as_one():
    images = ["a", "a", "b", "b"]
    one = of(images, columns={"reached": ["yes", "yes", "no", "no"]}, metrics={"reached": 0.5})
    other = of(images, columns={"reached": ["yes", "no", "yes", "yes"]}, metrics={"reached": 0.75}, model="b")
    reached = number_of(compare_results([one, other], [None, None]), "reached")
    assert (reached.images, reached.kind, reached.difference) == (2, "mean", 0.25)
    assert (reached.low, reached.high) == pytest.approx(mean_interval(np.array([-0.5, 1.0])))


def with_strengths(model, after):
    """A result at two strengths: labels after each, and the rows that the host makes of them."""
    label, after = np.array([0, 1, UNKNOWN]), np.array(after)
    arrays = {"label": label, "label_before": np.array([0, 1, 1]), "label_after": after}
    accuracies = (after == label)[:, :2].mean(axis=1)
    confidence = np.array([[0.5, 0.75, 0.25], [0.25, 0.5, 0.125]])
    result = of("abc", metrics={}, model=model)
    rows = [
        {"image": f"{model}/{letter}.png", "epsilon": epsilon, "confidence": float(confidence[place][number])}
        for number, letter in enumerate("abc")
        for place, epsilon in enumerate((0.1, 0.2))
    ]
    metrics = {}
    for place, epsilon in enumerate(("0.1", "0.2")):
        metrics |= {f"accuracy@{epsilon}": accuracies[place], f"confidence@{epsilon}": confidence[place].mean()}
    return Result(metrics=metrics, rows=rows, arrays=arrays, record=result.record, claims=Claims(epsilons=(0.1, 0.2)))


def test_numbers_at_each_strength_are_paired_with_those_at_the_same():
    found = compare_results(
        [with_strengths("a", [[0, 1, 0], [0, 0, 0]]), with_strengths("b", [[0, 0, 1], [1, 0, 0]])], [None, None]
    )
    for name, first, second in (("accuracy@0.1", 1.0, 0.5), ("accuracy@0.2", 0.5, 0.0)):
        accuracy = number_of(found, name)
        assert (accuracy.kind, accuracy.images) == ("share", 2), "an image of unknown class counts in no accuracy"
        assert (accuracy.first, accuracy.second) == (first, second)
    confidence = number_of(found, "confidence@0.2")
    assert (confidence.images, confidence.first, confidence.difference) == (3, pytest.approx(0.875 / 3), 0.0)


def test_evaluations_are_paired_by_dataset_split_and_index():
    def evaluated(model, index, predicted, digest="d"):
        label = np.zeros(len(index), np.int64)
        right = np.array(predicted) == label
        arrays = {
            "index": np.array(index),
            "label": label,
            "predicted": np.array(predicted),
            "confidence": np.full(len(index), 0.5, np.float32),
            "probability_of_label": np.full(len(index), 0.25, np.float32),
        }
        result = of("", metrics={"accuracy": right.mean(), "loss": -np.log(0.25)}, model=model, arrays=arrays)
        result.record["dataset"] = {"name": "toy", "digest": digest, "split": "test"}
        return result

    found = compare_results([evaluated("a", [5, 6, 7], [0, 1, 0]), evaluated("b", [7, 6], [1, 0])], [None, None])
    accuracy = number_of(found, "accuracy")
    assert (accuracy.images, accuracy.first, accuracy.second, accuracy.difference) == (2, 0.5, 0.5, 0.0)
    assert (accuracy.low, accuracy.high) == paired_share_interval(np.array([False, True]), np.array([True, False]))
    assert number_of(found, "loss").images == 2
    with pytest.raises(UsageError, match="no image in common"):
        compare_results([evaluated("a", [1], [0]), evaluated("b", [1], [0], digest="other")], [None, None])


def test_what_does_not_fit_is_refused_or_noted():
    one, other = of("ab", columns={"blur": [0.1, 0.2]}), of("ab", columns={"blur": [0.1, 0.4]}, params={"patch": 8})
    with pytest.raises(UsageError, match="one analysis can be compared; x is sharpness, y is saliency"):
        compare_results([one, of("ab", columns={"blur": [0.1, 0.2]}, analysis="saliency")], [Path("x"), Path("y")])
    for spelt in ("cnnlab-sharp", "CNNLab_Sharp", "elsewhere/cnnlab-sharp"):
        assert compare_results([by(one, "cnnlab-sharp"), by(other, spelt)], [None, None])
    with pytest.raises(UsageError, match="compared; x is cnnlab-sharp:sharpness, y is cnnlab-blunt:sharpness"):
        compare_results([by(one, "cnnlab-sharp"), by(other, "cnnlab-blunt")], [Path("x"), Path("y")])
    with pytest.raises(UsageError, match="no image in common"):
        compare_results([one, of("xy", columns={"blur": [0.1, 0.2]})], [None, None])
    with pytest.raises(UsageError, match="sharpness gives no numbers"):
        compare_results([of("ab", columns={"predicted": [1, 2]}, metrics={})] * 2, [None, None])
    notes = compare_results([one, other], [None, None]).notes
    assert any("patch is 4 in a (1), 8 in a (2)" in note for note in notes)
    assert any("one and the same model" in note for note in notes)


def test_results_about_no_images_stand_side_by_side_without_intervals():
    one, other = of("", metrics={"steps": 3, "only": 1.0}), of("", metrics={"steps": 5}, model="b")
    found = compare_results([one, other, one], [None] * 3)
    steps = number_of(found, "steps")
    assert (steps.first, steps.second, steps.difference, steps.low) == (3, 5, 2, None)
    assert (number_of(found, "only").second, number_of(found, "only", 1).difference) == (None, 0.0)
    assert found.headline == ""
    assert any("nothing is paired" in note for note in found.notes)


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (("a/analyses/occlusion", "b/analyses/occlusion"), ("a", "b")),
        (("a/x/occlusion", "b/y/occlusion"), ("x", "y")),
        (("a/occlusion", "a/saliency"), ("occlusion", "saliency")),
    ],
)
def test_results_are_called_by_where_their_paths_differ(paths, labels):
    results = [of("ab", columns={"m": [0.1, 0.3]}) for _ in paths]
    assert compare_results(results, [Path("runs") / path for path in paths]).labels == labels


def test_the_headline_names_the_clearest_difference_or_says_that_there_is_none():
    drawn = np.random.default_rng(0)
    blur = drawn.random(30)
    images = [f"image {number}" for number in range(30)]
    one = of(images, columns={"blur": list(blur), "glare": list(blur)})
    other = of(images, columns={"blur": list(blur + 1 + 0.1 * drawn.random(30)), "glare": list(blur[::-1])}, model="b")
    headline = compare_results([one, other], [None, None]).headline
    assert headline.startswith("blur differs most clearly:")
    assert headline.endswith("(30 images)"), "glare is the same in the mean"
    dull = of(images, columns={"blur": list(blur + 1 + 0.1 * drawn.random(30)), "glare": list(blur - 3)}, model="b")
    assert compare_results([one, dull], [None, None]).headline.endswith(
        "; 1 of 1 other numbers differ beyond chance too"
    )
    same = compare_results([one, one], [None, None])
    assert same.headline == "a (2) and a (1) differ in no number beyond chance (30 images)"


def test_the_first_drawings_stand_side_by_side_where_they_can(tmp_path):
    one, other = (of("ab", columns={"m": [0.1, 0.3]}, model=model, drawings={"": CURVES}) for model in "ab")
    found = compare_results([one, other], [None, None])
    assert isinstance(found.drawing, Tiles)
    assert [tile.title for tile in found.drawing.tiles] == ["a", "b"]
    assert found.save(tmp_path / "it.png").is_file()
    image = of("ab", columns={"m": [0.1, 0.3]}, drawings={"": Image(png="")})
    alone = compare_results([one, image], [None, None])
    assert alone.drawing is None
    with pytest.raises(CnnlabError, match="no drawings"):
        alone.save(tmp_path / "other.png")


def test_what_stood_the_attack_is_paired_too():
    def stood(model, standing):
        standing = np.array(standing)
        arrays = {
            "label": np.array([0, 1, 1, UNKNOWN]),
            "label_before": np.array([0, 1, 0, 1]),
            "standing": standing,
            "noise_label_after": np.where(standing, [0, 1, 1, 1], 9),
        }
        metrics = {"noise": float(standing[0, :3].mean())}
        for place, epsilon in enumerate(("0.1", "0.2")):
            metrics[f"accuracy@{epsilon}"] = standing[place, :3].mean()
            metrics[f"success@{epsilon}"] = 1 - standing[place, :2].mean()
        record = of("abcd", metrics={}, model=model).record
        return Result(metrics=metrics, arrays=arrays, record=record, claims=Claims(epsilons=(0.1, 0.2)))

    one, other = stood("a", np.array([[1, 1, 1, 0], [1, 0, 0, 0]], bool)), stood("b", np.zeros((2, 4), bool))
    found = compare_results([one, other], [None, None])
    accuracy, success = (number_of(found, f"{name}@0.2") for name in ("accuracy", "success"))
    assert (accuracy.images, accuracy.first, accuracy.second) == (3, pytest.approx(1 / 3), 0.0)
    assert (success.images, success.first, success.second) == (2, 0.5, 1.0), "of those that were read correctly"


def test_rows_that_name_no_image_that_was_given_are_not_paired():
    one = of("ab", columns={"blur": [0.1, 0.2]})
    other = Result(metrics=one.metrics, rows=[{"image": "?", "blur": 0.3}], record=one.record)
    found = compare_results([one, other], [None, None])
    assert number_of(found, "blur").low is None
    assert any("nothing is paired" in note for note in found.notes)


def test_numbers_that_are_never_known_in_both_or_once_have_no_interval():
    nothing = compare_results(
        [
            of("ab", columns={"blur": [0.5, np.nan]}, metrics={"blur": 0.5}),
            of("ab", columns={"blur": [np.nan, 0.5]}, metrics={"blur": 0.5}, model="b"),
        ],
        [None, None],
    )
    blur = number_of(nothing, "blur")
    assert (blur.images, blur.first, blur.difference) == (0, None, None)
    once = number_of(
        compare_results([of("a", columns={"blur": [0.25]}), of("a", columns={"blur": [0.5]}, model="b")], [None, None]),
        "blur",
    )
    assert (once.images, once.difference, once.low) == (1, 0.25, None)


def test_a_comparison_is_a_figure_too():
    one, other = (of("ab", columns={"m": [0.1, 0.3]}, model=model, drawings={"": CURVES}) for model in "ab")
    assert len(compare_results([one, other], [None, None]).figure().axes) == 2
