"""The page of a report: whole within one file, escaped, and answering in a real browser."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re

import numpy as np
import pytest

from cnnlab import drawings
from cnnlab.reports.page import page

SEEN = (("light", 360), ("light", 768), ("light", 1400), ("dark", 1400))
"""In which colours a page is looked at, and how wide: the colours are the same at any width."""


@pytest.fixture
def opened(open_html, made):
    return lambda word="seven", **options: open_html(page(made(word)), **options)


def test_axe_finds_nothing_at_any_width_in_light_and_dark(opened, axe):
    shown = opened()
    found = []
    for scheme, width in SEEN:
        shown.emulate_media(color_scheme=scheme)
        shown.set_viewport_size({"width": width, "height": 900})
        shown.wait_for_function("() => new Promise(requestAnimationFrame).then(() => true)")
        found += [f"{scheme}, {width}: {words}" for words in axe(shown)]
        assert shown.evaluate("document.documentElement.scrollWidth") == width, "the page scrolls sideways"
    assert found == []


@pytest.mark.parametrize(
    "word",
    [
        # Markup, what ends a string, a link or a style, and a template, all in one.
        """<script>alert(1)</script>"><img src=x onerror=alert(1)>'; alert(1); '](javascript:alert(1)){{ 7 * 7 }}""",
        "</style><script>alert(1)</script>",
        "a\u202eb",
        "data:text/html,<script>alert(1)</script>",
    ],
)
def test_hostile_names_are_shown_and_do_nothing(opened, word):
    shown = opened(word)  # a dialog, a message or a request fails in open_html
    assert shown.locator("h1").inner_text() == f"About {word.replace(chr(0x202E), chr(0xFFFD))}"
    assert shown.locator("script").count() == 1
    assert "49" not in shown.locator("h1").inner_text()
    assert shown.locator("img[onerror]").count() == 0


def test_headings_are_in_order_and_every_section_can_be_reached(opened):
    shown = opened()
    levels = shown.eval_on_selector_all("h1, h2, h3", "all => all.map(each => Number(each.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for link in shown.locator(".glance a").all():
        assert shown.locator(link.get_attribute("href")).count() == 1


def test_every_figure_saves_its_data(opened, made, tmp_path):
    shown, figure = opened(), made().sections[0].chapter.figures[0]
    for link in shown.locator("#figure-1 a[download]").all():
        with shown.expect_download() as saved:
            link.click()
        saved.value.save_as(tmp_path / saved.value.suggested_filename)
    data = json.loads((tmp_path / "figure-1.json").read_text(encoding="utf-8"))
    assert (data["command"], data["seed"], data["params"]["patch"]) == (figure.command, 7, 4)
    back = drawings.from_json(json.dumps({"": data["drawing"]}))[""]
    np.testing.assert_array_equal(back.tiles[1].values, figure.drawing.tiles[1].values)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "figure-1.csv").read_text(encoding="utf-8"))))
    assert rows == [{"image": "seven", "score": "0.5", "at": ""}, {"image": "other", "score": "0.25", "at": "3"}]


def test_pictures_of_one_image_share_a_pointer_through_the_whole_page(opened):
    shown = opened(viewport={"width": 1400, "height": 2400})
    first = shown.locator("#figure-1 .pixels").first
    first.hover(position={"x": 3, "y": 3})
    marked = shown.locator(".figure-of-report:has(.cross)")
    assert marked.count() == 2, "the other figure of that image is pointed at too"


def test_a_slider_changes_what_is_seen(opened):
    shown = opened()
    slider = shown.locator("#figure-1 input[type=range]").first
    slider.fill("1")
    assert shown.locator("#figure-1 .slider output").first.inner_text() == "0.2"


def test_it_can_be_read_without_its_script(made, browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(page(made()), encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    shown = context.new_page()
    shown.goto(path.as_uri())
    text = shown.locator("main").inner_text()
    for words in (
        "seven is fooled.",
        "not as expected",
        "Rule: More than half.",
        "Figure 1.",
        "--image 'seven'",
        "Seed 7",
    ):
        assert words in text
    assert shown.locator("#figure-1 .frame").count() == shown.locator("#figure-1 .frame:visible").count() == 2
    context.close()


def test_what_is_left_out_says_why_as_options_are_spelt(opened):
    text = opened().locator("#third").locator("xpath=..").inner_text()
    assert "Left out: it needs seven: name a dataset with --dataset." in text


def test_nothing_comes_from_elsewhere(made):
    text = page(made())
    found = re.findall(r"(?:src|href)=\"([^\"]*)\"", text)
    assert found
    assert all(link.startswith(("data:", "#")) for link in found)
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_shares_are_percent_with_interval_and_sample(opened):
    row = opened().locator("#first").locator("xpath=..").locator(".metrics tbody tr").first.inner_text()
    assert re.sub(r"\s+", " ", row).startswith("fooled 90.0% 59.6% to 98.2% 10 images 80.0% share of")


def test_it_prints_all_of_it(opened, tmp_path):
    shown = opened()
    shown.emulate_media(media="print")
    assert shown.locator("#figure-1 .frame").count() == 2
    assert all(shown.locator(f"#figure-1 .frame >> nth={place}").is_visible() for place in (0, 1))
    assert shown.locator("#figure-1 code").is_visible()
    assert len(shown.pdf()) > 10_000
