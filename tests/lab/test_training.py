"""Training in a lab: what is asked and refused, what is told meanwhile, and that the run is the command's."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import cnnlab
from cnnlab import runs
from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.errors import CnnlabError
from cnnlab.lab import training, training_process
from cnnlab.lab.bodies import Body
from cnnlab.lab.training import Training
from cnnlab.runs import Run
from cnnlab.testing import FakeClassifier
from cnnlab.training import artifacts

SETTINGS = {"epochs": 2, "batch_size": 8, "seed": 3}


@pytest.fixture(scope="module", autouse=True)
def no_figures():
    """Leave out figures, which take a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifacts, "_drawings", lambda *_: {})
        yield


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """A dataset of 24 images."""
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 2
    images = rng.integers(0, 100, (24, 8, 8, 1)) + 100 * labels[:, None, None, None]
    arrays = {f"{kind}_{part}": values for part in ("train", "test") for kind, values in (("x", images), ("y", labels))}
    path = tmp_path_factory.mktemp("dataset") / "small.npz"
    np.savez(path, **{name: values.astype(np.uint8) for name, values in arrays.items()})
    return path


@pytest.fixture
def small(dataset, tmp_path, monkeypatch) -> Path:
    """The dataset; this process is in a folder where nothing was trained yet."""
    monkeypatch.chdir(tmp_path)
    return dataset


@pytest.fixture(scope="module")
def own(dataset, tmp_path_factory) -> Run:
    """The run of three epochs that the command trains."""
    return cnnlab.train(str(dataset), **SETTINGS | {"epochs": 3}, out=tmp_path_factory.mktemp("runs") / "own")


@pytest.fixture
def lab(open_lab, small):
    """A lab with a model that was trained on it."""
    fake = FakeClassifier(lambda images: np.zeros((len(images), 2), np.float32), (8, 8, 1), 2, path=Path("fake.keras"))
    fake.dataset_name = str(small)
    return open_lab(fake)


@pytest.fixture
def client(lab, tools):
    with tools.client_of(lab) as asking:
        yield asking


def started(client, **body) -> str:
    answered = client.post("/api/training", json=body)
    assert answered.status_code == 202, answered.json()
    return answered.json()["job"]


def weights(run: Path) -> list[np.ndarray]:
    with np.load(run / "checkpoint" / "state.npz") as state:
        return [state[name] for name in state.files if name != "position"]


def history(run: Path) -> list[dict]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in Run(run).history]


def test_what_can_be_trained_is_told_as_json_schema(client, small):
    told = client.get("/api/training").json()
    properties = told["settings"]["properties"]
    assert properties["dataset"]["enum"] == ["mnist", str(small)]
    assert (properties["architecture"]["enum"], properties["architecture"]["default"]) == (["mnist-cnn"], "mnist-cnn")
    assert (properties["epochs"]["type"], properties["epochs"]["minimum"]) == (["integer", "null"], 1)
    assert properties["recipe"]["enum"] == ["best", "classic", "constant", "fast"]
    assert (told["unfinished"], told["job"]) == ([], None)


def test_a_run_is_the_commands_and_joins_the_models(lab, client, small, own, tools, tmp_path, monkeypatch):
    monkeypatch.setattr(lab.training, "_begin", tools.in_process)
    job = started(client, settings={"dataset": str(small), **SETTINGS, "epochs": 3})
    said = tools.ended(client, job)
    assert (said["state"], said["model"]) == ("done", "m1")
    assert said["command"] == f"cnnlab train --dataset {small} --epochs 3 --batch-size 8 --seed 3"
    events = lab.training.find(job).since(0)
    assert [(data["epoch"], len(data)) for _, kind, data in events if kind == "epoch"] == [(1, 6), (2, 6), (3, 6)]
    (begun,) = [data for _, kind, data in events if kind == "started"]
    assert begun == {"run": said["run"], "epochs": 3, "training_images": 24, "validation_images": 24}
    assert all(map(np.array_equal, weights(tmp_path / said["run"]), weights(own.path)))
    assert history(tmp_path / said["run"]) == history(own.path)
    assert Run(tmp_path / said["run"]).config["settings"] == own.config["settings"]
    *_, new = client.get("/api/models").json()
    assert (new["id"], new["name"], new["dataset"]) == ("m1", Path(said["run"]).name, str(small))
    image = {"model": "m1", "pixels": [0.5] * 64, "height": 8, "width": 8}
    assert client.post("/api/predict", json={"models": ["m1"], "image": image}).status_code == 200
    assert client.get("/api/training").json()["unfinished"] == []


