"""``cnnlab plugins new``: a complete, installable plugin package to start from.

The files lie under ``templates/<kind>``, with placeholders for the name in every form; nothing here knows a kind.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.files.places import check_folder
from cnnlab.files.writing import move_up, write_beside, write_into
from cnnlab.pluginhost import registry

Kind = Literal["analysis", "dataset", "architecture"]
KINDS: tuple[Kind, ...] = ("analysis", "dataset", "architecture")


def create(
    name: str, kind: Kind = "analysis", parent: Path | None = None, version: str = "0.1.0", *, force: bool = False
) -> Path:
    """Write the package folder ``cnnlab-<name>`` and return its path.

    Args:
        name: What users will type: lower-case words joined by hyphens.
        kind: What the plugin provides.
        parent: The folder to write into; the current one by default.
        version: The cnnlab version that the package asks for at least.
        force: Write into a folder of that name that is there already: files called as the package's are replaced, and
            no other is touched.

    Raises:
        UsageError: The name is none that users could type, or is taken by what is installed, or the kind is unknown.
        CnnlabError: The folder exists, or cannot be written. Nothing is left half-written.
    """
    if not registry.is_name(name):
        raise UsageError(f"a plugin's name must be lower-case words joined by hyphens; received {name!r}.")
    if kind not in KINDS:
        raise UsageError(f"kind must be one of {', '.join(KINDS)}; received {kind!r}.")
    parent = parent or Path.cwd()
    target = parent / f"cnnlab-{name}"
    check_folder(target)
    existed = target.exists()
    if existed and not force:
        raise CnnlabError(f"{target} exists already; choose another name, or write into it with `force=True`.")
    if not existed:  # The package that is written anew may be the one that is installed.
        _check_free(name, kind)
    words = {
        "{{name}}": name,
        "{{module}}": f"cnnlab_{name.replace('-', '_')}",
        "{{Class}}": "".join(word.capitalize() for word in name.split("-")),
        "{{version}}": version,
    }
    templates = resources.files("cnnlab.pluginhost") / "templates"
    with write_into(target) if existed else _new(target) as stage:
        for folder in ("common", kind):
            _fill(templates / folder, stage, words)
        if existed:
            files = [str(path.relative_to(stage)) for path in stage.rglob("*") if path.is_file()]
            move_up(stage, target, files)
    return target


def _check_free(name: str, kind: Kind) -> None:
    """Refuse a name that would clash once the package is installed."""
    taken = "cnnlab itself" if name == registry.HOST else ""
    for plugin in registry.plugins():
        if plugin.name == name or plugin.distribution == f"cnnlab-{name}":
            taken = f"the plugin {plugin.name!r} of {plugin.distribution}"
        elif f"{kind} {name}" in plugin.provides:
            taken = f"the {kind} {name!r} of {plugin.distribution}"
    if taken:
        raise UsageError(f"the name {name} is taken by {taken}; choose another.")


@contextlib.contextmanager
def _new(target: Path) -> Iterator[Path]:
    """Give a folder that becomes the package whole, where nobody has made one of that name in the meantime."""
    with write_beside(target, replace=False) as stage:
        stage.mkdir()
        yield stage


def _fill(source: Traversable, target: Path, words: dict[str, str]) -> None:
    """Copy a template folder, names and contents filled in; ``.tmpl`` falls off the names."""
    for item in source.iterdir():
        path = target / _filled(item.name, words).removesuffix(".tmpl")
        if item.is_dir():
            path.mkdir(exist_ok=True)
            _fill(item, path, words)
        else:
            path.write_text(_filled(item.read_text(encoding="utf-8"), words), encoding="utf-8")


def _filled(text: str, words: dict[str, str]) -> str:
    for placeholder, word in words.items():
        text = text.replace(placeholder, word)
    return text
