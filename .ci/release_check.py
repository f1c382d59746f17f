"""Try a release before anybody else does: ``make release-check``; docs/releasing.md says when.

What is committed is built into an sdist and a wheel. Both are looked into, and each is installed into an environment
that was empty and used there, as by a stranger. When all is well they are left in dist/.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import yaml
from packaging.metadata import Metadata
from readme_renderer import markdown

ROOT = Path(__file__).resolve().parent.parent
USE = (
    ("datasets", "export", "mnist", "--index", "test:0", "7.png"),
    ("train", "--limit", "500", "--epochs", "1", "--out", "runs/tiny"),
    ("analyze", "occlusion", "--image", "7.png", "--out", "seven"),
    ("verify", "seven"),
)
"""What is typed in each environment, after the versions and the plugins were asked for."""


class NotReadyError(Exception):
    """Why this cannot be released, in one sentence."""


def main() -> int:
    """Check a release; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--publish", action="store_true", help="Take what is only noted otherwise for a mistake.")
    publish = parser.parse_args().publish
    started = time.monotonic()
    notes: list[str] = []
    try:
        for done in release(ROOT, notes):
            print(f"{time.monotonic() - started:5.0f} s  {done}", flush=True)
        if publish and notes:
            raise NotReadyError(" ".join(notes))
    except NotReadyError as error:
        print(f"This is not ready to be released: {error}", file=sys.stderr)
        return 1
    for note in notes:
        print(f"Before it is published: {note}")
    return 0


def release(root: Path, notes: list[str]) -> Iterator[str]:
    """Do all of it, telling each step that is done; what must be mended before publishing is added to ``notes``."""
    with tempfile.TemporaryDirectory(prefix="cnnlab-release-") as temporary:
        work = Path(temporary)
        source = committed(root, work / "source", notes)
        version = named_alike(source, notes)
        yield f"cnnlab {version}: CHANGELOG.md and CITATION.cff say so"
        sdist, wheel = build(source, work / "dist")
        yield f"built {told(sdist)} and, of it, {told(wheel)}"
        whole(source, sdist, wheel)
        yield "both hold what is committed, and the licences of code and data"
        described(source, sdist, wheel, notes)
        yield "the metadata is valid, and the README is rendered"
        for file in (wheel, sdist):
            place = work / file.suffix.lstrip(".")
            yield f"{file.name} installed into an empty environment, with {install_and_use(file, place, version)}"
            shutil.rmtree(place)  # two gigabytes
        shutil.rmtree(root / "dist", ignore_errors=True)
        shutil.copytree(work / "dist", root / "dist")
        yield "both are in dist/"


def told(file: Path) -> str:
    """A file's name and size."""
    return f"{file.name} ({file.stat().st_size / 1e6:.1f} MB)"


def committed(root: Path, folder: Path, notes: list[str]) -> Path:
    """Unpack what is committed into ``folder``: what merely lies in the working tree is in no release."""
    changed = run(["git", "status", "--porcelain"], root).splitlines()
    if changed:
        notes.append("the working tree is not what is committed, and what is committed was tried.")
    archive = folder.with_suffix(".tar")
    run(["git", "archive", "--output", archive, "HEAD"], root)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder


def named_alike(source: Path, notes: list[str]) -> str:
    """Return the version, which is written in cnnlab/__init__.py; CHANGELOG.md and CITATION.cff must have it too."""
    found = re.search(r'^__version__ = "(.+)"$', (source / "cnnlab" / "__init__.py").read_text(), re.MULTILINE)
    if found is None:
        raise NotReadyError('cnnlab/__init__.py has no line `__version__ = "..."`.')
    version = found[1]
    cited = str(yaml.safe_load((source / "CITATION.cff").read_text()).get("version"))
    if cited != version:
        raise NotReadyError(f"cnnlab/__init__.py says {version}, and CITATION.cff {cited}: write the same in both.")
    changes = sections(source / "CHANGELOG.md")
    if not any(heading.startswith(f"[{version}] - ") and text for heading, text in changes.items()):
        raise NotReadyError(
            f"CHANGELOG.md says nothing of {version}: it needs a heading `## [{version}] - YYYY-MM-DD` and what "
            f"changed below it, and has {', '.join(changes) or 'no heading'}."
        )
    if changes.get("[Unreleased]"):
        notes.append(f"CHANGELOG.md has lines under [Unreleased]: what of them is in {version} belongs there.")
    return version


