"""Drawings in a browser: what the page says, that nothing in it is believed, and, in Chromium, what moves."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from cnnlab.drawings import Bars, Curves, Line, Matrix, Picture, Scrub, Series, Sheet, Tiles
from cnnlab.render import html
from cnnlab.render.html.charts import FIELD, bars_of, chart_of
from cnnlab.render.html.pictures import image_of, legend_of

HOSTILE = """"><script>alert(1)</script>'&{{ 7 * 7 }}</title>"""


class Checker(HTMLParser):
    """Reads a page as a browser does, and keeps what could be dangerous or is missing."""

    VOID = ("meta", "img", "input", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts, self.images_without_words, self.handlers, self.links = 0, 0, [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.scripts += tag == "script"
        self.images_without_words += tag == "img" and not given.get("alt")
        self.handlers += [name for name in given if name.startswith("on")]
        self.links += [value for name, value in attrs if name in ("src", "href") and not value.startswith("data:")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_page_of_every_drawing_is_whole_and_needs_nothing_from_elsewhere(drawings):
    page = html.page("Every drawing", drawings)
    checked = Checker(page)
    assert checked.scripts == 1
    assert checked.images_without_words == 0
    assert checked.handlers == checked.links == []
    assert page.count("<figure") == len(drawings)


def test_names_are_escaped_wherever_they_stand():
    picture = Picture(values=np.arange(4).reshape(2, 2), title=HOSTILE, scale="classes", names=(HOSTILE,) * 4, image=0)
    line = Line(name=HOSTILE, x=(1, 2), y=(1, 2))
    page = html.page(
        HOSTILE,
        {
            HOSTILE: Tiles(tiles=(picture,), title=HOSTILE, rows=(HOSTILE,), heads=(HOSTILE,)),
            "scrub": Scrub(axis=HOSTILE, stops=(HOSTILE,), frames=((picture,),), title=HOSTILE),
            "curves": Curves(
                lines=(line,) * 2, x_label=HOSTILE, y_label=HOSTILE, title=HOSTILE, horizontal={HOSTILE: 1}
            ),
            "bars": Bars(names=(HOSTILE,), series=(Series(name=HOSTILE, values=(1,)),) * 2, label=HOSTILE),
            "matrix": Matrix(
                values=np.eye(1), rows=(HOSTILE,), columns=(HOSTILE,), row_label=HOSTILE, column_label=HOSTILE
            ),
            "sheet": Sheet(
                values=np.zeros((1, 2, 2)), names=(HOSTILE,), rows=(HOSTILE,), heads=(HOSTILE,), unit=HOSTILE
            ),
        },
    )
    checked = Checker(page)
    assert checked.scripts == 1
    assert checked.handlers == []
    assert "alert(1)</script>" not in page
    assert "49" not in re.sub(r'base64,[^"]+|\d{3,}', "", page), "no template is made of a name"


def test_the_policy_knows_the_script_of_the_page(drawings):
    import hashlib

    page = html.page("A page", {"one": drawings["one"]})
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in page
    assert "default-src &#39;none&#39;" in page


def decoded(image) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(image.source.partition(",")[2]))).convert("RGB"))


def test_a_picture_is_its_colours_and_its_numbers():
    values = np.array([[-1.0, 0.0, 1.0]], np.float32)
    image = image_of(Picture(values=values, scale="diverging", title="drop"))
    pixels = decoded(image)
    assert pixels.shape == (1, 3, 3)
    assert pixels[0, 0, 2] > pixels[0, 0, 0], "blue below"
    assert pixels[0, 2, 0] > pixels[0, 2, 2], "red above"
    assert pixels[0, 1].min() > 240, "white in the middle"
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(image.values), "<f4").reshape(1, 3), values)
    assert image.words == "drop: 1 by 3 places, from -1 (row 0, column 0) to 1 (row 0, column 2), mean 0."
    legend = legend_of(Picture(values=values, scale="diverging", unit="drop"))
    assert legend.ends == ("-1", "0", "1")


def test_large_pictures_carry_no_numbers():
    assert image_of(Picture(values=np.zeros((64, 64)))).values
    assert not image_of(Picture(values=np.zeros((65, 64)))).values


def test_values_lie_over_the_part_of_the_image_that_they_are_about():
    about = np.zeros((10, 8))
    about[2:5, 1:4] = 1
    values = Picture(values=np.zeros((2, 2)), outline=about, place=(1.0, 2.0, 5.0, 6.0), limits=(0, 1))
    image = image_of(values)
    assert image.place == (0.1, 0.25, 0.5, 0.75)
    pixels = decoded(image)
    grow = image.height // 10
    assert (image.height, image.width) == (10 * grow, 8 * grow)
    inside = pixels[1 * grow : 5 * grow, 2 * grow : 6 * grow]
    assert inside.max() == 0
    assert (255 - pixels.astype(int)).sum() == (255 - inside.astype(int)).sum(), "nothing is drawn beside it"
    assert image.size == (10, 8)
    assert set(re.split("[ML]", image.outline)[1:]) >= {"1 2.5", "1.5 2", "4 2.5"}, (
        "in pixels from the upper left corner"
    )


