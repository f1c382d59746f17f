"""Whole reports of the small run, as readers see them: small enough, accessible, and answering across sections."""

from __future__ import annotations

import shlex

import numpy as np
import pytest

import cnnlab
from cnnlab.reports.page import page
from cnnlab.results.result import Result

pytestmark = pytest.mark.full


@pytest.fixture(scope="module", params=["assignment", "audit"])
def report(request, trained_run):
    return cnnlab.report(trained_run, profile=request.param, progress=False)


def test_every_section_is_written_but_that_of_a_second_run(report):
    left_out = {each.name: each.reason for each in report.sections if each.reason}
    assert left_out.keys() <= {"batch-normalisation"}
    assert report.warnings == []


def test_the_page_is_small_and_axe_finds_nothing(report, open_html, axe):
    text = page(report)
    assert len(text.encode()) < 8e6
    shown = open_html(text)
    found = []
    for scheme, width in (("light", 1400), ("dark", 768), ("light", 360)):
        shown.emulate_media(color_scheme=scheme)
        shown.set_viewport_size({"width": width, "height": 900})
        shown.wait_for_function("() => new Promise(requestAnimationFrame).then(() => true)")
        assert shown.evaluate("document.documentElement.scrollWidth") == width
        found += [f"{scheme}, {width}: {words}" for words in axe(shown)]
    assert found == []


def test_choosing_a_filter_shows_its_map_in_another_section(report, open_html):
    if report.profile.name != "assignment":
        pytest.skip("filters are in the assignment")
    shown = open_html(page(report), viewport={"width": 1400, "height": 1000})
    shown.locator("section:has(> #filters) .unit-button").first.focus()
    shown.keyboard.press("Enter")
    panel = shown.locator(".unit-panel")
    captions = panel.locator(".caption").all_inner_texts()
    assert captions[0] == "the filter"
    assert [words.partition(":")[0] for words in captions[1:]] == ["mnist/test"] * 3


def test_the_command_below_a_figure_gives_the_same_numbers(report, cnnlab_command, tmp_path):
    """Of each analysis the first command on the page, in a process of its own."""
    figures = [figure for each in report.sections if each.chapter for figure in each.chapter.figures]
    commands = {shlex.split(each.command)[2]: each for each in figures if each.command.startswith("cnnlab analyze")}
    assert len(commands) >= 3
    for name, figure in commands.items():
        out = tmp_path / name
        done = cnnlab_command(*shlex.split(figure.command)[1:], "--out", out)
        assert done.returncode == 0, done.stderr
        found = Result.load(out)
        assert found.record["params"] == figure.params
        for row, own in zip(found.rows, figure.rows, strict=True):
            for key, value in own.items():
                if isinstance(value, float):
                    np.testing.assert_allclose(row[key], value, rtol=1e-4, atol=1e-5, err_msg=f"{name}: {key}")
