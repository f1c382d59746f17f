"""The lab's page: how soon the pen is answered."""

from __future__ import annotations

import atexit
import contextlib
import functools
import shutil
import statistics
import subprocess
import sys
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.harness import ROOT, Arrays, Race, Records, Side, Suite
from benchmarks.material import FOLDER

STROKES = 8
PACE = 1000 / 60
"""Milliseconds between two movements: as often as a screen is drawn."""

DRAW = """([strokes, pace]) => {
  const canvas = document.querySelector("#draw canvas");
  canvas.setPointerCapture = () => {};
  canvas.hasPointerCapture = () => true;
  const area = canvas.getBoundingClientRect();
  const tell = (kind, x, y) => canvas.dispatchEvent(new PointerEvent(kind, {
    bubbles: true, button: 0, pointerId: 1, clientX: area.left + x, clientY: area.top + y }));
  const lines = [[70, 70], [210, 70], [130, 220]];
  window.drawn = (async () => {
    for (let stroke = 0; stroke < strokes; stroke += 1) {
      let [from, ...others] = lines.map(([x, y]) => [x + 4 * stroke, y]);
      tell("pointerdown", ...from);
      for (const to of others) {
        for (let step = 1; step <= 12; step += 1) {
          await new Promise((done) => { setTimeout(done, pace); });
          tell("pointermove", from[0] + (step / 12) * (to[0] - from[0]), from[1] + (step / 12) * (to[1] - from[1]));
        }
        from = to;
      }
      tell("pointerup", ...from);
    }
  })();
}"""
"""Draws sevens by the events of a pen, in the page itself: no pen of several waits for another."""

AIM = 50


@functools.cache
def chromium() -> Any:
    """The browser, started once in a process."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "there is no Chromium here; Debian's package `chromium` has it"
    playwright = sync_playwright().start()
    atexit.register(playwright.stop)
    opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
    atexit.register(opened.close)
    return opened


class Drawing:
    """A lab as a command starts it, and so many pages of it in Chromium."""

    def __init__(self, pages: int) -> None:
        open_now = contextlib.ExitStack()
        self._close = weakref.finalize(self, open_now.close)
        words = ["lab", str(FOLDER / "classic.keras"), "--no-browser"]
        process = subprocess.Popen(
            [sys.executable, "-m", "cnnlab", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        open_now.callback(process.wait)
        open_now.callback(process.terminate)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, "the lab did not start"
        self._pages = [chromium().new_context().new_page() for _ in range(pages)]
        self._said: list[str] = []
        for page in self._pages:
            page.set_default_timeout(120_000)
            page.on("console", lambda message: self._said.append(message.text))
            page.on("pageerror", lambda error: self._said.append(str(error)))
            page.goto(url)
            page.wait_for_selector("body[data-ready]")
            page.wait_for_load_state("networkidle")

    def work(self) -> Arrays:
        """Draw in all pages at once, all pens down at the same time; what the pages measured, in seconds."""
        for page in self._pages:
            page.evaluate("() => performance.clearMeasures('answer')")
            page.evaluate(DRAW, [STROKES, PACE])
        for page in self._pages:
            page.evaluate("() => window.drawn")
            page.wait_for_selector("#answers:not([aria-busy]) .reads")
        took = [
            duration / 1000
            for page in self._pages
            for duration in page.evaluate("() => performance.getEntriesByName('answer').map((each) => each.duration)")
        ]
        read = [int(page.locator(".reads").inner_text().partition(" ")[0]) for page in self._pages]
        for page in self._pages:
            page.get_by_role("button", name="Clear").click()
        assert not self._said, self._said
        return {
            "read": np.array(read),
            "seconds": np.array(statistics.median(took)),
            "slowest twentieth": np.array(np.quantile(took, 0.95)),
            "answers": np.array(len(took)),
        }


def browsers(count: int) -> Any:
    drawing = Drawing(count)
    return drawing.work


def same_reading(found: Mapping[str, Arrays]) -> dict[str, float]:
    """All pages drew the same, and show what is read in it, and not what was read in a stroke before."""
    read = {int(digit) for each in found.values() for digit in each["read"]}
    assert len(read) == 1, read
    return {"digit that every page reads": float(read.pop())}


def in_milliseconds(records: Records) -> list[str]:
    """What the pages measured, as it is."""
    if PEN.name not in records:
        return []
    seconds, numbers = records[PEN.name]["seconds"], records[PEN.name]["numbers"]
    lines = ["| milliseconds until a movement of the pen is answered | median | slowest twentieth from |"]
    lines += ["| --- | --- | --- |"]
    for name, medians in seconds.items():
        slowest = numbers[name]["slowest twentieth"]
        lines += [f"| {name} | {1000 * statistics.median(medians):.0f} | {1000 * statistics.median(slowest):.0f} |"]
    reached = 1000 * statistics.median(seconds[PEN.sides[0].name]) < AIM
    verdict = "reached" if reached else "**missed**"
    return [*lines, "", f"Aimed at: one browser's median under {AIM} milliseconds; {verdict}.", ""]


PEN = Race(
    name="pen",
    title="The pen answered in the page: bars and two layers' maps of the classic network",
    sides=(
        Side("one browser", "cnnlab", browsers, given={"count": 1}),
        Side("ten browsers at once", "cnnlab", browsers, given={"count": 10}),
    ),
    agree=same_reading,
    rounds=4,
    quick=2,
)

SUITE = Suite(
    name="lab",
    title="The lab's page",
    says=f"""`cnnlab lab` with the classic network, and Chromium beside it on the same cores. In each page {STROKES}
strokes are drawn, 60 movements a second where the machine has the time; the page itself measures from a movement until
the bars and the maps show what is read in the drawing. Ten browsers draw at the same time. Every page reads the same
digit in the end, and none says anything to the console.""",
    races=(PEN,),
    more=in_milliseconds,
)