def sections(changelog: Path) -> dict[str, str]:
    """What is written under each heading of the second level of a changelog."""
    parts = re.split(r"^## (.+)$", changelog.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {heading: text.strip() for heading, text in zip(parts[::2], parts[1::2], strict=True)}


def build(source: Path, dist: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from what is in it, each with nothing but what pyproject.toml asks for."""
    run([sys.executable, "-m", "build", "--outdir", dist, source], source)
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    return sdist, wheel


@dataclass(frozen=True)
class Contents:
    """What is in an sdist or a wheel.

    Attributes:
        files: The names of its files, without the sdist's own folder and without the wheel's metadata.
        licences: The licences of those in the wheel's metadata.
        description: PKG-INFO or METADATA.
    """

    files: set[str]
    licences: set[str]
    description: bytes


def contents(file: Path) -> Contents:
    """Look into an sdist or a wheel."""
    name, version = file.name.removesuffix(".tar.gz").split("-")[:2]
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as packed:
            names, about = packed.namelist(), f"{name}-{version}.dist-info/"
            licences = {
                each.removeprefix(about + "licenses/") for each in names if each.startswith(about + "licenses/")
            }
            files = {each for each in names if not each.startswith(about)}
            return Contents(files, licences, packed.read(about + "METADATA"))
    with tarfile.open(file) as packed:
        top = f"{name}-{version}/"
        files = {member.name.removeprefix(top) for member in packed if member.isfile()}
        description = packed.extractfile(f"{top}PKG-INFO")
        assert description is not None
        return Contents(files - {"PKG-INFO"}, set(), description.read())


def whole(source: Path, sdist: Path, wheel: Path) -> None:
    """See that the sdist holds every committed file, the wheel every file of its packages, and both the licences."""
    files = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    pyproject = tomllib.loads((source / "pyproject.toml").read_text())
    packages = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    installed = {
        f"{Path(package).name}/{file.removeprefix(package + '/')}"
        for package in packages
        for file in files
        if file.startswith(package + "/")
    }
    compare(sdist, contents(sdist).files, files)
    compare(wheel, contents(wheel).files, installed)
    lost = set(pyproject["project"]["license-files"]) - contents(wheel).licences
    if lost:
        raise NotReadyError(f"{min(lost)} is not among the licences in {wheel.name}.")


def compare(file: Path, found: set[str], expected: set[str]) -> None:
    """Refuse a distribution that lacks files, or has others."""
    for names, what in ((expected - found, "lacks"), (found - expected, "holds, though it should not,")):
        if names:
            raise NotReadyError(f"{file.name} {what} {len(names)} files, the first of which is {min(names)}.")


class Links(HTMLParser):
    """What a page refers to."""

    def __init__(self, page: str) -> None:
        """Read ``page``."""
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep where a link or a picture leads."""
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


def described(source: Path, sdist: Path, wheel: Path, notes: list[str]) -> None:
    """See that the metadata is valid and the same in both, and that PyPI can show the README."""
    description = contents(wheel).description
    if description != contents(sdist).description:
        raise NotReadyError(f"{sdist.name} and {wheel.name} describe themselves differently.")
    try:
        metadata = Metadata.from_email(description, validate=True)
    except ExceptionGroup as errors:
        raise NotReadyError(f"the metadata is not valid: {'; '.join(map(str, errors.exceptions))}.") from errors
    if metadata.description_content_type != "text/markdown" or not metadata.description:
        raise NotReadyError("the README is not in the metadata as text/markdown, and PyPI would show none of it.")
    shown(metadata.description, notes)


def shown(readme: str, notes: list[str]) -> None:
    """See that PyPI renders a README, and where its links would lead nowhere."""
    page = markdown.render(readme, variant="GFM")
    if not page or "<h1" not in page:
        raise NotReadyError("the README cannot be rendered as PyPI renders it, or has no heading.")
    relative = [link for link in Links(page).found if not re.match(r"[a-z]+:|#", link)]
    if relative:
        notes.append(
            f"{len(relative)} links and pictures of the README, {relative[0]} the first, lead nowhere on PyPI: "
            "name the repository's address, as docs/releasing.md tells."
        )


def install_and_use(file: Path, folder: Path, version: str) -> str:
    """Install a distribution into an empty environment and use it there; return what came with it, in words."""
    folder.mkdir()
    run([sys.executable, "-m", "venv", folder / "environment"], folder)
    python = folder / "environment" / "bin" / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", file], folder)
    run([*pip, "check"], folder)
    command = python.with_name("cnnlab")
    # What an earlier cnnlab kept on this machine is no help to a stranger.
    kept = {"XDG_CACHE_HOME": str(folder / "kept")}
    said = run([command, "--version"], folder, kept)
    if version not in said.split():
        raise NotReadyError(f"`cnnlab --version` of {file.name} says {said.strip()!r}, and not {version}.")
    plugins = json.loads(run([command, "plugins", "list", "--json"], folder, kept))
    lost = [plugin["name"] for plugin in plugins if plugin["state"] != "active"]
    if lost or not plugins:
        raise NotReadyError(f"of {file.name} these plugins are not active: {', '.join(lost) or 'it has none'}.")
    for words in USE:
        run([command, *words], folder, kept)
    if not (folder / "seven" / "figure.png").is_file():
        raise NotReadyError(f"`cnnlab analyze` of {file.name} drew no figure.")
    packages = json.loads(run([*pip, "list", "--format", "json"], folder))
    return f"{len(packages)} packages: {len(plugins)} plugins are active, and it trains, analyses and verifies"


def run(words: Sequence[object], folder: Path, more: dict[str, str] | None = None) -> str:
    """Run a command as in a new terminal and return what it prints, or say how it failed."""
    ours = ("PYTHON", "VIRTUAL_ENV", "CNNLAB_", "PIP_CONSTRAINT")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    typed = [str(word) for word in words]
    done = subprocess.run(typed, cwd=folder, env=environment | (more or {}), capture_output=True, text=True)
    if done.returncode:
        raise NotReadyError(
            f"`{' '.join(typed)}` ended with status {done.returncode}: {(done.stderr or done.stdout)[-2000:]}"
        )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
