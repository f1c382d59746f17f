"""Files of a report: each format whole, over nothing but an earlier report, names written as they are."""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.reports.markdown import escaped
from cnnlab.reports.places import default_file, format_of

FORMATS = ("html", "md", "json")


@pytest.fixture
def made(made):
    """Such a report without the second chapter's pictures: Markdown has each drawn."""

    def make(word="seven"):
        report = made(word)
        report.sections[1].chapter.figures.clear()
        return report

    return make


@pytest.mark.parametrize("format", FORMATS)
def test_an_earlier_report_is_replaced_and_nothing_else(made, tmp_path, format):
    path = tmp_path / "deep" / f"report.{format}"
    assert path in made().save(path, format)
    first = path.read_text(encoding="utf-8")
    made("eight").save(path, format)
    assert "eight" in path.read_text(encoding="utf-8") != first
    path.write_text("my thesis")
    with pytest.raises(CnnlabError, match=f"no report of cnnlab's in the format {format}, so it was not replaced"):
        made().save(path, format)
    assert path.read_text() == "my thesis"
    assert not [each for each in path.parent.iterdir() if each.name.startswith(".partial")]


@pytest.mark.parametrize("format", FORMATS)
def test_a_report_that_was_edited_is_replaced_by_force_alone(made, tmp_path, format):
    path = tmp_path / f"report.{format}"
    made().save(path, format)
    edited = path.read_text(encoding="utf-8").replace("seven", "my thesis")
    path.write_text(edited, encoding="utf-8")
    with pytest.raises(CnnlabError, match=r"was changed since cnnlab wrote it, so it was not replaced.*`force=True`"):
        made().save(path, format)
    assert path.read_text(encoding="utf-8") == edited
    made().save(path, format, force=True)
    made("eight").save(path, format)
    assert "eight" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("format", FORMATS)
def test_a_text_that_mentions_cnnlab_is_no_report(made, tmp_path, format):
    path = tmp_path / f"report.{format}"
    made().save(tmp_path / f"other.{format}", format)
    other = next(each for each in FORMATS if each != format)
    made().save(tmp_path / f"other.{other}", other)
    report, another = ((tmp_path / f"other.{each}").read_text(encoding="utf-8") for each in (format, other))
    for text in ("made by cnnlab 0.1.0", f"My thesis.\n\n{report}", another):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(CnnlabError, match="was not replaced"):
            made().save(path, format)
        assert path.read_text(encoding="utf-8") == text


def test_a_folder_or_an_image_is_not_replaced(made, tmp_path):
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "image.html").write_bytes(b"\x89PNG\xff")
    for name, said in (("folder.html", "is a folder, where a file was expected"), ("image.html", "was not replaced")):
        with pytest.raises(CnnlabError, match=said):
            made().save(tmp_path / name, "html")


def test_by_force_a_file_is_replaced_and_pictures_of_others_stay(made, tmp_path):
    (tmp_path / "report.md").write_text("my thesis")
    (tmp_path / "report-images").mkdir()
    (tmp_path / "report-images" / "figure-1-0123456789ab.png").write_text("mine")
    with pytest.raises(CnnlabError, match="is no report"):
        made().save(tmp_path / "report.md", "md")
    made().save(tmp_path / "report.md", "md", force=True)
    assert "# About seven" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert (tmp_path / "report-images" / "figure-1-0123456789ab.png").read_text() == "mine"


def test_a_pipe_is_not_waited_for(made, tmp_path):
    os.mkfifo(tmp_path / "report.html")
    with pytest.raises(CnnlabError, match="is a pipe, where a file was expected"):
        made().save(tmp_path / "report.html", "html", force=True)


def pictures_in(path):
    return {path.parent / name for name in re.findall(r"\(<([^>]*)>\)", path.read_text(encoding="utf-8"))}


def test_pictures_of_an_earlier_report_go_and_pictures_alone_are_in_nobodys_way(made, tmp_path):
    path, folder = tmp_path / "report.md", tmp_path / "report-images"
    made().save(path, "md")
    (folder / "mine.png").write_text("mine")
    first = pictures_in(path)
    made("eight").save(path, "md")
    assert set(folder.iterdir()) == {*pictures_in(path), folder / "mine.png"}
    assert first != pictures_in(path)
    (folder / "mine.png").unlink()
    path.unlink()
    made().save(path, "md")
    assert set(folder.iterdir()) == first


def test_where_the_text_cannot_be_written_its_pictures_go_too(made, tmp_path, monkeypatch):
    replace = os.replace

    def full(source, target):
        if str(target).endswith("/report.md"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CnnlabError, match="the disk is full"):
        made().save(tmp_path / "report.md", "md")
    assert list(tmp_path.iterdir()) == []


