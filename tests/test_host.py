"""The host around a plugin: what it checks, what it records, whom it blames."""

from __future__ import annotations

import json
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from annotated_types import Ge

from cnnlab.analysis import Analysis, Context, Doc, Inputs, Params, Result, host
from cnnlab.analysis.declared import meaning
from cnnlab.analysis.inputs import from_arrays
from cnnlab.classifier.about import About
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.plugins import registry


class Model:
    """A classifier without TensorFlow: the logits are the image's mean times the class."""

    path = Path("runs/one")
    kind = "run"
    digest = "abc"
    input_shape = (2, 3, 1)
    num_classes = 3
    bounds = (0.0, 1.0)
    class_names = ("0", "1", "2")
    layers = ()
    notes = ()
    about = About()

    def logits(self, images):
        return images.mean(axis=(1, 2, 3))[:, None] * np.arange(3, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Size(Params):
    size: Annotated[int, Ge(1), Doc("A size.")] = 1


IMAGES = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 2, 3, 1)


@pytest.fixture
def analysis(monkeypatch):
    """Install an analysis whose ``run`` a test sets: ``analysis(lambda classifier, inputs, params, context: ...)``."""

    def install(run, **declared):
        module = types.ModuleType("one_analysis")
        module.run = run
        monkeypatch.setitem(sys.modules, "one_analysis", module)
        made = Analysis(name="one", summary="One.", params=Size, run="one_analysis:run", **declared)
        plugin = registry.Plugin("one", "one_analysis", "cnnlab-one", "3.1", declarations=(made,))
        monkeypatch.setattr(registry, "plugins", lambda: (plugin,))
        return made

    return install


def run(analysis, images=IMAGES, labels=None, **options):
    return host.run(analysis, Model(), from_arrays(Model(), images, labels), Size(), **options)


def test_the_record_holds_everything_needed_to_repeat_it(analysis):
    def mathematics(classifier, inputs, params, context):
        context.warn("Beware.")
        return Result(
            arrays={"mean": inputs.images.mean(axis=(1, 2, 3))},
            metrics={"mean": np.float32(0.5), "nothing": float("nan"), "count": np.int64(4)},
            rows=[{"image": 0, "mean": np.float32(0.25)}],
        )

    result = run(analysis(mathematics, arrays={"mean": "mean of each image"}), labels=[0, 1, 2, -1], seed=5)
    record = json.loads(json.dumps(result.record))
    assert record["schema"] == 1
    assert record["analysis"] == "one"
    assert record["params"] == {"size": 1}
    assert record["model"] == {"path": "runs/one", "kind": "run", "digest": "abc", "about": {}}
    assert [row["label"] for row in record["inputs"]] == [0, 1, 2, None]
    assert record["inputs"][0]["shape"] == [2, 3, 1]
    assert len({row["digest"] for row in record["inputs"]}) == 4
    assert record["seed"] == 5
    assert record["metrics"] == {"mean": 0.5, "nothing": None, "count": 4}
    assert record["arrays"] == {"mean": {"shape": [4], "dtype": "float32", "meaning": "mean of each image"}}
    assert record["plugin"] == {"distribution": "cnnlab-one", "version": "3.1"}
    assert record["warnings"] == ["Beware."]
    assert {"python", "cnnlab", "tensorflow", "keras", "numpy"} <= set(record["versions"])
    assert {"device", "seconds", "figures"} <= set(record)


def test_the_generator_is_seeded(analysis):
    draw = analysis(lambda c, i, p, context: Result(arrays={"x": context.rng.random(5)}))
    first, again, other = run(draw, seed=1), run(draw, seed=1), run(draw, seed=2)
    np.testing.assert_array_equal(first.arrays["x"], again.arrays["x"])
    assert (first.arrays["x"] != other.arrays["x"]).any()


def test_a_failing_plugin_is_named_with_its_version(analysis):
    def mathematics(*_):
        raise ZeroDivisionError("oh")

    with pytest.raises(CnnlabError, match=r"'one' of cnnlab-one 3\.1 failed: ZeroDivisionError: oh.*report it"):
        run(analysis(mathematics))


def test_a_plugin_that_leaves_the_process_is_held_back(analysis):
    with pytest.raises(CnnlabError, match="failed: SystemExit"):
        run(analysis(lambda *_: sys.exit(0)))


def test_a_plugins_own_clear_error_is_passed_on(analysis):
    def mathematics(*_):
        raise UsageError("size must be even.")

    with pytest.raises(UsageError, match=r"^size must be even\.$"):
        run(analysis(mathematics))


@pytest.mark.parametrize(
    ("result", "blame"),
    [
        (None, "returned NoneType where a cnnlab.analysis.Result was expected"),
        (Result(arrays={"other": np.zeros(1)}), "returned the array 'other', which it does not declare"),
        (Result(arrays={"a": [1, 2]}), "returned the array 'a' as list"),
        (Result(arrays={"a": np.array([object()])}), "returned the array 'a'"),
        (Result(metrics={"other": 1.0}), "returned the metric 'other', which it does not declare"),
        (Result(metrics={"m": "high"}), "returned the metric 'm' as str"),
    ],
)
def test_a_plugin_that_breaks_its_declaration_is_named(analysis, result, blame):
    with pytest.raises(CnnlabError, match=blame):
        run(analysis(lambda *_: result, arrays={"a": "an array"}, metrics={"m": "a metric"}))


def test_images_are_read_only_to_a_plugin(analysis):
    def mathematics(classifier, inputs, params, context):
        inputs.images[0] = 0
        return Result()

    with pytest.raises(CnnlabError, match="read-only"):
        run(analysis(mathematics))


