"""Seals: what a page or a figure says of itself, by which it is known as cnnlab wrote it, and not as it was changed.

A seal is the SHA-256 of a file, taken while 64 zeros stand in its place. It keeps what somebody has worked on from
being replaced, and proves nothing of where a file came from: anybody can make one.
"""

from __future__ import annotations

import hashlib
import os
import re
import zlib

from cnnlab.errors import CnnlabError
from cnnlab.files.reading import read_bytes

BLANK = "0" * 64
"""What stands in the place of a seal until it is made."""

_BEFORE = {
    "html": rb'<meta name="generator" content="cnnlab [^"<>]{1,60}, sha256 ',
    "md": rb"\A<!-- made by cnnlab [^<>]{1,60}, sha256 ",
    "json": rb'\A\{\n  "schema": \d+,\n  "report": "cnnlab [^"]{1,60}",\n  "digest": "',
    "png": rb"\A\x89PNG.{4,4000}?(?P<chunk>tEXtSoftware\0made with cnnlab, sha256 )",
    "svg": rb"<dc:title>made with cnnlab, sha256 ",
    "pdf": rb"/Creator \(made with cnnlab, sha256 ",
}
"""What stands before the seal in each format: where names from elsewhere, which are escaped, cannot say the same."""

_PLACES = {format: re.compile(before + rb"(?P<seal>[0-9a-f]{64})", re.DOTALL) for format, before in _BEFORE.items()}


def seal(content: bytes, format: str) -> bytes:
    """Seal a file that holds :data:`BLANK` where its seal goes.

    Args:
        content: What it holds.
        format: How its name ends: ``html``, ``md``, ``json``, ``png``, ``svg`` or ``pdf``.

    Raises:
        ValueError: It has no place for a seal.
    """
    place = _PLACES[format].search(content)
    if place is None:
        raise ValueError(f"there is no place for a seal in this {format}")
    return _filled(content, place, _digest(content))


def is_sealed(path: str | os.PathLike[str], format: str) -> bool | None:
    """Whether a file is what it was when it was sealed; None where it has no seal, or cannot be read.

    Args:
        path: The file.
        format: As :func:`seal` takes it.
    """
    try:
        content = read_bytes(path)
    except CnnlabError:
        return None
    place = _PLACES[format].search(content)
    if place is None:
        return None
    blank = _filled(content, place, BLANK.encode())
    return content == _filled(blank, place, _digest(blank))


def _filled(content: bytes, place: re.Match[bytes], seal: bytes) -> bytes:
    filled, rest = content[: place.start("seal")] + seal, content[place.end("seal") :]
    if place.re is not _PLACES["png"]:
        return filled + rest
    checksum = zlib.crc32(filled[place.start("chunk") :]).to_bytes(4)  # of the chunk of text that the seal ends
    return filled + checksum + rest[len(checksum) :]


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
