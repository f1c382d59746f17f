"""Starting processes that find each other, and ending all of them where one ends badly: no TensorFlow is needed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import click
import pytest

from cnnlab.cli import cli
from cnnlab.devices import launching
from cnnlab.errors import CnnlabError


def words(script):
    head = "import json, os, signal, sys, time\nindex = json.loads(os.environ['TF_CONFIG'])['task']['index']\n"
    return [sys.executable, "-c", head + textwrap.dedent(script)]


def launched(script, count=3):
    said = []
    return launching.launch(count, words(script), said.append), said


def launch_command(*words, **options):
    command = [sys.executable, "-m", "cnnlab", "launch", "-n", "2", "--", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def test_each_process_is_told_of_all_and_which_it_is(tmp_path):
    status, said = launched(f"open(os.path.join({str(tmp_path)!r}, str(index)), 'w').write(os.environ['TF_CONFIG'])")
    assert (status, said) == (0, [])
    found = [json.loads((tmp_path / str(index)).read_text()) for index in range(3)]
    assert [each["task"] for each in found] == [{"type": "worker", "index": index} for index in range(3)]
    (workers,) = {tuple(each["cluster"]["worker"]) for each in found}
    assert len(set(workers)) == 3


def test_where_one_fails_the_others_end(tmp_path, monkeypatch):
    """It fails when they are ready to hear of it."""
    monkeypatch.setattr(launching, "GRACE", 0.1)
    began = time.monotonic()
    status, said = launched(
        f"""
        place = {str(tmp_path)!r}
        if index == 1:
            while not all(os.path.exists(f"{{place}}/ready{{other}}") for other in (0, 2)):
                time.sleep(0.01)
            [os.remove(f"{{place}}/ready{{other}}") for other in (0, 2)]
            sys.exit(2)
        signal.signal(signal.SIGTERM, lambda *_: (open(f"{{place}}/{{index}}", "w"), sys.exit(0)))
        open(f"{{place}}/ready{{index}}", "w")
        time.sleep(100)
        """
    )
    assert status == 2
    assert said == ["process 1 of 3 ended with status 2; the others were ended."]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "2"]
    assert time.monotonic() - began < 60


def test_a_killed_process_is_named_and_one_that_does_not_listen_is_killed(monkeypatch):
    monkeypatch.setattr(launching, "GRACE", 0.1)
    monkeypatch.setattr(launching, "LAST", 0.5)
    status, said = launched(
        """
        if index == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(100)
        """
    )
    assert status == 1
    assert said == ["process 2 of 3 was killed by SIGKILL; the others were ended."]


def test_the_first_has_the_terminal_and_the_others_say_who_they_are():
    done = launch_command(*words("print('here', index)"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "here 0\n", "[1] here 1\n")


def test_ctrl_c_is_passed_on(tmp_path):
    script = f"""
        signal.signal(signal.SIGINT, lambda *_: (open({str(tmp_path)!r} + f"/{{index}}", "w"), sys.exit(130)))
        print("ready", flush=True)
        time.sleep(100)
        """
    running = subprocess.Popen(
        [sys.executable, "-m", "cnnlab", "launch", "-n", "2", "--", *words(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout.readline() == "ready\n"
    assert running.stderr.readline() == "[1] ready\n"
    os.kill(running.pid, signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]


def test_what_cannot_be_run_is_said():
    with pytest.raises(CnnlabError, match=r"no-such-command cannot be run: No such file.* Give a command behind `--`"):
        launching.launch(2, ["no-such-command"], print)


def test_cnnlab_is_the_one_that_launches():
    done = launch_command("cnnlab", "--version", env={**os.environ, "PATH": ""})
    assert done.returncode == 0
    assert done.stderr == f"[1] {done.stdout}"


def test_it_is_told_what_to_run():
    with pytest.raises(click.MissingParameter, match="command"):
        cli(["launch", "-n", "2"], standalone_mode=False)
