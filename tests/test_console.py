"""The console: what names from files would have a terminal do is shown, and not done."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cnnlab.cli.echo import echo
from cnnlab.cli.views.tables import Column, fitted, print_all
from cnnlab.console import Console
from cnnlab.progress import RichProgress
from cnnlab.spelling import visible

ROOT = Path(__file__).resolve().parent.parent
NAMES = {
    "escape": "cat\x1b[2J\x1b]0;owned\x07",
    "c1": "cat\x9b31m",
    "return": "Error\rVerified",
    "backspace": "no\b\byes",
    "delete": "a\x7fb",
    "direction": "abc\u202egnp.exe\u2066\u2069\u200f",
    "half": "a\udc80b",
}
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_what_would_be_obeyed_is_shown(name):
    shown = visible(name)
    assert not OBEYED.search(shown)
    assert f'"{shown}"' == json.dumps(name).replace("\\r", "\\u000d").replace("\\b", "\\u0008").replace(
        "\x7f", "\\u007f"
    )
    assert json.loads(f'"{shown}"') == name
    assert visible(shown) == shown


@pytest.mark.parametrize("plain", ["", "line\nline\ttab", "Größe 数字 ✓ é", "\u2500\u202f", "\\x1b", " ~\xa0"])
def test_what_only_shows_stays(plain):
    assert visible(plain) == plain


def test_json_stays_json():
    held = {"name": "".join(map(chr, range(0xD7FF))), "slash": "\\\x9b"}
    for ascii_alone in (True, False):
        assert json.loads(visible(json.dumps(held, ensure_ascii=ascii_alone))) == held


def printed(*things, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=200, color_system=None)
    print_all(console, things)
    return console.file.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_no_text_reaches_the_terminal_as_it_is(name, terminal):
    table = Table("head", name)
    table.add_row(name, Text(name, style="red"))
    said = printed(name, Text(name, style="bold"), table, Panel(name), terminal=terminal)
    assert not OBEYED.search(said)
    assert visible(re.sub("[\a\b\v\f\r]", "", name)) in said  # Rich leaves these out.
    tables = fitted([Column("n", [name], styles={name: "red"}), Column("more", [name])], 200)
    assert printed(*tables, terminal=terminal).count(visible(name)) == 2


def test_styles_are_not_read_from_texts():
    name = "[red]cat[/red] [link=file:///etc/passwd]x[/] :smile:"
    table = Table("head")
    table.add_row(name)
    for terminal in (True, False):
        assert printed(name, Text(name), table, terminal=terminal).count("link=file:///etc/passwd") == 3
    assert ":smile:" in printed(name, terminal=False)
    assert "\x1b" not in printed(name, table, terminal=False)


def test_progress_reads_no_styles(monkeypatch):
    progress = RichProgress()
    progress._console = console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with progress.task("[bold]x\x1b]0;owned\x07[/]", 2) as advance:
        advance(2)
    assert "[bold]x" in console.file.getvalue()
    assert "\x1b]" not in console.file.getvalue()


def test_lines_are_shown_so_too(capsys):
    for name in NAMES.values():
        echo(name)
        echo(name, err=True, nl=False)
    out, err = capsys.readouterr()
    assert not OBEYED.search(out + err)
    assert visible(NAMES["escape"]) in out
    assert out.count("\n") == len(NAMES)
    assert "\n" not in err


def test_no_other_way_leads_to_the_terminal():
    """Rich's own console, click.echo and print are used in one place each."""
    ways = re.compile(
        r"(from rich\.console import [^\n]*\bConsole\b|rich\.console\.Console|click\.s?echo\(|(?<![.\w])print\()"
    )
    found = {
        str(file.relative_to(ROOT / "cnnlab"))
        for file in (ROOT / "cnnlab").rglob("*.py")
        if "templates" not in file.parts and ways.search(re.sub(r">>> .*|\.\.\. .*", "", file.read_text("utf-8")))
    }
    # A script that the shell reads is none of names; and annotations name what they are given.
    assert found == {
        "console.py",
        "cli/echo.py",
        "cli/commands/completion.py",
        "render/terminal.py",
        "testing/contract.py",
        "testing/__main__.py",
    }
