"""A saved result against its files and its model: honest ones verify, and tampering is found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnnlab
from cnnlab.adversarial.names import ADVERSARIAL_ARRAYS
from cnnlab.drawings import At, Picture
from cnnlab.errors import CnnlabError
from cnnlab.inputs import from_split
from cnnlab.perturbations import from_8bit, round_8bit
from cnnlab.pluginhost import registry
from cnnlab.results.claims import Claims
from cnnlab.results.result import Result
from cnnlab.verification.verify import verify

EPSILONS = (0.0, 0.05, 0.2)


@pytest.fixture(scope="module")
def honest(opened, images, attack, install_analysis, tmp_path_factory):
    """An honest result on disk, made once."""
    folder = tmp_path_factory.mktemp("honest") / "out"
    with pytest.MonkeyPatch.context() as patch:
        install_analysis(patch, attack, arrays=ADVERSARIAL_ARRAYS, requires=("gradients",))
        cnnlab.analyze("one", opened, *images).save(folder)
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
    for word in ("claim", "model", "norm", "label_after_8bit", "metrics", "rows", "images", "Not checked", "--rerun"):
        assert word in out
    assert out.startswith("Holds as far as it was checked\n")
    assert "fails" not in out


def test_json_is_all_there_is_on_stdout(run, saved, model):
    status, out, _ = run("verify", saved, "--json")
    report = json.loads(out)
    assert status == 0
    assert report["verdict"] == "holds as far as it was checked"
    assert report["of"] == "one"
    assert report["failed"] == []
    assert "rerun" in report["not_checked"]
    assert report["model"]["path"] == str(model)
    states = {finding["claim"]: finding["state"] for finding in report["findings"]}
    assert states["images"] == states["original"] == states["range"] == states["rows"] == "holds"
    assert states["inputs"] == "not checked", "arrays of a caller cannot be read again"
    assert {finding["claim"] for finding in report["findings"] if finding["state"] == "not checked"} == set(
        report["not_checked"]
    )


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


def set_at(*index, value):
    return lambda array: array.__setitem__(index, value)


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
    "another origin": (lambda f: rewrite(f, lambda r: r["claims"].update(original="other")), "record"),
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
    assert claim in [finding.claim for finding in verify(saved, opened).failed]


def test_what_fails_is_listed_with_status_1(run, saved):
    rewrite_array(saved, "label_after", swap_label)
    (saved / "images" / "3-eps0.05.png").unlink()
    status, out, _ = run("verify", saved)
    assert status == 1
    assert "other labels after it (1 of 24; first: image 0 at strength 1)" in out
    assert "3-eps0.05.png is missing" in out
    assert out.startswith("Fails: ")
    assert "label_after" in out.partition("\n")[0]
    status, out, _ = run("verify", saved, "--json")
    assert status == 1
    assert json.loads(out)["verdict"] == "fails"
    assert {"files", "label_after", "images"} <= set(json.loads(out)["failed"])


def test_another_model_is_found_and_listed(run, saved, save_model, tmp_path):
    other = save_model(tmp_path / "other.keras", seed=9)
    status, out, _ = run("verify", saved, "--model", other)
    assert status == 1
    assert "another model" in out
    assert out.startswith("Fails: model, ")


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


def test_an_eight_bit_result_verifies_and_says_what_its_originals_are(
    adversarial, attack, opened, images, tmp_path, run
):
    adversarial(lambda *arguments: attack(*arguments, eight_bit=True))
    result = cnnlab.analyze("one", opened, *images)
    assert result.record["claims"]["original"] == "inputs rounded to 8 bits"
    np.testing.assert_array_equal(result.arrays["label_after"], result.arrays["label_after_8bit"])
    result.save(tmp_path / "out")
    status, out, _ = run("verify", tmp_path / "out")
    assert status == 0, out
    assert "256 levels" in out


def test_saving_again_leaves_no_stale_image_and_keeps_other_files(adversarial, attack, opened, images, saved):
    (saved / "images" / "mine.txt").write_text("mine")
    adversarial(attack)
    drawn, labels = images
    cnnlab.analyze("one", opened, drawn[:2], labels[:2]).save(saved)
    assert sorted(path.name for path in (saved / "images").iterdir()) == sorted(
        [f"{index}-eps{epsilon:g}.png" for index in range(2) for epsilon in EPSILONS] + ["mine.txt"]
    )
    assert not verify(saved, opened).failed
    (saved / "images" / "mine.txt").unlink()
    adversarial(lambda *_: Result(metrics={"x": 1}))
    cnnlab.analyze("one", opened, drawn[:2], labels[:2]).save(saved)
    assert not (saved / "images").exists()


def test_nothing_half_written_replaces_an_earlier_result(adversarial, attack, opened, images, saved, monkeypatch):
    before = {path: path.read_bytes() for path in saved.rglob("*") if path.is_file()}
    drawn, labels = images
    adversarial(attack)
    result = cnnlab.analyze("one", opened, drawn[:2], labels[:2])

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(CnnlabError, match="the disk is full"):
        result.save(saved)
    assert {path: path.read_bytes() for path in saved.rglob("*") if path.is_file()} == before


def test_a_record_cannot_lead_out_of_its_folder(adversarial, attack, opened, images, saved):
    outside = saved.parent / "precious.png"
    outside.write_bytes(b"precious")
    rewrite(saved, lambda record: record["files"].update({"images/../../precious.png": "0"}))
    adversarial(attack)
    with pytest.raises(CnnlabError, match="holds no result of cnnlab's"):
        cnnlab.analyze("one", opened, *images).save(saved)
    assert outside.read_bytes() == b"precious"


def test_a_result_moved_or_saved_again_still_verifies(opened, saved, tmp_path):
    shutil.move(saved, tmp_path / "elsewhere")
    Result.load(tmp_path / "elsewhere").save(tmp_path / "again")
    assert not verify(tmp_path / "again", opened).failed


def test_a_result_in_a_run_that_was_moved_finds_its_model(learned, tmp_path, command_line):
    run = Path(shutil.copytree(learned / "run", tmp_path / "before"))
    drawn = np.random.default_rng(0).random((2, 8, 8, 1)).astype(np.float32)
    cnnlab.analyze("occlusion", run, drawn).save(run / "analyses" / "occlusion", format=None)
    moved = run.rename(tmp_path / "after")
    status, out, _ = command_line("verify", moved / "analyses" / "occlusion", "--json")
    assert (status, [each for each in json.loads(out)["findings"] if each["state"] == "fails"]) == (0, [])
    (moved / "run.json").unlink()
    status, _, err = command_line("verify", moved / "analyses" / "occlusion")
    assert status != 0
    assert "before, the model of the result in " in err


def test_a_result_that_is_not_adversarial_verifies_what_it_can(analysis, opened, images, tmp_path, run):
    path = tmp_path / "image.png"
    Image.fromarray((images[0][0, ..., 0] * 255).astype(np.uint8)).save(path)

    picture = Picture(values=At("x", 0))
    analysis(lambda c, inputs, p, x: Result(arrays={"x": inputs.images}, metrics={"m": 1}, drawings={"": picture}))
    cnnlab.analyze("one", opened, str(path)).save(tmp_path / "out")
    status, out, _ = run("verify", tmp_path / "out", "--json")
    states = {finding["claim"]: finding["state"] for finding in json.loads(out)["findings"]}
    assert status == 0
    held = ("record", "files", "model", "arrays", "figures")
    named = ("inputs", "metrics", "rows", "headline", "rerun", "circumstances")
    assert states == dict.fromkeys(held, "holds") | dict.fromkeys(named, "not checked")

    (tmp_path / "out" / "figure.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    rewrite(tmp_path / "out", lambda record: record["arrays"].pop("x"))
    failed = {finding.claim for finding in verify(tmp_path / "out").failed}
    assert failed == {"record", "files", "figures", "inputs", "arrays"}


def test_images_of_a_dataset_are_read_again(install_analysis, attack, save_model, tmp_path):
    opened = cnnlab.load(save_model(tmp_path / "large.keras", seed=2, shape=(28, 28, 1), classes=10))
    inputs = from_split(opened, cnnlab.datasets.load("mnist"), "test", [3, 5])
    with pytest.MonkeyPatch.context() as patch:
        install_analysis(patch, attack, arrays=ADVERSARIAL_ARRAYS)
        cnnlab.analyze("one", opened, inputs).save(tmp_path / "out")
    states = {finding.claim: finding.state for finding in verify(tmp_path / "out", opened).findings}
    assert states["inputs"] == states["original"] == "holds"
    rewrite(tmp_path / "out", lambda record: record["inputs"][1].update(source="mnist/test:6"))
    assert [finding.claim for finding in verify(tmp_path / "out", opened).failed] == ["record", "inputs"]
    rewrite(tmp_path / "out", lambda record: record["inputs"][1].update(source="nowhere/test:5"))
    states = {finding.claim: finding.state for finding in verify(tmp_path / "out", opened).findings}
    assert states["inputs"] == "not checked"


def test_other_bounds_than_zero_to_one_map_to_the_256_levels(adversarial, attack, tmp_path):
    """A model on [-1, 1] in three channels: its PNG files hold 0 to 255, in colour."""
    import keras

    keras.Sequential(
        [keras.Input((4, 5, 3)), keras.layers.Flatten(), keras.layers.Dense(3, kernel_initializer="glorot_normal")]
    ).save(tmp_path / "m.keras")
    opened = cnnlab.load(tmp_path / "m.keras")
    opened.bounds = (-1.0, 1.0)
    drawn = np.random.default_rng(0).uniform(-1, 1, (2, 4, 5, 3)).astype(np.float32)
    adversarial(attack)
    result = cnnlab.analyze("one", opened, drawn)
    result.save(tmp_path / "out")
    pixels = np.asarray(Image.open(tmp_path / "out" / "images" / "1-eps0.2.png"))
    assert pixels.shape == (4, 5, 3)
    np.testing.assert_array_equal(
        pixels, np.clip(np.rint((result.arrays["adversarial"][2, 1].astype(float) + 1) * 127.5), 0, 255)
    )
    assert not verify(tmp_path / "out", opened).failed
    failed = [finding for finding in verify(tmp_path / "out").failed if finding.claim == "range"]
    assert any("made for [-1.0, 1.0]" in finding.says for finding in failed)


def test_only_the_first_hundred_images_are_written(adversarial, attack, opened, tmp_path):
    drawn = np.random.default_rng(0).random((40, 8, 8, 1), np.float32)
    adversarial(attack)
    result = cnnlab.analyze("one", opened, drawn)
    result.save(tmp_path / "out")
    assert len(list((tmp_path / "out" / "images").iterdir())) == len(result.record["images"]) == 100


def test_verification_itself_needs_no_plugin(saved, monkeypatch):
    monkeypatch.setattr(registry, "plugins", tuple)
    assert not verify(saved).failed


@pytest.mark.parametrize("kind", ["folder", "npz"])
def test_images_of_a_dataset_named_by_its_path_are_read_again(analysis, model, tmp_path, monkeypatch, run, kind):
    pixels = np.random.default_rng(5).integers(0, 256, (4, 8, 8)).astype(np.uint8)
    pets = tmp_path / ("pets" if kind == "folder" else "pets.npz")

    def write(pixels):
        if kind == "npz":
            np.savez(pets, x_train=pixels, y_train=[0, 1, 0, 1], x_test=pixels, y_test=[0, 1, 0, 1])
            return
        for index, image in enumerate(pixels):
            file = pets / ("cat", "dog")[index % 2] / f"{index}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(file)

    write(pixels)
    analysis(lambda c, inputs, p, x: Result(metrics={"m": float(inputs.images.mean())}))
    monkeypatch.chdir(tmp_path)
    words = ("--model", model, "--dataset", pets.name, "--split", "train", "--limit", "3", "--out", "out")
    status, _, err = run("analyze", "one", *words)
    assert status == 0, err
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert record["dataset"] == {"name": "pets", "source": str(pets)}
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    def inputs():
        (finding,) = [finding for finding in verify(tmp_path / "out").findings if finding.claim == "inputs"]
        return finding.state

    assert inputs() == "holds"
    write(255 - pixels)
    assert inputs() == "fails"
