"""Where something may be written: what cannot be, and what is somebody else's, is refused in a sentence."""

from __future__ import annotations

import errno
import os
import socket
import threading
from pathlib import Path

import pytest

from cnnlab.errors import CnnlabError
from cnnlab.files import places
from cnnlab.files.places import check_figure, check_file, check_folder, new_folder


def a_link_to_a_folder(place: Path) -> None:
    (place.parent / "elsewhere").mkdir()
    place.symlink_to(place.parent / "elsewhere")


def a_link_to_a_file(place: Path) -> None:
    (place.parent / "elsewhere").write_text("mine")
    place.symlink_to(place.parent / "elsewhere")


def a_socket(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(place))


NEITHER = {
    "a link to a folder": (a_link_to_a_folder, "is a symbolic link, which is not written through"),
    "a link to a file": (a_link_to_a_file, "is a symbolic link"),
    "a dangling link": (lambda place: place.symlink_to("nowhere"), "is a symbolic link"),
    "a pipe": (lambda place: os.mkfifo(place), "is a pipe, where a"),
    "a socket": (a_socket, "is a socket, where a"),
}


@pytest.mark.parametrize("check", [check_file, check_folder], ids=["file", "folder"])
@pytest.mark.parametrize("kind", NEITHER)
def test_what_is_neither_a_file_nor_a_folder_is_refused(tmp_path, monkeypatch, check, kind):
    make, said = NEITHER[kind]
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "it")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CnnlabError, match=said):
        check(tmp_path / "it", **({"force": True} if check is check_file else {}))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_is_no_folder_and_a_folder_no_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CnnlabError, match="file is a file, where a folder was expected"):
        check_folder(tmp_path / "file")
    with pytest.raises(CnnlabError, match="folder is a folder, where a file was expected"):
        check_file(tmp_path / "folder", force=True)


@pytest.mark.parametrize("check", [check_file, check_folder], ids=["file", "folder"])
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("file/deep/er", "file is no folder"),
        ("dangling/er", "dangling is no folder"),
        ("round/er", "cannot be written"),
        ("n" * 256, "File name too long"),
        ("é" * 200, "File name too long"),
        ("é" * 200 + "/deep", "File name too long"),
        ("/".join("d" * 10 for _ in range(500)), "File name too long"),
        ("zero\0byte", "null"),
        ("/proc/new", "/proc/new cannot be written"),
    ],
    ids=lambda value: str(value)[:12].replace("\0", "0"),
)
def test_where_nothing_can_be_written_is_refused(tmp_path, monkeypatch, check, path, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(CnnlabError, match=said) as error:
        check(path)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EDQUOT, errno.ENOSPC])
def test_permissions_and_quotas_are_known_by_trying(tmp_path, monkeypatch, number):
    def refuse(path, *args, **kwargs):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(places.Path, "mkdir", refuse)
    for check in (check_file, check_folder):
        with pytest.raises(CnnlabError, match=f"it cannot be written: {os.strerror(number)}"):
            check(tmp_path / "deep" / "it")


@pytest.mark.parametrize("name", ["a name.with spaces", "naïve 文件", "n" * 200, "-", "~"])
def test_what_can_be_written_is_not_refused_and_nothing_is_left_there(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for path in (Path(name), tmp_path / name / "deep"):
        check_file(path)
        check_folder(path)
    check_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_where_it_is_ones_own_or_by_force(tmp_path):
    path = tmp_path / "it"
    path.write_text("mine")
    with pytest.raises(CnnlabError, match=r"it is a thesis, so it was not replaced. .*`force=True`"):
        check_file(path, what="a thesis")
    check_file(path, own=lambda path: path.read_text() == "mine")
    check_file(path, force=True)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_figure_of_ones_own_is_known_by_its_mark(tmp_path, ending):
    import numpy as np

    from cnnlab.drawings import Picture
    from cnnlab.render import save

    path = tmp_path / f"it.{ending}"
    save(Picture(values=np.random.default_rng(0).random((64, 64, 1))), path)
    assert path.stat().st_size > 2 * places._MARKED or ending == "png"
    check_figure(path)
    path.write_bytes(path.read_bytes().replace(places.MARK.encode(), b"made by somebody"))
    with pytest.raises(CnnlabError, match="is no figure of cnnlab's, so it was not replaced"):
        check_figure(path)
    check_figure(path, force=True)


def test_threads_that_claim_at_once_each_have_a_folder(tmp_path):
    claimed = []

    def claim() -> None:
        with new_folder(tmp_path / "deep", "it") as folder:
            claimed.append(folder)

    threads = [threading.Thread(target=claim) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {"it", *(f"it-{number}" for number in range(2, 17))}
    assert {folder.name for folder in claimed} == expected == {folder.name for folder in (tmp_path / "deep").iterdir()}


def test_a_folder_claimed_in_vain_goes(tmp_path):
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "parent" / "of it", "vain"):
        raise KeyboardInterrupt
    assert not (tmp_path / "parent").exists()
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path, "vain"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_stays(tmp_path):
    def fail() -> None:
        with new_folder(tmp_path, "kept") as folder:
            (folder / "checkpoint").write_text("kept")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (tmp_path / "kept" / "checkpoint").exists()
