"""Work in a process of its own that begins with TensorFlow loaded: to import it takes seconds each time.

The first use starts a server (``multiprocessing``'s fork server) which imports TensorFlow and lets it begin nothing;
each process is then forked from it in a moment, and is as new as one can be that has TensorFlow imported.
"""

from __future__ import annotations

import atexit
import ctypes
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

# Elsewhere the system's libraries, once loaded, do not outlive a fork.
_processes = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
if sys.platform == "linux":
    _processes.set_forkserver_preload(["cnnlab", "tensorflow", "keras", __name__])


def run_process(
    work: Callable[..., object],
    *words: str,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Call a function in a process of its own.

    Args:
        work: A function of a module, which the process imports.
        words: What it is called with.
        env: The environment variables of the process; those of this one by default.
        cwd: Its working directory; that of this one by default.
        timeout: Seconds after which it is ended.

    Returns:
        How it ended, and what it and its own children wrote to standard output and standard error.

    Raises:
        subprocess.TimeoutExpired: It took longer.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = (folder, dict(os.environ if env is None else env), os.fspath(cwd or os.getcwd()))
        process = _processes.Process(target=_begin, args=(work, words, *told))  # type: ignore[attr-defined]
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired([work.__module__, *words], timeout)
        out, err = (Path(folder, name) for name in STREAMS)
        read = [file.read_text(encoding="utf-8", errors="replace") if file.exists() else "" for file in (out, err)]
    return subprocess.CompletedProcess([work.__module__, *words], process.exitcode, *read)


def python_m(module: str, *words: str) -> None:
    """Do in a process of :func:`run_process` what ``python -m`` does.

    Args:
        module: The module.
        words: What follows it on the command line.
    """
    searched = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [os.getcwd(), *searched, *filter(None, _PATH)]
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


_PATH = tuple(sys.path)
"""Where Python looks for modules by itself: in the server nothing has changed that."""

STREAMS = {"stdout": 1, "stderr": 2}


def _begin(work: Callable[..., object], words: tuple[str, ...], folder: str, env: dict[str, str], cwd: str) -> NoReturn:
    for name, number in STREAMS.items():
        opened = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    status: object = 0
    try:
        work(*words)
    except SystemExit as stop:
        status = stop.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    if not isinstance(status, int):
        sys.stderr.write(f"{status}\n")
        status = 1
    _end(status)


def _end(status: int) -> NoReturn:
    """End without taking TensorFlow's modules apart, for a second each time; what was printed, by C too, is written."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)
    os._exit(status)
