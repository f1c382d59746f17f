"""Starting the processes of a cluster on this machine, and ending all of them where one ends badly."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO

from cnnlab import interrupts
from cnnlab.devices.cluster import Cluster
from cnnlab.errors import CnnlabError

GRACE = 5.0
"""Seconds that the others have to end by themselves, and say why, after one has failed."""

LAST = 5.0
"""Seconds between asking a process to end and killing it."""

WHILE_KEEPING = interrupts.PATIENCE_WHILE_KEEPING - LAST
"""Seconds that they have to save what was done after Ctrl-C."""


def launch(count: int, command: Sequence[str], say: Callable[[str], None]) -> int:
    """Run a command in so many processes, each of which finds the others by ``TF_CONFIG``; return the exit status.

    The first process has the terminal; what the others print goes to stderr behind their number. A signal is passed on
    to all, and where one process fails the others are ended.

    Args:
        count: How many.
        command: The words of the command; ``cnnlab`` is the one that this is.
        say: Is told of what the processes cannot say themselves.

    Returns:
        0, or the status of the first process that failed, 1 where a signal ended it; 130 after Ctrl-C.

    Raises:
        CnnlabError: There is no such command.
    """
    program = [sys.executable, "-m", "cnnlab"] if command[0] == "cnnlab" else [shutil.which(command[0]) or command[0]]
    workers = tuple(f"127.0.0.1:{port}" for port in free_ports(count))
    running: list[subprocess.Popen[str]] = []
    with interrupts.keeping():
        try:
            for index in range(count):
                running.append(_start([*program, *command[1:]], Cluster(workers, index)))
            return _wait(running, say)
        except KeyboardInterrupt:
            status = interrupts.status()
            _signal(running, status - 128)
            _end(running, WHILE_KEEPING)
            return status
        except OSError as error:
            raise CnnlabError(f"{command[0]} cannot be run: {error.strerror}. Give a command behind `--`.") from error
        finally:
            _end(running, 0.0)


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nobody listens at."""
    with contextlib.ExitStack() as held:
        found = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in found]


def _start(command: Sequence[str], cluster: Cluster) -> subprocess.Popen[str]:
    threads = str(max(1, (os.cpu_count() or 1) // len(cluster.workers)))
    environment = {"TF_NUM_INTRAOP_THREADS": threads, **os.environ, "TF_CONFIG": cluster.tf_config()}
    if cluster.index == 0:
        return subprocess.Popen(command, env=environment, text=True)
    piped = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert piped.stdout is not None
    threading.Thread(target=_pass_on, args=(piped.stdout, cluster.index), daemon=True).start()
    return piped


def _pass_on(lines: IO[str], index: int) -> None:
    for line in lines:
        if line.strip():
            sys.stderr.write(f"[{index}] {line.rstrip()}\n")
            sys.stderr.flush()


def _wait(running: Sequence[subprocess.Popen[str]], say: Callable[[str], None]) -> int:
    """Wait until all have ended, or until one has failed: then end the others."""
    while True:
        ended = [process.poll() for process in running]
        failed = [index for index, status in enumerate(ended) if status]
        if failed:
            status = ended[failed[0]] or 0
            how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
            _end(running, GRACE)
            say(f"process {failed[0]} of {len(running)} {how}; the others were ended.")
            return max(status, 1)
        if all(status == 0 for status in ended):
            return 0
        time.sleep(0.05)


def _end(running: Sequence[subprocess.Popen[str]], patience: float) -> None:
    """Wait so many seconds for all to end, then ask them to, then kill them."""
    for seconds, signum in ((patience, signal.SIGTERM), (LAST, signal.SIGKILL)):
        until = time.monotonic() + seconds
        while time.monotonic() < until and any(process.poll() is None for process in running):
            time.sleep(0.05)
        _signal(running, signum)
    for process in running:
        process.wait()


def _signal(running: Sequence[subprocess.Popen[str]], signum: int) -> None:
    for process in running:
        if process.poll() is None:
            process.send_signal(signum)
