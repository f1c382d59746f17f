"""A run against its files, its dataset and both forms of its model."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import cnnlab
from cnnlab.drawings import Picture, to_json
from cnnlab.errors import UsageError
from cnnlab.inspection.evaluation import Evaluation, tally
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.clashes import settle
from cnnlab.pluginhost.declarations import Architecture
from cnnlab.results.folder import digest
from cnnlab.results.record import signed
from cnnlab.runs import Run, read_history, write_history
from cnnlab.verification import of_run
from cnnlab.verification.drawings_of_run import as_drawn
from cnnlab.verification.verify import verify


@pytest.fixture
def run(learned, tmp_path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(learned / "run", tmp_path / "run"))


def forge(run: Path, edit) -> None:
    """Edit run.json, and mend every digest."""
    record = json.loads((run / "run.json").read_text())
    edit(record)
    record["files"] = {name: digest(run / name) for name in record["files"]}
    (run / "run.json").write_text(json.dumps(signed(record)))


def evaluations(classifier, images) -> dict[str, Evaluation]:
    return {name: tally(classifier, inputs, 500) for name, inputs in images.items()}


def findings(run: Path, classifier) -> dict[str, set[str]]:
    """What is found of a run whose model is open already: the claims, by what came of them."""
    found: dict[str, set[str]] = {}
    for each in of_run.findings_of_run(Run(run), classifier, {}):
        found.setdefault(each.state, set()).add(each.claim)
    return found


def test_an_honest_run_holds_as_far_as_it_can_be_checked(run, command_line, monkeypatch):
    monkeypatch.setattr(cnnlab, "verify", functools.cache(verify))  # once for both forms of the report
    status, out, _ = command_line("verify", run, "--json")
    report = json.loads(out)
    assert (status, report["verdict"], report["of"]) == (0, "holds as far as it was checked", "run")
    states = {finding["claim"]: finding["state"] for finding in report["findings"]}
    held = ("record", "files", "history", "settings", "dataset", "model.keras", "architecture", "parameters")
    held += ("metrics", "confusion", "drawings", "figures")
    assert states == dict.fromkeys(held, "holds") | {"training": "not checked"}
    status, out, _ = command_line("verify", run)
    assert status == 0
    assert "run in " in out
    assert "seed" in out.partition("Not checked")[2]


FORGERIES = {
    "test accuracy": (lambda record: record["metrics"].update(test_accuracy=1.0), "metrics"),
    "test loss": (lambda record: record["metrics"].update(test_loss=0.001), "metrics"),
    "validation accuracy": (lambda record: record["metrics"].update(val_accuracy=0.0), "history"),
    "training loss": (lambda record: record["metrics"].update(train_loss=0.001), "history"),
    "epochs": (lambda record: record.update(epochs=9), "history"),
    "confusion": (lambda record: record["confusion"][0].reverse(), "confusion"),
    "a class's accuracy": (lambda record: record["classes"][0].update(accuracy=0.123), "confusion"),
    "a class's images": (lambda record: record["classes"][1].update(images=99), "confusion"),
    "a class's name": (lambda record: record["classes"][1].update(name="ship"), "confusion"),
    "dataset": (lambda record: record["dataset"].update(digest="0" * 64), "dataset"),
}


@pytest.fixture(scope="module")
def fails(learned):
    """What fails of the numbers of a run, its model opened once."""
    classifier, dataset = cnnlab.load(learned / "run"), cnnlab.datasets.load(learned / "spots.npz")
    images = of_run._images(Run(learned / "run"), classifier, dataset)
    read = evaluations(classifier, images)

    def told(path: Path) -> list[str]:
        run = Run(path)
        found = [*of_run._history(run), *of_run._same_dataset(run, dataset), *of_run._metrics(run, read)]
        return [finding.claim for finding in found if finding.state == "fails"]

    return told


@pytest.mark.parametrize(("edit", "claim"), FORGERIES.values(), ids=FORGERIES)
def test_what_run_json_says_is_held_against_what_is_found(run, fails, edit, claim):
    assert fails(run) == []
    forge(run, edit)
    assert claim in fails(run)


@pytest.mark.parametrize("name", ["val_accuracy", "val_loss"])
def test_a_validation_changed_in_the_history_too_is_found(run, fails, name):
    rows = read_history(run / "history.csv")
    rows[-1][name] = 0.123
    write_history(run / "history.csv", rows)
    forge(run, lambda made: made["metrics"].update({name: 0.123}))
    assert fails(run) == ["metrics"]


def test_every_file_is_held_against_its_digest(run, known):
    names = json.loads((run / "run.json").read_text())["files"]
    assert {"model.keras", "history.csv", "drawings.json", "curves.png", "model/saved_model.pb"} <= set(names)
    (run / "curves.png").write_bytes(b"")
    (run / "notes.txt").write_text("mine")
    found = list(of_run.findings_of_run(Run(run), known[0], {}))
    assert {"files", "figures"} == {finding.claim for finding in found if finding.state == "fails"}
    assert any("notes.txt" in finding.says for finding in found if finding.state == "note")


def redraw(run: Path, name: str, change) -> None:
    """Change a drawing of a run; its figure is held against that, and not looked at here."""
    drawn = {**Run(run).drawings}
    drawn[name] = change(drawn[name])
    (run / "drawings.json").write_text(to_json(drawn))
    forge(run, lambda record: None)


def in_tile(*place: int, **more):
    """Change a tile of tiles."""

    def change(drawing):
        if not place:
            return dataclasses.replace(drawing, **more)
        tiles = list(drawing.tiles)
        tiles[place[0]] = in_tile(*place[1:], **more)(tiles[place[0]])
        return dataclasses.replace(drawing, tiles=tuple(tiles))

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    {
        "the title of curves": ("curves", in_tile(title="Perfect")),
        "a line of curves": ("curves", lambda drawn: in_tile(1, lines=drawn.tiles[0].lines)(drawn)),
        "the caption of a prediction": ("predictions", in_tile(0, 3, title="x  99%")),
        "the image of a prediction": (
            "predictions",
            lambda drawn: in_tile(0, 3, values=drawn.tiles[0].tiles[4].values)(drawn),
        ),
        "the heading of mistakes": ("predictions", in_tile(1, title="No mistakes")),
        "a mistake twice": (
            "predictions",
            lambda drawn: in_tile(1, tiles=(drawn.tiles[1].tiles[0],) * len(drawn.tiles[1].tiles))(drawn),
        ),
        "no mistakes": ("predictions", lambda drawn: dataclasses.replace(drawn, tiles=drawn.tiles[:1])),
        "the confusion": (
            "confusion",
            lambda drawn: dataclasses.replace(drawn, values=np.diag(drawn.values.sum(axis=1))),
        ),
        "the names of classes": ("confusion", lambda drawn: dataclasses.replace(drawn, columns=("cat", "dog"))),
        "another kind": ("confusion", lambda drawn: dataclasses.replace(Picture(values=np.eye(2)), title="x")),
    }.values(),
)
def test_a_drawing_that_does_not_follow_is_found(run, known, name, change):
    classifier, _, images = known
    read = evaluations(classifier, images)
    (finding,) = as_drawn(Run(run), images, read)
    assert finding.state == "holds"
    redraw(run, name, change)
    (finding,) = as_drawn(Run(run), images, read)
    assert (finding.state, name in finding.says) == ("fails", True)


def test_mistakes_that_are_as_certain_may_stand_in_any_order(run, known):
    classifier, _, images = known
    read = evaluations(classifier, images)
    redraw(run, "predictions", lambda drawn: in_tile(1, tiles=drawn.tiles[1].tiles[::-1])(drawn))
    assert [each.state for each in as_drawn(Run(run), images, read)] == ["holds"]


def test_predictions_of_another_device_are_named_where_they_differ(run, known):
    classifier, _, images = known
    read = evaluations(classifier, images)
    redraw(run, "predictions", in_tile(0, 3, title="x  99%"))
    forge(run, lambda record: record.update(device="gpu:7"))
    named = [each.says for each in as_drawn(Run(run), images, read) if each.state == "not checked"]
    assert named == ["Nothing here shows these: predictions."]


def test_drawings_that_lack_one_or_that_another_version_made(run):
    forge(run, lambda record: record["versions"].update(cnnlab="0.0.1"))
    assert [each.state for each in as_drawn(Run(run), {}, {})] == ["not checked"]
    (run / "drawings.json").write_text(to_json({"curves": Run(run).drawings["curves"]}))
    (finding,) = as_drawn(Run(run), {}, {})
    assert (finding.state, finding.says[:27]) == ("fails", "drawings.json holds curves,")


def test_an_architecture_that_is_not_installed_or_of_several_is_named(run, known, monkeypatch):
    slim = Architecture(name="slim", summary="One layer.", build="nowhere:build")
    found = [registry.Plugin(name, name, f"cnnlab-{name}", "1.0", declarations=(slim,)) for name in ("a", "b")]
    settle(found, of_host=())
    installed = (*registry.plugins(), *found)
    monkeypatch.setattr(registry, "plugins", lambda: installed)
    for name, why in (
        ("resnet50", "there is no architecture 'resnet50'. "),
        ("slim", "the architecture name 'slim' is that of cnnlab-a 1.0 and cnnlab-b 1.0. "),
        ("cnnlab-a:gone", "there is no architecture 'cnnlab-a:gone'. "),
    ):
        forge(run, lambda record, name=name: record.update(architecture=name))
        (finding,) = of_run._architecture(Run(run), known[0])
        assert finding.state == "not checked"
        assert finding.says.startswith(why)
        assert finding.says.endswith("So these were not checked: architecture, batch_norm, parameters.")


def test_a_keras_file_of_other_weights_is_found(run, known, monkeypatch):
    import keras

    model = keras.saving.load_model(run / "model.keras")
    model.set_weights([weight * 1.01 for weight in model.get_weights()])
    model.save(run / "model.keras")
    forge(run, lambda record: None)
    monkeypatch.setattr(of_run, "redrawn", lambda *_: iter(()))
    assert findings(run, known[0])["fails"] == {"model.keras"}


def test_what_earlier_versions_did_not_write_is_not_checked(run, known):
    record = json.loads((run / "run.json").read_text())
    del record["files"], record["digest"]
    record["versions"].pop("matplotlib")
    (run / "run.json").write_text(json.dumps(record))
    found = findings(run, known[0])
    assert "fails" not in found
    assert {"record", "files", "figures"} <= found["not checked"]


def test_without_its_dataset_the_numbers_are_not_checked(run, known, monkeypatch):
    forge(
        run, lambda record: [record["dataset"].update(source="gone.npz"), record["settings"].update(dataset="gone.npz")]
    )
    monkeypatch.setattr(of_run, "redrawn", lambda *_: iter(()))
    found = findings(run, known[0])
    assert "fails" not in found
    assert {"dataset", "metrics", "drawings"} <= found["not checked"]


@pytest.mark.parametrize("said", [{"rerun": True}, {"model": "other.keras"}])
def test_a_run_is_held_against_its_own_model_and_not_trained_again(run, said):
    with pytest.raises(UsageError, match=f"`{next(iter(said))}=` is for results of analyses"):
        verify(run, **said)


@pytest.fixture(scope="module")
def known(learned):
    """The model of a run, and the images that it was evaluated on."""
    classifier, dataset = cnnlab.load(learned / "run"), cnnlab.datasets.load(learned / "spots.npz")
    return classifier, dataset, of_run._images(Run(learned / "run"), classifier, dataset)


def of_metrics(path: Path, classifier, images) -> dict[str, tuple[str, str]]:
    read = evaluations(classifier, images)
    return {each.claim: (each.state, each.says) for each in of_run._metrics(Run(path), read)}


def test_images_are_those_that_the_run_has(run, known):
    classifier, dataset, images = known
    assert {name: len(inputs) for name, inputs in images.items()} == {"test images": 20, "held-out training images": 10}
    without_test = dataclasses.replace(dataset, test=dataset.test[:0])
    assert list(of_run._images(Run(run), classifier, without_test)) == ["held-out training images"]
    forge(run, lambda record: record["settings"].update(validation=0))
    assert list(of_run._images(Run(run), classifier, dataset)) == ["test images"]


def test_numbers_of_images_that_there_are_none_of_are_found(run, known):
    classifier, _, images = known
    tested = {"test images": images["test images"]}
    state, says = of_metrics(run, classifier, tested)["metrics"]
    assert (state, says) == ("fails", "val_accuracy is of held-out training images, and there is none.")
    held_out = {"held-out training images": images["held-out training images"]}
    found = of_metrics(run, classifier, held_out)
    says = "It is of held-out training images, and run.json says of test images."
    assert found["confusion"] == ("fails", says)
    assert found["metrics"][0] == "fails"


def test_a_run_of_many_classes_has_no_confusion_and_others_have(run, known, monkeypatch):
    classifier, _, images = known
    forge(run, lambda record: record.pop("confusion"))
    assert of_metrics(run, classifier, images)["confusion"][0] == "fails"
    monkeypatch.setattr(of_run, "MOST_CLASSES", 1)
    assert {state for state, _ in of_metrics(run, classifier, images).values()} == {"holds"}


@pytest.mark.parametrize("name", ["test_accuracy", "test_loss"])
def test_a_number_that_was_left_out_is_found(run, known, name):
    classifier, _, images = known
    forge(run, lambda record: record["metrics"].pop(name))
    assert of_metrics(run, classifier, images)["metrics"][0] == "fails"


def test_a_keras_file_of_other_classes_is_found(run, save_model, known):
    save_model(run / "model.keras", seed=0, shape=(8, 8, 1), classes=3)
    classifier, _, images = known
    (finding,) = of_run._both_models(Run(run), classifier, images, {})
    assert (finding.state, finding.says) == ("fails", "model.keras has 3 outputs, and model/ 2.")
