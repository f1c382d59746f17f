"""The benchmarks: what is run is what is said, nothing is timed that does not agree, the page is that of the files."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
import types
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """As where `python -m benchmarks` and `python docs/performance.py` are run."""
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.syspath_prepend(ROOT / "docs")


def module(name):
    return importlib.import_module(name)


def all_suites():
    suites = module("benchmarks.suites")
    return [suites.load(name) for name in suites.NAMES]


def test_every_side_has_an_environment_whose_versions_are_pinned(monkeypatch):
    lists = {path.stem: path.read_text() for path in (ROOT / "benchmarks" / "environments").glob("*.txt")}
    used = {side.environment for suite in all_suites() for race in suite.races for side in race.sides}
    assert used == {"cnnlab", *lists}
    for text in lists.values():
        about, *pins = text.splitlines()
        assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []
        packages = {pin.partition("==")[0].lower() for pin in pins}
        assert set(about.removeprefix("# ").split(", ")) <= packages


def test_the_peers_have_the_versions_of_tensorflow_and_keras_that_cnnlab_is_tested_with():
    pins, locked = (
        dict(line.split("==") for line in path.read_text().splitlines() if "==" in line)
        for path in (ROOT / "benchmarks" / "environments" / "tensorflow.txt", ROOT / "requirements.lock")
    )
    assert [name for name in ("tensorflow", "keras", "numpy") if pins[name] != locked[name]] == []


def test_races_are_known_by_their_names():
    for suite in all_suites():
        names = [race.name for race in suite.races]
        assert len(set(names)) == len(names)
        for race in suite.races:
            sides = [side.name for side in race.sides]
            assert len(set(sides)) == len(sides)
            assert set(race.wanted) <= set(sides[1:])
            assert all(re.fullmatch(r"[≥≤] \d+(\.\d+)?", aim) for aim in race.wanted.values())


def test_make_bench_quick_measures_something_of_every_suite():
    assert [suite.name for suite in all_suites() if not any(race.quick for race in suite.races)] == []


def test_every_other_round_goes_backwards():
    assert list(module("benchmarks.harness").by_turns(range(3), 3)) == [0, 1, 2, 2, 1, 0, 0, 1, 2]


class Spy:
    """Workers that do nothing, and remember what they were asked."""

    def __init__(self):
        self.asked = []

    def __getitem__(self, environment):
        return self

    def ask(self, do, keep="", **given):
        self.asked.append((do, given.get("side")))
        if keep:
            np.savez(keep, found=np.array(given["side"]))
        return {"seconds": float(len(self.asked)), "numbers": {"found": given.get("side")}}


def race(harness, agree, **options):
    sides = tuple(harness.Side(name, "cnnlab", dict) for name in "ab")
    return harness.Race(name="race", title="", sides=sides, agree=agree, **options)


def test_nothing_is_timed_before_the_results_agree():
    harness = module("benchmarks.harness")
    suite, spy = all_suites()[0], Spy()

    def agree(found):
        assert {name: int(each["found"]) for name, each in found.items()} == {"a": 0, "b": 1}
        assert [do for do, _ in spy.asked] == ["prepare", "run"] * 2
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        harness.run(suite, race(harness, agree), spy, 3, print)


@pytest.mark.parametrize(
    ("warm", "seconds"), [(True, {"a": [5.0, 8.0], "b": [6.0, 7.0]}), (False, {"a": [2.0, 5.0], "b": [4.0, 6.0]})]
)
def test_the_first_time_counts_only_where_nothing_is_warm(warm, seconds):
    harness = module("benchmarks.harness")
    measured = harness.run(all_suites()[0], race(harness, lambda found: {"off": 0.5}, warm=warm), Spy(), 2, print)
    assert measured["checks"] == {"off": 0.5}
    assert measured["first"] == {"a": 2.0, "b": 4.0}
    assert measured["seconds"] == seconds
    assert measured["numbers"] == {"a": {"found": [0, 0]}, "b": {"found": [1, 1]}}


def test_results_of_another_machine_or_of_other_versions_are_forgotten(tmp_path, monkeypatch):
    harness, suite = module("benchmarks.harness"), all_suites()[0]
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    first, second = suite.races[:2]
    path = tmp_path / f"{suite.name}.json"

    def races():
        return list(json.loads(path.read_text())["races"])

    harness.record(suite, second, {}, {"cnnlab": {"keras": "1"}})
    harness.record(suite, first, {}, {"cnnlab": {"keras": "1"}, "torch": {"torch": "2"}})
    assert races() == [first.name, second.name]
    harness.record(suite, second, {}, {"cnnlab": {"keras": "2"}})
    assert races() == [second.name]
    monkeypatch.setattr(harness, "machine", lambda: {"processor": "another"})
    harness.record(suite, first, {}, {"cnnlab": {"keras": "2"}})
    assert races() == [first.name]


def test_a_worker_answers_and_says_what_went_wrong():
    worker = module("benchmarks.harness").Worker("cnnlab")
    assert worker.versions["numpy"] == np.__version__
    with pytest.raises(SystemExit, match=r"(?s)cnnlab could not prepare.*StopIteration"):
        worker.ask("prepare", suite="forward", race="there is none", side=0)
    assert worker.ask("versions") == worker.versions, "it goes on"
    worker.close()


def test_an_environment_that_is_not_there_is_named(tmp_path, monkeypatch):
    harness = module("benchmarks.harness")
    monkeypatch.setattr(harness, "ENVIRONMENTS", tmp_path)
    with pytest.raises(SystemExit, match="no environment torch: run `make bench-environments`"):
        harness.Worker("torch")


@pytest.mark.parametrize("name", ["classic", "vgg28"])
def test_the_judge_in_numpy_reads_as_the_network_does(name, tmp_path, monkeypatch, trained_run):
    import keras

    material = module("benchmarks.material")
    monkeypatch.setattr(material, "FOLDER", tmp_path)
    keras.utils.set_random_seed(0)
    model = material.vgg(28) if name == "vgg28" else keras.models.load_model(trained_run.path / "model.keras")
    np.savez(tmp_path / f"{name}.npz", *(weight.numpy() for weight in model.weights))
    images = np.random.default_rng(0).random((3, *model.input_shape[1:]), dtype=np.float32)
    expected = model(images).numpy()
    np.testing.assert_allclose(material.logits(name, images), expected, atol=1e-5 * np.abs(expected).max())


def test_maps_that_differ_are_not_timed():
    occlusion = module("benchmarks.suites.occlusion")
    right = {"map": np.full((1, 4, 4), 0.5), "score": np.full((1, 2, 2), 0.5)}
    assert occlusion.same_maps({"cnnlab": right, "other": right}) == {"largest difference, other": 0.0}
    with pytest.raises(AssertionError, match=r"other: 0\.01"):
        occlusion.same_maps({"cnnlab": right, "other": {"map": right["map"] + 0.01}})


def test_positions_and_averages_are_those_of_the_analysis():
    import keras

    import cnnlab

    occlusion = module("benchmarks.suites.occlusion")
    image = np.random.default_rng(0).random((1, 8, 8, 1), dtype=np.float32)
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    found = cnnlab.analyze("occlusion", model, image, patch=4, stride=2, progress=False).arrays
    covered = occlusion.masks(8, 4, 2)
    assert len(covered) == found["score"][0].size
    mean = occlusion.averaged(found["baseline"][:, None] - found["score"].reshape(1, -1), covered)
    np.testing.assert_allclose(mean, found["heatmap"], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [(0.2, "leaves the ball"), (-0.1, "leaves the value range"), (0.0, "read correctly at 0.1, other")],
)
def test_attacks_that_are_not_alike_are_not_timed(change, said, monkeypatch):
    attacks = module("benchmarks.suites.attacks")
    images = np.zeros((10, 2, 2, 1), np.float32)
    monkeypatch.setattr(attacks.material, "digits", lambda count: (images[:count], np.zeros(count, int)))
    # What is moved at all is misread.
    monkeypatch.setattr(attacks.material, "logits", lambda name, x: np.eye(2)[(x.max(axis=(1, 2, 3)) > 0).astype(int)])
    fooled = images + np.float32(0.1)
    agree = attacks.same_accuracies([0.1])
    assert set(agree({"cnnlab": {"adversarial": fooled[None]}, "other": {"adversarial": fooled[None]}}).values()) == {0}
    with pytest.raises(AssertionError, match=said):
        agree({"cnnlab": {"adversarial": fooled[None]}, "other": {"adversarial": images[None] + np.float32(change)}})


def test_losses_that_are_not_alike_are_not_timed():
    training = module("benchmarks.suites.training")
    assert len(training.alike({"a": {"loss": np.array(0.14)}, "b": {"loss": np.array(0.15)}})) == 2
    with pytest.raises(AssertionError, match=r"0\.3"):
        training.alike({"a": {"loss": np.array(0.14)}, "b": {"loss": np.array(0.3)}})


def test_an_aim_is_reached_or_missed():
    performance = module("performance")
    assert performance.verdict([1.0, 6.0, 7.0], "≥ 6") == "reached"
    assert performance.verdict([1.0, 5.9, 7.0], "≥ 6") == "**missed**"
    assert performance.verdict([2.6, 2.4, 2.5], "≤ 2.5") == "reached"
    assert performance.verdict([2.6], "≤ 2.5") == "**missed**"


def test_ratios_are_taken_in_each_round():
    performance = module("performance")
    measured = {"seconds": {"a": [1.0, 2.0], "b": [3.0, 4.0]}}
    assert performance.ratios(measured) == {"a": [1.0, 1.0], "b": [3.0, 2.0]}


def test_the_page_tells_what_was_measured(tmp_path, monkeypatch):
    performance = module("performance")
    monkeypatch.setattr(performance, "RESULTS", tmp_path)
    suite = next(suite for suite in all_suites() if suite.name == "occlusion")
    first = next(race for race in suite.races if race.wanted)
    seconds = {side.name: [1.0 + number] for number, side in enumerate(first.sides)}
    record = {"title": first.title, "checks": {"off by": 1e-6}, "seconds": seconds}
    found = {
        "machine": {"processor": "P", "cores": 3, "memory": "4 GiB", "system": "S"},
        "versions": {"cnnlab": {"x": "1"}},
    }
    (tmp_path / "occlusion.json").write_text(json.dumps({**found, "races": {first.name: record}}))
    page = performance.page()
    assert "P, 3 cores, 4 GiB of memory, S" in page
    assert f"| {first.sides[2].name} | 3 |" in page
    assert "off by 1e-06" in page
    assert "missed" in page
    assert "## Training" not in page


def test_the_plots_show_what_was_measured():
    performance = module("performance")
    plots = performance.plots()
    assert plots
    for name, (_, digest) in plots.items():
        assert performance.mark_of(ROOT / "docs" / "pictures" / f"{name}.png") == digest, f"{name}: `make docs`"
    assert all(dataclasses.is_dataclass(curves) for curves, _ in plots.values())


# The page of what was measured on a GPU


def test_the_page_of_a_gpu_says_what_was_run_and_what_failed():
    measured = {"what": "training", "ratio": 12.345, "difference": 0.00123, "allowed": 0.01}
    tests = {
        "t.py::test_training": ("passed", measured),
        "t.py::test_growth": ("passed", {"what": "growth"}),
        "t.py::test_x": ("failed", {}),
    }
    page = module("benchmarks.gpu").written({"gpu:0": "A card"}, "8 cores", "2.21.0", "", tests, "2026-01-02")
    assert page.splitlines()[2:8] == [
        "Written by `make test-gpu` on 2026-01-02; nothing here was not run.",
        "",
        "- gpu:0: A card",
        "- compared with the CPU: 8 cores",
        "- TensorFlow 2.21.0; driver unknown",
        "",
    ]
    assert page.splitlines()[10:] == [
        "| training | 12.3 | 0.0012 | 0.01 | passed |",
        "| growth |  |  |  | passed |",
        "| test_x |  |  |  | failed |",
    ]


def test_of_each_test_the_outcome_is_kept_and_what_it_wrote_down():
    heard = module("benchmarks.gpu").Heard()
    for name, when, outcome in [
        ("a", "setup", "passed"),
        ("a", "call", "passed"),
        ("a", "teardown", "passed"),
        ("b", "setup", "skipped"),
        ("c", "call", "passed"),
        ("c", "teardown", "failed"),
    ]:
        properties = [("ratio", 2.0)] if when == "call" else []
        report = types.SimpleNamespace(nodeid=name, when=when, outcome=outcome, user_properties=properties)
        heard.pytest_runtest_logreport(report)
    assert heard.tests == {"a": ("passed", {"ratio": 2.0}), "b": ("skipped", {}), "c": ("failed", {})}


@pytest.fixture
def seen(monkeypatch):
    listing = importlib.import_module("cnnlab.devices.listing")

    def see(why):
        devices = {"cpu": "2 cores"} if why else {"cpu": "2 cores", "gpu:0": "A card"}
        monkeypatch.setattr(listing, "listing", lambda: listing.Listing(devices, "2.21.0", "550", (), why))

    return see


def test_without_a_gpu_no_page_is_written(seen, tmp_path, capsys):
    seen("there is no driver")
    assert module("benchmarks.gpu").main(tmp_path / "gpu.md") == 1
    assert capsys.readouterr().err == "No GPU was tested, and nothing was written: there is no driver.\n"
    assert not list(tmp_path.iterdir())


def test_with_one_the_marked_tests_are_run_and_written_down(seen, tmp_path, monkeypatch):
    seen("")
    gpu, asked = module("benchmarks.gpu"), []

    def run(words, plugins):
        asked.append(words[:2])
        plugins[0].tests["t.py::test_one"] = "failed", {}
        return 1

    monkeypatch.setattr(gpu.pytest, "main", run)
    assert gpu.main(tmp_path / "gpu.md") == 1
    assert asked == [["-m", "gpu"]]
    assert "- gpu:0: A card\n" in (tmp_path / "gpu.md").read_text()
    assert "| test_one |  |  |  | failed |\n" in (tmp_path / "gpu.md").read_text()


# What several processes cost


def test_the_page_about_scaling_has_the_tables_of_its_file():
    scaling = module("benchmarks.scaling")
    measured = json.loads(scaling.FILE.read_text())
    page = (ROOT / "docs" / "scaling.md").read_text()
    assert f"{scaling.table(measured)}\n\n" in page
    assert f"{scaling.arithmetic(measured)}\n\n" in page
    one = measured["train"]["1"]
    said = f"{1e6 * one['an image']:.0f} µs, that of a step, {1e3 * one['on top']:.1f} ms"
    assert said in page.replace("\n", " ")


def test_seconds_are_parted_into_those_of_images_and_those_on_top():
    assert module("benchmarks.scaling").parted((10, 30), {10: 7.0, 30: 9.0}.get) == {"an image": 0.1, "on top": 6.0}


def test_ten_million_images_are_reckoned_as_it_is_said():
    measured = {"train": {"1": {"an image": 3.6e-4, "on top": 0.0}}}
    rows = module("benchmarks.scaling").arithmetic(measured).splitlines()[2:]
    assert rows[0] == "| 1 | 10.0 h | 10.0 h |"
    exchange = 2 * 3 / 4 * 4 * 799_078 / 1.25e9  # seconds, of four machines
    assert rows[1].startswith(f"| 4 | {2.5 + 10 * 10_000_000 / 64 * exchange / 3600:.1f} h |")


def test_the_pen_of_the_lab_is_told_in_milliseconds_and_every_page_reads_the_same():
    lab = module("benchmarks.suites.lab")
    one, ten = (side.name for side in lab.PEN.sides)
    found = {one: {"read": np.array([7])}, ten: {"read": np.array([7, 7])}}
    assert lab.same_reading(found) == {"digit that every page reads": 7.0}
    with pytest.raises(AssertionError):
        lab.same_reading(found | {ten: {"read": np.array([7, 1])}})
    numbers = {name: {"slowest twentieth": [0.1]} for name in (one, ten)}
    for median, verdict in ((0.049, "reached"), (0.051, "**missed**")):
        lines = lab.in_milliseconds({"pen": {"seconds": {one: [median], ten: [0.2]}, "numbers": numbers}})
        assert f"| one browser | {1000 * median:.0f} | 100 |" in lines
        assert lines[-2].endswith(f"{verdict}.")
    assert lab.in_milliseconds({}) == []
