"""Standard output is the host's, whatever a plugin prints and however it does so."""

from __future__ import annotations

import ctypes
import io
import json
import os
import subprocess
import sys
import threading

import pytest

from cnnlab.pluginhost.prints import speaking

TALKER = """
import os, subprocess
from cnnlab.plugin import Analysis, Params, Result, hookimpl

print("imported")
os.write(1, b"imported by number\\n")

@hookimpl
def cnnlab_analyses():
    print("asked")
    return [Analysis(name="talker", summary="Talk.", params=Params, run="talker:run", sum_up="talker:sums")]

def run(classifier, inputs, params, context):
    print("ran", "a line without an end", end="")
    os.write(1, b"ran by number\\n")
    subprocess.run(["echo", "ran as a child"], check=True)
    return Result(show=show)

def sums(classifier, result, params):
    print("summed up")
    return Result(headline="Done", metrics={"one": 1.0})

def show(index):
    print("shown")
    return []
"""


def test_with_json_there_is_json_alone(trained_run, tmp_path, cnnlab_command):
    (tmp_path / "talker.py").write_text(TALKER)
    of_two = ["--model", trained_run.path, "--trust", "--dataset", "mnist", "--limit", "2"]
    env = {"CNNLAB_PLUGIN_FILES": str(tmp_path / "talker.py"), "XDG_CACHE_HOME": str(tmp_path)}
    done = cnnlab_command("analyze", "talker", *of_two, "--json", "--out", "out", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["headline"] == "Done"
    said = [line for line in done.stderr.splitlines() if "talker.py" in line]
    for words in (
        "imported",
        "imported by number",
        "asked",
        "ran a line without an end",
        "ran as a child",
        "summed up",
    ):
        assert any(line.endswith(words) or words in line for line in said), (words, done.stderr)
    assert any("ran by number" in line for line in said)
    assert sum("shown" in line for line in said) == 2


def test_what_is_printed_goes_on_after_as_before(capfd):
    print("before")
    with speaking("cnnlab-one 1.0"):
        print("inside")
        with speaking("cnnlab-two 1.0"):
            print("deeper", "\u2713")
        os.write(1, b"by number \xff\n")
    print("after")
    os.write(1, b"by number\n")
    out, err = capfd.readouterr()
    assert out.splitlines() == ["before", "after", "by number"]
    assert err.splitlines() == [
        "cnnlab-one 1.0: inside",
        "cnnlab-one 1.0: deeper \u2713",
        "cnnlab-one 1.0: by number \\xff",
    ]


def test_threads_that_speak_at_once_lose_nothing(capfd):
    def speak(name):
        for index in range(50):
            with speaking(name):
                print(f"{name} {index}")

    threads = [threading.Thread(target=speak, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out, err = capfd.readouterr()
    assert out == ""
    told = [line.partition(": ")[2] for line in err.splitlines()]
    assert sorted(told) == sorted(f"{name} {index}" for name in "ab" for index in range(50))


def test_an_error_inside_gives_standard_output_back(capfd):
    @speaking("one")
    def fail():
        print("x" * 100_000)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    print("after")
    out, err = capfd.readouterr()
    assert out == "after\n"
    assert len(err) == 100_000 + len("one: \n")


def test_a_process_without_standard_output_can_speak(tmp_path):
    code = "import os; os.close(1); from cnnlab.pluginhost.prints import speaking\nwith speaking('one'): print('hello')"
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "one: hello\n")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # nobody closes what was put there
def test_what_is_left_in_the_place_of_standard_output_is_taken_away_and_not_closed(capfd):
    before, other = sys.stdout, io.StringIO()
    with speaking("cnnlab-one"):
        sys.stdout = os.fdopen(os.dup(1), "w")
        print("replaced")
    assert sys.stdout is before
    with speaking("cnnlab-one"):
        sys.stdout = other
    print("after")
    assert (sys.stdout, other.closed) == (before, False)
    assert capfd.readouterr() == ("after\n", "cnnlab-one: replaced\n")


def test_what_was_remembered_as_standard_output_goes_on_to_standard_error(capfd):
    with speaking("cnnlab-one"):
        held = sys.stdout
        print("at import", end=" ", file=held)
    with speaking("cnnlab-two"):
        sys.stdout.close()
        print("where it ran", file=held)
        print("half", end="", file=held)
    print("between two", file=held)
    with speaking("cnnlab-one"):
        sys.stdout.detach()
        os.write(held.fileno(), b"by number\n")
    out, err = capfd.readouterr()
    said = ["cnnlab-one: at import", "cnnlab-two: where it ran", "cnnlab-two: half", "between two"]
    assert (out, err.splitlines()) == ("", [*said, "cnnlab-one: by number"])


def test_what_waits_in_a_buffer_of_c_belongs_to_who_wrote_it(capfd):
    library = ctypes.CDLL(None)
    library.printf(b"before\n")
    with speaking("cnnlab-one"):
        library.printf(b"inside\n")
    assert capfd.readouterr() == ("before\n", "cnnlab-one: inside\n")
