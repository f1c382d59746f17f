"""Signals: heard at any moment, also where Python is not, and never in the middle of what is being kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cnnlab import interrupts

# The command, but that it does what a test says: in a call of C that no signal ends, or in Python.
DOING = """
import atexit, ctypes, os, signal, sys, threading, time
import cnnlab.cli
from cnnlab import __main__, interrupts

def hang():
    mutex = ctypes.create_string_buffer(64)
    lock = ctypes.CDLL(None).pthread_mutex_lock
    lock(mutex)
    print("now", flush=True)
    lock(mutex)

def sleep():
    print("now", flush=True)
    time.sleep(600)

def sleep_through_others():
    signal.signal(signal.SIGUSR1, lambda *_: print("heard", flush=True))
    while True:
        sleep()

class Dying:
    def __init__(self, error):
        self.error = error

    def __del__(self):
        raise self.error

def drop():
    Dying(ValueError("on the way"))
    print("now", flush=True)
    Dying(KeyboardInterrupt())
    print("went on")

def hook():
    sys.excepthook(ValueError, ValueError("printed"), None)
    print("now", flush=True)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    print("went on")

def leave():
    print("now", flush=True)
    print("this too", end="")
    sys.exit(interrupts.status())

def fail(words=""):
    print("now", flush=True)
    print(words, end="")
    sys.exit(3)

def tidy():
    atexit.register(os.write, 1, b"by number")
    atexit.register(print, "tidied", end="", flush=True)
    fail("before")

def linger():
    threading.Thread(target=lambda: (time.sleep(0.5), print("done", end=""))).start()
    fail("before")

def swallow():
    try:
        sleep()
    except KeyboardInterrupt:
        time.sleep(600)

def keep():
    with interrupts.keeping():
        try:
            sleep()
        except KeyboardInterrupt:
            time.sleep(2 * interrupts.PATIENCE)
            print("kept", flush=True)
            raise

def say():
    with interrupts.saying(lambda: "Go on so."):
        hang()

def tell():
    with interrupts.saying(lambda: "Go on so."):
        sleep()

interrupts.PATIENCE = 0.5
cnnlab.cli.main = globals()[sys.argv[1]]
__main__.main()
"""


def doing(what: str, **options) -> subprocess.Popen[str]:
    """Start the command, and wait until it does what it is to do."""
    process = subprocess.Popen(
        [sys.executable, "-c", DOING, what],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "now\n"
    return process


@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
@pytest.mark.parametrize("what", ["hang", "sleep"])
def test_a_signal_ends_what_python_does_and_what_c_does(what, signum, status):
    process = doing(what)
    process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (status, "", "\nInterrupted.\n")


def test_it_ends_also_where_somebody_swallows_the_interruption():
    process = doing("swallow")
    process.send_signal(signal.SIGINT)
    assert (process.communicate(timeout=60), process.returncode) == (("", "\nInterrupted.\n"), 130)


def test_what_is_being_kept_is_finished():
    process = doing("keep")
    for signum in (signal.SIGTERM, signal.SIGHUP):  # the second is no second one so soon
        process.send_signal(signum)
        time.sleep(interrupts.AGAIN / 3)  # of two that wait together, the system delivers the lower number first
    out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("kept\n", 143)


def test_a_second_signal_ends_at_once():
    process = doing("keep")
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(1.5 * interrupts.AGAIN)
    out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("", 130)


@pytest.mark.parametrize("what", ["say", "tell"])
def test_how_to_go_on_is_said_however_it_ends(what):
    process = doing(what)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err == "\nGo on so.\n"


def test_a_signal_that_was_ignored_stays_so():
    """As SIGHUP is under nohup."""
    process = doing("sleep", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143


def test_words_are_those_of_the_innermost_and_others_are_kept():
    def raise_in(*words: str, of: KeyboardInterrupt) -> None:
        if words:
            with interrupts.saying(lambda: words[0]):
                raise_in(*words[1:], of=of)
        raise of

    for words, of, expected in (
        (("outer", "inner"), KeyboardInterrupt(), "inner"),
        (("outer",), KeyboardInterrupt("said"), "said"),
    ):
        with pytest.raises(KeyboardInterrupt) as stop:
            raise_in(*words, of=of)
        assert str(stop.value) == expected
    assert interrupts._words() == ""


def test_outside_the_main_thread_nothing_listens(monkeypatch):
    before = [signal.getsignal(signum) for signum in interrupts.SIGNALS]
    thread = threading.Thread(target=interrupts.listen, args=(print,))
    thread.start()
    thread.join()
    assert [signal.getsignal(signum) for signum in interrupts.SIGNALS] == before


@pytest.mark.parametrize(("what", "printed"), [("drop", "ValueError: on the way"), ("hook", "ValueError: printed")])
def test_where_python_would_only_print_the_interruption_it_ends(what, printed):
    """As in C code that calls Python, and in what is taken away; of another error, Python says what it does."""
    process = doing(what)
    assert process.stdout.read() == ""  # communicate() would leave out what was read together with the first line
    err = process.stderr.read()
    assert process.wait(timeout=60) == 130
    assert printed in err
    assert err.endswith("\nInterrupted.\n")


@pytest.mark.parametrize(
    ("what", "status", "rest", "afterwards"),
    [
        ("leave", 130, "this too", ""),
        ("fail", 3, "", ""),
        ("tidy", 3, "before", "tidiedby number"),
        ("linger", 3, "before", "done"),
    ],
)
def test_a_status_is_kept_and_what_was_printed_comes_out(what, status, rest, afterwards):
    """On standard output until the command is through; afterwards that is not its own any more."""
    process = doing(what)
    assert (process.stdout.read(), process.stderr.read(), process.wait(timeout=60)) == (rest, afterwards, status)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_what_cannot_be_printed_is_no_success():
    code = "import cnnlab.__main__, cnnlab.cli; cnnlab.cli.main = lambda: exit(print(1)); cnnlab.__main__.main()"
    with open("/dev/full", "w") as full:
        assert subprocess.run([sys.executable, "-c", code], stdout=full, timeout=60).returncode != 0


def test_a_signal_of_somebody_else_ends_nothing():
    process = doing("sleep_through_others")
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.readline() == "heard\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143


def test_without_a_stderr_the_status_is_the_same():
    process = doing("sleep", preexec_fn=lambda: os.close(2))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143


AT_IMPORT = """
import os, sys
module = sys.argv.pop(1)
class Signalling:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), 2)
sys.meta_path.insert(0, Signalling())
from cnnlab.__main__ import main
main()
"""


@pytest.mark.parametrize(
    "module", ["cnnlab.interrupts", "threading", "cnnlab.cli", "click", "cnnlab.cli.commands.train"]
)
def test_a_signal_while_the_command_itself_loads_says_one_word(module, monkeypatch):
    if module == "threading":  # which what measures this process has loaded before
        monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    words = [sys.executable, "-c", AT_IMPORT, module, "train", "--help"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nInterrupted.\n")


def test_nothing_is_loaded_before_signals_are_heard(monkeypatch):
    """What comes before is Python's own start, in which Ctrl-C is a traceback."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # What measures this process imports things itself.
    code = "import sys; known = set(sys.modules); import cnnlab.__main__; print(*sorted(set(sys.modules) - known))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["__future__", "cnnlab", "cnnlab.__main__", "cnnlab.silence_tensorflow"]
