"""Files for parameters: handed over, bounded, kept where nobody else looks, and gone with the lab."""

from __future__ import annotations

import gc
import stat

import pytest

from cnnlab.lab import uploads as module
from cnnlab.lab.errors import RefusedError
from cnnlab.lab.uploads import Files, named


def test_a_file_lies_in_a_folder_of_its_own_that_goes_with_the_lab():
    files = Files()
    told = files.add("noise.npz", b"12345")
    path = files.find(told["id"])
    assert told == {"id": told["id"], "name": "noise.npz", "bytes": 5}
    assert (path.name, path.read_bytes()) == ("noise.npz", b"12345")
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700
    again = files.add("noise.npz", b"")
    assert files.find(again["id"]) != path
    del files
    gc.collect()
    assert not path.parent.parent.exists()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\noise\\best.npz", "best.npz"),
        ("..", "file"),
        (".bashrc", "bashrc"),
        ("-rf", "rf"),
        ("a b\n\x1b[31mc.npz", "a_b_31mc.npz"),
        ("x" * 200 + ".npz", "x" * 76 + ".npz"),
        ("", "file"),
        ("\0", "_"),
    ],
)
def test_a_name_is_that_of_a_file_and_nothing_more(name, kept):
    assert named(name) == kept


def test_too_large_a_file_is_refused_and_the_least_used_leave(monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    files = Files(room=25)
    with pytest.raises(RefusedError, match="has 11 bytes; the lab takes files of 10 at most") as refused:
        files.add("large.npz", b"x" * 11)
    assert refused.value.status == 413
    first, second = (files.add(f"{number}", b"x" * 10)["id"] for number in range(2))
    gone = files.find(second)
    files.find(first)
    third = files.add("3", b"x" * 10)["id"]
    assert (files.find(first).exists(), files.find(third).exists(), gone.exists()) == (True, True, False)
    with pytest.raises(RefusedError, match="there is no file"):
        files.find(second)
    monkeypatch.setattr(module, "MOST", 1)
    files.add("4", b"")
    with pytest.raises(RefusedError):
        files.find(third)
