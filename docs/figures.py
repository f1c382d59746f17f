"""Draw every picture of the docs anew, each by its command: ``make docs-figures``.

``python docs/figures.py [NAME ...]`` draws those whose names begin so. The runs are trained first, in ``build/docs``,
and kept there: under twenty minutes on two cores the first time, and ten from then on. What the tutorial says of the
report is written anew too, and its page and the lab's are looked at in Chromium (Debian's package ``chromium``). The
plots of what ``make bench`` measured are docs/performance.py's.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
WORK = ROOT / "build" / "docs"
PICTURES = DOCS / "pictures"

RUNS = {
    "runs/classic": "train --out runs/classic",
    "runs/bn": "train --batch-norm --out runs/bn",
}

OF_RUNS = {
    "confusion": "runs/classic/confusion.png",
}
"""Pictures that training itself leaves."""

COMMANDS: dict[str, dict[str, str]] = {
    "analyze occlusion --image examples/7.png": {"occlusion": "figure"},
    "analyze occlusion --dataset mnist --index 18 --patch 6": {"occlusion-hesitant": "figure"},
    "analyze filters": {"filters": "figure-conv1"},
    "analyze filters --layer conv2 --maximize --most 8 --steps 100": {"filters-maximized": "figure-conv2-maximized"},
    "analyze activations --image examples/7.png": {
        "activations": "figure-conv1",
        "activations-conv2": "figure-conv2",
    },
    "analyze saliency --image examples/7.png --method gradcam++ --layer conv2 --sanity": {
        "saliency-sanity": "figure-sanity-maps"
    },
    "analyze saliency --dataset mnist --index 0 --index 4 --index 18 --method all": {"saliency": "figure"},
    "analyze fooling": {
        "fooling-noise": "figure",
        "fooling": "figure-likeness",
        "fooling-confidence": "figure-confidence",
    },
    "analyze fgsm-untargeted --dataset mnist --limit 3": {"fgsm-untargeted": "figure"},
    "analyze targeted --image examples/7.png --target 3 --closest": {"targeted-seven": "figure"},
    "analyze targeted --dataset mnist --index 18 --index 4 --index 0 --target 9 --closest": {"targeted": "figure"},
    "analyze targeted --dataset mnist --limit 100 --closest": {"targeted-matrix": "figure-matrix"},
    "analyze targeted --dataset mnist --limit 100 --target 9 "
    "--beta 0.03 --beta 0.1 --beta 0.3 --beta 1 --beta 3 --beta 10 --beta 30 --beta 100 --beta 300": {
        "targeted-trade-off": "figure-trade-off"
    },
    "analyze noise-addition --dataset mnist --limit 1000": {
        "noise-addition": "figure",
        "noise-addition-noise": "figure-noise",
    },
    "analyze noise-addition --dataset mnist --limit 1000 --target all": {"noise-addition-matrix": "figure-matrix"},
    "analyze robustness --dataset mnist --limit 1000 --minimal": {
        "robustness": "figure",
        "robustness-smallest": "figure-smallest",
    },
}
"""What each command draws: a picture of the docs, by the file that it leaves."""

COLOURFUL = {
    "analyze occlusion --model colourful --image seven.png --image seven-in-the-colour-of-two.png --label 7 --label 7 "
    "--patch 7": {"bring-your-own-occlusion": "figure"},
    "analyze filters --model colourful --layer colours": {"bring-your-own-filters": "figure-colours"},
}
"""The same of the model that ``examples/bring_your_own.py`` makes."""

REPORT = "report runs/classic --profile assignment"

OF_REPORT: dict[str, tuple[str, int]] = {
    "report-training": ("training", 0),
    "report-predictions": ("predictions", 0),
    "report-batch-normalisation": ("batch-normalisation", 0),
    "report-filters": ("filters", 0),
    "report-activations": ("activations", 0),
    "report-occlusion": ("occlusion", 0),
    "report-fooling": ("fooling", 0),
    "report-targeted": ("targeted", 0),
    "report-targeted-matrix": ("targeted", 1),
    "report-noise-addition": ("noise-addition", 0),
    "report-noise-addition-noise": ("noise-addition", 1),
}
"""Pictures of the report that the tutorial walks through: the section that shows them, and which of its figures."""

PAGES: dict[str, dict[str, Any]] = {
    "page": {"viewport": {"width": 1400, "height": 1500}, "color_scheme": "light"},
    "page-phone": {"viewport": {"width": 360, "height": 1500}, "color_scheme": "dark"},
}
"""Pictures of the report's page, by how it is looked at."""