def test_an_analysis_that_needs_images_says_so(analysis):
    with pytest.raises(UsageError, match="one needs images"):
        run(analysis(lambda *_: Result()), images=IMAGES[:0])


def test_a_model_without_convolutions_is_refused_where_they_are_needed(analysis):
    with pytest.raises(CnnlabError, match="needs a model with convolutional layers; this one has no layers"):
        run(analysis(lambda *_: Result(), requires=("convolutions",)))


def test_saving_and_loading_gives_the_same_result(analysis, tmp_path):
    arrays = {"kernel/conv1": np.random.default_rng(0).random((3, 3)), "label": np.arange(4)}
    result = run(analysis(lambda *_: Result(arrays=arrays, metrics={"m": 0.1}, rows=[{"a": 1}])))
    files = result.save(tmp_path / "out")
    assert [file.name for file in files] == ["result.json", "arrays.npz"]
    loaded = Result.load(tmp_path / "out")
    assert loaded.metrics == {"m": 0.1}
    assert list(loaded.rows) == [{"a": 1}]
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded.arrays[name], array)


def test_saving_again_replaces_the_result_and_nothing_else(analysis, tmp_path):
    from matplotlib.figure import Figure

    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "figure-mine.png").write_text("mine too")
    run(analysis(lambda *_: Result(figures={"old": Figure()}))).save(tmp_path)
    run(analysis(lambda *_: Result(figures={"": Figure}))).save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "notes.txt",
        "figure-mine.png",
        "figure.png",
        "arrays.npz",
        "result.json",
    }
    assert json.loads((tmp_path / "result.json").read_text())["figures"] == ["figure.png"]


def test_a_figure_that_cannot_be_drawn_leaves_nothing_behind(analysis, tmp_path):
    def broken():
        raise OSError(28, "No space left on device")

    with pytest.raises(CnnlabError, match=r"could not be written to .*No space left on device"):
        run(analysis(lambda *_: Result(figures={"x": broken}))).save(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_result_survives_a_failed_save(analysis, tmp_path):
    def broken():
        raise OSError(28, "No space left on device")

    run(analysis(lambda *_: Result(metrics={"m": 1.0}))).save(tmp_path)
    with pytest.raises(CnnlabError):
        run(analysis(lambda *_: Result(metrics={"m": 2.0}, figures={"x": broken}))).save(tmp_path)
    assert Result.load(tmp_path).metrics == {"m": 1.0}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "result.json").unlink(), "result.json is missing"),
        (lambda folder: (folder / "arrays.npz").unlink(), "arrays.npz is missing"),
        (lambda folder: (folder / "result.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "arrays.npz").write_bytes(b"PK\x03\x04"), "damaged"),
        (lambda folder: (folder / "result.json").write_text('{"schema": 99}'), "schema 99"),
    ],
)
def test_a_damaged_result_is_refused(analysis, tmp_path, damage, message):
    run(analysis(lambda *_: Result(arrays={"a": np.zeros(2)}))).save(tmp_path)
    damage(tmp_path)
    with pytest.raises(CnnlabError, match=message):
        Result.load(tmp_path)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 3, 3, 1)), r"shape \[1, 3, 3, 1\].*expected numbers \[N, 2, 3, 1\]"),
        (np.full((1, 2, 3, 1), 200.0), "values from 200 to 200, but the model takes 0 to 1"),
        (np.array([["a"]]), "type <U1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(images, message):
    with pytest.raises(UsageError, match=message):
        from_arrays(Model(), images)


def test_values_that_are_not_finite_are_refused():
    images = IMAGES.copy()
    images[2, 0, 0, 0] = np.nan
    with pytest.raises(CnnlabError, match="array:2 holds values that are not finite"):
        _ = from_arrays(Model(), images).images


@pytest.mark.parametrize("shape", [(4, 2, 3, 1), (4, 2, 3), (2, 3, 1), (2, 3)])
def test_grey_images_may_leave_out_what_is_one(shape):
    inputs = from_arrays(Model(), np.zeros(shape))
    assert inputs.images.shape[1:] == (2, 3, 1)
    assert inputs.images.dtype == np.float32


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0, 1], "4 images and labels"), ([0, 1, 2, 3], "label 3 is none of"), ([0.5] * 4, "must be integers")],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(UsageError, match=message):
        from_arrays(Model(), IMAGES, labels)


def test_batches_and_selection_read_only_what_is_asked_for():
    asked = []

    def read(indices):
        asked.append(list(indices))
        return IMAGES[indices]

    inputs = Inputs(read, np.arange(4) % 3, [f"i{n}" for n in range(4)])
    assert [len(images) for images, _ in inputs.batches(3)] == [3, 1]
    assert asked == [[0, 1, 2], [3]]
    chosen = inputs.select([3, 1])
    assert chosen.sources == ("i3", "i1")
    np.testing.assert_array_equal(chosen.images, IMAGES[[3, 1]])
    np.testing.assert_array_equal(chosen.labels, [0, 1])


def test_context_tracks_and_collects():
    steps = []

    class Bar:
        def task(self, description, total):
            from contextlib import nullcontext

            steps.append((description, total))
            return nullcontext(steps.append)

    context = Context(0, Bar())
    assert list(context.track([7, 8], "things")) == [7, 8]
    assert steps == [("things", 2), 1, 1]
    context.warn("Once.")
    context.warn("Once.")
    assert context.warnings == ["Once."]


def test_placeholders_in_declared_names():
    declared = {"accuracy@<epsilon>": "a", "kernel/<layer>": "k", "plain": "p"}
    assert meaning(declared, "accuracy@0.1") == "a"
    assert meaning(declared, "kernel/block/conv1") == "k"
    assert meaning(declared, "kernel/") is None
    assert meaning(declared, "plainly") is None
