"""A model of somebody else's is opened, and run once, in a process of its own with limits, before it is opened here.

What reads its operations (:mod:`cnnlab.trust.savedmodel`) cannot tell how long they take, how much memory they need, or
whether they bring TensorFlow down: a loop that never ends, constants that fill the memory. So another process tries,
which may take so many seconds, bytes and open files and no more; its death is a sentence here. A model that came
through is known again by the digest of its files, so that this costs once. So is one that cnnlab itself has written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.files import reading
from cnnlab.files.writing import write_json
from cnnlab.trust.savedmodel import WAY_OUT
from cnnlab.versions import versions

TRIER = "cnnlab.classifier.trial"
"""The module that opens and runs it there."""

SECONDS = 60.0
MEMORY = 8 << 30
STARTING = 300.0
"""Seconds that the other process may take besides, to import TensorFlow on a machine that is busy."""

OPEN_FILES = 256


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What opening a model and running it once may take.

    Attributes:
        seconds: Of time, not counting the import of TensorFlow.
        memory: Bytes, not counting those of TensorFlow itself.

    Raises:
        UsageError: There is nothing left of one.
    """

    seconds: float = SECONDS
    memory: int = MEMORY

    def __post_init__(self) -> None:
        if not 0 < self.seconds < 1e9:
            raise UsageError(f"limit_seconds must be a number of seconds above 0; received {self.seconds}.")
        if self.memory < 1:
            raise UsageError(f"limit_memory must be a number of bytes above 0; received {self.memory}.")


def limits(seconds: float | None = None, memory: int | None = None) -> Limits:
    """Return limits, with defaults for what is not said: a minute, and 8 GiB or three quarters of what there is."""
    return Limits(
        seconds=SECONDS if seconds is None else float(seconds),
        memory=min(MEMORY, reading.memory() * 3 // 4) if memory is None else int(memory),
    )


def check(path: Path, about: Mapping[str, Any], limits: Limits) -> None:
    """Have a model tried, where that was not done before.

    Args:
        path: A SavedModel folder, a ``.keras`` or a ``.h5`` file.
        about: What is said of it, as :meth:`cnnlab.classifier.hints.About.to_json` gives it.
        limits: What that may take.

    Raises:
        CnnlabError: It could not be opened or run, took more than it may, or brought its process down.
        UsageError: What is said of it does not fit.
    """
    tried = _verdict(path, about)
    if _known(_verdict(path)) or _known(tried):
        return
    _try(path, about, limits)
    _keep(tried)


def vouch(path: Path) -> None:
    """Let a model that cnnlab has just written pass without a trial."""
    _keep(_verdict(path))


def _verdict(path: Path, about: Mapping[str, Any] | None = None) -> str:
    """The name of the file that stands for a model's having been tried with these words and these libraries."""
    told = hashlib.sha256(_digest(path).encode())
    if about is not None:
        told.update(json.dumps([about, versions()], sort_keys=True).encode())
    return told.hexdigest()


def _folder() -> Path:
    return user_cache_path("cnnlab") / "tried"


def _known(verdict: str) -> bool:
    with contextlib.suppress(OSError, RuntimeError):  # In a home that cannot be looked into, or without one, none is.
        return (_folder() / verdict).exists()
    return False


def _keep(verdict: str) -> None:
    with contextlib.suppress(OSError, RuntimeError, CnnlabError):  # It is tried each time then.
        write_json(_folder() / verdict, {"opened": True})


def _digest(path: Path) -> str:
    """The SHA-256 of a model's files and their names; no file that is none (a pipe, a device) is waited for."""
    # One file can be read as a model in two ways: by its suffix.
    found = hashlib.sha256(path.suffix.lower().encode() if path.is_file() else b"folder")
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in (file for file in files if file.is_file()):
        found.update(json.dumps(str(file.relative_to(path))).encode())
        with file.open("rb") as opened:
            found.update(hashlib.file_digest(opened, "sha256").digest())
    return found.hexdigest()


def _try(path: Path, about: Mapping[str, Any], limits: Limits) -> None:
    words = [sys.executable, "-P", "-m", TRIER]
    asked = {"path": str(path), "about": about, "seconds": limits.seconds, "memory": limits.memory}
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as trier:
        try:
            said, moaned = trier.communicate(json.dumps(asked).encode(), timeout=limits.seconds + STARTING)
        except subprocess.TimeoutExpired:
            raise _too_slow(path, limits) from None
        finally:
            trier.kill()
    try:
        verdict = dict(json.loads(said))
    except ValueError:
        raise _died(path, limits, trier.returncode, moaned.decode(errors="replace")) from None
    if verdict.get("memory"):
        raise _too_large(path, limits)
    if "error" in verdict:
        raise (UsageError if verdict["exit_code"] == UsageError.exit_code else CnnlabError)(verdict["error"])


def _died(path: Path, limits: Limits, status: int, moaned: str) -> CnnlabError:
    if status == -getattr(signal, "SIGALRM", 0):
        return _too_slow(path, limits)
    if "bad_alloc" in moaned or "MemoryError" in moaned:
        return _too_large(path, limits)
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"status {status}"
    return CnnlabError(
        f"the model in {path} ended the process that opened and ran it once ({name}), so it was not opened here. "
        f"{WAY_OUT}"
    )


def _too_slow(path: Path, limits: Limits) -> CnnlabError:
    return CnnlabError(
        f"the model in {path} was not opened and run once within {limits.seconds:g} seconds, as one that never ends is "
        "not, so it was not opened here. Give it longer with `limit_seconds=N`."
    )


def _too_large(path: Path, limits: Limits) -> CnnlabError:
    return CnnlabError(
        f"the model in {path} needs more than {limits.memory / 2**30:.3g} GiB of memory to be opened and run once, so "
        "it was not opened here. Allow it more with `limit_memory=BYTES`."
    )
