"""What cannot be drawn costs its own look alone, whoever draws it."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from cnnlab.drawings import Image, Matrix, Picture
from cnnlab.render import figure, html, save, terminal
from cnnlab.render.trying import tried

BAD = {
    "the format of its numbers": Matrix(
        values=np.eye(1), rows=("a",), columns=("b",), row_label="", column_label="", number=".2zzz"
    ),
    "no base64": Image(png="notbase64!!"),
    "no picture": Image(png=base64.b64encode(b"hello").decode()),
    "a damaged picture": Image(png=base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_nothing_is_shown_of_what_cannot_be_drawn_but_a_sentence(bad, tmp_path):
    for draw in (
        lambda: save(bad, tmp_path / "a.png"),
        lambda: figure(bad),
        lambda: terminal.render(bad, 40),
        lambda: html.render(bad),
    ):
        look, note = tried(draw, "the drawing 'f' of cnnlab-f 1.0 could not be drawn")
        assert look is None
        assert note.startswith("the drawing 'f' of cnnlab-f 1.0 could not be drawn: ValueError: ")
        assert note.endswith(".")
        assert " object at 0x" not in note
    assert not list(tmp_path.iterdir())
    assert "Note: &#39;f&#39; could not be drawn: ValueError: " in html.shown(bad, "'f'")


def test_what_is_no_fault_of_the_drawing_is_not_taken_for_one():
    def full() -> None:
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        tried(full, "it could not be drawn")


def test_what_can_be_drawn_is():
    assert "<img" in html.shown(Picture(values=np.eye(2)), "'f'")
