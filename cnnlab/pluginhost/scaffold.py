"""``cnnlab plugins new``: a complete, installable plugin package to start from.

The files lie under ``templates/common``, ``templates/<kind>`` and ``templates/licences``, with placeholders for the
name in every form, and for what the author says.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.files.places import check_folder
from cnnlab.files.writing import move_up, write_beside, write_into
from cnnlab.pluginhost import registry

Kind = Literal["analysis", "attack", "dataset", "architecture"]
KINDS: tuple[Kind, ...] = ("analysis", "attack", "dataset", "architecture")

Licence = Literal["mit", "apache-2.0", "bsd-3-clause", "none"]
LICENCES: dict[Licence, str] = {"mit": "MIT", "apache-2.0": "Apache-2.0", "bsd-3-clause": "BSD-3-Clause", "none": ""}
"""The SPDX identifier of each licence; empty where there is to be none."""

NUMPY, ANNOTATED, KERAS = "numpy>=2.0", "annotated-types>=0.7", "keras>=3.12"


@dataclass(frozen=True)
class Start:
    """What is particular to a kind of package.

    Attributes:
        noun: What it declares.
        description: What its metadata say it is.
        dependencies: What its modules import beside cnnlab.
        untyped: Libraries among them that come without types.
    """

    noun: str
    description: str
    dependencies: tuple[str, ...]
    untyped: str = ""


STARTS: dict[Kind, Start] = {
    "analysis": Start("analysis", "An analysis for cnnlab.", (ANNOTATED, NUMPY)),
    "attack": Start("analysis", "An attack for cnnlab.", (ANNOTATED, NUMPY)),
    "dataset": Start("dataset", "A dataset for cnnlab.", (NUMPY,)),
    "architecture": Start("architecture", "A network architecture for cnnlab.", (KERAS,), "keras"),
}


def create(
    name: str,
    kind: Kind = "analysis",
    parent: Path | None = None,
    version: str = "0.1.0",
    *,
    licence: Licence = "mit",
    authors: Sequence[str] = (),
    url: str | None = None,
    force: bool = False,
) -> Path:
    """Write the package folder ``cnnlab-<name>`` and return its path.

    Args:
        name: What users will type: lower-case words joined by hyphens.
        kind: What the plugin provides; an attack is an analysis whose images are verified.
        parent: The folder to write into; the current one by default.
        version: The cnnlab version that the package asks for at least; and for none with the next major version, which
            may change the plugin interface.
        licence: The licence that the package is under.
        authors: Who wrote it, each as ``NAME`` or ``NAME <EMAIL>``; "The cnnlab-<name> authors" by default.
        url: Where it will lie, such as its repository.
        force: Write into a folder of that name that is there already: files called as the package's are replaced, and
            no other is touched.

    Raises:
        UsageError: The name is none that users could type, or is taken by what is installed, or the kind, the licence,
            an author or the address is none.
        CnnlabError: The folder exists, or cannot be written. Nothing is left half-written.
    """
    if not registry.is_name(name):
        raise UsageError(f"a plugin's name must be lower-case words joined by hyphens; received {name!r}.")
    if kind not in KINDS:
        raise UsageError(f"kind must be one of {', '.join(KINDS)}; received {kind!r}.")
    if licence not in LICENCES:
        raise UsageError(f"licence must be one of {', '.join(LICENCES)}; received {licence!r}.")
    words = _words(name, kind, version) | _of_licence(licence) | _of_authors(name, authors) | _of_url(name, url)
    parent = parent or Path.cwd()
    target = parent / f"cnnlab-{name}"
    check_folder(target)
    existed = target.exists()
    if existed and not force:
        raise CnnlabError(f"{target} exists already; choose another name, or write into it with `force=True`.")
    if not existed:  # The package that is written anew may be the one that is installed.
        _check_free(name, STARTS[kind].noun)
    templates = resources.files("cnnlab.pluginhost") / "templates"
    with write_into(target) if existed else _new(target) as stage:
        for folder in ("common", kind):
            _fill(templates / folder, stage, words)
        if LICENCES[licence]:
            text = (templates / "licences" / f"{licence}.tmpl").read_text(encoding="utf-8")
            (stage / "LICENSE").write_text(_filled(text, words), encoding="utf-8")
        if existed:
            files = [str(path.relative_to(stage)) for path in stage.rglob("*") if path.is_file()]
            move_up(stage, target, files)
    return target


def _words(name: str, kind: Kind, version: str) -> dict[str, str]:
    start = STARTS[kind]
    untyped = f'\n\n[[tool.mypy.overrides]]\nmodule = ["{start.untyped}.*"]\nignore_missing_imports = true'
    return {
        "name": name,
        "module": f"cnnlab_{name.replace('-', '_')}",
        "Class": "".join(word.capitalize() for word in name.split("-")),
        "kind": kind,
        "description": start.description,
        "dependencies": ", ".join(f'"{each}"' for each in start.dependencies),
        "untyped": untyped if start.untyped else "",
        "version": version,
        "bound": next_major(version),
        "year": str(datetime.date.today().year),
    }


def next_major(version: str) -> str:
    """Return the first version that may change the plugin interface, and with it break a package written for this one.

    >>> next_major("0.3.1"), next_major("1.4.0")
    ('1', '2')
    """
    return str(int(version.partition(".")[0]) + 1)


def _of_licence(licence: Licence) -> dict[str, str]:
    spdx = LICENCES[licence]
    if not spdx:
        none = (
            "There is no licence yet: nobody may copy or change this, or pass it on. Choose one before you publish it."
        )
        return {"licence_fields": f"# {none}", "licence_sentence": none}
    return {
        "licence_fields": f'license = "{spdx}"\nlicense-files = ["LICENSE"]',
        "licence_sentence": f"The code is under the [{spdx} licence](LICENSE).",
    }


_AUTHOR = re.compile(r"(?P<name>[^<>]*[^<>\s])(?:\s*<(?P<email>[^<>@\s]+@[^<>@\s]+)>)?")


def _of_authors(name: str, authors: Sequence[str]) -> dict[str, str]:
    people = []
    for author in authors or [f"The cnnlab-{name} authors"]:
        found = _AUTHOR.fullmatch(author.strip())
        if found is None or not author.isprintable():
            raise UsageError(f"an author must be NAME or NAME <EMAIL>; received {author!r}.")
        people.append(found.groupdict())
    fields = [{key: value for key, value in person.items() if value} for person in people]
    tables = [", ".join(f"{key} = {_quoted(value)}" for key, value in person.items()) for person in fields]
    return {
        "authors": ", ".join(f"{{ {table} }}" for table in tables),
        "holders": ", ".join(person["name"] for person in fields),
    }


def _quoted(text: str) -> str:
    """A text as TOML writes it, which takes the strings of JSON."""
    return json.dumps(text, ensure_ascii=False)


def _of_url(name: str, url: str | None) -> dict[str, str]:
    if url is None:
        where = f"https://github.com/OWNER/cnnlab-{name}"
        lines = ["# Where it lies. Where the plugin fails, cnnlab tells its users to report it at `Issues`."]
        lines += [f"# {line}" for line in _urls(where)]
        return {"urls": "\n".join(lines)}
    if not re.fullmatch(r"https?://[^\s\"\\<>]+", url):
        raise UsageError(f"the address must be one of a page, such as https://github.com/OWNER/x; received {url!r}.")
    return {
        "urls": "\n".join(["# Where the plugin fails, cnnlab tells its users to report it at `Issues`.", *_urls(url)])
    }


def _urls(url: str) -> list[str]:
    url = url.rstrip("/")
    return ["[project.urls]", f'Homepage = "{url}"', f'Issues = "{url}/issues"']


def _check_free(name: str, noun: str) -> None:
    """Refuse a name that would clash once the package is installed."""
    taken = "cnnlab itself" if name == registry.HOST else ""
    for plugin in registry.plugins():
        if plugin.name == name or plugin.distribution == f"cnnlab-{name}":
            taken = f"the plugin {plugin.name!r} of {plugin.distribution}"
        elif f"{noun} {name}" in plugin.provides:
            taken = f"the {noun} {name!r} of {plugin.distribution}"
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
    """Put the words in, in one pass: what an author says of themselves is no placeholder."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: words[found[1]], text)