def test_what_is_stopped_goes_on_from_the_page_or_with_the_command(
    lab, client, small, own, tools, tmp_path, monkeypatch
):
    monkeypatch.setattr(lab.training, "_begin", partial(tools.in_process, held={2}))
    job = started(client, settings={"dataset": str(small), **SETTINGS, "epochs": 3})
    trained = lab.training.find(job)
    tools.until(lambda: any(kind == "epoch" for _, kind, _ in trained.since(0)))
    refused = client.post("/api/training", json={"settings": {}})
    assert refused.status_code == 409
    assert refused.json()["error"].startswith("a network is being trained already; ")
    assert client.get("/api/training").json()["job"] == job
    client.delete(f"/api/jobs/{job}")
    assert tools.ended(client, job)["state"] == "cancelled"
    _, _, words = trained.since(0)[-1]
    assert words["text"].startswith("Stopped; ")
    assert f"cnnlab train --out {words['run']} --resume" in words["text"]
    (waiting,) = client.get("/api/training").json()["unfinished"]
    assert waiting["id"] == words["resume"]
    assert (waiting["run"], waiting["epochs"]) == (words["run"], 3)
    again = started(client, resume=waiting["id"])
    said = tools.ended(client, again)
    assert (said["state"], said["run"], said["model"]) == ("done", words["run"], "m1")
    assert said["command"] == f"cnnlab train --out {words['run']} --resume"
    rows = [data["epoch"] for _, kind, data in lab.training.find(again).since(0) if kind == "epoch"]
    assert rows == [1, 2, 3]  # those of before are told, too
    assert all(map(np.array_equal, weights(tmp_path / words["run"]), weights(own.path)))
    assert history(tmp_path / words["run"]) == history(own.path)
    gone = client.post("/api/training", json={"resume": waiting["id"]})
    assert (gone.status_code, gone.json()["error"]) == (
        404,
        f"there is no unfinished run {waiting['id']!r} in this lab.",
    )


def test_a_run_that_the_command_began_beside_a_model_can_be_gone_on_with(open_lab, small, tools, tmp_path):
    class Stop(cnnlab.training.Reporter):
        def epoch_started(self, epoch, epochs, steps):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cnnlab.train(str(small), **SETTINGS, out=tmp_path / "elsewhere" / "mine", reporter=Stop())
    fake = FakeClassifier(lambda images: np.zeros((len(images), 2)), (8, 8, 1), 2)
    lab = open_lab(fake)
    lab.models._choices["m0"] = ModelChoice(model=tmp_path / "elsewhere" / "other.keras")
    begin = tools.scripted(("complete", {"run": "nowhere"}))
    lab.training._begin = begin
    with tools.client_of(lab) as client:
        (waiting,) = client.get("/api/training").json()["unfinished"]
        assert (waiting["name"], waiting["epochs_done"], waiting["epochs"]) == ("mine", 1, 2)
        started(client, resume=waiting["id"])
    (order,) = begin.orders
    assert order["out"] == str(tmp_path / "elsewhere" / "mine")
    assert order["settings"] | SETTINGS == order["settings"]


