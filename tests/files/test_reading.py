"""Reading what anybody may have made: what is no file, what is damaged, and what would fill the memory."""

from __future__ import annotations

import io
import os
import socket
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cnnlab.errors import CnnlabError
from cnnlab.files import reading
from cnnlab.files.reading import check_regular, read_bytes, read_json, read_npy, read_npz, read_text


def npy(array: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


def claiming(shape: str, kind: str = "<f8", held: bytes = b"\0" * 80) -> bytes:
    """An .npy file whose header says what it likes."""
    header = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + held


def archive(path: Path, packing: int = zipfile.ZIP_STORED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", packing) as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return path


# What is no file


def a_folder(path: Path) -> None:
    path.mkdir()


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_loop(path: Path) -> None:
    path.symlink_to(path)


SPECIAL = {
    "folder": (a_folder, "is a folder, where a file was expected"),
    "pipe": (os.mkfifo, "is a pipe, where a file was expected"),
    "socket": (a_socket, "is a socket, where a file was expected"),
    "device": (a_device, "is a device, where a file was expected"),
    "loop": (a_loop, "cannot be read: Too many levels of symbolic links"),
}


@pytest.mark.parametrize("read", [read_bytes, read_text, read_json, read_npy, read_npz], ids=lambda read: read.__name__)
@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_is_refused_at_once(tmp_path, monkeypatch, kind, read):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    make, message = SPECIAL[kind]
    make(tmp_path / "it")
    with pytest.raises(CnnlabError, match=f"it {message}"):
        read(tmp_path / "it")


@pytest.mark.parametrize(("name", "message"), [("no", "there is no file"), ("x" * 300, "too long"), ("a\0b", "null")])
def test_a_path_that_cannot_be_is_refused(tmp_path, name, message):
    with pytest.raises(CnnlabError, match=message):
        check_regular(tmp_path / name)


def test_a_link_to_a_file_is_that_file(tmp_path):
    (tmp_path / "it").write_text("here")
    (tmp_path / "link").symlink_to("it")
    assert read_text(tmp_path / "link") == "here"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_said(tmp_path):
    (tmp_path / "it").touch(mode=0)
    with pytest.raises(CnnlabError, match="cannot be read: Permission denied"):
        read_bytes(tmp_path / "it")


# Texts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no JSON: Expecting value"),
        (b"\xff", "no text in UTF-8: invalid start byte at byte 0"),
        (b'{"a": NaN}', "NaN is no number of JSON's"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'"\\ud800"', "half of a character"),
        (b'{"\\uDC00": 1}', "half of a character"),
        (b"[" * 100_000, "nested too deeply"),
        (b"9" * 5000, "Exceeds the limit"),
    ],
    ids=range(8),
)
def test_what_is_no_json_gets_one_sentence(tmp_path, content, message):
    (tmp_path / "it.json").write_bytes(content)
    with pytest.raises(CnnlabError, match=message) as refusal:
        read_json(tmp_path / "it.json")
    assert "it.json" in str(refusal.value)


def test_json_of_every_character_is_read(tmp_path):
    (tmp_path / "it.json").write_text('["\\ud83d\\ude00", "é"]', encoding="utf-8")
    assert read_json(tmp_path / "it.json") == ["😀", "é"]


def test_a_text_is_of_bounded_size(tmp_path):
    (tmp_path / "it").write_text("12345")
    assert read_text(tmp_path / "it", most=5) == "12345"
    with pytest.raises(CnnlabError, match="larger than the 4 bytes"):
        read_text(tmp_path / "it", most=4)


# Arrays


def test_all_arrays_are_read_or_those_of_a_name(tmp_path):
    path = archive(
        tmp_path / "a.npz", x=npy(np.arange(3)), y=npy(np.asfortranarray(np.eye(2, 3))), s=npy(np.array("t"))
    )
    assert {name: array.tolist() for name, array in read_npz(path).items()} == {
        "x": [0, 1, 2], "y": [[1, 0, 0], [0, 1, 0]], "s": "t",
    }  # fmt: skip
    assert list(read_npz(path, ["y", "other"])) == ["y"]
    with pytest.raises(CnnlabError, match="has no other: expected other, found s, x, y"):
        read_npz(path, ["other"], needed=["other"])