def test_reports_written_at_once_are_each_whole(made, tmp_path):
    """The last one stands, with its own pictures and no other's."""
    path = tmp_path / "report.md"
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda word: made(word).save(path, "md"), ("one", "two", "three")))
    assert set((tmp_path / "report-images").iterdir()) == pictures_in(path)
    assert len(set(re.findall("About (one|two|three)", path.read_text(encoding="utf-8")))) == 1


def test_a_file_is_no_folder(made, tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(CnnlabError, match="notes is no folder"):
        made().save(tmp_path / "notes" / "deep" / "report.html", "html")


def test_pictures_of_others_are_not_replaced(made, tmp_path):
    mine = tmp_path / "report-images" / "figure-1.png"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(CnnlabError, match="is there already and not of a report, so nothing was written"):
        made().save(tmp_path / "report.md", "md")
    assert mine.read_text() == "mine"
    assert not (tmp_path / "report.md").exists()


def test_json_holds_everything_that_is_said(made, tmp_path):
    made().save(tmp_path / "report.json", "json")
    said = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert said["schema"] == 1
    assert (said["model"]["path"], said["profile"], said["title"]) == ("runs/a", "audit", "About seven")
    first, _, third = said["sections"]
    assert first["metrics"][0]["interval"][0] == pytest.approx(0.596, abs=1e-3)
    assert [each["holds"] for each in first["conclusions"]] == [True, False, None]
    assert first["figures"][0]["command"].startswith("cnnlab analyze occlusion")
    assert first["figures"][0]["drawing"]["kind"] == "tiles"
    assert first["tables"][0]["rows"] == [["seven", 288], ["fc1", None]]
    assert (third["left_out"], first["left_out"]) == ("it needs seven: name a dataset with `dataset=`.", None)


def test_markdown_shows_its_pictures_and_says_the_same(made, tmp_path):
    _, folder = made().save(tmp_path / "my report.md", "md")
    text = (tmp_path / "my report.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^\]]*\]\(<([^>]*)>\)", text)
    assert len(pictures) == 2
    assert all((tmp_path / picture).read_bytes().startswith(b"\x89PNG") for picture in pictures)
    assert sorted(each.name for each in folder.iterdir()) == sorted(Path(name).name for name in pictures)
    assert [Path(name).name.rsplit("-", 1)[0] for name in pictures] == [f"figure-{number}" for number in (1, 2)]
    for words in (
        "# About seven",
        "## First of seven",
        "- ✗ **not as expected** It is not robust.",
        "90.0%",
        "59.6% to",
    ):
        assert words in text
    assert "Left out: it needs seven: name a dataset with --dataset." in text


@pytest.mark.parametrize(
    "word", ["<script>alert(1)</script>", "a|b", "[a](http://b)", "`x`", "![x](y)", "# a\n# b", "*a*"]
)
def test_markdown_escapes_names(made, tmp_path, word):
    made(word).save(tmp_path / "report.md", "md")
    text = re.sub(r"```sh.*?```", "", (tmp_path / "report.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert word not in text
    assert escaped(word) in text
    rows = [re.sub(r"\\\|", "", line) for line in text.splitlines() if line.startswith("| fooled")]
    assert {row.count("|") for row in rows} == {7}


@pytest.mark.parametrize(
    ("name", "format"), [(None, "html"), ("a.md", "md"), ("a.JSON", "json"), ("a.htm", "html"), ("a", "html")]
)
def test_a_files_ending_names_its_format(tmp_path, name, format):
    assert format_of(name and tmp_path / name) == format


@pytest.mark.parametrize("name", ["a.pdf", "a.txt", "a.PNG"])
def test_an_ending_of_something_else_is_wrong_usage(name):
    with pytest.raises(UsageError, match=rf"{name} does not say what .*ends in \.html, \.md or \.json, or a `format=`"):
        format_of(Path(name))


def test_a_report_lies_in_its_run_or_below_results(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    assert default_file(tmp_path, "md") == tmp_path / "report.md"
    assert str(default_file(tmp_path / "model.keras", "html")) == "results/model-report.html"


def test_markdown_of_a_model_that_no_command_opens_has_no_commands_and_no_empty_tables(made, tmp_path):
    report = made()
    bare = replace(report.sections[0].chapter, metrics=[])
    bare = replace(bare, figures=[replace(figure, command="") for figure in bare.figures])
    first = replace(report.sections[0], chapter=bare)
    report.save(tmp_path / "whole.md", format="md")
    whole = (tmp_path / "whole.md").read_text()
    assert "```sh" in whole
    assert "| steps |" in whole
    alone = replace(report, sections=(first,), record={**report.record, "command": ""})
    alone.save(tmp_path / "bare.md", format="md")
    text = (tmp_path / "bare.md").read_text()
    assert "```sh" not in text
    assert "| steps |" not in text
    assert "Rule: More than half." in text
