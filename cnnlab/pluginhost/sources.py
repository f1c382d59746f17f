"""Where plugins come from: the entry points of what is installed, and single files that the user names."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GROUP = "cnnlab"
HOST = "cnnlab"
"""The distribution whose plugins are built in."""

FILES = "CNNLAB_PLUGIN_FILES"
"""The environment variable that names single files, parted as the entries of ``PATH`` are."""

ASKED = "CNNLAB_PLUGIN_OPTION"
"""The one in which those that ``--plugin`` names reach the processes that a command starts."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One entry point, or one file.

    Attributes:
        name: The entry point's name; of a file, its name without the suffix.
        module: The module that it names.
        distribution: The distribution that ships it; of a file, the path that the user gave.
        version: That distribution's version; of a file an empty text.
        requires: What the distribution depends on, as its metadata say it.
        file: The file that the user named; None for what is installed.
    """

    name: str
    module: str
    distribution: str
    version: str
    requires: tuple[str, ...] = ()
    file: Path | None = None

    @property
    def title(self) -> str:
        """How sentences call it: ``plugin 'sharpness' (cnnlab-sharpness 1.0)``."""
        return f"plugin {self.name!r} ({self.owner})"

    @property
    def owner(self) -> str:
        """The distribution and its version."""
        return f"{self.distribution} {self.version}".strip()

    def is_of(self, distribution: str) -> bool:
        """Whether ``distribution``, spelt in any way that package indexes take for the same, ships it.

        Of a file the path must be that of the same file.
        """
        if self.file is not None:
            return os.path.abspath(distribution) == os.path.abspath(self.distribution)
        from packaging.utils import canonicalize_name

        return canonicalize_name(distribution) == canonicalize_name(self.distribution)


@functools.cache
def host_version() -> str:
    """Return the version of cnnlab that is installed."""
    return importlib.metadata.version(HOST)


def sources() -> list[Source]:
    """Find every plugin, and import none: built-in ones first, then by distribution and name, then files."""
    told = functools.cache(_told)  # reading what a distribution says of itself is most of the work
    found = [
        Source(name=point.name, module=point.value, **told(point.dist))
        for point in importlib.metadata.entry_points(group=GROUP)
    ]
    found.sort(key=lambda each: (each.distribution != HOST, each.distribution, each.name))
    return [*found, *(_of_file(path) for path in named_files())]


def named_files() -> list[str]:
    """List the files that :data:`FILES` and ``--plugin`` name, each once."""
    return list(dict.fromkeys([*_files(FILES), *asked_files()]))


def asked_files() -> list[str]:
    """List the files that ``--plugin`` names for this command alone."""
    return _files(ASKED)


def command(*words: str) -> str:
    """Return a command as it is typed, for somebody to repeat: ``--plugin`` is said again, variables stay in the shell.

    >>> command("train", "--out", "runs/a b", "--resume")
    "cnnlab train --out 'runs/a b' --resume"
    """
    return shlex.join(["cnnlab", *(word for file in asked_files() for word in ("--plugin", file)), *words])


def left_out(source: Source) -> str:
    """Say which variable keeps a plugin from being loaded; an empty text where none does."""
    only = os.environ.get("CNNLAB_PLUGINS")
    if only is not None and source.name not in _names(only) and source.file is None:
        return "left out by CNNLAB_PLUGINS"
    if source.name in _names(os.environ.get("CNNLAB_DISABLE", "")):
        return "named in CNNLAB_DISABLE"
    return ""


def _told(shipped: importlib.metadata.Distribution | None) -> dict[str, Any]:
    """What a distribution says of itself, for each of its plugins."""
    if shipped is None:
        return {"distribution": "unknown", "version": "?"}
    told = shipped.metadata
    requires = () if told["Name"] == HOST else tuple(shipped.requires or ())
    return {"distribution": told["Name"], "version": told["Version"], "requires": requires}


def _of_file(named: str) -> Source:
    path = Path(named)
    name = path.stem.lower().replace("_", "-")
    return Source(name=name, module=path.stem, distribution=named, version="", file=path)


def _files(variable: str) -> list[str]:
    return [path for path in os.environ.get(variable, "").split(os.pathsep) if path.strip()]


def _names(value: str) -> set[str]:
    return {name.strip() for name in value.split(",") if name.strip()}
