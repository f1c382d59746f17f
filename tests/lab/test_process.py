"""The command in a process of its own: the one line that it prints, what a program is answered, and how it ends."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.lab.app import Lab
from cnnlab.runs import list_runs
from cnnlab.testing.processes import python_m, run_process
from cnnlab.training import artifacts

ROOT = Path(__file__).resolve().parents[2]


# The command in a folder, but that its output is a file, which the test reads meanwhile, and that it says which process
# it is.
READABLE = """
import os, pathlib, sys
from cnnlab.__main__ import main

os.dup2(os.open("out", os.O_WRONLY | os.O_CREAT), 1)
pathlib.Path("pid").write_text(str(os.getpid()))
os.chdir(sys.argv.pop(1))
main()
"""


@dataclass
class Running:
    """A lab in a process of its own, or in this one."""

    url: str
    folder: Path = Path()
    ended: Future[subprocess.CompletedProcess[str]] | None = None

    @property
    def base(self) -> str:
        return self.url.partition("/?")[0]

    @property
    def token(self) -> str:
        return self.url.partition("token=")[2]

    def ask(self, path: str, body: Any = None) -> Any:
        with self.open(path, None if body is None else json.dumps(body).encode()) as answered:
            return json.loads(answered.read())

    def open(self, path: str, content: bytes | None = None) -> Any:
        asked = urllib.request.Request(f"{self.base}{path}", content, {"Authorization": f"Bearer {self.token}"})
        return urllib.request.urlopen(asked, timeout=60)

    def end(self, by: signal.Signals) -> tuple[int, str, str]:
        """Return its status, what it said after its first line, and its errors."""
        os.kill(int((self.folder / "pid").read_text()), by)
        done = self.ended.result(timeout=60)
        return done.returncode, (self.folder / "out").read_text().partition("\n")[2], done.stderr


@contextlib.contextmanager
def running(*words: object, cwd: Path) -> Iterator[Running]:
    """Start a lab in a process that has TensorFlow loaded, and wait for its line."""
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor() as pool:
        (folder := Path(name)).joinpath("readable.py").write_text(READABLE)
        told = ("readable", str(cwd), "lab", *map(str, words), "--no-browser")
        ended = pool.submit(run_process, python_m, *told, cwd=folder)
        try:
            while not (line := (out.read_text() if (out := folder / "out").exists() else "")).endswith("\n"):
                assert not ended.done(), ended.result()
                time.sleep(0.01)
            assert line.startswith("http")
            yield Running(line.strip(), folder, ended)
        finally:
            if not ended.done():
                os.kill(int((folder / "pid").read_text()), signal.SIGKILL)


@pytest.fixture(scope="module")
def started(model, tmp_path_factory) -> Iterator[Running]:
    """A lab of the small network."""
    with running(model, "--trust", "--port", "0", cwd=tmp_path_factory.mktemp("cwd")) as lab:
        yield lab


def test_a_program_is_answered_and_nobody_without_the_token(started):
    assert started.base.startswith("http://127.0.0.1:")
    assert {"occlusion", "saliency", "filters"} <= {each["name"] for each in started.ask("/api/analyses")}
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{started.base}/api/analyses", timeout=30)
    assert refused.value.code == 401


def test_the_page_and_what_it_needs_are_served(started):
    kinds = {"/": "html", "/static/main.js": "javascript", "/static/style.css": "css"}
    kinds |= {"/static/drawings.js": "javascript", "/static/drawings.css": "css"}
    for path, kind in kinds.items():
        with started.open(path) as answered:
            assert answered.headers["content-type"].startswith(f"text/{kind}")
            assert answered.headers.get("server") is None
            assert answered.read()


def test_a_stroke_is_answered_with_probabilities_and_maps(started):
    asked = {"models": ["m0"], "image": {"pixels": [0.5] * 64, "height": 8, "width": 8, "channels": 1}, "maps": True}
    (found,) = started.ask("/api/predict", asked)["results"]
    assert sum(found["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert [each["layer"] for each in found["maps"]]
    assert started.ask("/api/predict", asked)["results"] == [found]


def test_an_analysis_of_a_real_model_runs_from_a_program(started):
    kept = started.ask("/api/images", {"model": "m0", "pixels": [0.5] * 64, "height": 8, "width": 8})
    asked = {"model": "m0", "images": [kept["id"]], "params": {"patch": 3}}
    job = started.ask("/api/analyses/occlusion", asked)["job"]
    with started.open(f"/api/jobs/{job}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = stream.read().decode()
    assert "event: done" in told
    found = started.ask(f"/api/results/{json.loads(told.rpartition('data: ')[2])['result']}")
    assert found["record"]["params"]["patch"] == 3
    assert found["html"]
    assert "--patch 3" in found["command"]


def test_the_port_that_is_taken_is_named(started, cnnlab_command, model):
    port = started.base.rpartition(":")[2]
    done = cnnlab_command("lab", model, "--no-browser", "--port", port)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"nobody can listen on 127.0.0.1 port {port}: " in done.stderr
    assert "--port" in done.stderr


def test_ctrl_c_ends_it_while_an_analysis_runs_and_somebody_listens(model, tmp_path):
    with running(model, "--trust", "--port", "0", cwd=tmp_path) as lab:
        asked = {"model": "m0", "params": {"steps": 100_000, "confidence": 0.999999}}  # minutes of work
        job = lab.ask("/api/analyses/fooling", asked)["job"]
        with lab.open(f"/api/jobs/{job}/events") as stream:
            assert stream.readline().startswith(b"id: ")
            status, out, err = lab.end(signal.SIGINT)
    assert status in (0, 130)
    assert out == ""  # the line with the URL was all of it
    assert not any(word in err for word in ("ERROR", "Traceback"))  # as a server tells what it had to break off
    assert list(tmp_path.iterdir()) == []


def test_a_lab_without_a_model_trains_and_what_is_done_is_saved_when_it_ends(tmp_path):
    settings = {"dataset": "mnist", "limit": 200, "validation": 100, "batch_size": 50, "epochs": 1000}
    with running("--port", "0", cwd=tmp_path) as lab:
        assert lab.ask("/api/models") == []
        with pytest.raises(urllib.error.HTTPError) as refused:
            lab.ask("/api/predict", {"models": ["m0"], "image": {"pixels": []}})
        assert json.load(refused.value)["error"] == "there is no model in this lab yet; train one first."
        job = lab.ask("/api/training", {"settings": settings})["job"]
        with lab.open(f"/api/jobs/{job}/events") as stream:
            assert any(line.startswith(b"event: epoch") for line in stream)
            status, _, err = lab.end(signal.SIGINT)
    (run,) = list_runs(tmp_path / "runs")
    assert status in (0, 130)
    assert run.state == "unfinished"
    assert 1 <= len(run.history) < 1000
    assert f"Go on with: cnnlab train --out runs/{run.name} --resume" in err
    assert "Traceback" not in err


def test_without_the_extra_one_sentence_says_how_to_get_it(command_line, model, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "uvicorn" else real(name, *more)
    )
    status, out, err = command_line("lab", model, "--no-browser")
    assert (status, out) == (1, "")
    assert err.strip() == (
        'Error: the lab needs packages that are not installed; install them with `pip install "cnnlab[lab]"`.'
    )


PAGE = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")

RUNNERS = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}


@pytest.mark.parametrize("kind", RUNNERS)
def test_what_the_page_tells_a_program_to_do_is_done(model, tools, tmp_path, monkeypatch, kind):
    if kind == "sh" and not shutil.which("curl"):
        pytest.skip("there is no curl here")
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("cnnlab-*"))
    (block,) = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(artifacts, "_drawings", lambda *_: {})  # figures, which take a while
    lab = Lab.of([ModelChoice(model=model)])
    lab.training._begin = tools.in_process
    with tools.served(lab) as url:
        env = os.environ | {"URL": (here := Running(url)).base, "TOKEN": here.token}
        words = [*RUNNERS[kind], block]
        done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    lab.jobs.close(10)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "event: done" in done.stdout


def test_the_page_names_every_address():
    lab = Lab(*[None] * len(fields(Lab)))  # nothing is asked of it
    for route in lab._unguarded().routes:
        if route.path.startswith("/api/"):
            last = re.sub(r"\{.*?\}", "", route.path).strip("/").split("/")
            assert all(word.strip(".") in PAGE for word in last), route.path
