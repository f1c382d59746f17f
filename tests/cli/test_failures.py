"""What the command line says where something fails that no command foresaw: one sentence, and a status."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from cnnlab import cli
from cnnlab.pluginhost import registry

FAILURES = {
    "a full disk": (OSError(errno.ENOSPC, "No space left", "it"), "the disk is full (it). Free some space"),
    "a full disk somewhere": (OSError(errno.ENOSPC, "No space left"), "the disk is full. Free some space"),
    "a file": (PermissionError(errno.EACCES, "Permission denied", "it"), "it cannot be used: Permission denied."),
    "a nameless file": (OSError(errno.EIO, "Input/output error"), "a file cannot be used: Input/output error."),
    "a bug": (ZeroDivisionError("division by zero"), "something unexpected went wrong in cnnlab "),
}


@pytest.fixture
def fail(monkeypatch):
    """Let a command raise."""

    def failing(error):
        def plugins():
            raise error

        monkeypatch.setattr(registry, "plugins", plugins)

    return failing


@pytest.mark.parametrize(("error", "said"), FAILURES.values(), ids=FAILURES)
def test_whatever_is_raised_is_one_sentence_with_status_1(command_line, fail, error, said):
    fail(error)
    status, out, err = command_line("plugins", "list")
    assert (status, out) == (1, "")
    assert err.startswith(f"Error: {said}")


def test_debug_shows_where(command_line, fail, monkeypatch):
    fail(ZeroDivisionError("division by zero"))
    monkeypatch.setenv("CNNLAB_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        command_line("plugins", "list")


@pytest.mark.parametrize("words", [("--", "-x"), ("nonsense",), ("analyze", "--", "-x"), ("analyze", "nonsense")])
def test_a_word_that_is_no_command_is_wrong_usage(command_line, words):
    status, out, err = command_line(*words)
    assert (status, out) == (2, "")
    assert words[-1] in err


def test_the_status_of_a_command_is_that_of_the_process(command_line, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1))
    assert command_line("plugins", "check", "mnist")[0] == 1
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0))
    assert command_line("plugins", "check", "mnist")[0] == 0
    monkeypatch.setattr(cli, "cli", lambda **_: None)
    assert command_line()[0] == 0


def test_a_reader_that_goes_is_no_traceback():
    words = f"{sys.executable} -m cnnlab plugins list --json | head -c 10"
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True, timeout=60)
    assert (len(done.stdout), done.stderr) == (10, "")
