"""Results that are kept, that leave, that replace the one before them; reports that are made of them."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnnlab.datasets import Dataset, Split
from cnnlab.drawings import Matrix, Picture
from cnnlab.lab import datasets as lab_datasets
from cnnlab.lab.datasets import Datasets
from cnnlab.lab.results import BESIDE, LabResult, Results
from cnnlab.results.result import Result
from cnnlab.testing import FakeClassifier


@pytest.fixture
def asked(client, tools, tmp_path, monkeypatch):
    """Ask the analysis ``one`` in an empty folder, and return the result's id: ``asked(brightness, model, ...)``."""
    monkeypatch.chdir(tmp_path)

    def ask(value: float = 1.0, model: str = "m0", **more: Any) -> str:
        image = client.post("/api/images", json=tools.drawing(value, model)).json()["id"]
        job = client.post("/api/analyses/one", json={"model": model, "images": [image], **more}).json()["job"]
        return tools.ended(client, job)["result"]

    return ask


def listed(client) -> list[str]:
    return [each["id"] for each in client.get("/api/results").json()]


@pytest.fixture
def made(client, tools):
    """Make a report of results, and return how its job ended: ``made(*ids)``."""

    def make(*names: str) -> dict[str, Any]:
        return tools.ended(client, client.post("/api/reports", json={"results": list(names)}).json()["job"])

    return make


def test_a_drawing_that_cannot_be_drawn_costs_itself_alone():
    cells = {"rows": ("a",), "columns": ("b",), "row_label": "", "column_label": ""}
    drawings = {"bad": Matrix(values=np.eye(1), **cells, number=".2zzz"), "good": Picture(values=np.eye(2))}
    record = {"analysis": "one", "plugin": {"distribution": "cnnlab-one", "version": "3.1"}}
    bad, good = (each["html"] for each in LabResult(Result(drawings=drawings, record=record)).to_json("r0")["html"])
    assert "Note: the drawing &#39;bad&#39; of the analysis one (cnnlab-one 3.1) could not be drawn: ValueError" in bad
    assert "<img" in good


def test_a_report_is_made_of_results_in_their_order_and_replaces_nothing(asked, client, made, tmp_path):
    dark, bright = asked(0.25), asked(0.75, "m1")
    first, second = made(bright, dark), made(dark)
    found = client.get(f"/api/reports/{first['result']}").json()
    assert (found["results"], found["path"]) == (2, "results/report-of-results.html")
    assert found["command"] == (
        "cnnlab report --result results/one --result results/one-2 --out results/report-of-results.html"
    )
    text = client.get(found["page"]).text
    assert text == (tmp_path / found["path"]).read_text(encoding="utf-8")
    assert text.index("The first mean is 191.") < text.index("The first mean is 0.251.")
    assert client.get(f"/api/reports/{second['result']}").json()["path"] == "results/report-of-results-2.html"
    assert sorted(path.name for path in Path("results").iterdir()) == [
        *("one", "one-2", "report-of-results-2.html", "report-of-results.html"),
    ]


def test_a_reports_page_is_kept_apart_from_the_lab(asked, client, made):
    page = client.get(f"/api/reports/{made(asked())['result']}.html")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts allow-downloads; default-src 'none'; ")
    assert "allow-same-origin" not in policy
    assert "script-src 'sha256-" in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["x-frame-options"] == "DENY"


def test_what_no_report_can_be_made_of_is_refused_before_it_waits(asked, client):
    one = asked()
    for names, status, words in (
        ([], 400, "results must be the ids of 1 to 100 results of the lab, each once."),
        ([one, one], 400, "each once"),
        (["r0"], 404, "there is no result 'r0' in this lab."),
        ("all", 400, "results must be a list"),
        ([one] * 101, 400, "at most 100"),
        ([{"path": "/etc"}], 400, "results must be a list of at most 100 texts"),
    ):
        refused = client.post("/api/reports", json={"results": names})
        assert (refused.status_code, words in refused.json()["error"]) == (status, True), names
    for address in ("/api/reports/p0", "/api/reports/p0.html", "/api/reports/..%2f..%2fetc%2fpasswd.html"):
        assert client.get(address).status_code == 404
    assert list(Path().iterdir()) == []


def test_a_report_that_cannot_be_written_leaves_no_empty_file(asked, made, monkeypatch):
    from cnnlab.errors import CnnlabError
    from cnnlab.reports.report import Report

    def full(*args: Any, **options: Any) -> None:
        raise CnnlabError("the disk is full.")

    monkeypatch.setattr(Report, "save", full)
    ended = made(asked())
    assert (ended["state"], ended["error"]) == ("failed", "the disk is full.")
    assert [path.name for path in Path("results").iterdir()] == ["one"]


def test_a_report_whose_file_is_gone_is_not_there(asked, client, made, tmp_path):
    name = made(asked())["result"]
    (tmp_path / client.get(f"/api/reports/{name}").json()["path"]).unlink()
    assert client.get(f"/api/reports/{name}").status_code == 404


def test_a_live_result_replaces_the_one_before_it(asked, client):
    first = asked(0.1)
    second = asked(0.2, replaces=first)
    assert listed(client) == [second]
    assert client.get(f"/api/results/{first}").status_code == 404


def test_what_was_kept_or_is_of_another_model_or_left_already_is_not_replaced(asked, client):
    first = asked(0.1)
    other = asked(0.1, "m1", replaces=first)
    client.post(f"/api/results/{first}/keep")
    third = asked(0.2, replaces=first)
    fourth = asked(0.3, replaces="r0")
    assert listed(client) == [fourth, third, other, first]
    assert client.post("/api/analyses/one", json={"model": "m0", "images": [], "replaces": 3}).status_code == 400


