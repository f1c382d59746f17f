"""Widgets that plugins bring: which files are served, and what they do on the page, one that fails too."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from annotated_types import Ge

from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.datasets import Dataset, Split, loading
from cnnlab.lab import app as module
from cnnlab.lab.app import Lab
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Analysis, Array
from cnnlab.pluginhost.params import Doc, Params, Widget
from cnnlab.testing import FakeClassifier

FOURIER = Path(__file__).resolve().parents[2] / "examples" / "cnnlab-fourier"

FAILS = """
export const parameter = () => { throw new Error("no control today"); };
export const drawing = async ({ element }) => { element.replaceChildren(); throw new Error("no map today"); };
"""

RUN = """
from cnnlab.drawings import Picture
from cnnlab.results.result import Result
import numpy as np

def run(classifier, inputs, params, context):
    picture = Picture(values=np.ones((2, 2)), title=f"size {params.size}")
    return Result(headline="Done.", arrays={"map/one": np.array([[1.0, np.nan]])}, drawings={"": picture})
"""


@dataclass(frozen=True, kw_only=True)
class Sized(Params):
    size: Annotated[int, Ge(1), Widget("own.js"), Doc("A size.")] = 1
    files: Annotated[tuple[Path, ...], Doc("Files.")] = ()


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patching:
        yield patching


@pytest.fixture(scope="module")
def installed(patch, tmp_path_factory) -> Path:
    """Two plugins: cnnlab-fourier, and one whose widget fails; the folder of the second's package."""
    folder = tmp_path_factory.mktemp("site") / "cnnlab_failing"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "run.py").write_text(RUN)
    (folder / "own.js").write_text(FAILS)
    (folder / "other.js").write_text("export const secret = 3;")
    for path in (folder.parent, FOURIER):
        patch.syspath_prepend(path)
    import cnnlab_fourier

    failing = Analysis(
        name="failing",
        summary="Fail.",
        params=Sized,
        run="cnnlab_failing.run:run",
        inputs="none",
        arrays={"map/<layer>": Array("a map", axes=("rows", "cols"))},
        widgets={"": "own.js"},
    )
    plugins = (
        registry.Plugin("failing", "cnnlab_failing", "cnnlab-failing", "2 beta", declarations=(failing,)),
        registry.Plugin(
            "fourier", "cnnlab_fourier", "cnnlab-fourier", "0.1.0", declarations=tuple(cnnlab_fourier.cnnlab_analyses())
        ),
    )
    patch.setattr(registry, "plugins", lambda: plugins)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] in ("cnnlab_failing", "cnnlab_fourier")]:
        del sys.modules[name]


def stripes(images: Any) -> np.ndarray:
    """Logits of two classes: the second is that of strong stripes, four across."""
    strength = np.abs(np.fft.fft2(np.asarray(images)[..., 0], axes=(1, 2))[:, 0, 4])
    return np.stack([1 - strength, strength - 1], axis=1)


@pytest.fixture(scope="module")
def lab(patch, installed) -> Iterator[Lab]:
    """A lab with a model that reads stripes, of grey images."""
    split = Split(np.full((6, 8, 8, 1), 128, np.uint8), np.zeros(6, np.int64))
    dataset = Dataset(name="greys", train=split, test=split, class_names=("plain", "striped"))
    model = FakeClassifier(stripes, (8, 8, 1), 2, class_names=dataset.class_names, path=Path("stripes.keras"))
    model.dataset_name = "greys"
    patch.setattr(loading, "load", {"greys": dataset}.__getitem__)
    made = Lab.of([ModelChoice(model=model)])
    yield made
    made.jobs.close(10)


@pytest.fixture(scope="module")
def client(lab, tools):
    with tools.client_of(lab) as asking:
        yield asking


def found(client, tools, name: str, **asked: Any) -> dict[str, Any]:
    job = client.post(f"/api/analyses/{name}", json={"model": "m0", **asked}).json()["job"]
    return client.get(f"/api/results/{tools.ended(client, job)['result']}").json()


