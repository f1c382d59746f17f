"""What a plugin provides is remembered in the user's cache folder, so that listing it need not import it.

A record holds for the distribution's version, for the files that the plugin was made of, by time and size, and for this
cnnlab; whatever else it finds, it is as if there were none. It is JSON and says names, summaries and states. It never
says what code is run: whoever runs something imports the plugin and takes what that declares.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

from platformdirs import user_cache_path

from cnnlab.errors import CnnlabError
from cnnlab.files.reading import read_json
from cnnlab.pluginhost.checks import REFERENCES, check, kind_in
from cnnlab.pluginhost.declarations import API_VERSION, Analysis, Declaration
from cnnlab.pluginhost.offers import from_facts, told
from cnnlab.pluginhost.references import file_of, spec_of
from cnnlab.pluginhost.sources import HOST, Source, host_version
from cnnlab.pluginhost.widgets import named

State = Literal["active", "disabled", "broken", "incompatible", "clashing"]
"""What may become of a plugin."""

SCHEMA = 1
LARGEST = 1 << 20
"""Bytes of a record; none is longer than some thousand."""

COARSE = 50_000_000
"""Nanoseconds by which the times of files may lag behind the clock."""

Stamp = list[Any]
"""[path, when its content and when the file itself was changed in nanoseconds, size]; [path] where nothing is there."""


@dataclass(frozen=True)
class Record:
    """What is remembered of a plugin.

    Attributes:
        state: What became of it when it was asked.
        error: Why it was not active.
        offers: What it provides, as listings tell it.
        seconds: How long importing and asking it took.
    """

    state: State
    error: str
    offers: tuple[Declaration, ...]
    seconds: float


def read(source: Source) -> Record | None:
    """Return what is remembered of a plugin; None where nothing is, or where there is any doubt that it still holds."""
    try:
        said = read_json(_place(source), LARGEST)
        if said["for"] != _identity(source) or said["files"] != [_stamp(each[0]) for each in said["files"]]:
            return None
        if said["state"] != "active" and said["path"] != _of_path():
            return None
        return _checked(said)
    except Exception:
        # Whatever stands in the file, who reads it goes on as without it.
        return None


class Watch:
    """Begun before a plugin is imported; tells afterwards which files it was made of."""

    def __init__(self) -> None:
        self._since = time.time_ns() - COARSE
        self._before = frozenset(sys.modules)

    def stamps(self, source: Source, declarations: Iterable[Declaration]) -> list[Stamp] | None:
        """Stamp the plugin's modules and those that it names; None where one was changed in the meantime."""
        modules = {name: module for name, module in sys.modules.items() if name not in self._before}
        stamps = [_stamp(path) for path in sorted({*_files(source, declarations, modules)})]
        changed = any(max(stamp[1:3], default=0) >= self._since for stamp in stamps)
        return None if changed else stamps


def keep(source: Source, record: Record, watch: Watch) -> None:
    """Remember what was found of a plugin; where that cannot be, it is found again each time.

    Args:
        source: The plugin.
        record: What is to be remembered; what it offers must be what the plugin itself declares.
        watch: What was begun before it was asked.
    """
    with contextlib.suppress(OSError, RuntimeError, CnnlabError, TypeError, ValueError):
        files = watch.stamps(source, record.offers)
        if files is None:
            return
        from cnnlab.files.writing import write_json

        said = {
            "for": _identity(source),
            "files": files,
            "path": None if record.state == "active" else _of_path(),
            "state": record.state,
            "error": record.error,
            "seconds": round(record.seconds, 4),
            "offers": told(record.offers),
        }
        write_json(_place(source), said)


def forget() -> None:
    """Remove every record, also those of other environments, which are made anew where they are wanted."""
    with contextlib.suppress(OSError, RuntimeError):
        for path in _folder().glob("*.json"):
            with contextlib.suppress(OSError):
                path.unlink()


def _folder() -> Path:
    return user_cache_path("cnnlab") / "plugins"


def _place(source: Source) -> Path:
    """The file for a plugin: one for the same place in the same environment, whatever its version."""
    spec = None if source.file is not None else spec_of(source.module)
    origin = str(source.file.resolve()) if source.file is not None else spec and spec.origin
    told = json.dumps([sys.prefix, sys.version, source.distribution, source.name, source.module, origin])
    return _folder() / f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.json"


def _identity(source: Source) -> list[Any]:
    return [SCHEMA, API_VERSION, host_version(), _of_host(), source.distribution, source.version, [*source.requires]]


@functools.cache
def _of_host() -> str:
    """When what judges plugins here was last changed, for those who work on cnnlab itself."""
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), here.parent / "plugin.py"]
    return hashlib.sha256(json.dumps([_stamp(str(path)) for path in files]).encode()).hexdigest()[:16]


def _of_path() -> list[Stamp]:
    """The folders that modules come from: what a plugin misses may since have been installed."""
    return [_stamp(folder) for folder in sys.path]


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
    except OSError:
        return [path]
    return [path, found.st_mtime_ns, found.st_ctime_ns, found.st_size]


def _files(source: Source, declarations: Iterable[Declaration], new: Mapping[str, ModuleType]) -> Iterator[str]:
    """The files that a plugin was made of.

    They are its own package's as far as it is imported; what it imported besides from where nothing is installed, as a
    package that is being written; and those of the code that it names.
    """
    if source.file is not None:
        yield str(source.file)
    spec = spec_of(source.module)
    if spec is not None and spec.origin:
        yield spec.origin
    package = source.module if source.distribution == HOST else source.module.partition(".")[0]
    installed = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    for name, module in [*sys.modules.items()]:
        path = getattr(module, "__file__", None)
        own = name == package or name.startswith(f"{package}.")
        others = name in new and name.partition(".")[0] != HOST
        if isinstance(path, str) and (own or (others and not path.startswith(installed))):
            yield path
    for declaration in declarations:
        for field in REFERENCES.get(kind_in(declaration), ()):
            reference = getattr(declaration, field)
            file = file_of(reference) if isinstance(reference, str) else None
            if file is not None:
                yield str(file)
        if isinstance(declaration, Analysis):
            yield from (str(widget.path) for widget in named(declaration) if widget.path is not None)


def _checked(said: Any) -> Record:
    """Read a record, which anybody may have written.

    Raises:
        Exception: It is none.
    """
    offers: Sequence[Declaration] = tuple(from_facts(facts) for facts in said["offers"])
    check(offers, deeply=False)
    state, error, seconds = said["state"], said["error"], said["seconds"]
    if state not in get_args(State) or not isinstance(error, str) or not isinstance(seconds, int | float):
        raise ValueError("no record")
    return Record(state=state, error=error, offers=tuple(offers), seconds=float(seconds))
