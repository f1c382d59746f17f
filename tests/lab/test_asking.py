"""What is asked in the page: files and results for parameters, and what is wrong, told before anybody runs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from annotated_types import Ge, Lt

from cnnlab.classifier import Classifier
from cnnlab.errors import UsageError
from cnnlab.lab import images, uploads
from cnnlab.pluginhost.declarations import Array
from cnnlab.pluginhost.of_model import AClass, AModel
from cnnlab.pluginhost.params import Doc, Params
from cnnlab.results.result import Result


@dataclass(frozen=True, kw_only=True)
class Asked(Params):
    """Parameters of every kind that a page must be careful with."""

    low: Annotated[float, Ge(0), Doc("A bound.")] = 0.0
    high: Annotated[float, Lt(9), Doc("Another.")] = 1.0
    target: Annotated[int | None, AClass(), Doc("A class.")] = None
    path: Annotated[Path | None, Doc("A file.")] = None
    several: Annotated[tuple[Path, ...], Doc("Files.")] = ()
    other: Annotated[Classifier | None, AModel(), Doc("A model.")] = None

    def check(self) -> None:
        if self.low > self.high:
            raise UsageError("low must be at most high.")


@pytest.fixture
def client(analysis, open_lab, fakes, tools):
    """A client of a lab whose analysis reads the files that it is given."""

    def work(classifier, inputs, params, context) -> Result:
        read = [each.read_text() for each in (*params.several, *filter(None, [params.path])) if each.is_file()]
        return Result(headline=" ".join(read), arrays={"x": np.zeros(())})

    analysis(work, params=Asked, arrays={"x": Array("nothing", axes=())}, inputs="optional")
    fakes[0].path = Path("fake.keras")
    with tools.client_of(open_lab(*fakes)) as asking:
        yield asking


def upload(client, *contents: tuple[str, bytes]):
    return client.post("/api/files", files=[("file", (name, content)) for name, content in contents])


def found(client, tools, params):
    job = client.post("/api/analyses/one", json={"model": "m0", "params": params}).json()["job"]
    ended = tools.ended(client, job)
    return ended["result"], client.get(f"/api/results/{ended['result']}").json()


def test_a_parameter_takes_files_that_were_handed_over_and_the_command_names_them(client, tools):
    first, second = upload(client, ("../my noise.txt", b"one"), ("b.txt", b"two")).json()
    assert (first["name"], first["bytes"]) == ("my_noise.txt", 3)
    params = {"path": {"file": first["id"]}, "several": [{"file": second["id"]}, {"file": first["id"]}]}
    _, result = found(client, tools, params)
    assert result["record"]["headline"] == "two one one"
    assert result["command"] == (
        "cnnlab analyze one --model fake.keras --path my_noise.txt --several b.txt --several my_noise.txt"
    )
    assert result["python"] == (
        "cnnlab.analyze('one', 'fake.keras', path='my_noise.txt', several=['b.txt', 'my_noise.txt'])"
    )
    assert "the file my_noise.txt, which was uploaded here: say where yours lies." in result["note"]


def test_a_result_that_nobody_kept_is_to_be_kept_before_the_command_names_it(client, tools, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, _ = found(client, tools, {})
    _, result = found(client, tools, {"path": {"result": name}})
    assert "keep that one, and name its folder" in result["note"]
    kept = client.post(f"/api/results/{name}/keep").json()["path"]
    _, result = found(client, tools, {"path": {"result": name}})
    assert (result["note"], f"--path {kept}" in result["command"]) == ("", True)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ({"file": "f0"}, 404),
        ({"file": 1}, 400),
        ({"file": "../secret"}, 404),
        ({"file": "/etc/passwd"}, 404),
        ({"file": "f0", "result": "r0"}, 400),
        ({"file": None}, 400),
        ([[{"file": "f0"}]], 404),
    ],
)
def test_what_was_not_handed_over_is_not_there(client, value, status):
    refused = client.post("/api/analyses/one", json={"model": "m0", "params": {"path": value}})
    assert refused.status_code == status
    assert refused.json()["error"].endswith(".")


def test_files_are_bounded_in_bytes_and_number(client, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_BYTES", 10)
    refused = upload(client, ("large.txt", b"x" * 11))
    assert (refused.status_code, refused.json()["error"]) == (
        413,
        "large.txt has 11 bytes; the lab takes files of 10 at most.",
    )
    many = upload(client, *[(f"{number}.txt", b"") for number in range(images.MOST_AT_ONCE + 1)])
    assert (many.status_code, many.json()["error"]) == (413, "the lab takes 16 files at once.")
    assert client.post("/api/files", data={"a": "b"}).status_code == 400
    assert client.post("/api/files", content=b"{}").status_code == 400


def problems(client, params, **more):
    answered = client.post("/api/analyses/one/check", json={"model": "m0", "params": params, **more})
    assert answered.status_code == 200
    return answered.json()["problems"]


def test_each_wrong_value_gets_its_own_sentence_at_its_own_field(client):
    assert problems(client, {}) == []
    wrong = {
        "low": -1,
        "high": "x",
        "target": "grey",
        "path": "/etc/passwd",
        "other": "m9",
        "several": [{"file": "f0"}],
    }
    assert {each["field"]: each["error"] for each in problems(client, wrong)} == {
        "low": "low must be a number of at least 0; received -1.",
        "high": "high must be a number below 9; received x.",
        "target": "target must be one of the model's 2 classes, 0 to 1; received grey. There is: 'bright', 'dark'.",
        "path": "path takes a file, and the lab takes no path from a browser; give a result of the lab, as "
        '{"result": "ID"}, or a file that was handed over to it, as {"file": "ID"}.',
        "other": "there is no model 'm9' in this lab.",
        "several": "there is no file 'f0' in this lab.",
    }
    (other,) = problems(client, {"other": "m1"})
    assert other["field"] == "other"
    assert other["error"].startswith("other must be a model for the same images and classes; it has values [0.0, ")


def test_what_is_wrong_together_is_told_too(client):
    assert problems(client, {"low": 2}) == [{"field": "low", "error": "low must be at most high."}]
    assert problems(client, {"lo": 2})[0]["error"].startswith("there is no parameter 'lo'.")
    assert problems(client, {}, seed=-1)[0]["error"].startswith("seed must be a whole number from 0")


def test_what_passes_is_taken_and_what_does_not_is_refused_with_the_same_sentence(client):
    for params in ({}, {"low": 2}, {"low": -1}, {"high": "x"}, {"target": 7}):
        told = problems(client, params, images=[])
        asked = client.post("/api/analyses/one", json={"model": "m0", "params": params, "images": []})
        assert (asked.status_code == 202) == (told == [])
        if told:
            assert asked.json() == {"error": told[0]["error"], "field": told[0]["field"]}


def test_images_are_missed_only_where_somebody_runs_it(analysis, lab, tools):
    analysis(lambda *_: Result())
    with tools.client_of(lab) as client:
        assert problems(client, {}) == []
        ((told),) = problems(client, {}, images=[])
        assert (told["field"], told["error"][:17]) == ("", "one needs images:")
        assert problems(client, {}, images=["i0"])[0]["error"] == "there is no image 'i0' in this lab."


def test_a_value_that_is_no_text_that_can_be_written_is_refused_in_one_that_can(client):
    spoilt = b'{"model": "m0", "params": {"high": "\\ud800"}}'
    told = client.post("/api/analyses/one/check", content=spoilt).json()["problems"][0]["error"]
    asked = client.post("/api/analyses/one", content=spoilt)
    assert (told, asked.json()["error"]) == ("high must be a number below 9; received ?.",) * 2


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("one", {}, 400),
        ("one", {"model": "m9"}, 404),
        ("one", {"model": "m0", "params": 3}, 400),
        ("two", {"model": "m0"}, 404),
    ],
)
def test_a_check_of_nothing_is_refused(client, path, body, status):
    refused = client.post(f"/api/analyses/{path}/check", json=body)
    assert (refused.status_code, refused.json()["error"][-1]) == (status, ".")
