"""What a page of drawings answers in Chromium: to pointer, finger, keyboard, axe, a printer and hostile names."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.drawings import Bars, Curves, Line, Matrix, Picture, Scrub, Series, Sheet, Tiles
from cnnlab.render import html
from cnnlab.render.html.grids import grid_of

SEEN = (("light", 360), ("light", 768), ("light", 1400), ("dark", 1400))
"""In which colours a page is looked at, and how wide: the colours are the same at any width."""
IMAGE = np.arange(64, dtype=np.float32).reshape(8, 8) / 63


def shown(drawings, images=()) -> str:
    """A page of drawings whose pictures are about images with these keys."""
    template = html.environment().get_template("page.html.j2")
    figures = {name: html.render(drawing, images) for name, drawing in drawings.items()}
    return template.render(
        title="A page", figures=figures, style=html.style(), script=html.script(), policy=html.policy()
    )


def layer_of_units() -> dict[str, object]:
    """Three filters of a layer, and their maps for two images."""
    filters = Sheet(values=np.eye(9).reshape(9, 3, 3)[:3], scale="diverging", names=tuple("012"), layer="conv1")
    maps = [np.stack([IMAGE, IMAGE.T, 1 - IMAGE]) for _ in range(2)]
    rows = [
        (
            Picture(values=IMAGE, title=f"image {index}", image=index),
            Sheet(values=values, scale="sequential", names=tuple("012"), layer="conv1", image=index),
        )
        for index, values in enumerate(maps)
    ]
    return {"filters": filters, "activations": Tiles(tiles=rows[0] + rows[1], columns=2)}


def test_axe_finds_nothing_at_any_width_in_light_and_dark(opened, axe, drawings):
    kinds = ("tiles", "rows of scrubs", "curves", "named", "bars", "matrix", "counts", "holes", "table")
    page = opened({name: drawings[name] for name in kinds} | layer_of_units())
    found = []
    for scheme, width in SEEN:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("() => new Promise(requestAnimationFrame).then(() => true)")
        found += [f"{scheme}, {width}: {words}" for words in axe(page)]
    assert found == []


@pytest.fixture
def opened(open_html):
    return lambda drawings, images=(), **options: open_html(shown(drawings, images), **options)


def test_only_what_scrolls_is_reached_by_keyboard_for_that(opened, drawings):
    page = opened({"tiles": drawings["tiles"], "one": drawings["one"]}, viewport={"width": 360, "height": 900})
    regions = page.locator(".scroll")
    page.wait_for_function("() => document.querySelector('.scroll').tabIndex === 0")
    assert [regions.nth(index).get_attribute("tabindex") for index in range(2)] == ["0", None]
    assert regions.first.get_attribute("aria-label")
    page.set_viewport_size({"width": 1400, "height": 900})
    page.wait_for_function("() => !document.querySelector('.scroll').hasAttribute('tabindex')")


def test_pictures_of_one_image_share_a_pointer_all_over_a_page(opened):
    picture = Picture(values=IMAGE, image=0)
    other = Picture(values=IMAGE, image=1)
    page = opened({"a": Tiles(tiles=(picture, other)), "b": picture}, images=("the digest", "another"))
    page.locator(".pixels").first.hover(position={"x": 1, "y": 1})
    assert page.locator(".pixels .value").all_inner_texts() == ["0, 0: 0", "", "0, 0: 0"]
    alone = opened({"a": picture, "b": picture})
    alone.locator(".pixels").first.hover(position={"x": 1, "y": 1})
    assert alone.locator(".pixels .value").all_inner_texts() == ["0, 0: 0", ""]


def test_maps_of_a_sheet_are_pointed_at_where_the_image_is(opened):
    page = opened({"activations": layer_of_units()["activations"]})
    box = page.locator(".pixels").first.bounding_box()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.3 * box["height"])
    sheet = page.locator(".pixels").nth(1)
    whole = sheet.bounding_box()
    crosses = [sheet.locator(".cross").nth(index).bounding_box() for index in range(3)]
    middles = [(cross["x"] + cross["width"] / 2 - whole["x"]) / whole["width"] for cross in crosses]
    wanted = [(9 * index + 6.5) / 26 for index in range(3)]  # column 6 of each map, a pixel between them
    assert middles == pytest.approx(wanted, abs=0.01)


def test_the_patch_that_a_value_stands_for_is_drawn_on_the_image(opened):
    place, about = (1.5, 1.5, 6.5, 6.5), {"outline": IMAGE, "image": 0}
    scores = Picture(values=np.zeros((5, 5)), scale="sequential", place=place, window=(4, 4), **about)
    page = opened({"occlusion": Tiles(tiles=(Picture(values=IMAGE, image=0), scores))})
    box = page.locator(".pixels").nth(1).bounding_box()
    page.mouse.move(box["x"] + 2 / 8 * box["width"], box["y"] + 4 / 8 * box["height"])  # row 2, column 0
    image, patch = page.locator(".pixels").first.bounding_box(), page.locator(".patch").first.bounding_box()
    sides = [patch["x"] - image["x"], patch["y"] - image["y"], patch["width"], patch["height"]]
    assert [8 * side / image["width"] for side in sides] == pytest.approx([0, 2, 4, 4], abs=0.05)
    assert page.locator(".patch").count() == 2


def test_the_pointer_is_moved_by_keyboard_and_said(opened):
    page = opened({"tiles": Tiles(tiles=(Picture(values=IMAGE, title="seven", image=0),) * 2)})
    page.keyboard.press("Tab")
    assert "seven: 8 by 8 pixels" in page.evaluate("document.activeElement.ariaLabel")
    said = page.locator("[role=status]")
    page.keyboard.press("ArrowRight")
    assert said.inner_text() == "row 4, column 5: 0.5873"
    assert page.locator(".value").all_inner_texts() == ["4, 5: 0.5873"] * 2
    page.keyboard.press("ArrowUp")
    assert said.inner_text() == "row 3, column 5: 0.4603"
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowLeft")
    assert page.locator(".pixels").nth(1).evaluate("e => e === document.activeElement")
    page.keyboard.press("Escape")
    assert page.locator(".cross").count() == 0
    assert page.evaluate("document.activeElement === document.body")


def test_a_finger_leaves_the_pointer_where_it_was(opened):
    page = opened({"one": Picture(values=IMAGE)}, has_touch=True)
    page.locator(".pixels").tap(position={"x": 2, "y": 2})
    assert page.locator(".value").inner_text() == "0, 0: 0"
    page.locator("h1").tap()
    assert page.locator(".cross").count() == 0


def test_a_curve_says_its_values_to_pointer_and_keyboard(opened):
    lines = tuple(Line(name=name, x=(1, 2, 3), y=y) for name, y in (("train", (1, 2, 3)), ("test", (3, 2, 1))))
    page = opened({"curves": Curves(lines=lines, x_label="epoch", y_label="loss")})
    plot, readout = page.locator(".plot"), page.locator(".readout")
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 0.97 * box["width"], box["y"] + 0.1 * box["height"])
    assert readout.inner_text() == "train, 3: 3"
    page.mouse.move(0, 0)
    assert readout.inner_text() == ""
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert readout.inner_text() == "train, 2: 2" == page.locator("[role=status]").inner_text()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert readout.inner_text() == "test, 3: 1"


def test_bars_say_their_values_and_their_table_has_heads(opened):
    series = tuple(Series(name=name, values=(0.5, 0.25), low=(0.4, 0.2), high=(0.6, 0.3)) for name in ("old", "new"))
    page = opened({"bars": Bars(names=("cat", "dog"), series=series, label="share", percent=True)})
    box = page.locator(".plot").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.8 * box["height"])
    assert page.locator(".readout").inner_text() == "cat, old: 50.0% (40% to 60%)"
    page.locator("summary").click()
    assert page.locator("thead th").all_inner_texts() == ["class", "group", "share"]
    assert page.locator("tbody tr").count() == 4


def test_choosing_a_filter_shows_its_map_for_each_image(opened, axe):
    page = opened(layer_of_units())
    buttons = page.locator("section:has-text('filters') .unit-button")
    assert buttons.count() == 3
    buttons.nth(0).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    panel = page.locator(".unit-panel")
    assert panel.locator(".title").inner_text() == "conv1, 1"
    assert panel.locator(".caption").all_inner_texts() == ["the filter", "image 0", "image 1"]
    sizes = panel.locator("canvas").evaluate_all("all => all.map(e => [e.width, e.height])")
    assert sizes == [[3, 3], [8, 8], [8, 8]]
    pressed = page.locator(".unit-button[aria-pressed=true]")
    assert pressed.evaluate_all("all => all.map(e => e.ariaLabel)") == ["conv1, 1: show it in each image"] * 3
    assert axe(page) == []
    page.keyboard.press("Escape")
    assert panel.is_hidden()
    assert pressed.count() == 0
    assert buttons.nth(1).evaluate("e => e === document.activeElement")


def test_the_map_that_is_shown_is_the_one_chosen(opened):
    page = opened(layer_of_units())
    page.locator("section:has-text('activations') .unit-button").nth(2).click()  # 1 - IMAGE: bright first
    ends = page.locator(".unit-panel canvas").last.evaluate(
        "e => { const { data } = e.getContext('2d').getImageData(0, 0, 8, 8); return [data[0], data[63 * 4]]; }"
    )
    assert ends[0] > 200 > 100 > ends[1]


def test_a_sheet_alone_has_no_buttons(opened):
    page = opened({"filters": layer_of_units()["filters"]})
    assert page.locator(".unit-button").count() == 0


def test_pictures_on_one_scale_share_a_colour_bar_below_them(opened):
    def of(end):
        return Picture(values=IMAGE, scale="sequential", limits=(0, end), unit=f"to {end}")

    column = grid_of(Tiles(tiles=(of(1), of(2), of(1), of(3)), columns=2))
    assert [[picture.ends for picture in pictures] for pictures in column.feet] == [[(0, 1)], []]
    assert [[cell.bar for cell in cells] for _, cells in column.rows] == [[False, True], [False, True]]
    row = grid_of(Tiles(tiles=(of(1), of(1)), columns=2))
    assert ([picture.ends for picture in row.shared], row.feet) == ([(0, 1)], ())
    unclear = grid_of(Tiles(tiles=(of(1), of(1), of(2), of(2)), columns=4))
    assert unclear.shared == (), "of two bars of like colours nobody could tell whose they are"
    page = opened({"row": Tiles(tiles=(of(1), of(1)), columns=2)})
    assert page.locator(".bar").count() == 1


def test_paper_is_light_and_shows_every_frame_side_by_side(opened):
    frames = tuple((Picture(values=IMAGE, title=f"level {level}", image=0),) for level in range(3))
    scrub = Scrub(axis="epsilon", stops=("0.1", "0.2", "0.3"), frames=frames)
    line = Line(name="loss", x=(1, 2), y=(1, 2))
    drawings = {"scrub": scrub, "curves": Curves(lines=(line,), x_label="x", y_label="y")}
    page = opened(drawings, viewport={"width": 688, "height": 900}, color_scheme="dark")  # A4 without its margins
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    tops = page.locator(".frame").evaluate_all("all => all.map(e => e.getBoundingClientRect().top)")
    assert len(tops) == 3
    assert len(set(tops)) == 1
    assert page.locator(".stop:visible").all_inner_texts() == ["epsilon 0.1", "epsilon 0.2", "epsilon 0.3"]
    assert page.locator(".slider:visible, details:visible").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 688


NAMES = {
    "markup": """"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}${7*7}</style></title>""",
    "turned": "\u202egnp.exe\u2066\u0000\u001b[31m",
    "long": "long " * 2000,
    "unbroken": "x" * 10_000,
}