LAB: dict[str, dict[str, Any]] = {
    "lab": {"viewport": {"width": 1400, "height": 1130}, "color_scheme": "light"},
    "lab-compare": {"viewport": {"width": 1400, "height": 1230}, "color_scheme": "dark"},
    "lab-phone": {"viewport": {"width": 360, "height": 1130}, "color_scheme": "dark"},
}
"""Pictures of the lab's page, by how it is looked at."""

STROKES = (
    ((78, 92), (104, 66), (150, 62), (186, 84), (190, 108), (168, 128), (134, 128)),
    ((190, 100), (172, 170), (140, 226)),
)
"""A 7 with a bar, drawn on the lab's canvas: no model is sure of it."""

SAID = re.compile(r"(<!-- report: ([\w-]+) -->\n)(.*?)(<!-- report ends -->)", re.DOTALL)
"""Where the tutorial says what the report concludes in a section."""


def main(wanted: list[str]) -> None:
    """Draw the pictures whose names begin with one of ``wanted``; all by default."""
    WORK.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "examples", WORK / "examples", dirs_exist_ok=True)
    for folder, command in RUNS.items():
        if not (WORK / folder / "run.json").exists():
            cnnlab(command)
    for name, source in OF_RUNS.items():
        if is_wanted(name, wanted):
            shutil.copy(WORK / source, PICTURES / f"{name}.png")
    for commands in (COMMANDS, COLOURFUL):
        for command, pictures in commands.items():
            if any(is_wanted(name, wanted) for name in pictures):
                draw(command, pictures)
    if any(is_wanted(name, wanted) for name in (*OF_REPORT, *PAGES)):
        draw_report()
    if any(is_wanted(name, wanted) for name in LAB):
        look_at_lab()


def names() -> set[str]:
    """Return the names of all pictures."""
    drawn = [name for commands in (COMMANDS, COLOURFUL) for pictures in commands.values() for name in pictures]
    measured = {picture.stem for picture in PICTURES.glob("performance-*.png")}
    return {*OF_RUNS, *drawn, *OF_REPORT, *PAGES, *LAB, *measured}


def is_wanted(name: str, wanted: list[str]) -> bool:
    """Whether a picture is among those asked for."""
    return not wanted or any(name.startswith(begin) for begin in wanted)


def cnnlab(command: str) -> None:
    """Run a command where the runs are."""
    print(f"$ cnnlab {command}", flush=True)
    words = [sys.executable, "-m", "cnnlab", *shlex.split(command)]
    subprocess.run(words, cwd=WORK, check=True, stdout=subprocess.DEVNULL)


def draw(command: str, pictures: dict[str, str]) -> None:
    """Run a command, and keep what it draws under the names of the docs."""
    shutil.rmtree(WORK / "out", ignore_errors=True)
    own = " --model runs/classic" if "--model" not in command else ""
    if "colourful" in command and not (WORK / "colourful").exists():
        subprocess.run([sys.executable, "examples/bring_your_own.py"], cwd=WORK, check=True)
        cnnlab("inspect colourful --class-names names.txt --remember")
    cnnlab(f"{command}{own} --out out")
    for name, source in pictures.items():
        shutil.copy(WORK / "out" / f"{source}.png", PICTURES / f"{name}.png")


def draw_report() -> None:
    """Make the report in its three formats: its pictures, what it concludes, and how its page looks."""
    for ending in ("md", "json", "html"):
        cnnlab(f"{REPORT} --out report.{ending}")
    sections = json.loads((WORK / "report.json").read_text(encoding="utf-8"))["sections"]
    drawn = dict(zip(places(sections), figures_in(WORK / "report-images"), strict=True))
    for name, place in OF_REPORT.items():
        shutil.copy(drawn[place], PICTURES / f"{name}.png")
    tutorial = DOCS / "tutorial.md"
    tutorial.write_text(told(tutorial.read_text(encoding="utf-8"), sections), encoding="utf-8")
    look_at(WORK / "report.html")


