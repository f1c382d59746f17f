"""Training in the page, in Chromium: the form, the curves that grow, the filters that change, stop and resume."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from cnnlab.lab import training_process
from cnnlab.training import artifacts

pytest.importorskip("starlette", reason="cnnlab[lab] is not installed")


@pytest.fixture
def page(browser, open_lab, tools, tmp_path, monkeypatch) -> Iterator[Any]:
    """The page of a lab that has no model, whose training waits in the second and the third epoch."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(artifacts, "_drawings", lambda *_: {})  # figures, which take a while
    monkeypatch.setattr(training_process, "SHARE", 0)  # each epoch is drawn, however slow the machine is just now
    lab = open_lab()
    lab.training._begin = partial(tools.in_process, held={2, 3})
    said: list[str] = []
    with tools.served(lab) as address:
        context = browser.new_context(viewport={"width": 1400, "height": 1000})
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(address)
        page.lab = lab
        yield page
        context.close()
    assert said == []


def test_one_trains_from_nothing_stops_resumes_and_asks(page, tools, axe, tmp_path):
    assert page.get_by_text("There is no model yet").is_visible()
    assert not page.locator("#ask").is_visible()
    start = page.locator("#network").get_by_role("button", name="Start")
    for label, value in {"Epochs": "0", "Limit": "300", "Validation": "100", "Batch size": "50"}.items():
        page.get_by_label(label, exact=True).fill(value)
    start.click()
    refused = page.locator("#train-epochs-refused")
    refused.wait_for()
    assert refused.inner_text() == "epochs must be an integer of at least 1; received 0."
    page.get_by_label("Epochs", exact=True).fill("3")
    start.click()

    def shown_after(words: str) -> tuple[str, list[int]]:
        """The picture of the filters, and how many points each chart has, of training and validation."""
        shown = page.locator("#training .preview")
        shown.get_by_text(words).wait_for()
        charts = [chart.locator("tbody tr").count() for chart in shown.locator(".chart").all()]
        return shown.locator(".sheet img").first.get_attribute("src"), charts

    first, points = shown_after("after 1 epoch")
    assert points == [2, 2]
    assert start.is_disabled()
    page.lab.training._trainer.go_on.set()
    second, points = shown_after("after 2 epochs")
    assert points == [4, 4]
    assert first != second
    assert page.locator("#training progress").get_attribute("max") == "12"
    page.get_by_role("button", name="Stop").click()
    page.locator("#training .headline", has_text="Stopped; ").wait_for()
    (run,) = (tmp_path / "runs").iterdir()
    assert f"runs/{run.name}" in page.locator("#training").inner_text()
    page.locator("#training summary", has_text="Repeat it").click()
    commands = page.locator("#training pre").all_inner_texts()
    settings = "--epochs 3 --batch-size 50 --validation 100 --limit 300"
    assert commands == [f"cnnlab train {settings}", f"cnnlab train --out runs/{run.name} --resume"]
    assert "2 of 3 epochs" in page.locator("#network .unfinished").inner_text()
    page.get_by_role("button", name=f"Resume {run.name}").click()
    page.locator("#training .headline", has_text="The run is complete, and is among the models above.").wait_for()
    assert shown_after("after 3 epochs")[1] == [6, 6]
    page.wait_for_selector("body[data-ready]")
    assert page.locator("#models label").inner_text().strip().startswith(run.name)
    assert not page.get_by_text("There is no model yet").is_visible()
    assert page.locator("#network .unfinished").count() == 0
    page.locator("#draw canvas").scroll_into_view_if_needed()
    box = page.locator("#draw canvas").bounding_box()
    page.mouse.move(box["x"] + 140, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 230, steps=8)
    page.mouse.up()
    page.wait_for_selector(".reads")

    # Another joins the models of a page that is open.
    told = {"run": str(run.relative_to(tmp_path)), "epochs": 3, "training_images": 200, "validation_images": 100}
    page.lab.training._begin = tools.scripted(("started", told), ("complete", {"run": told["run"]}))
    start.click()
    page.locator("#models label").nth(1).wait_for()
    assert not page.locator("#models input").nth(1).is_checked()
    page.locator("#training").get_by_role("button", name="Ask").click()
    page.wait_for_function("() => document.querySelectorAll('#models input')[1].checked")
    assert not page.locator("#models input").nth(0).is_checked()
    assert tools.violations(page, axe) == []


def test_a_page_that_is_opened_while_something_is_trained_shows_it(page, tools):
    told = {"run": "runs/mine", "epochs": 2, "training_images": 200, "validation_images": 100}
    failed = tools.scripted(
        ("started", told), ("note", {"text": "so it is."}), ("failed", {"error": "There is no room."})
    )
    page.lab.training._begin = partial(Waiting, failed)
    page.locator("#network").get_by_role("button", name="Start").click()
    page.get_by_text("Its folder is runs/mine.").wait_for()
    page.reload()
    page.get_by_text("Its folder is runs/mine.").wait_for()
    assert page.get_by_role("button", name="Start").is_disabled()
    page.lab.training._trainer.go_on()
    page.locator("#network .refused", has_text="There is no room.").wait_for()
    assert page.get_by_text("Note: so it is.").is_visible()
    page.locator("#network button:enabled", has_text="Start").wait_for()


class Waiting:
    """What trains by a script, and waits before its last word."""

    def __init__(self, script: Any, order: dict[str, Any]) -> None:
        import threading

        self._script, self._held = script, threading.Event()
        self.go_on, self.stop, self.wait = self._held.set, self._held.set, script.wait

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        *told, last = self._script.events()
        yield from told
        self._held.wait(60)
        yield last
