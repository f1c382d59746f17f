"""The library speaks of arguments and the command line of options, in the same sentences."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from cnnlab.analysis.image_choice import ImageChoice
from cnnlab.errors import UsageError
from cnnlab.spelling import as_options

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [*ROOT.glob("cnnlab/**/*.py"), *ROOT.glob("plugins/*/cnnlab_*/*.py")]
# Gates are the command line's own; a whole command in backticks is one wherever it is read.
EXEMPT = {ROOT / "cnnlab" / "analysis" / "gates.py"}
COMMAND = re.compile(r"`cnnlab [^`]*`|cnnlab train --out .* --resume")


@pytest.mark.parametrize(
    ("said", "spelled"),
    [
        ("`images=` and `dataset=` exclude each other", "--image and --dataset exclude each other"),
        ("`class_=` or `step_size=0.1`", "--class or --step-size 0.1"),
        ("open it with `trust=True`", "open it with --trust"),
        ("`cnnlab train` makes one; metric=value stays", "`cnnlab train` makes one; metric=value stays"),
    ],
)
def test_arguments_are_spelled_as_options(said, spelled):
    assert as_options(said) == spelled


def test_one_sentence_serves_both_callers(command_line, trained_run):
    with pytest.raises(UsageError, match=r"^`images=` and `dataset=` .* exclude each other"):
        ImageChoice(images=["7.png"], dataset="mnist").check()
    words = ("--model", trained_run.path, "--image", "7.png", "--dataset", "mnist")
    status, _, err = command_line("analyze", "occlusion", *words)
    assert status == 2
    assert "--image and --dataset (with --index or --limit) exclude each other" in err


def test_notes_name_options_too(capsys):
    from cnnlab.cli.views.result import warn

    warn(["dark on light; `invert=True` exchanges them."])
    assert capsys.readouterr().err == "Note: dark on light; --invert exchanges them.\n"


def messages(source: Path) -> list[str]:
    """The texts that a module raises or warns with; what is filled in is left out."""
    found = []
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        warns = isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "warn"
        if isinstance(node, ast.Raise) or warns:
            texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
            found.append("".join(text for text in texts if isinstance(text, str)))
    return found


@pytest.mark.parametrize("room", ["cnnlab", "plugins"])
def test_no_message_of_the_library_names_an_option(room):
    outside = [path for path in SOURCES if path.is_relative_to(ROOT / room) and "cli" not in path.parts]
    said = [(path, COMMAND.sub("", text)) for path in outside if path not in EXEMPT for text in messages(path)]
    assert len(said) > 20
    assert not [(path, text) for path, text in said if re.search(r"--[a-z]", text)]
