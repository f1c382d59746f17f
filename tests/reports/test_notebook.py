"""What a notebook shows of a report and of its sections, escaped and in one piece."""

from __future__ import annotations

import re

import pytest

from cnnlab.reports import telling
from cnnlab.reports.chapter import Conclusion

EVIL = "<script>alert('x')</script>"


def verdict(holds: bool | None) -> str:
    word, sign = telling.verdict(Conclusion(says="", holds=holds, rule=""))
    return f"{sign} {word}".replace(" ", "\N{NO-BREAK SPACE}")


def cells_of(page: str) -> list[str]:
    return re.findall(r"<td[^>]*>(.*?)</td>", page, re.DOTALL)


def test_a_report_is_its_conclusions_section_by_section(made):
    page = made("seven")._repr_html_()
    cells = cells_of(page)
    rows = [tuple(cells[place : place + 3]) for place in range(0, len(cells), 3)]
    assert rows[0] == ("First of seven", verdict(True), "seven is fooled.")
    assert [row[1] for row in rows] == [verdict(True), verdict(False), verdict(None)] * 2 + ["left out"]
    assert rows[-1][2] == "it needs seven: name a dataset with `dataset=`.", "in words of Python, not of the command"
    assert "The audit report of runs/a" in page


def test_a_section_is_its_figures_numbers_and_conclusions(made):
    page = made("seven").sections[0]._repr_html_()
    assert page.index("First of seven") < page.index("What seven is. And how to read it.") < page.index("<img src=")
    assert '<svg class="plot"' in page
    cells = cells_of(page)
    assert "cnnlab analyze occlusion --image &#39;seven&#39;" in cells
    place = cells.index("fooled")
    assert cells[place : place + 5] == ["fooled", "90.0%", "59.6% to 98.2%", "10 images", "80.0%"]
    assert cells[-3:] == [verdict(None), "Too few to tell.", "Fewer than ten."]


def test_a_section_that_is_left_out_says_why(made):
    page = made("labels").sections[2]._repr_html_()
    assert "Left out: it needs labels" in page
    assert "<table>" not in page


@pytest.mark.parametrize("place", [None, 0, 2], ids=["report", "section", "left out"])
def test_what_is_shown_is_escaped(made, place):
    report = made(EVIL)
    page = (report if place is None else report.sections[place])._repr_html_()
    assert "<script" not in page
    assert "&lt;script" in page
    assert page.count("<div") == page.count("</div>")


def test_each_is_told_in_one_line(made):
    report = made("seven")
    assert repr(report) == "Report(audit of runs/a, 3 sections)"
    assert [repr(each) for each in report.sections] == [
        "Written(First of seven)",
        "Written(Second)",
        "Written(Third, left out)",
    ]
