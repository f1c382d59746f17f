"""Where something may be written: what cannot be, and what is somebody else's, is refused in a sentence."""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
from pathlib import Path

import pytest

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.files import places
from cnnlab.files.places import FIGURES, check_apart, check_figure, check_file, check_folder, new_folder


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
        check_file(path, whose=lambda path: "is a thesis")
    check_file(path, whose=lambda path: "")
    check_file(path, force=True)
    assert path.read_text() == "mine"


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """A figure of cnnlab's in each format."""
    import numpy as np

    from cnnlab.drawings import Picture
    from cnnlab.render import save

    folder = tmp_path_factory.mktemp("figures")
    for ending in FIGURES:
        save(Picture(values=np.random.default_rng(0).random((64, 64, 1))), folder / f"it.{ending}")
    return folder


@pytest.mark.parametrize("ending", FIGURES)
def test_a_figure_of_ones_own_is_replaced_and_one_that_was_changed_is_not(figures, tmp_path, ending):
    path = tmp_path / f"it.{ending.upper()}"
    written = (figures / f"it.{ending}").read_bytes()
    path.write_bytes(written)
    check_figure(path)
    path.write_bytes(written + b"\n")
    with pytest.raises(CnnlabError, match="was changed since cnnlab wrote it, so it was not replaced"):
        check_figure(path)
    check_figure(path, force=True)


@pytest.mark.parametrize("ending", FIGURES)
def test_a_file_that_mentions_cnnlab_is_no_figure(figures, tmp_path, ending):
    path = tmp_path / f"it.{ending}"
    for text in (b"made with cnnlab", b"a thesis made with cnnlab, sha256 " + b"0" * 64, b""):
        path.write_bytes(text)
        with pytest.raises(CnnlabError, match="is no figure of cnnlab's, so it was not replaced"):
            check_figure(path)
    path.write_bytes((figures / f"it.{next(each for each in FIGURES if each != ending)}").read_bytes())
    with pytest.raises(CnnlabError, match="is no figure of cnnlab's"):
        check_figure(path)


@pytest.mark.parametrize("name", ["c", "c.txt", "c.html", "c.csv", "c.json", "c.jpg", "c.raw", "c.pgf", "c.ps", ".png"])
@pytest.mark.parametrize("force", [False, True])
def test_a_figure_is_named_as_what_it_can_be_written_as(tmp_path, name, force):
    with pytest.raises(UsageError, match=r"expected a name that ends in \.png, \.svg or \.pdf"):
        check_figure(tmp_path / name, force=force)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("check", [check_file, check_folder], ids=["file", "folder"])
@pytest.mark.parametrize("inside", ["it", "variables/it", "assets/deep/it"])
def test_nothing_is_written_into_a_savedmodel(tmp_path, monkeypatch, check, inside):
    model = tmp_path / "model"
    (model / "variables").mkdir(parents=True)
    (model / "saved_model.pb").write_bytes(b"")
    (tmp_path / "link").symlink_to(model)
    monkeypatch.chdir(model)
    for path in (model / inside, tmp_path / "link" / inside, Path(inside)):
        with pytest.raises(CnnlabError, match="model is a SavedModel, and nothing else is written into one"):
            check(path)
    check(tmp_path / "beside")
    with pytest.raises(CnnlabError, match="is a SavedModel"):
        check_folder(model)


RUN = {"run.json": "run", "checkpoint/settings.json": "run", "result.json": "result"}


@pytest.mark.parametrize("record", RUN)
def test_results_and_runs_do_not_share_a_folder(tmp_path, record):
    path = tmp_path / record
    path.parent.mkdir(exist_ok=True)
    other = "run" if RUN[record] == "result" else "result"
    for text in ("mine", "[1]", '{"mine": 1}', "[" * 100_000):
        path.write_text(text)
        check_apart(tmp_path, other)
    path.write_text('{"schema": 1}')
    check_apart(tmp_path, RUN[record])
    with pytest.raises(CnnlabError, match=rf"{tmp_path.name} holds a {RUN[record]}, .*a {other}.* Name a new folder"):
        check_apart(tmp_path, other)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", ["result.json", "drawings.json", "images/0.png"])
def test_a_file_of_a_result_is_not_replaced_by_another(tmp_path, name, force):
    (tmp_path / "images").mkdir()
    (tmp_path / name).write_text("of a result")
    files = dict.fromkeys(("drawings.json", "images/0.png"), "0")
    (tmp_path / "result.json").write_text(json.dumps({"schema": 1, "files": files}))
    with pytest.raises(CnnlabError, match=rf"{name} is a file of the result in {tmp_path}, .* Name a new file"):
        check_file(tmp_path / name, force=force, whose=lambda path: "")
    (tmp_path / "other").write_text("mine")
    check_file(tmp_path / "other", force=True)


def test_that_the_current_folder_is_gone_is_said(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for check in (check_file, check_folder):
        with pytest.raises(CnnlabError, match="the current folder is gone"):
            check("it")
        check(tmp_path / "it")
    with pytest.raises(CnnlabError, match="the current folder is gone"), new_folder("runs", "it"):
        pass


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
