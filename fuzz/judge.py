"""One input, run in this process as the command line runs it, and what is wrong with how it ended."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MOST_SECONDS = 10.0
"""What takes longer counts as hanging."""

MOST_MEMORY = 1 << 30
"""Bytes that an input may take beyond what the process has already."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_TRACES = ("Traceback (most recent", "something unexpected", " object at 0x", "Warning:", '  File "')
_MOST_WORDS = 4000

Ask = Sequence[str] | Callable[[], Any]


@dataclass
class Verdict:
    """How an input ended.

    Attributes:
        status: The exit status.
        wrong: What is wrong with that, one sentence each; nothing where all is well.
        out: What was printed on stdout, or its beginning.
        err: What was printed on stderr, or its end.
        seconds: What it took.
        memory: Bytes that it took at its peak beyond what the process had.
        trace: Where an exception came from that nobody expected.
    """

    status: int
    wrong: list[str] = field(default_factory=list)
    out: str = ""
    err: str = ""
    seconds: float = 0.0
    memory: int = 0
    trace: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


def prepare() -> None:
    """Open models in this process at once, without the other one that tries those of strangers first."""
    from cnnlab.trust import trial

    trial._try = lambda *_: None


def judge(ask: Ask, place: Path, writes: Sequence[str] = (), most_seconds: float = MOST_SECONDS) -> Verdict:
    """Run an input in a folder, and judge.

    Args:
        ask: The words of a command line, or a function to call.
        place: The folder that holds the input, and in which it runs.
        writes: What may be written there, relative to it.
        most_seconds: What takes longer counts as hanging.
    """
    before, started = _tree(place, writes), time.monotonic()
    peak = _Peak()
    with _captured() as (out, err), contextlib.chdir(place), _watching() as traces:
        status = _run(ask)
    verdict = Verdict(
        status=status,
        out=out.getvalue()[:_MOST_WORDS],
        err=err.getvalue()[-_MOST_WORDS:],
        seconds=round(time.monotonic() - started, 2),
        memory=peak.taken(),
        trace="\n".join(traces)[-6000:],
    )
    verdict.wrong = [*_wrong(verdict, ask, out.getvalue(), err.getvalue()), *_written(before, _tree(place, writes))]
    if verdict.seconds > most_seconds:
        verdict.wrong.append(f"it took {verdict.seconds:.0f} seconds")
    return verdict


def _run(ask: Ask) -> int:
    from cnnlab import cli
    from cnnlab.errors import CnnlabError

    if not callable(ask):
        sys.argv = ["cnnlab", *ask]
        try:
            cli.main()
        except SystemExit as stop:
            return int(stop.code or 0)
    try:
        ask()
    except CnnlabError as error:
        cli._say(f"Error: {error}")
        return error.exit_code
    except Exception as error:
        cli._say(f"Error: {cli._unexpected(error)}")
        return 1
    return 0


def _wrong(verdict: Verdict, ask: Ask, out: str, err: str) -> Iterator[str]:
    printed = out + err
    if verdict.status not in (0, 1, 2, 3):
        yield f"its status is {verdict.status}"
    for sign in _TRACES:
        if sign in printed:
            yield f"it says {sign.strip()!r}"
    if found := _CONTROL.search(printed):
        yield f"it prints the character {found[0]!r}"
    # What `verify` finds wrong is its result, and printed as such.
    told = not callable(ask) and ask[0] == "verify" and out
    if verdict.status in (1, 2) and not told and not re.search(r"^Error: .*\S", err, re.MULTILINE):
        yield "no sentence says what is wrong"
    if verdict.status == 0 and not callable(ask) and "--json" in ask and "--help" not in ask:
        try:
            json.loads(out)
        except ValueError:
            yield "what it prints is no JSON"
    if verdict.memory > MOST_MEMORY:
        yield f"it took {verdict.memory >> 20} MiB"


def _tree(place: Path, writes: Sequence[str]) -> dict[str, tuple[int, int]]:
    """The files of a folder by size and time, but for those that may be written."""
    found = {}
    for folder, folders, files in os.walk(place):
        inside = Path(folder).relative_to(place)
        folders[:] = [name for name in folders if str(inside / name) not in writes]
        for name in (*folders, *files):
            if str(inside / name) not in writes:
                stat = os.lstat(Path(folder) / name)
                found[str(inside / name)] = (stat.st_size, stat.st_mtime_ns) if name in files else (0, 0)
    return found


def _written(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"it {'wrote' if name in after else 'removed'} {name!r}"


class _Peak:
    """The most memory that this process takes; only Linux tells."""

    def __init__(self) -> None:
        self._before = 0
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
            self._before = self._read()

    @staticmethod
    def _read() -> int:
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) << 10 if found else 0

    def taken(self) -> int:
        with contextlib.suppress(OSError):
            return max(0, self._read() - self._before)
        return 0


@contextlib.contextmanager
def _watching() -> Iterator[list[str]]:
    """Collect the tracebacks of what the command line calls unexpected."""
    from cnnlab import cli

    traces: list[str] = []
    said = cli._unexpected

    def watched(error: Exception) -> str:
        traces.append("".join(traceback.format_exception(error)))
        return said(error)

    cli._unexpected = watched
    try:
        yield traces
    finally:
        cli._unexpected = said


@contextlib.contextmanager
def _captured() -> Iterator[tuple[io.StringIO, io.StringIO]]:
    """Catch what is printed, by Python and by C alike, as a pipe would get it."""
    out, err = io.StringIO(), io.StringIO()
    kept, streams = [os.dup(1), os.dup(2)], (sys.stdout, sys.stderr)
    with tempfile.TemporaryFile() as file_1, tempfile.TemporaryFile() as file_2:
        for stream in streams:
            stream.flush()
        os.dup2(file_1.fileno(), 1)
        os.dup2(file_2.fileno(), 2)
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8", write_through=True)
        sys.stderr = io.TextIOWrapper(
            io.FileIO(2, "w", closefd=False), encoding="utf-8", errors="backslashreplace", write_through=True
        )
        try:
            yield out, err
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(ValueError, OSError):
                    stream.flush()
            sys.stdout, sys.stderr = streams
            for number, handle in enumerate(kept, 1):
                os.dup2(handle, number)
                os.close(handle)
            for file, words in ((file_1, out), (file_2, err)):
                file.seek(0)
                words.write(file.read().decode("utf-8", "replace"))