def test_lines_go_where_their_numbers_say():
    line = Line(name="a", x=(0, 5, 10), y=(0.0, float("nan"), 1.0))
    chart = chart_of(Curves(lines=(line,), x_label="x", y_label="y", percent=True))
    (drawn,) = chart.lines
    assert drawn.rows == (("0", "0%"), ("5", "-"), ("10", "100%"))
    assert [point[:2] for point in drawn.points] == [
        (FIELD["left"], FIELD["bottom"]),
        (FIELD["right"], FIELD["top"]),
    ]
    assert len(drawn.paths) == 2, "where a value is missing, the line has a gap"
    assert chart.words == "y: a, from 0% at 0 to 100% at 10."


def test_bars_grow_from_zero_and_hang_below_it():
    chart = bars_of(Bars(names=("a", "b"), series=(Series(name="s", values=(1.0, -1.0)),), label="change"))
    above, below = chart.bars
    middle = (FIELD["top"] + FIELD["bottom"]) / 2
    assert above.y == FIELD["top"]
    assert above.y + above.height == pytest.approx(middle) == below.y
    assert below.y + below.height == pytest.approx(FIELD["bottom"])
    assert (above.words, below.words) == ("a: 1", "b: -1")


@pytest.fixture
def opened(open_html):
    """Open a page of drawings."""
    return lambda drawings, **options: open_html(html.page("A page", drawings), **options)


def test_every_drawing_is_seen_at_any_width(opened, drawings):
    page = opened(drawings, viewport={"width": 360, "height": 900})
    for width in (360, 768, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("() => new Promise(requestAnimationFrame).then(() => true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        widths = page.locator("figure img:visible, figure svg.plot:visible").evaluate_all(
            "all => all.map(e => e.clientWidth)"
        )
        assert len(widths) > len(drawings)
        assert min(widths) >= 20
    assert all(page.locator("img").evaluate_all("all => all.map(e => e.naturalWidth > 0)"))


def scrubbed() -> Tiles:
    def frame(level):
        return (Picture(values=np.full((4, 4), level), title=f"level {level}", image=0),)

    scrub = Scrub(axis="epsilon", stops=("0.1", "0.2", "0.3"), frames=tuple(map(frame, (0.1, 0.2, 0.3))))
    return Tiles(tiles=(scrub, scrub), columns=1)


def test_a_slider_moves_all_scrubs_along_its_axis(opened):
    page = opened({"scrub": scrubbed()})
    assert page.locator(".slider").count() == 1
    assert page.locator(".caption:visible").all_inner_texts() == ["level 0.1", "level 0.1"]
    slider = page.locator("input[type=range]")
    slider.focus()
    slider.press("ArrowRight")
    assert page.locator(".caption:visible").all_inner_texts() == ["level 0.2", "level 0.2"]
    assert page.locator(".slider output").inner_text() == "0.2"
    assert slider.get_attribute("aria-valuetext") == "0.2"


def test_without_its_script_a_page_shows_every_frame(opened):
    page = opened({"scrub": scrubbed()}, java_script_enabled=False)
    assert page.locator(".caption:visible").count() == 6
    assert page.locator(".slider:visible").count() == 0
    assert page.locator(".stop:visible").all_inner_texts()[:3] == ["epsilon 0.1", "epsilon 0.2", "epsilon 0.3"]


def test_pictures_of_one_image_share_a_pointer(opened):
    whole = np.arange(16, dtype=float).reshape(4, 4)
    part = Picture(values=np.array([[7.0, 8.0], [9.0, 10.0]]), place=(1.0, 1.0, 3.0, 3.0), outline=whole / 16, image=0)
    classes = Picture(values=whole.astype(int) % 2, scale="classes", names=("cat", "dog"), image=0)
    tiles = Tiles(tiles=(Picture(values=whole, image=0), part, classes, Picture(values=whole, image=1)))
    page = opened({"pointer": tiles})
    box = page.locator(".pixels").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.3)  # row 1, column 2
    said = page.locator(".pixels .value").all_inner_texts()
    assert said == ["1, 2: 6", "0, 1: 8", "1, 2: cat", ""]
    crosses = [page.locator(".pixels").nth(index).locator(".cross").bounding_box() for index in (0, 1)]
    boxes = [page.locator(".pixels").nth(index).bounding_box() for index in (0, 1)]
    places = [
        ((c["x"] - b["x"]) / b["width"], (c["y"] - b["y"]) / b["height"]) for c, b in zip(crosses, boxes, strict=True)
    ]
    for place in places:
        assert place == pytest.approx((0.5, 0.25), abs=0.02), "the same place of the image"
    page.mouse.move(0, 0)
    assert page.locator(".cross").count() == 0
