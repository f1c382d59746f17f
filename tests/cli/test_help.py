"""``--help``: options in groups under headings, coloured on a terminal, and whole wherever it is read."""

from __future__ import annotations

import re

import click
import pytest

from cnnlab import cli
from cnnlab.cli.help import Command, Formatter, Option

HEADINGS = {
    "train": ["Training", "Network", "Data", "Output"],
    "evaluate": ["Model", "Images", "Output"],
    "inspect": ["Model", "Output"],
    "verify": ["Model", "Output"],
    "summary": ["Model", "Output"],
    "compare": ["Output"],
    "analyze saliency": ["Options of saliency", "Model", "Images", "Output"],
    "analyze filters": ["Options of filters", "Model", "Output"],
}


def every_command():
    def below(command: click.Command, context: click.Context):
        yield command, context
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                yield from below(found, found.context_class(found, info_name=name, parent=context))

    yield from below(cli.cli, cli.cli.context_class(cli.cli, info_name="cnnlab"))


CONTEXTS = {context.command_path.removeprefix("cnnlab").strip(): context for _, context in every_command()}


def test_every_command_writes_its_help_so():
    others = [words for words, context in CONTEXTS.items() if context.formatter_class is not Formatter]
    assert not others


@pytest.mark.parametrize("words", HEADINGS)
def test_options_stand_under_headings(command_line, words):
    _, out, _ = command_line(*words.split(), "--help")
    found = re.findall(r"^(\S.*):$", out, re.MULTILINE)
    assert sorted(found) == sorted([*HEADINGS[words], "Other options"])
    assert found[-1] == "Other options"


def test_an_option_stands_under_its_heading_once():
    options = [Option(["--a"], heading="First"), Option(["--b"], heading="Second"), Option(["--c"], heading="First")]
    command = Command("one", params=options)
    text = click.unstyle(command.get_help(command.context_class(command)))
    first, second, others = re.split("Second:|Other options:", text.split("First:")[1])
    assert "--a" in first
    assert "--c" in first
    assert "--b" in second
    assert "--help" in others
    assert [text.count(name) for name in ("--a", "--b", "--c")] == [1, 1, 1]


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("words", CONTEXTS)
def test_help_fits_and_names_every_option_whole(command_line, monkeypatch, words, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    _, out, _ = command_line(*words.split(), "--help")
    assert max(map(len, out.splitlines())) <= columns
    assert "\x1b" not in out
    assert "..." not in re.sub(r"[A-Z]\]?\.\.\.", "", out), (
        "an argument that may be given several times, and nothing cut"
    )
    context = CONTEXTS[words]
    for option in context.command.get_params(context):
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        assert record is None or record[0] in out
    # At 60 columns what options mean has half of them: no column of single words.
    told = [len(line) - len(line.lstrip()) for line in out.splitlines() if line.startswith(" " * 8)]
    assert columns > 60 or max(told, default=0) <= 30


@pytest.mark.parametrize("words", ["", "analyze", "plugins"])
def test_a_group_alone_shows_its_help(command_line, words):
    _, told, _ = command_line(*words.split(), "--help")
    assert command_line(*words.split()) == (2, "", told)


@pytest.mark.parametrize("words", CONTEXTS)
def test_help_is_whole_sentences(words):
    """What a command and each of its options do: a capital, a full stop, and no more than a screen has patience for."""
    context = CONTEXTS[words]
    command = context.command
    told = {"the command": command.help} | {
        option.opts[-1]: option.help for option in command.get_params(context) if isinstance(option, click.Option)
    }
    for what, said in told.items():
        assert said, f"{what} is not explained"
        sentences = re.sub(r"\s*\[[^]]*\]$", "", said)  # values and default come after them
        assert sentences[0].isupper() or not sentences[0].isalpha(), f"{what}: {said}"
        assert sentences.endswith((".", "?")) or what == "the command", f"{what}: {said}"
        assert what == "the command" or len(sentences) <= 350, f"{what} takes {len(sentences)} letters: {said}"


def test_help_is_coloured_on_a_terminal_unless_no_color_is_set(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["cnnlab", "runs", "--help"])
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda stream, color: color is False)

    def shown() -> str:
        with pytest.raises(SystemExit):
            cli.main()
        return capsys.readouterr().out

    assert click.style("--json", fg="cyan", bold=True) in shown()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "--json" in (plain := shown())
    assert "\x1b" not in plain
