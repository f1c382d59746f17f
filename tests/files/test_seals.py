"""What seals a page or a figure: it is known as it was written, and as nothing else."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from cnnlab.files.seals import BLANK, is_sealed, seal

TEXTS = {
    "html": f'<head>\n<meta name="generator" content="cnnlab 0.1.0, sha256 {BLANK}">\n</head> of seven',
    "md": f"<!-- made by cnnlab 0.1.0, sha256 {BLANK} -->\n# seven",
    "json": f'{{\n  "schema": 1,\n  "report": "cnnlab 0.1.0",\n  "digest": "{BLANK}",\n  "title": "seven"\n}}',
    "svg": f"<?xml?><dc:title>made with cnnlab, sha256 {BLANK}</dc:title><text>seven</text>",
    "pdf": f"%PDF seven /Creator (made with cnnlab, sha256 {BLANK})",
}
OTHERS = {
    "nothing": b"",
    "a note": b"made with cnnlab, by me",
    "a digest of nothing": b"made with cnnlab, sha256 " + b"a" * 64,
    "no text": b"\x89PNG\r\n\x1a\n\xff\xfe",
}


def png() -> bytes:
    from PIL.PngImagePlugin import PngInfo

    made, said = io.BytesIO(), PngInfo()
    said.add_text("Software", f"made with cnnlab, sha256 {BLANK}")
    Image.new("L", (8, 8), 7).save(made, "png", pnginfo=said)
    return made.getvalue()


WRITTEN = {format: text.encode() for format, text in TEXTS.items()} | {"png": png()}


@pytest.mark.parametrize("format", WRITTEN)
def test_what_is_sealed_is_known_until_a_byte_of_it_changes(tmp_path, format):
    path = tmp_path / "it"
    path.write_bytes(WRITTEN[format])
    assert is_sealed(path, format) is False
    sealed = seal(WRITTEN[format], format)
    path.write_bytes(sealed)
    assert is_sealed(path, format) is True
    for place in range(0, len(sealed), 7):
        changed = bytearray(sealed)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert not is_sealed(path, format), place
    path.write_bytes(sealed + b"\n")
    assert is_sealed(path, format) is False
    assert {is_sealed(path, other) for other in WRITTEN if other != format} == {None}


def test_a_sealed_png_is_one_still():
    with Image.open(io.BytesIO(seal(WRITTEN["png"], "png"))) as image:
        image.load()
        assert image.text["Software"].startswith("made with cnnlab, sha256 ")
        assert image.text["Software"][-64:] != BLANK


@pytest.mark.parametrize("format", WRITTEN)
@pytest.mark.parametrize("other", OTHERS)
def test_nothing_else_is_sealed(tmp_path, format, other):
    path = tmp_path / "it"
    path.write_bytes(OTHERS[other])
    assert is_sealed(path, format) is None


def test_what_is_no_file_is_not_sealed(tmp_path):
    assert is_sealed(tmp_path, "png") is None
    assert is_sealed(tmp_path / "nowhere", "png") is None
    (tmp_path / "endless").symlink_to("/dev/zero")
    assert is_sealed(tmp_path / "endless", "png") is None


def test_what_has_no_place_for_a_seal_is_not_sealed():
    with pytest.raises(ValueError, match="no place for a seal"):
        seal(b"%PDF", "pdf")