def test_widgets_are_told_with_the_version_in_their_address_and_served_as_modules(client):
    told = {each["name"]: each for each in client.get("/api/analyses").json()}
    assert told["fourier"]["widgets"] == {"": "/plugins/cnnlab-fourier/0.1.0/spectrum.js"}
    assert told["fourier"]["parameters"]["properties"]["norm"]["x-widget"] == "/plugins/cnnlab-fourier/0.1.0/norm.js"
    assert told["failing"]["widgets"] == {"": "/plugins/cnnlab-failing/2-beta/own.js"}
    for address in (*told["fourier"]["widgets"].values(), *told["failing"]["widgets"].values()):
        served = client.get(address)
        assert (served.status_code, served.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
        assert "export const" in served.text


@pytest.mark.parametrize(
    "address",
    [
        "cnnlab-failing/2-beta/other.js",  # which is in the package, and not declared
        "cnnlab-failing/2-beta/run.py",
        "cnnlab-failing/2-beta/__init__.py",
        "cnnlab-failing/2-beta/../2-beta/own.js",
        "cnnlab-failing/2-beta/%2e%2e/2-beta/own.js",
        "cnnlab-failing/2-beta/own.js/",
        "cnnlab-failing/1/own.js",
        "cnnlab-fourier/0.1.0/own.js",
        "/etc/passwd",
        "",
    ],
)
def test_nothing_else_is_served_there(client, tools, lab, address):
    refused = client.get(f"{tools.url}/plugins/{address}")
    if address == "cnnlab-failing/2-beta/../2-beta/own.js":  # the client itself has resolved it
        assert refused.request.url.path == "/plugins/cnnlab-failing/2-beta/own.js"
        return
    assert (refused.status_code, "there is no widget" in refused.text) == (404, True)
    with tools.client_of(lab, authorization="") as stranger:
        assert stranger.get("/plugins/cnnlab-failing/2-beta/own.js").status_code == 401


def test_a_widget_that_is_gone_is_not_there(client, installed):
    text = (installed / "own.js").read_text()
    (installed / "own.js").unlink()
    assert client.get("/plugins/cnnlab-failing/2-beta/own.js").status_code == 404
    (installed / "own.js").write_text(text)


def test_an_array_is_had_by_its_name_as_json(client, tools, monkeypatch):
    result = found(client, tools, "failing")["id"]
    answered = client.get(f"/api/results/{result}/arrays/map/one")
    assert answered.json() == {"shape": [1, 2], "dtype": "float64", "values": [1.0, None]}
    assert client.get(f"/api/results/{result}/arrays/map").json()["error"] == "there is no array 'map' in this lab."
    monkeypatch.setattr(module, "MOST_VALUES", 1)
    refused = client.get(f"/api/results/{result}/arrays/map/one")
    assert (refused.status_code, refused.json()["error"]) == (
        413,
        "the array has 2 values, and the lab gives 1 as JSON at most; take `arrays.npz`.",
    )


@pytest.fixture(scope="module")
def address(lab, tools) -> Iterator[str]:
    with tools.served(lab) as url:
        yield url


@pytest.fixture
def page(visit, address):
    return visit(address)


def run(page, analysis: str) -> None:
    page.locator("#question button[type=submit]").click()
    page.wait_for_selector(f".found h3:has-text('{analysis}')")


def test_the_widgets_of_the_example_set_the_norm_and_answer_for_each_frequency(page, axe):
    page.get_by_role("tab", name="Dataset").click()
    page.locator(".thumbnails button").first.click()
    page.wait_for_selector("#chosen img")
    page.select_option("#analysis", "fourier")
    slider = page.get_by_label("Norm, by its doublings")
    assert page.get_by_role("spinbutton", name="Norm").input_value() == "4"
    slider.focus()
    slider.fill("1")
    assert page.get_by_role("spinbutton", name="Norm").input_value() == "0.5"
    with page.expect_request("**/api/analyses/fourier") as request:
        run(page, "fourier")
    assert request.value.post_data_json["params"] == {"norm": 0.5}

    told = page.locator(".found section p[role=status]")
    assert told.inner_text() == "0 cycles down and -4 across: 100% of the images misread."
    noisy = page.locator(".found canvas").nth(1)
    stripes_of = "canvas => canvas.toDataURL()"
    before = noisy.evaluate(stripes_of)
    down = page.get_by_label("Cycles down")
    down.focus()
    page.keyboard.press("ArrowRight")
    assert told.inner_text() == "1 cycles down and -4 across: 0% of the images misread."
    box = page.locator(".found .pixels").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.01, box["y"] + box["height"] * 0.6)
    assert told.inner_text().startswith("0 cycles down and -4 across: 100%")
    assert noisy.evaluate(stripes_of) == before
    assert axe(page) == []


def test_a_widget_that_fails_leaves_the_ordinary_control_and_drawing_with_a_note(page):
    page.select_option("#analysis", "failing")
    page.wait_for_selector(".field :text('no control today')")
    page.get_by_label("Size", exact=True).fill("3")
    run(page, "failing")
    page.wait_for_selector(".found :text('no map today')")
    section = page.locator(".found section")
    assert "size 3" in section.inner_text()
    assert section.locator(".pixels").count() == 1
    assert section.locator("p.told").inner_text() == "The plugin's own drawing cannot be shown: no map today."
    page.locator(".found .pixels").hover()
    page.wait_for_selector(".found .cross")  # the drawing answers the pointer as any does


def test_a_parameter_of_several_files_takes_several_and_what_is_chosen_goes_in(page, tmp_path):
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_text(name)
    page.select_option("#analysis", "failing")
    page.get_by_label("or files of yours").set_input_files([tmp_path / name for name in ("a.txt", "b.txt")])
    page.wait_for_selector("#of-files label:has-text('b.txt')")
    page.get_by_label("or files of yours").set_input_files(tmp_path / "c.txt")
    page.get_by_label("c.txt").wait_for()
    page.get_by_label("a.txt").uncheck()
    with page.expect_request("**/api/analyses/failing") as request:
        run(page, "failing")
    given = request.value.post_data_json["params"]["files"]
    assert [set(each) for each in given] == [{"file"}] * 2
    page.locator(".found summary", has_text="Repeat it").click()
    assert page.locator(".found .copied").count() == 2
    assert "--files b.txt --files c.txt" in page.locator(".found pre").first.inner_text()