def result_of(count: int) -> LabResult:
    record = {"analysis": "one", "model": {"path": None, "kind": "keras", "digest": "0"}, "inputs": [{}] * count}
    return LabResult(Result(arrays={"values": np.zeros(count, np.float32)}, record=record))


def test_results_leave_by_number_and_by_room_the_least_used_first():
    results = Results([], most=2)
    one, other = results.add(result_of(1)), results.add(result_of(1))
    results.find(one)
    third = results.add(result_of(1))
    assert [each["id"] for each in results.told()] == [third, one]  # the newest first, whatever was looked at
    large = Results([], room=10 * (BESIDE + 4))
    names = [large.add(result_of(4)) for _ in range(4)]
    assert [each["id"] for each in large.told()] == names[:1:-1]
    assert other not in [each["id"] for each in results.told()]


def test_the_folder_of_a_result_that_left_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Result, "save", lambda self, path: path.mkdir())
    results = Results([], most=1)
    first = results.add(result_of(1))
    folder = results.find(first).folder()
    assert folder.is_dir()
    results.add(result_of(1))
    gc.collect()
    assert not folder.exists()


def test_an_earlier_result_has_the_command_and_the_line_that_repeat_it(mean, open_lab, tools, tmp_path, monkeypatch):
    fake = FakeClassifier.of_brightness((4, 4, 1))
    with tools.client_of(open_lab(fake)) as client:
        monkeypatch.chdir(tmp_path)
        image = client.post("/api/images", json=tools.drawing()).json()["id"]
        asked = {"model": "m0", "images": [image], "params": {"size": 3}, "seed": 2}
        name = tools.ended(client, client.post("/api/analyses/one", json=asked).json()["job"])["result"]
        path = tmp_path / client.post(f"/api/results/{name}/keep").json()["path"] / "result.json"
        said = json.loads(path.read_text())
        inputs = [said["inputs"][0] | {"source": f"mnist/test:{place}"} for place in (3, 4, 7)]
        model = said["model"] | {"path": "a.keras", "about": {"input_range": [0.0, 255.0]}}
        path.write_text(json.dumps(said | {"inputs": inputs, "model": model}))
    with tools.client_of(open_lab(fake)) as later:
        (earlier,) = later.get("/api/results").json()
        found = later.get(f"/api/results/{earlier['id']}").json()
    assert found["command"] == (
        "cnnlab analyze one --model a.keras --input-range 0,255 --dataset mnist --index 3:5 --index 7 --size 3 --seed 2"
    )
    assert found["python"] == (
        "cnnlab.analyze('one', cnnlab.load('a.keras', input_range='0,255'), "
        "cnnlab.datasets.load('mnist').test[[3, 4, 7]], size=3, seed=2)"
    )


@pytest.fixture
def shades(monkeypatch) -> list[str]:
    """Three datasets of 16 images of 4x4 pixels and their labels, 384 bytes each; what was loaded, in order."""
    loaded: list[str] = []

    def load(name: str) -> Dataset:
        loaded.append(name)
        split = Split(np.arange(256, dtype=np.uint8).reshape(16, 4, 4), [0, 1] * 8)
        return Dataset(name=name, train=split[:0], test=split, class_names=("dark", "bright"))

    monkeypatch.setattr(lab_datasets.loading, "load", load)
    offer = SimpleNamespace(shape=(4, 4, 1), class_names=("dark", "bright"))
    monkeypatch.setattr(lab_datasets.registry, "listed", lambda kind: dict.fromkeys("abc", offer))
    return loaded


def models_of(count: int) -> Any:
    fake = FakeClassifier.of_brightness((4, 4, 1))
    told = [{"dataset": None, "shape": [4, 4, 1], "classes": [0, 1]} for _ in range(count)]
    return SimpleNamespace(told=lambda: told, find=lambda name: fake, first="m0")


def test_a_dataset_is_loaded_once_and_the_least_used_leaves(shades):
    datasets = Datasets(models_of(1), room=2 * 384)
    for name in ("a", "b", "a", "c", "a", "c"):
        datasets.find(name)
    assert shades == ["a", "b", "c"]
    datasets.find("b")
    assert shades == ["a", "b", "c", "b"]


def test_a_dataset_that_grew_while_it_was_used_makes_room(shades):
    datasets = Datasets(models_of(1), room=4 * 384)
    datasets.find("a")
    _ = datasets.find("b").test.images  # as an analysis has it that looks at training images: four times as much
    datasets.find("b")
    datasets.find("a")
    assert shades == ["a", "b", "a"]


def test_choices_of_images_are_remembered_and_leave_without_the_dataset(shades):
    datasets = Datasets(models_of(1), chosen=2 * 8 * 8)
    asked = ("a", "test", 0, 24, "0", "", "")
    assert datasets.some(*asked) == datasets.some(*asked)
    kept = datasets._chosen
    assert kept.bytes == 8 * 8
    for class_ in ("1", "dark", "bright"):
        datasets.some("a", "test", 0, 24, class_, "", "")
    assert (len(kept), kept.bytes) == (2, 2 * 8 * 8)
    datasets.some(*asked)
    assert {type(indices) for _, indices in kept.items()} == {np.ndarray}


def test_datasets_of_models_that_come_later_stand_behind_the_others(shades):
    models = models_of(1)
    datasets = Datasets(models)
    assert datasets.names() == ["a", "b", "c"]
    models.told().insert(0, {"dataset": "later", "shape": [4, 4, 1], "classes": [0, 1]})
    assert datasets.names() == ["a", "b", "c", "later"]