@pytest.mark.parametrize(
    ("body", "status", "sentence", "field"),
    [
        (
            {"settings": {"epochs": 0}},
            400,
            "epochs must be an integer of at least 1",
            "epochs",
        ),
        ({"settings": {"learning_rate": -1}}, 400, "learning_rate must be ", "learning_rate"),
        (
            {"settings": {"recipe": "slow"}},
            400,
            "recipe must be one of best, classic, constant, fast;",
            "recipe",
        ),
        ({"settings": {"dataset": "/etc"}}, 400, "dataset must be one of mnist, ", "dataset"),
        ({"settings": {"dataset": "keras:cifar10"}}, 400, "dataset must be one of mnist, ", "dataset"),
        ({"settings": {"dataset": ["mnist"]}}, 400, "dataset must be ", "dataset"),
        (
            {"settings": {"architecture": "../x"}},
            400,
            "architecture must be one of mnist-cnn; received '../x'.",
            "architecture",
        ),
        ({"settings": {"limit": 5, "validation": 5}}, 400, "validation must leave images to train on", "validation"),
        ({"settings": {"out": "/tmp/x"}}, 400, "there is no parameter 'out'.", None),
        ({"settings": "mnist"}, 400, "settings must be an object; received a text.", None),
        ({"settings": {}, "resume": "t0"}, 400, "a run is gone on with as it was begun", None),
        ({"resume": "runs/mine"}, 404, "there is no unfinished run 'runs/mine' in this lab.", None),
        ({"resume": 3}, 400, "resume must be a text; received 3.", None),
    ],
)
def test_what_cannot_be_trained_gets_one_sentence(lab, client, tools, body, status, sentence, field):
    lab.training._begin = begin = tools.scripted()
    refused = client.post("/api/training", json=body)
    assert refused.status_code == status
    assert refused.json()["error"].startswith(sentence)
    assert refused.json().get("field") == field
    assert begin.orders == []
    if isinstance(body.get("settings"), dict) and "resume" not in body:
        checked = client.post("/api/training/check", json=body)
        (problem,) = checked.json()["problems"]
        assert (checked.status_code, problem["field"]) == (200, field or "")
        assert problem["error"] == refused.json()["error"]


def test_each_setting_that_would_be_refused_is_told_while_somebody_types(client):
    wrong = {"settings": {"epochs": 0, "dataset": "/etc", "limit": 9}}
    problems = client.post("/api/training/check", json=wrong).json()["problems"]
    assert sorted(each["field"] for each in problems) == ["dataset", "epochs"]
    assert client.post("/api/training/check", json={"settings": {"epochs": 1}}).json() == {"problems": []}
    assert client.post("/api/training/check", json={"settings": 3}).status_code == 400


@pytest.mark.parametrize(
    ("status", "how"),
    [
        (-9, "SIGKILL, as where memory runs out"),
        (-11, "SIGSEGV"),
        (1, "status 1; the lab's terminal may show why"),
    ],
)
def test_a_process_that_dies_is_a_sentence_and_another_may_begin(lab, client, tools, status, how):
    lab.training._begin = tools.scripted(("started", {"run": "runs/mine", "epochs": 2}), status=status)
    for _ in range(2):
        said = tools.ended(client, started(client, settings={}))
        assert (said["state"], said["error"]) == ("failed", f"the training ended unexpectedly ({how}).")


def test_what_training_refuses_is_told_as_it_is(lab, client, tools):
    lab.training._begin = tools.scripted(
        ("note", {"text": "so it is."}), ("failed", {"error": "there is no room."}), status=1
    )
    said = tools.ended(client, started(client, settings={}))
    assert (said["state"], said["error"], said["notes"]) == ("failed", "there is no room.", ["so it is."])


def test_a_run_that_cannot_be_opened_is_complete_all_the_same(lab, client, tools, monkeypatch):
    def refuse(path):
        raise CnnlabError("it holds an operation that is not known.")

    monkeypatch.setattr(lab.models, "add", refuse)
    lab.training._begin = tools.scripted(
        ("started", {"run": "runs/mine", "epochs": 2}), ("complete", {"run": "runs/mine"})
    )
    said = tools.ended(client, started(client, settings={}))
    assert (said["state"], said["model"]) == ("done", None)
    assert said["notes"] == ["the run is complete, but it holds an operation that is not known."]


def test_a_lab_that_ends_stops_what_it_trains_and_says_how_to_go_on(lab, tools):
    lab.training._begin = partial(tools.in_process, held={1})
    assert lab.training.close() == ""
    job = lab.training.start(Body({"settings": {"dataset": lab.datasets.names()[0], **SETTINGS}}))
    tools.until(lambda: any(kind == "progress" and "epoch" in data["task"] for _, kind, data in job.since(0)))
    words = lab.training.close()
    assert (job.state, words) == ("cancelled", job.since(0)[-1][2]["text"])
    assert lab.training.close() == ""


