"""Work in a process of its own: what it writes and how it ends, as of any process."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from types import ModuleType

import pytest

from cnnlab.testing.processes import python_m, run_process

SOURCE = """
import os, subprocess, sys, time

def writes(*words):
    print("printed", *words, os.environ["ONE"], os.getcwd(), flush=True)
    os.write(1, b"written\\n")
    subprocess.run([sys.executable, "-c", "print('of a child')"], check=True)
    print("an error", file=sys.stderr)
    os.environ["ONE"] = "2"

def sleeps():
    time.sleep(60)

def loaded():
    print(*{name.partition(".")[0] for name in sys.modules})
"""


@pytest.fixture
def work(tmp_path_factory, monkeypatch) -> ModuleType:
    """A module with work to do, which a process can import."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "work_of_a_test.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "work_of_a_test", raising=False)
    return importlib.import_module("work_of_a_test")


def test_what_it_and_its_children_write_is_caught(work, tmp_path, monkeypatch):
    monkeypatch.setenv("ONE", "0")
    done = run_process(work.writes, "a b", env={**os.environ, "ONE": "1"}, cwd=tmp_path)
    assert done.stdout == f"printed a b 1 {tmp_path}\nwritten\nof a child\n"
    assert (done.returncode, done.stderr) == (0, "an error\n")
    assert os.environ["ONE"] == "0"


@pytest.mark.parametrize(
    ("ending", "words", "status", "said"),
    [
        (sys.exit, (), 0, ""),
        (sys.exit, ("a sentence",), 1, "a sentence\n"),
        (int, ("x",), 1, "ValueError: invalid literal for int() with base 10: 'x'\n"),
    ],
)
def test_it_ends_as_python_does(ending, words, status, said):
    done = run_process(ending, *words)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.endswith(said)


def test_it_is_ended_when_it_takes_too_long(work):
    with pytest.raises(subprocess.TimeoutExpired, match=r"work_of_a_test.* timed out after 0.5 seconds"):
        run_process(work.sleeps, timeout=0.5)


def test_a_module_runs_as_python_m_runs_it(tmp_path):
    (tmp_path / "own.py").write_text("import sys; print(__name__, sys.argv[1:], sys.path[0], sys.path[1])")
    (tmp_path / "here").mkdir()
    done = run_process(python_m, "own", "1", env={**os.environ, "PYTHONPATH": str(tmp_path)}, cwd=tmp_path / "here")
    assert done.stdout.split() == ["__main__", "['1']", str(tmp_path / "here"), str(tmp_path)], done.stderr


def test_tensorflow_is_loaded_and_nothing_of_this_process_is(work, monkeypatch):
    monkeypatch.setitem(sys.modules, "of_this_process", work)
    modules = run_process(work.loaded).stdout.split()
    assert "tensorflow" in modules
    assert "of_this_process" not in modules
