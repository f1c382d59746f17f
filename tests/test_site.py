"""The site: its links are checked, its menu is whole, and a browser searches it without asking another host."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


# What could be too wide for a phone: pictures, tables, code, long names.
WIDEST = (
    "index.html",
    "docs/cli.html",
    "docs/performance.html",
    "docs/security.html",
    "docs/tutorial.html",
    "docs/plugins/gallery.html",
    "docs/plugins/hooks.html",
    "docs/reference/cnnlab.html",
    "plugins/saliency/index.html",
)


@pytest.fixture(scope="module")
def script():
    """The script that builds the site."""
    found = importlib.util.spec_from_file_location("build_site", ROOT / "docs" / "build_site.py")
    script = importlib.util.module_from_spec(found)
    found.loader.exec_module(script)
    return script


@pytest.fixture(scope="module")
def site(script, tmp_path_factory):
    """The site, built apart from the one of ``make site``."""
    copy = tmp_path_factory.mktemp("repository")
    for file in [*script.files(), Path("mkdocs.yml"), Path("docs/docstrings.py")]:
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, copy / file)
    (copy / "cnnlab").is_dir() and shutil.rmtree(copy / "cnnlab")
    shutil.copytree(ROOT / "cnnlab", copy / "cnnlab", ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script, "ROOT", copy)
        assert script.build() == 0
    return copy / "site"


def test_no_link_leads_nowhere_and_nothing_comes_from_another_host(script, site):
    assert list(script.check(site)) == []
    assert len(list(site.rglob("*.html"))) > 30


def test_every_page_is_in_the_menu(script):
    assert list(script.unlisted()) == []


def test_a_page_that_the_menu_lacks_is_named(script, monkeypatch):
    pages = script.files()
    monkeypatch.setattr(script, "files", lambda: {*pages, Path("docs/new.md")} - {Path("docs/tutorial.md")})
    lacking, lost = script.unlisted()
    assert lacking.startswith("docs/new.md is not in the menu")
    assert "has docs/tutorial.md, which is not there" in lost


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('<a href="gone.html">', "points to gone.html, which is not there"),
        ('<a href="other.html#gone">', "points to other.html#gone: that page has no such anchor"),
        ('<a href="#gone">', "points to #gone: that page has no such anchor"),
        ('<img src="gone.png">', "points to gone.png, which is not there"),
        ('<script src="https://cdn.example/x.js">', "fetches https://cdn.example/x.js of another host"),
        ('<link rel="stylesheet" href="//fonts.example/a.css">', "fetches //fonts.example/a.css of another host"),
    ],
)
def test_what_is_wrong_is_said(script, tmp_path, body, said):
    (tmp_path / "page.html").write_text(body, encoding="utf-8")
    (tmp_path / "other.html").write_text('<a href="page.html"><h1 id="here"></h1><a href="https://example.org">')
    (found,) = script.check(tmp_path)
    assert said in found


def test_the_search_works_in_a_file_and_asks_no_other_host(site, browser):
    page = browser.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((site / "index.html").as_uri())
    page.get_by_role("button", name="Search").first.click()
    words = page.get_by_placeholder("Search").first
    words.press_sequentially("wilson_interval", delay=30)
    found = page.get_by_role("option").first
    found.wait_for(timeout=20_000)
    assert words.input_value() == "wilson_interval", "what is typed stays, whatever is found meanwhile"
    found.click()
    page.wait_for_url("**/docs/reference/plugin.html*", timeout=20_000)
    page.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))] == []


def test_pages_fit_a_phone(site, browser):
    page = browser.new_page(viewport={"width": 360, "height": 800})
    wide = []
    for name in WIDEST:
        page.goto((site / name).as_uri(), wait_until="domcontentloaded")
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            wide.append(name)
    page.close()
    assert wide == []


def test_the_readme_is_read_in_one_go():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 120
    assert sum(line.startswith("![") for line in lines) == 4


def test_the_script_is_not_called_as_a_module_of_python():
    folder = {file.stem for file in (ROOT / "docs").glob("*.py")}
    assert not folder & set(sys.stdlib_module_names), "docs/ is the first place where its scripts look for modules"
