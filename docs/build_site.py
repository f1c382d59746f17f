"""Build the site in site/, and say which of its links lead nowhere: ``python docs/build_site.py``.

The pages are laid out in build/pages as in the repository, with every file that they point to, so that a link holds in
both. Zensical makes HTML of them as mkdocs.yml says; what it made is read again here, file by file.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "site"
PAGES = ("*.md", "docs/**/*.md", "plugins/*/README.md", "examples/*/README.md", "benchmarks/README.md")
TARGET = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}
"""What a browser fetches for a page by itself."""


def main() -> int:
    """Build the site, and list what is wrong with it."""
    status = build()
    problems = [] if status else [*unlisted(), *check(SITE)]
    if problems:
        print(*problems, sep="\n", file=sys.stderr)
    elif status == 0:
        print("Open site/index.html.")
    return status or bool(problems)


def build() -> int:
    """Lay out the pages and make HTML of them; the status of Zensical."""
    pages = ROOT / "build" / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    for file in sorted(files()):
        (pages / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, pages / file)
    words = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    return subprocess.run(words, cwd=ROOT, check=False).returncode


def files() -> set[Path]:
    """The pages and what they point to, by their places in the repository."""
    pages = {page for pattern in PAGES for page in ROOT.glob(pattern)}
    linked = {
        (page.parent / target).resolve()
        for page in pages
        for target in TARGET.findall(page.read_text(encoding="utf-8"))
    }
    there = {file for file in linked if file.is_file()}
    return {file.relative_to(ROOT) for file in pages | there | {*(ROOT / "docs" / "theme").iterdir()}}


class _Page(HTMLParser):
    """What a page is asked for, where it leads, and what a browser fetches for it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the addresses of a tag."""
        found = {name: value for name, value in attrs if value is not None}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in FETCHED and FETCHED[tag] in found:
            self.fetched.append(found[FETCHED[tag]])


def check(site: Path) -> Iterator[str]:
    """A sentence for each link or anchor that leads nowhere, and for each thing that a page fetches of another host."""
    pages = {file: _Page(file) for file in sorted(site.rglob("*.html")) if file.name != "404.html"}
    for file, page in pages.items():
        name = file.relative_to(site)
        for address in page.fetched:
            if urlsplit(address).netloc:
                yield f"{name} fetches {address} of another host."
        for address in [*page.links, *page.fetched]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            there = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            there = there / "index.html" if there.is_dir() else there
            if not there.is_file():
                yield f"{name} points to {address}, which is not there."
            elif parts.fragment and there in pages and unquote(parts.fragment) not in pages[there].anchors:
                yield f"{name} points to {address}: that page has no such anchor."


def unlisted() -> Iterator[str]:
    """The pages that the menu of mkdocs.yml lacks, those that it has twice, and those that it has and nobody wrote."""
    leaves = list(_leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    nav = set(leaves)
    pages = {file.as_posix() for file in files() if file.suffix == ".md"}
    yield from (f"{page} is not in the menu (nav in mkdocs.yml)." for page in sorted(pages - nav))
    yield from (f"The menu (nav in mkdocs.yml) has {page} twice." for page in sorted(nav) if leaves.count(page) > 1)
    yield from (f"The menu (nav in mkdocs.yml) has {page}, which is not there." for page in sorted(nav - pages))


def _leaves(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
        return
    for each in entry.values() if isinstance(entry, dict) else entry:
        yield from _leaves(each)


if __name__ == "__main__":
    sys.exit(main())