def named(name: str) -> dict[str, object]:
    """A drawing of every kind in which every word is this one."""
    picture = Picture(values=np.eye(3, dtype=int), title=name, scale="classes", names=(name,) * 3, image=0)
    heat = Picture(values=IMAGE, title=name, scale="sequential", unit=name, mark=True, image=0)
    line = Line(name=name, x=(0, 1), y=(1, 2), low=(0, 1), high=(2, 3), points=(name,))
    axes = {"x_label": name, "y_label": name, "title": name}
    sheet = {"names": (name,), "title": name, "unit": name, "layer": name, "scale": "sequential", "image": 0}
    return {
        name: Tiles(tiles=(picture, heat, heat), columns=3, title=name, rows=(name,), heads=(name,) * 3),
        "scrub": Scrub(axis=name, stops=(name, name), frames=((picture, heat),) * 2, title=name),
        "curves": Curves(lines=(line, line), ticks=(name, name), horizontal={name: 1}, vertical={name: 1}, **axes),
        "bars": Bars(names=(name,) * 2, series=(Series(name=name, values=(1, 2)),) * 2, label=name, title=name),
        "matrix": Matrix(values=np.eye(2), rows=(name,) * 2, columns=(name,) * 2, row_label=name, column_label=name),
        "sheet": Sheet(values=np.zeros((1, 4, 4)), **sheet),
        "table": Sheet(values=np.ones((1, 4, 4)), rows=(name,), heads=(name,), row_label=name, **sheet),
    }


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_hostile_names_do_nothing_and_fit(opened, name):
    page = opened(named(name), images=(name,), viewport={"width": 360, "height": 800})
    assert page.locator("script").count() == 1
    assert page.locator("img:not([src^='data:image/png'])").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator(".pixels").first.hover(position={"x": 1, "y": 1})
    page.locator("input[type=range]").press("ArrowRight")
    page.locator(".unit-button").first.click()
    assert page.locator(".unit-panel").is_visible()
    box = page.locator(".unit-panel").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    text = page.locator("main").inner_text()
    assert not set(text) & {"\u202e", "\u2066", "\x1b"}, "nothing turns what stands beside it around"
    assert "49" not in text
