"""The HTTP interface: what each address answers, and the one sentence for what makes no sense."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.datasets import Dataset, Split, loading
from cnnlab.drawings import Picture
from cnnlab.results.result import Result
from cnnlab.testing import FakeClassifier


def png_of(pixels: np.ndarray) -> bytes:
    written = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(written, "PNG")
    return written.getvalue()


def pixels_in(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition("base64,")[2]))))


def events_of(client, job: str, **headers: str) -> list[tuple[str, dict]]:
    text = client.get(f"/api/jobs/{job}/events", headers=headers).text
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.strip().split("\n\n")]
    return [(block["event"], json.loads(block["data"])) for block in blocks]


def test_models_are_told_without_their_paths(client):
    first, second = client.get("/api/models").json()
    assert (first["id"], first["classes"], first["shape"], first["bounds"]) == (
        "m0",
        ["dark", "bright"],
        [4, 4, 1],
        [0, 1],
    )
    assert (second["id"], second["bounds"]) == ("m1", [0, 255])
    assert first["kind"] == "live"
    assert first["layers"] == []


def test_analyses_are_a_list_with_a_schema_of_their_parameters(client):
    (one,) = client.get("/api/analyses").json()
    assert (one["name"], one["summary"], one["inputs"], one["distribution"]) == (
        "one",
        "One.",
        "required",
        "cnnlab-one",
    )
    assert one["parameters"]["properties"]["size"] | {"title": ""} == {
        "title": "",
        "description": "A size.",
        "x-expected": "an integer of at least 1",
        "type": "integer",
        "minimum": 1,
        "default": 1,
    }
    assert one["parameters"]["required"] == []
    assert one["obstacles"] == {}


def test_an_analysis_says_on_which_models_it_cannot_run(analysis, open_lab, fakes, tools):
    analysis(lambda *_: Result(), requires=("convolutions",))
    with tools.client_of(open_lab(fakes[0])) as client:
        assert client.get("/api/analyses").json()[0]["obstacles"] == {
            "m0": "one needs a model with convolutional layers; this one has no layers."
        }


def test_predictions_of_two_models_are_in_each_ones_own_range(client, tools):
    answered = client.post(
        "/api/predict", json={"models": ["m0", "m1"], "image": tools.drawing(0.8), "maps": True}
    ).json()
    for result in answered["results"]:
        assert result["predicted"] == 1
        assert result["maps"] == []
        assert result["logits"] == pytest.approx([-0.3, 0.3], abs=0.002)  # of 8 bits
        assert sum(result["probabilities"]) == pytest.approx(1)


def test_what_was_drawn_is_asked_about_to_the_bit(client, tools):
    image = tools.drawing() | {"pixels": np.linspace(0, 1, 16).tolist()}
    kept = client.post("/api/images", json=image).json()
    shown = pixels_in(kept["png"])
    assert shown.tolist() == np.rint(np.linspace(0, 255, 16)).reshape(4, 4).tolist()
    inline, by_id = (
        client.post("/api/predict", json={"models": ["m0"], "image": each}).json() for each in (image, kept["id"])
    )
    assert inline["results"] == by_id["results"]
    saved = client.get(f"/api/images/{kept['id']}.png")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(saved.content))), shown)


def test_a_file_is_fitted_to_the_model_and_what_was_done_is_told(client):
    large = png_of(np.full((40, 40, 3), 255))
    (kept,) = client.post("/api/images?model=m0", files={"file": ("seven.png", large, "image/png")}).json()
    assert "converted to grey" in kept["note"]
    assert "from 40x40 to 4x4" in kept["note"]
    assert kept["source"] == "seven.png"
    assert (pixels_in(kept["png"]) == 255).all()


def test_of_several_files_each_is_taken_or_has_its_own_sentence_where_that_is_asked(client):
    given = [
        ("file", (name, content, "image/png")) for name, content in (("a.png", b"no"), ("b.png", png_of(np.eye(4))))
    ]
    wrong, kept = client.post("/api/images?model=m0&each=1", files=given).json()
    assert "a.png" in wrong["error"]
    assert (kept["source"], "error" in kept) == ("b.png", False)
    assert client.post("/api/images?model=m0", files=given).status_code == 400
    assert client.post("/api/images?model=m9&each=1", files=given).status_code == 404


def test_a_file_keeps_no_folder_in_its_name(client):
    files = {"file": ("../../etc/pass\nwd.png", png_of(np.zeros((4, 4))), "image/png")}
    (kept,) = client.post("/api/images", files=files).json()
    assert "/" not in kept["source"]
    assert "\n" not in kept["source"]


def test_an_analysis_runs_as_a_job_and_ends_as_a_result(client, tools):
    image = client.post("/api/images", json=tools.drawing(1.0)).json()["id"]
    asked = client.post("/api/analyses/one", json={"model": "m0", "images": [image], "params": {"size": 2}, "seed": 3})
    assert asked.status_code == 202
    job = asked.json()["job"]
    assert tools.ended(client, job)["state"] == "done"
    events = events_of(client, job)
    assert [kind for kind, _ in events][-1] == "done"
    assert "progress" in dict(events)
    assert dict(events)["progress"].keys() == {"task", "done", "total", "seconds_left"}
    found = client.get(f"/api/results/{events[-1][1]['result']}").json()
    assert found["record"]["headline"] == "The first mean is 1.000."
    assert found["record"]["params"] == {"size": 2}
    assert found["record"]["seed"] == 3
    assert found["rows"] == [{"image": "drawing", "mean": 1.0}]
    assert found["rows_total"] == 1
    assert "<figure" in found["html"][0]["html"]
    assert found["images"] == [image]
    packed = client.get(f"/api/results/{found['id']}/arrays.npz").content
    assert np.load(io.BytesIO(packed))["mean"].tolist() == [1.0]
    assert [each["id"] for each in client.get("/api/results").json()] == [found["id"]]


def test_events_go_on_where_a_stream_broke_off(client, tools):
    image = client.post("/api/images", json=tools.drawing()).json()["id"]
    job = client.post("/api/analyses/one", json={"model": "m0", "images": [image]}).json()["job"]
    tools.ended(client, job)
    text = client.get(f"/api/jobs/{job}/events").text
    last = int(text.rpartition("id: ")[2].partition("\n")[0])
    assert [kind for kind, _ in events_of(client, job, **{"last-event-id": str(last - 1)})] == ["done"]


def test_a_result_is_kept_as_an_ordinary_folder_and_opened_again(client, open_lab, fakes, tools, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = client.post("/api/images", json=tools.drawing(1.0)).json()["id"]
    job = client.post("/api/analyses/one", json={"model": "m0", "images": [image]}).json()["job"]
    name = tools.ended(client, job)["result"]
    path = client.post(f"/api/results/{name}/keep").json()["path"]
    assert path == client.post(f"/api/results/{name}/keep").json()["path"] == "results/one"
    assert Result.load(tmp_path / path).arrays["mean"].tolist() == [1.0]
    record = client.get(f"/api/results/{name}/files/result.json")
    assert record.json()["analysis"] == "one"
    assert client.get(f"/api/results/{name}/files/figure.png").content[:4] == b"\x89PNG"
    (listed,) = client.get("/api/results").json()
    assert listed["kept"] == path
    with tools.client_of(open_lab(fakes[0])) as later:  # a lab that is started afterwards
        (earlier,) = later.get("/api/results").json()
        assert later.get(f"/api/results/{earlier['id']}").json()["record"]["headline"] == "The first mean is 1.000."


def test_files_of_a_result_that_nobody_kept_can_be_had(client, tools, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = client.post("/api/images", json=tools.drawing()).json()["id"]
    name = tools.ended(client, client.post("/api/analyses/one", json={"model": "m0", "images": [image]}).json()["job"])[
        "result"
    ]
    assert client.get(f"/api/results/{name}/files/figure.png").content[:4] == b"\x89PNG"
    assert list(tmp_path.iterdir()) == []


def test_a_job_is_cancelled_at_once(analysis, lab, tools):
    with tools.held(analysis) as work, tools.client_of(lab) as client:
        image = client.post("/api/images", json=tools.drawing()).json()["id"]
        ask = {"model": "m0", "images": [image]}
        running, waiting = (client.post("/api/analyses/one", json=ask).json()["job"] for _ in range(2))
        assert work.begun.wait(10)
        assert client.get(f"/api/jobs/{waiting}").json()["state"] == "queued"
        assert client.delete(f"/api/jobs/{waiting}").json()["state"] == "cancelled"
        assert client.delete(f"/api/jobs/{running}").json()["state"] == "cancelled"
        assert events_of(client, running)[-1] == ("cancelled", {})
        again = client.delete(f"/api/jobs/{running}")
        assert (again.status_code, again.json()["error"]) == (
            409,
            f"the job {running} has ended already; it is cancelled.",
        )
    assert work.count == 1  # the one that waited never began
    assert client.get("/api/results").json() == []


def test_whoever_follows_a_job_sees_what_it_shows_and_warns_of(analysis, lab, tools):
    seen = threading.Event()

    def show(classifier, inputs, params, context):
        context.warn("Beware.")
        while not seen.is_set():
            context.preview(lambda: Picture(values=np.ones((2, 2)), title="so far"))
            time.sleep(0.01)
        return Result(headline="Done.")

    analysis(show, inputs="none")
    with tools.client_of(lab) as client:
        job = client.post("/api/analyses/one", json={"model": "m0"}).json()["job"]
        following = threading.Thread(target=lambda: events.extend(events_of(client, job)))
        events: list[tuple[str, dict]] = []
        following.start()

        def newest() -> int:
            return max([number for number, kind, _ in lab.jobs.find(job).since(0) if kind == "preview"], default=0)

        first = tools.until(newest)
        tools.until(lambda: newest() > first)  # the stream has looked in the meantime
        tools.until(lambda: client.get(f"/api/jobs/{job}").json()["notes"] == ["Beware."])
        seen.set()
        following.join(60)
    kinds = [kind for kind, _ in events]
    assert kinds[-1] == "done"
    assert "so far" in dict(events)["preview"]["html"]
    assert ("note", {"text": "Beware."}) in events
    assert client.get(f"/api/results/{dict(events)['done']['result']}").json()["record"]["warnings"] == ["Beware."]


def test_more_jobs_than_run_at_once_wait_and_too_many_are_refused(analysis, open_lab, fakes, tools):
    with tools.held(analysis) as work:
        lab = open_lab(fakes[0], at_once=2)
        with tools.client_of(lab) as client:
            image = client.post("/api/images", json=tools.drawing()).json()["id"]
            answers = [client.post("/api/analyses/one", json={"model": "m0", "images": [image]}) for _ in range(36)]
            tools.until(lambda: work.count == 2)
            jobs = [each.json()["job"] for each in answers if each.status_code == 202]
            states = [client.get(f"/api/jobs/{job}").json()["state"] for job in jobs]
            assert states.count("running") == 2
            assert set(states) == {"running", "queued"}
            refused = [each for each in answers if each.status_code != 202]
            assert refused
            assert {each.status_code for each in refused} == {429}
            assert refused[0].json()["error"] == "32 analyses wait already; try again when some have ended."
            work.go_on.set()
            for job in jobs[:4]:
                assert tools.ended(client, job)["state"] == "done"


def test_a_plugin_that_fails_ends_its_job_alone(analysis, lab, tools):
    def fail(*_):
        raise ZeroDivisionError("by zero")

    analysis(fail)
    with tools.client_of(lab) as client:
        image = client.post("/api/images", json=tools.drawing()).json()["id"]
        for _ in range(2):  # the thread that works jobs off is still there for the second
            job = client.post("/api/analyses/one", json={"model": "m0", "images": [image]}).json()["job"]
            said = tools.ended(client, job)
            assert said["state"] == "failed"
            assert "'one' of cnnlab-one 3.1 failed: ZeroDivisionError: by zero" in said["error"]


def by_mean(images) -> np.ndarray:
    """Logits for three classes: the mean of images in [0, 1] is nearest to 0, a half or 1."""
    means = np.asarray(images).mean(axis=(1, 2, 3))
    return -np.abs(means[:, None] - [0.0, 0.5, 1.0])


@pytest.fixture
def shades(monkeypatch, open_lab):
    """A lab with a model that was trained on six grey images: the last is misread, the one before nearly."""
    values = np.array([0, 128, 255, 0, 100, 20], np.uint8)
    split = Split(np.broadcast_to(values[:, None, None, None], (6, 4, 4, 1)), [0, 1, 2, 0, 1, 2])
    dataset = Dataset(name="shades", train=split, test=split, class_names=("black", "grey", "white"))
    fake = FakeClassifier(by_mean, (4, 4, 1), 3, class_names=dataset.class_names, path=Path("shades.keras"))
    fake.dataset_name = "shades"
    monkeypatch.setattr(loading, "load", {"shades": dataset}.__getitem__)
    return open_lab(fake)


def test_a_dataset_is_looked_through(mean, shades, tools):
    with tools.client_of(shades) as client:
        (told,) = client.get("/api/datasets").json()
        assert told == {"name": "shades", "classes": ["black", "grey", "white"], "train": 6, "test": 6}

        def ids(query: str) -> list[str]:
            return [each["id"] for each in client.get(f"/api/datasets/shades/images?{query}").json()["images"]]

        assert ids("offset=4&limit=5") == ["d0-test-4", "d0-test-5"]
        assert ids("split=train&class=2") == ids("split=train&class=white") == ["d0-train-2", "d0-train-5"]
        assert ids("mistakes=m0") == ["d0-test-5"]
        assert ids("mistakes=m0&class=black") == []
        assert ids("least_certain=m0")[0] == "d0-test-4"
        found = client.get("/api/datasets/shades/images?limit=1&offset=1").json()
        assert (found["total"], found["images"][0]["label"], found["images"][0]["source"]) == (6, 1, "shades/test:1")
        assert (pixels_in(found["images"][0]["png"]) == 128).all()
        refused = client.get("/api/datasets/shades/images?class=pink")
        assert (refused.status_code, refused.json()["error"].endswith(".")) == (400, True)


def test_images_of_a_dataset_repeat_as_a_command_and_as_a_line_of_python(mean, shades, tools):
    with tools.client_of(shades) as client:
        asked = {"model": "m0", "images": ["d0-test-4", "d0-test-1"], "params": {"size": 2}, "seed": 5}
        job = client.post("/api/analyses/one", json=asked).json()["job"]
        found = client.get(f"/api/results/{tools.ended(client, job)['result']}").json()
    assert found["rows"][0]["image"] == "shades/test:4"
    assert found["record"]["inputs"][1]["label"] == 1
    assert found["command"] == (
        "cnnlab analyze one --model shades.keras --dataset shades --index 4 --index 1 --size 2 --seed 5"
    )
    assert found["python"] == (
        "cnnlab.analyze('one', 'shades.keras', cnnlab.datasets.load('shades').test[[4, 1]], size=2, seed=5)"
    )


def test_drawn_images_repeat_from_the_file_that_the_page_saves(mean, shades, tools):
    with tools.client_of(shades) as client:
        image = client.post("/api/images", json=tools.drawing()).json()["id"]
        job = client.post("/api/analyses/one", json={"model": "m0", "images": [image]}).json()["job"]
        found = client.get(f"/api/results/{tools.ended(client, job)['result']}").json()
    assert found["command"] == f"cnnlab analyze one --model shades.keras --image {image}.png"
    assert f"save {image}.png first" in found["note"]


@pytest.mark.parametrize(
    ("params", "sentence", "field"),
    [
        ({"size": 0}, "size must be an integer of at least 1; received 0.", "size"),
        ({"size": "x"}, "size must be an integer of at least 1; received x.", "size"),
        ({"sise": 1}, "there is no parameter 'sise'. Did you mean 'size'?", None),
    ],
)
def test_a_parameter_is_refused_in_the_words_of_its_declaration(client, tools, params, sentence, field):
    image = client.post("/api/images", json=tools.drawing()).json()["id"]
    refused = client.post("/api/analyses/one", json={"model": "m0", "images": [image], "params": params})
    assert refused.status_code == 400
    assert refused.json()["error"].startswith(sentence)
    assert refused.json().get("field") == field


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/api/nothing", None, 404, "nothing at this address"),
        ("PUT", "/api/predict", None, 405, "no such method"),
        ("POST", "/api/predict", b"{", 400, "cannot be read as JSON"),
        ("POST", "/api/predict", b'{"models": NaN}', 400, "cannot be read as JSON"),
        ("POST", "/api/predict", b"[" * 100_000, 400, "cannot be read as JSON"),
        ("POST", "/api/predict", b"[1]", 400, "must hold a JSON object; received a list"),
        ("POST", "/api/predict", b'{"models": []}', 400, "models must name one"),
        ("POST", "/api/predict", b'{"models": ["m7"], "image": {"pixels": []}}', 404, "no model 'm7'"),
        ("POST", "/api/predict", b'{"models": ["m0"], "image": 3}', 400, "`pixels` or `strokes`"),
        (
            "POST",
            "/api/predict",
            b'{"models": ["m0"], "image": {"pixels": [2]}}',
            400,
            "list of 4 x 4 x 1 numbers; received 1",
        ),
        ("POST", "/api/predict", b'{"models": ["m0"], "image": {"pixels": [1e400]}}', 400, "4 x 4 x 1"),
        (
            "POST",
            "/api/predict",
            b'{"models": ["m0"], "image": {"pixels": [9' + b",9" * 15 + b"]}}",
            400,
            "from 0 (black) to 1",
        ),
        ("POST", "/api/predict", b'{"models": ["m0"], "image": {"strokes": "%%"}}', 400, "bytes in base64"),
        ("POST", "/api/predict", b'{"models": ["m0"], "image": "d9-test-0"}', 404, "no image 'd9-test-0'"),
        ("POST", "/api/analyses/two", b'{"model": "m0"}', 404, "no analysis 'two'; there are one"),
        ("POST", "/api/analyses/one", b'{"model": "m0"}', 400, "one needs images"),
        ("POST", "/api/analyses/one", b'{"model": 1}', 400, "model must be a text; received 1"),
        ("POST", "/api/analyses/one", b'{"model": "m0", "images": ["i"], "seed": -1}', 404, "no image 'i'"),
        ("GET", "/api/datasets/mnist/images", None, 404, "no dataset 'mnist'"),
        (
            "GET",
            "/api/datasets/mnist/images?limit=x",
            None,
            400,
            "limit must be a whole number from 1 to 200; received x",
        ),
        ("GET", "/api/jobs/j0", None, 404, "no job 'j0'"),
        ("GET", "/api/jobs/j0/events", None, 404, "no job 'j0'"),
        ("GET", "/api/results/r0", None, 404, "no result 'r0'"),
        ("POST", "/api/results/r0/keep", None, 404, "no result 'r0'"),
        ("POST", "/api/images", b"{}", 400, "`pixels` or `strokes`"),
    ],
)
def test_what_makes_no_sense_gets_one_sentence(client, method, path, body, status, words):
    refused = client.request(method, path, content=body)
    assert refused.status_code == status
    assert words in refused.json()["error"]
    assert refused.json()["error"].endswith(".")
