"""``cnnlab analyze``: what it writes, what it prints where, what it refuses, and with which status."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from matplotlib.figure import Figure

import cnnlab
from cnnlab import cli
from cnnlab.cli.commands.analyze import command_for
from cnnlab.plugin import AClass, Analysis, Doc, Params

ROOT = Path(__file__).resolve().parents[2]
SEVEN = ROOT / "examples" / "7.png"


@pytest.fixture
def run(command_line, monkeypatch, tmp_path):
    """Run the whole command line in this process, in an empty folder: ``run("analyze", ...) -> (status, out, err)``."""
    monkeypatch.chdir(tmp_path)
    return command_line


QUICK = ("--patch", "8", "--stride", "6")


def test_it_writes_the_promised_files_and_names_them(run, trained_run):
    status, out, _ = run("analyze", "occlusion", "--model", trained_run.path, "--image", SEVEN, "--out", "out", *QUICK)
    assert status == 0
    record = json.loads(Path("out/result.json").read_text())
    assert record["schema"] == 1
    assert record["params"]["patch"] == 8
    assert record["model"]["path"] == str(trained_run.path)
    assert record["inputs"][0]["source"] == str(SEVEN)
    assert record["inputs"][0]["label"] is None
    with np.load("out/arrays.npz") as arrays:
        assert {name: list(arrays[name].shape) for name in arrays} == {
            name: facts["shape"] for name, facts in record["arrays"].items()
        }
    assert record["figures"]
    for name in ["result.json", "arrays.npz", *record["figures"]]:
        assert (Path("out") / name).stat().st_size
        assert f"out/{name}" in out


def test_the_command_and_the_library_give_the_same(run, trained_run):
    run(
        "analyze",
        "occlusion",
        "--model",
        trained_run.path,
        "--dataset",
        "mnist",
        "--index",
        "0:3",
        "--out",
        "o",
        *QUICK,
    )
    split = cnnlab.datasets.load("mnist").test
    result = cnnlab.analyze("occlusion", trained_run.path, split.batch(range(3)), split.labels[:3], patch=8, stride=6)
    saved = cnnlab.Result.load("o")
    assert dict(saved.metrics) == dict(result.metrics)
    for name, array in result.arrays.items():
        np.testing.assert_array_equal(saved.arrays[name], array)


def test_json_is_all_there_is_on_stdout(run, trained_run):
    status, out, _ = run("analyze", "occlusion", "--model", trained_run.path, "--image", SEVEN, "--json", *QUICK)
    assert status == 0
    assert json.loads(out)["analysis"] == "occlusion"


def test_without_model_the_newest_run_is_taken_and_results_go_into_it(run, trained_run, tmp_path):
    shutil.copytree(trained_run.path, tmp_path / "runs" / "mine")
    for name in ("occlusion", "occlusion-2"):
        status, _, _ = run("analyze", "occlusion", "--image", SEVEN, *QUICK)
        assert status == 0
        assert (tmp_path / "runs" / "mine" / "analyses" / name / "result.json").exists()


def test_a_gate(run, trained_run):
    words = ["analyze", "occlusion", "--model", trained_run.path, "--image", SEVEN, "--out", "out", *QUICK]
    status, _, _ = run(*words, "--fail-under", "largest_drop=-1")
    assert status == 0
    value = cnnlab.Result.load("out").metrics["largest_drop"]
    status, _, err = run(*words, "--fail-under", f"largest_drop={value + 0.001}")
    assert status == 3
    assert "largest_drop is" in err
    assert Path("out/result.json").exists()


@pytest.mark.parametrize("gate", ["accuracy", "=1", "largest=high", "nothing_like_this=1"])
def test_a_gate_that_makes_no_sense_is_refused_before_anything_runs(run, trained_run, gate):
    status, _, err = run("analyze", "occlusion", "--model", trained_run.path, "--image", SEVEN, "--fail-under", gate)
    assert status == 2
    assert "--fail-under" in err


def images_with_nan(folder: Path) -> str:
    np.save(folder / "nan.npy", np.full((28, 28), np.nan, np.float32))
    return "nan.npy"


def text_as_image(folder: Path) -> str:
    (folder / "text.png").write_text("no image")
    return "text.png"


def no_model(folder: Path) -> str:
    (folder / "empty").mkdir()
    return "empty"


def pickled(folder: Path) -> str:
    objects = np.array([{}], dtype=object)
    np.savez(folder / "objects.npz", x_train=objects, y_train=objects, x_test=objects, y_test=objects)
    return "objects.npz"


def empty(folder: Path) -> str:
    none = np.zeros((0, 28, 28), np.uint8)
    labels = np.zeros(0, np.int64)
    np.savez(folder / "none.npz", x_train=none, y_train=labels, x_test=none, y_test=labels)
    return "none.npz"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--image", "nowhere.png"], 1, "nowhere.png"),
        (["--image", text_as_image], 1, "text.png"),
        (["--image", images_with_nan], 1, "nan"),
        (["--image", SEVEN, "--model", "nowhere"], 1, "nowhere"),
        (["--image", SEVEN, "--model", no_model], 1, "empty"),
        (["--image", SEVEN, "--patch", "0"], 2, "patch must be an integer of at least 1; received 0"),
        (["--image", SEVEN, "--patch", "x"], 2, "patch must be an integer of at least 1; received x"),
        (["--image", SEVEN, "--fill", "most"], 2, "fill must be"),
        (["--image", SEVEN, "--target", "10"], 2, "10"),
        (["--image", SEVEN, "--label", "11"], 2, "label 11"),
        (["--image", SEVEN, "--label", "1", "--label", "2"], 2, "once for each of --image"),
        (["--image", SEVEN, "--dataset", "mnist"], 2, "exclude each other"),
        (["--image", SEVEN, "--device", "tpu"], 2, "auto, all, cpu, cpu:2 or gpu:0"),
        (["--image", SEVEN, "--device", "gpu:7"], 1, "gpu:7"),
        ([], 2, "needs images"),
        (["--dataset", "minst", "--limit", "1"], 2, "Did you mean 'mnist'"),
        (["--dataset", "mnist", "--index", "10000"], 2, "no image 10000 in mnist/test"),
        (["--dataset", "mnist", "--index", "x"], 2, "--index must be"),
        (["--dataset", "mnist", "--index", "5:5"], 2, "--index must be"),
        (["--dataset", pickled, "--limit", "1"], 1, "pickle"),
        (["--dataset", empty, "--limit", "1"], 1, "empty"),
    ],
    ids=lambda value: " ".join(getattr(v, "__name__", str(v)) for v in value) if isinstance(value, list) else None,
)
def test_bad_input_gets_one_sentence_and_leaves_nothing(run, trained_run, tmp_path, words, status, message):
    made = [word(tmp_path) if callable(word) else word for word in words]
    before = sorted(tmp_path.rglob("*"))
    model = [] if "--model" in words else ["--model", trained_run.path]
    code, out, err = run("analyze", "occlusion", *model, *made, "--out", "out")
    assert (code, out) == (status, ""), err
    assert message.lower() in err.lower()
    assert "Traceback" not in err
    assert sorted(tmp_path.rglob("*")) == before


def test_without_any_run_it_says_how_to_make_one(run):
    status, _, err = run("analyze", "occlusion", "--image", SEVEN)
    assert status == 1
    assert "cnnlab train" in err


def test_an_image_of_another_size_and_colour_is_converted_with_a_note(run, trained_run, tmp_path):
    from PIL import Image

    Image.open(SEVEN).convert("RGB").resize((40, 30)).save(tmp_path / "large.png")
    words = ["analyze", "occlusion", "--model", trained_run.path, "--image", "large.png", "--out", "out", *QUICK]
    status, _, err = run(*words)
    assert status == 0
    assert "40" in err
    assert "30" in err
    assert "grey" in err
    assert len(json.loads(Path("out/result.json").read_text())["warnings"]) >= 2
    status, _, err = run(*words[:-6], "--strict")
    assert status in (1, 2)
    assert "large.png" in err


def test_dark_digits_on_a_light_ground_are_noticed_and_inverted_on_request(run, trained_run, tmp_path):
    from PIL import Image, ImageOps

    ImageOps.invert(Image.open(SEVEN).convert("L")).save(tmp_path / "dark.png")
    words = ["analyze", "occlusion", "--model", trained_run.path, *QUICK]
    status, _, err = run(*words, "--image", "dark.png", "--out", "plain")
    assert status == 0
    assert "--invert" in err
    status, _, err = run(*words, "--image", "dark.png", "--invert", "--out", "inverted")
    assert status == 0
    assert "--invert" not in err
    run(*words, "--image", SEVEN, "--out", "original")
    inverted, original = cnnlab.Result.load("inverted"), cnnlab.Result.load("original")
    np.testing.assert_array_equal(inverted.arrays["baseline"], original.arrays["baseline"])


@pytest.mark.parametrize(
    ("module", "name", "said"),
    [
        (np, "savez_compressed", "the disk is full: out could not be written"),
        (Figure, "savefig", "the disk is full: out/figure.png could not be written"),
    ],
)
def test_a_disk_that_fills_up_leaves_nothing_half_written(run, trained_run, tmp_path, monkeypatch, module, name, said):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, name, full)
    status, _, err = run("analyze", "occlusion", "--model", trained_run.path, "--image", SEVEN, "--out", "out", *QUICK)
    assert status == 1
    assert said in err
    assert list(tmp_path.iterdir()) == []


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "foreign",
    [
        {"result.json": '{"score": 3}', "arrays.npz": "mine"},
        {"result.json": '{"schema": 1, "figures": ["thesis.txt"], "analysis": "x"}', "thesis.txt": "years of work"},
        {"notes.txt": "mine"},
    ],
    ids=["another's result", "a record that names a file", "something else"],
)
def test_a_folder_that_cnnlab_did_not_write_is_left_alone(run, trained_run, tmp_path, foreign):
    out = tmp_path / "out"
    out.mkdir()
    for name, text in foreign.items():
        (out / name).write_text(text)
    before = contents(out)
    words = ("analyze", "occlusion", "--model", trained_run.path, "--image", SEVEN, *QUICK)
    status, printed, err = run(*words, "--out", out)
    assert (status, printed) == (1, "")
    assert err.count("\n") == 1
    assert f"{out} is not empty and holds no result of cnnlab's" in err
    assert contents(out) == before


def test_a_result_replaces_an_earlier_one_but_nothing_that_was_changed_since(run, trained_run, tmp_path):
    words = ("analyze", "occlusion", "--model", trained_run.path, "--image", SEVEN, "--out", "out")
    assert run(*words, *QUICK)[0] == 0
    (Path("out") / "notes.txt").write_text("mine")
    assert run(*words, *QUICK, "--patch", "7")[0] == 0
    assert json.loads(Path("out/result.json").read_text())["params"]["patch"] == 7
    assert Path("out/notes.txt").read_text() == "mine"
    Path("out/figure.png").write_bytes(b"drawn upon")
    before = contents(Path("out"))
    status, _, err = run(*words, *QUICK)
    assert status == 1
    assert "out/figure.png is not as cnnlab wrote it" in err
    assert contents(Path("out")) == before


def test_a_record_cannot_have_other_files_deleted(run, trained_run, tmp_path):
    """Somebody's record that looks like cnnlab's, digests and all, and names what no result holds."""
    words = ("analyze", "occlusion", "--model", trained_run.path, "--image", SEVEN, "--out", "out", *QUICK)
    assert run(*words)[0] == 0
    record = json.loads(Path("out/result.json").read_text())
    Path("thesis.txt").write_text("years of work")
    record["files"]["../thesis.txt"] = hashlib.sha256(b"years of work").hexdigest()
    Path("out/result.json").write_text(json.dumps(record))
    assert run(*words)[0] == 1
    assert Path("thesis.txt").read_text() == "years of work"


def test_debug_shows_the_traceback(run, monkeypatch):
    monkeypatch.setenv("CNNLAB_DEBUG", "1")
    monkeypatch.setattr("sys.argv", ["cnnlab", "analyze", "occlusion", "--image", str(SEVEN)])
    with pytest.raises(cnnlab.CnnlabError):
        cli.main()


def test_ctrl_c_exits_with_130(run, trained_run, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("cnnlab.analysis.host.resolve", lambda reference: interrupted)
    status, _, err = run("analyze", "occlusion", "--model", trained_run.path, "--image", SEVEN, "--out", "out")
    assert status == 130
    assert "Interrupted" in err
    assert not Path("out").exists()


def test_figures_are_written_as_asked_for_and_their_data_beside_them(run, trained_run):
    words = ("analyze", "occlusion", "--model", trained_run.path, "--image", SEVEN, "--out", "out", *QUICK)
    status, out, _ = run(*words, "--format", "svg", "--dpi", "80")
    assert status == 0
    assert "out/figure.svg" in out
    assert "out/drawings.json" in out
    assert {path.name for path in Path("out").iterdir()} == {
        *("figure.svg", "drawings.json", "arrays.npz", "result.json"),
    }
    status, _, err = run(*words, "--format", "gif")
    assert status == 2
    assert "gif" in err


def test_a_class_is_taken_by_its_name(run, trained_run):
    words = ("analyze", "occlusion", "--model", trained_run.path, "--image", SEVEN, *QUICK)
    status, _, err = run(*words, "--target", "seven", "--out", "out")
    assert status == 2
    assert "target must be one of the model's 10 classes, 0 to 9; received seven" in err
    assert not Path("out").exists()
    Path("names.txt").write_text(
        "\n".join(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    )
    status, _, _ = run(*words, "--target", "seven", "--class-names", "names.txt", "--out", "out")
    assert status == 0
    assert json.loads(Path("out/result.json").read_text())["params"]["target"] == 7


def test_showing_a_plugin_tells_the_axes_of_its_arrays(run):
    status, out, _ = run("plugins", "show", "occlusion")
    assert status == 0
    assert "[N, rows, cols]" in out
    assert "score of the target class with the patch at each position" in " ".join(out.split())


@dataclass(frozen=True, kw_only=True)
class OwnParams(Params):
    class_: Annotated[int | None, AClass(), Doc("The class to look for.")] = None


@pytest.mark.parametrize(("params", "told"), [(OwnParams, "The class to look for."), (Params, "Only images of a true")])
def test_a_parameter_called_class_keeps_its_option_from_the_choice_of_images(params, told):
    command = command_for(Analysis(name="own", summary="Own.", params=params, run="own:run"))
    (found,) = [each for each in command.params if "--class" in each.opts]
    assert found.help.startswith(told)
