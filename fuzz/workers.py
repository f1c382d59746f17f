"""Processes that judge one input after another: one that dies or hangs is told of, and replaced."""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

MOST_INPUTS = 400
"""After so many a process makes way for a new one: TensorFlow keeps what it has once traced."""

STARTING = 300.0
"""Seconds in which a process must have loaded what it needs."""


class Worker:
    """A process that judges inputs; a new one takes its place when it ends.

    Args:
        folder: A folder of its own.
        good: Where the good files are kept.
        seed: That of the inputs.
        most_seconds: What takes longer counts as hanging.
    """

    def __init__(self, folder: Path, good: Path, seed: int, most_seconds: float) -> None:
        self._folder, self._good, self._seed, self._most = folder, good, seed, most_seconds
        self._process: subprocess.Popen[str] | None = None
        self._done = 0

    def judge(self, kind: str, number: int) -> dict[str, Any]:
        """Have an input judged; a verdict, that of a death where the process died of it."""
        if self._process is None or self._done >= MOST_INPUTS:
            self.close()
            self._start()
        process, self._done = self._process, self._done + 1
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([kind, number]) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], self._most * 3 + STARTING)
        line = process.stdout.readline() if ready else ""
        if line:
            verdict: dict[str, Any] = json.loads(line)
            return verdict
        self._process = None
        process.kill()
        status = process.wait()
        stack = (self._folder / "stack").read_text(errors="replace")[-4000:]
        hung = "Timeout" in stack
        said = f"it took more than {self._most:.0f} seconds" if hung else f"it ended its process with status {status}"
        return {"status": status, "wrong": [said], "trace": stack, "out": "", "err": ""}

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process, self._done = None, 0

    def _start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        asked = {"folder": str(self._folder), "good": str(self._good), "seed": self._seed, "most_seconds": self._most}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fuzz.workers", json.dumps(asked)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=_environment(self._folder), cwd=Path(__file__).parent.parent,
        )  # fmt: skip


def _environment(folder: Path) -> dict[str, str]:
    """One in which nothing is found of whoever runs this, and nothing is written but in the folder."""
    home, root = folder / "home", str(Path(__file__).parent.parent)
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    return os.environ | {
        "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "TMPDIR": str(home / "tmp"), "COLUMNS": "100",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip


def main() -> None:
    """Judge what is asked for on stdin, a line each, and answer on what was stdout."""
    from fuzz import judge, targets
    from fuzz.seeds import Seeds

    asked = json.loads(sys.argv[1])
    folder, most = Path(asked["folder"]), asked["most_seconds"]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with (folder / "stack").open("w") as stack:
        faulthandler.enable(stack)
        judge.prepare()
        good = Seeds(Path(asked["good"]))
        for line in sys.stdin:
            kind, number = json.loads(line)
            _watch_imports(kind, good)
            given = targets.make(kind, number, asked["seed"], folder / "input", good)
            faulthandler.dump_traceback_later(most, exit=True, file=stack)
            verdict = judge.judge(given.ask, folder / "input", given.writes, most)
            faulthandler.cancel_dump_traceback_later()
            _answer(answers, verdict.to_json() | {"ask": list(given.ask) if not callable(given.ask) else kind})


def _watch_imports(kind: str, good: Any) -> None:
    """Load what a kind needs before its time is taken, once."""
    from fuzz.targets import TARGETS

    if TARGETS[kind].heavy and "tensorflow" not in sys.modules:
        import keras  # noqa: F401
        import tensorflow as tf

        import cnnlab

        cnnlab.load(good.kept("model.keras"))
        tf.get_logger().setLevel("ERROR")  # It warns of many models in one process, of which a command has one or two.


def _answer(answers: IO[str], verdict: dict[str, Any]) -> None:
    answers.write(json.dumps(verdict) + "\n")
    answers.flush()


def scratch() -> Path:
    """Return a new folder for what a session makes."""
    return Path(tempfile.mkdtemp(prefix=f"cnnlab-fuzz-{time.strftime('%H%M%S')}-"))


if __name__ == "__main__":
    main()