def test_only_some_trainings_are_remembered(lab, tools):
    lab.training._begin = tools.scripted(("failed", {"error": "no."}))
    jobs = []
    for _ in range(training.ENDED + 2):
        jobs.append(lab.training.start(Body({"settings": {}})))
        tools.until(lambda: jobs[-1].ended)
    assert lab.training.find(jobs[0].id) is None
    assert lab.training.find(jobs[-1].id) is jobs[-1]


def test_full_names_are_taken_as_by_the_command_and_nothing_else_with_a_colon(lab, client, tools):
    lab.training._begin = begin = tools.scripted(("failed", {"error": "no."}))
    full = {"dataset": "cnnlab:mnist", "architecture": "CNNLab:mnist-cnn", "recipe": "cnnlab:fast"}
    started(client, settings=full)
    assert begin.orders[0]["settings"].items() >= full.items()
    for name in full:
        for wrong in ("cnnlab:nothing", "cnnlab:filters", "other:mnist", "tfds:mnist", "./cnnlab:mnist", ":mnist"):
            refused = client.post("/api/training", json={"settings": {name: wrong}})
            assert (refused.status_code, refused.json()["field"]) == (400, name)
    assert len(begin.orders) == 1


def test_a_dataset_whose_plugin_is_not_installed_is_no_default(lab, monkeypatch):
    monkeypatch.setattr(training.registry, "datasets", dict)
    schema = Training(lab.models, lab.datasets).told()["settings"]
    assert "default" not in schema["properties"]["dataset"]


def test_what_computes_is_told_to_what_trains_and_in_the_command(lab, tools):
    begin = tools.scripted(("failed", {"error": "no."}))
    job = Training(lab.models, lab.datasets, "cpu:2", begin).start(Body({"settings": {"epochs": 1}}))
    assert job.told["command"] == "cnnlab train --epochs 1 --devices cpu:2"
    assert begin.orders[0]["device"] == "cpu:2"


def test_a_process_is_told_its_order_and_stopped_by_the_end_of_its_input(monkeypatch, tmp_path):
    (tmp_path / "trainer.py").write_text(
        "import json, sys\n"
        "print(json.dumps(['started', json.loads(sys.stdin.readline())]), flush=True)\n"
        "sys.stdin.read()\n"
        "print('[\"stopped\", {\"te', end='')  # it dies while it tells this\n"
        "sys.exit(3)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(training, "TRAINER", "trainer")
    process = training.Process({"settings": {}})
    told = process.events()
    assert next(told) == ("started", {"settings": {}})
    assert process.wait(0.01) is None
    process.stop()
    process.stop()
    assert list(told) == []
    assert process.wait() == 3


def test_what_nobody_reads_any_more_disturbs_no_training():
    read, write = os.pipe()
    lines = training_process.Lines(write)
    lines("note", {"text": "so it is."})
    assert os.read(read, 1000) == b'["note", {"text": "so it is."}]\n'
    os.close(read)
    lines("note", {"text": "so it is."})
    os.close(write)


def test_of_quick_epochs_not_each_one_is_drawn_but_the_last(monkeypatch):
    row = {"loss": 0.5, "accuracy": 0.5, "val_loss": 0.5, "val_accuracy": 0.5, "seconds": 0.1}
    begun = {"epochs": 5, "validated_on": "test images"}
    run = SimpleNamespace(config=begun, history=[{"epoch": epoch, **row} for epoch in (1, 2)])
    monkeypatch.setattr(runs, "Run", lambda folder: run)
    told: list[tuple[str, dict]] = []
    telling = training_process.Telling(lambda kind, data: told.append((kind, data)))
    telling.started(Path("runs/mine"), 24, 24, 2)
    monkeypatch.setattr(telling, "_not_before", float("inf"))
    for epoch in (3, 4, 5):
        telling.epoch_finished({"epoch": epoch, **row}, 5)
    assert [kind for kind, _ in told] == ["started", *["epoch"] * 5, "preview"]