def test_arrays_of_python_objects_are_never_opened(tmp_path):
    path = archive(tmp_path / "a.npz", x=npy(np.array([{}], object)), y=npy(np.arange(3)))
    with pytest.raises(CnnlabError, match="holds pickled Python objects"):
        read_npz(path)
    assert read_npz(path, ["y"])["y"].tolist() == [0, 1, 2]


HEADERS = {
    "huge": (claiming("(1000000, 1000000)"), r"which is 8.0 TB, and holds 80 bytes"),
    "more than a machine counts": (claiming(f"({10**30}, {10**30})"), "and holds 80 bytes"),
    "short": (claiming("(11,)"), "which is 88 bytes, and holds 80 bytes"),
    "long": (claiming("(9,)"), "which is 72 bytes, and holds 80 bytes"),
    "negative": (claiming("(-10, -1)"), "expected numbers or texts"),
    "of nothing": (claiming("(1000000000000,)", "|S0", b""), "expected numbers or texts"),
    "structured": (npy(np.zeros(2, "i4,f4")), "expected numbers or texts"),
    "dates": (npy(np.zeros(2, "M8[s]")), "expected numbers or texts"),
    "no shape": (claiming("7"), "header that NumPy cannot have written"),
    "no type": (claiming("(10,)", "nonsense"), "header that NumPy cannot have written"),
    "code": (claiming("__import__('os')"), "header that NumPy cannot have written"),
    "no header": (b"\x93NUMPY\x01\x00\xff\xff{", "header that NumPy"),
    "another version": (b"\x93NUMPY\x09\x00\x01\x00{", "version 9.0"),
    "no magic": (b"text", "magic string"),
    "nothing": (b"", "EOF"),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_an_array_that_is_not_what_its_header_says_is_refused(tmp_path, kind):
    content, message = HEADERS[kind]
    with pytest.raises(CnnlabError, match=message):
        read_npz(archive(tmp_path / "a.npz", x=content))
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(CnnlabError, match=message):
        read_npy(tmp_path / "a.npy")


def damaged(path: Path, packing: int) -> Path:
    content = bytearray(archive(path, packing, x=npy(np.arange(1000))).read_bytes())
    content[300:310] = b"\xff" * 10
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_archive_gets_one_sentence(tmp_path, packing):
    with pytest.raises(CnnlabError, match=r"cannot be read as an \.npz file: (Error -3 while|Bad CRC)"):
        read_npz(damaged(tmp_path / "a.npz", packing))


def test_an_archive_packed_as_numpy_packs_none_is_refused(tmp_path):
    with pytest.raises(CnnlabError, match="packed in another way"):
        read_npz(archive(tmp_path / "a.npz", zipfile.ZIP_BZIP2, x=npy(np.arange(3))))


def test_an_encrypted_archive_is_refused(tmp_path):
    content = bytearray(archive(tmp_path / "a.npz", x=npy(np.arange(3))).read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + place] |= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(CnnlabError, match="is encrypted"):
        read_npz(tmp_path / "a.npz")


def test_what_would_fill_the_memory_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    zeros = npy(np.zeros(2_000_000, np.uint8))
    path = archive(tmp_path / "a.npz", zipfile.ZIP_DEFLATED, x=zeros, y=npy(np.arange(3)))
    assert read_npz(path)["x"].nbytes == 2_000_000, "what is small is not looked at more closely"
    monkeypatch.setattr(reading, "FREE_BYTES", 1_000_000)
    monkeypatch.setattr(reading, "_read_array", None)
    with pytest.raises(CnnlabError, match=r"unpacks from 2\.\d kB to 2\.0 MB, more than 100 times its size"):
        read_npz(path)
    monkeypatch.setattr(reading, "memory", lambda: 2_000_000)
    with pytest.raises(CnnlabError, match=r"at most half of this machine's memory, 1\.0 MB\. Split it"):
        read_npz(path)


def test_the_memory_is_that_of_the_machine_or_of_its_control_group(tmp_path, monkeypatch):
    (tmp_path / "limit").write_text("123456\n")
    (tmp_path / "max").write_text("max\n")
    monkeypatch.setattr(reading, "_LIMITS", (tmp_path / "none", tmp_path / "max", tmp_path / "limit"))
    assert reading.memory.__wrapped__() == 123456
    monkeypatch.setattr(reading, "_LIMITS", (tmp_path / "max",))
    assert reading.memory.__wrapped__() > 2**28