def places(sections: list[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    """Say of the report's figures, in their order, in which section they are, and which of its figures."""
    for section in sections:
        yield from ((section["name"], number) for number in range(len(section.get("figures", ()))))


def figures_in(folder: Path) -> list[Path]:
    """Return the pictures that a report in Markdown has beside it, in their order."""
    return sorted(folder.glob("figure-*.png"), key=lambda path: int(path.stem.split("-")[1]))


def told(tutorial: str, sections: list[dict[str, Any]]) -> str:
    """Return the tutorial with what the report concludes, section by section."""
    known = {section["name"]: section for section in sections}
    return SAID.sub(lambda found: f"{found[1]}{conclusions_of(known[found[2]])}{found[4]}", tutorial)


def conclusions_of(section: Mapping[str, Any]) -> str:
    """Return what a section of a report concludes, as a quotation in Markdown."""
    from cnnlab.reports.chapter import Conclusion
    from cnnlab.reports.markdown import escaped
    from cnnlab.reports.telling import verdict

    if section["left_out"]:
        raise SystemExit(f"The report has no section {section['name']}: {section['left_out']}")
    lines = []
    for record in section["conclusions"]:
        word, sign = verdict(conclusion := Conclusion(**record))
        text = f"{sign} *{word}* {escaped(conclusion.says)}"
        lines += textwrap.wrap(text, 120, initial_indent="> - ", subsequent_indent=">   ", break_on_hyphens=False)
    return "\n".join(lines) + "\n"


def look_at(page: Path) -> None:
    """Take pictures of the beginning of a page, as Chromium shows it."""
    with chromium() as browser:
        for name, options in PAGES.items():
            opened = browser.new_page(**options)
            opened.goto(page.as_uri())
            opened.screenshot(path=PICTURES / f"{name}.png")


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Chromium, for as long as it is looked at."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


def look_at_lab() -> None:
    """Take pictures of the lab: a drawing that is asked about, two models on a dataset's images, and a phone."""
    words = [sys.executable, "-m", "cnnlab", "lab", *RUNS, "--no-browser"]
    with subprocess.Popen(words, cwd=WORK, stdout=subprocess.PIPE, text=True) as server, chromium() as browser:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        for name, options in LAB.items():
            page = browser.new_page(**options)
            page.goto(url)
            page.wait_for_selector("body[data-ready]")
            {"lab": ask_of_drawing, "lab-compare": compare, "lab-phone": draw_digit}[name](page)
            page.evaluate("scrollTo(0, 0)")
            page.mouse.move(0, 0)  # a button under the pointer has another colour
            page.screenshot(path=PICTURES / f"{name}.png")
        server.terminate()


def draw_digit(page: Any) -> None:
    """Draw on the lab's canvas."""
    box = page.locator("#draw canvas").bounding_box()
    for (x, y), *others in STROKES:
        page.mouse.move(box["x"] + x, box["y"] + y)
        page.mouse.down()
        for right, down in others:
            page.mouse.move(box["x"] + right, box["y"] + down, steps=6)
        page.mouse.up()
    page.wait_for_selector("#chosen img")
    page.wait_for_selector(".map")


def ask_of_drawing(page: Any) -> None:
    """Draw, and ask on what the reading rests."""
    draw_digit(page)
    page.select_option("#analysis", "occlusion")
    page.locator("#question button.main").click()
    page.wait_for_selector("article.found")


def compare(page: Any) -> None:
    """Attack two models with the same images."""
    page.locator("#models input").nth(1).check()
    page.get_by_role("tab", name="Dataset").click()
    page.get_by_role("combobox", name="Which").select_option(label="least certain of classic")
    page.wait_for_function("() => / of /.test(document.querySelector('#dataset [role=status]').textContent)")
    page.get_by_label("Choose several").check()
    for index in (0, 1):
        page.locator(".thumbnails button").nth(index).click()
    page.select_option("#analysis", "fgsm-untargeted")
    page.locator("#question button.main").click()
    page.wait_for_selector("article.found")


if __name__ == "__main__":
    os.environ["COLUMNS"] = "100"
    main(sys.argv[1:])
