"""The examples run as they are written."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from cnnlab.reports.profiles import PROFILES

ROOT = Path(__file__).resolve().parent.parent


QUICKSTART = ROOT / "examples" / "quickstart.py"


def quickstart(source: str, folder: Path) -> None:
    """Run it in a folder, and look for what it writes there."""
    exec(compile(source, QUICKSTART, "exec"), {"__name__": "__main__", "__file__": str(QUICKSTART)})
    assert list(folder.glob("runs/*/analyses/quickstart/figure.png"))
    assert list(folder.glob("runs/*/report.html"))


@pytest.mark.full
def test_the_quickstart(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    quickstart(QUICKSTART.read_text(encoding="utf-8"), tmp_path)
    printed = capsys.readouterr().out
    accuracy = float(re.search(r"([\d.]+)% validation accuracy", printed)[1])
    assert accuracy > 90
    assert "\nTraining\n  It learned: " in printed


def test_the_quickstart_with_few_images(tmp_path, monkeypatch, capsys, few_digits):
    monkeypatch.chdir(tmp_path)
    source = QUICKSTART.read_text(encoding="utf-8")
    assert "epochs=2, limit=6000" in source
    quickstart(source.replace("epochs=2, limit=6000", "epochs=1, limit=600"), tmp_path)
    printed = capsys.readouterr().out
    assert re.search(r"[\d.]+% validation accuracy", printed)
    assert "\nTraining\n  " in printed


def test_the_quickstart_is_twenty_lines():
    assert len((ROOT / "examples" / "quickstart.py").read_text(encoding="utf-8").splitlines()) == 20


NOTEBOOK = ROOT / "examples" / "assignment.ipynb"
SECTIONS = PROFILES["assignment"].sections


def test_the_notebook_is_stored_without_outputs_and_walks_through_every_section():
    cells = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert [
        cell for cell in cells if cell["outputs"] or cell["execution_count"] or cell["metadata"].get("execution")
    ] == []
    asked = [re.fullmatch(r'sections\["(.+)"\]', "".join(cell["source"])) for cell in cells]
    assert tuple(found[1] for found in asked if found) == SECTIONS


@pytest.fixture(scope="module")
def executed(trained_run, tmp_path_factory):
    """The notebook's code cells, run by a real kernel on the small run."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    folder = tmp_path_factory.mktemp("notebook")
    shutil.copytree(trained_run.path, folder / "small")
    book = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = [cell for cell in book.cells if "parameters" in cell.metadata.get("tags", ())]
    parameters.source = 'RUN = "small"'
    where = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3", resources=where).execute()
    return folder, [cell for cell in book.cells if cell.cell_type == "code"]


def shown_by(cells, source: str) -> str:
    """What the one cell with that source shows, as HTML."""
    (cell,) = [cell for cell in cells if cell.source == source]
    (output,) = [output for output in cell.outputs if output.output_type == "execute_result"]
    return output.data["text/html"]


@pytest.mark.full
@pytest.mark.parametrize("section", SECTIONS)
def test_the_notebook_shows_what_a_section_says(executed, section):
    page = shown_by(executed[1], f'sections["{section}"]')
    if section == "batch-normalisation":
        assert "cnnlab train --batch-norm" in page, "which other run it lacks"
    else:
        assert "Left out" not in page
        assert "conclusion</th>" in page
        assert "<img" in page or "<svg" in page or section == "architecture"


@pytest.mark.full
def test_the_notebook_ends_with_the_page(executed):
    folder, cells = executed
    assert (folder / "small" / "report.html").stat().st_size > 100_000
    printed = "".join(output.text for cell in cells for output in cell.outputs if output.output_type == "stream")
    assert "Architecture: parameters 799078, reported 799078\n" in printed
    assert [output for cell in cells for output in cell.outputs if output.get("name") == "stderr"] == []
