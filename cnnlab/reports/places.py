"""Where a report is written, and what it may replace. Cheap to import."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from cnnlab.errors import CnnlabError
from cnnlab.runs import folder

Format = Literal["html", "md", "json"]

MARKS: dict[str, str] = {
    "html": '<meta name="generator" content="cnnlab ',
    "md": "<!-- made by cnnlab ",
    "json": '"report": "cnnlab ',
}
"""What a report of cnnlab's has near its beginning, by which it is known again."""

BEGINNING = 4096


def format_of(path: Path | None) -> Format:
    """Return the format that a file's ending names; HTML where it names none."""
    ending = path.suffix.lower() if path else ""
    return "md" if ending in (".md", ".markdown") else "json" if ending == ".json" else "html"


def is_run(source: Any) -> bool:
    """Whether a model, as a user named it, is a run."""
    return isinstance(source, str | Path) and folder.is_run(Path(source))


def default_file(source: Any, format: Format) -> Path:
    """Return where the report of a model goes: into the run, or below results/ for other models."""
    if is_run(source):
        return Path(source) / f"report.{format}"
    return Path("results") / f"{Path(source).resolve().stem}-report.{format}"


def pictures_of(path: Path) -> Path:
    """Return the folder beside a Markdown file in which its pictures lie."""
    return path.with_name(f"{path.stem}-images")


def check_file(path: Path, format: Format) -> None:
    """Refuse a place where no report can be written, or something lies that is no report of that format.

    Raises:
        CnnlabError: It is such a place.
    """
    there = next(parent for parent in path.absolute().parents if parent.exists())
    if not there.is_dir():
        raise CnnlabError(f"{path} cannot be written: {there} is a file, where a folder was expected. Name a new file.")
    if path.exists():
        if MARKS[format] not in _beginning(path):
            raise CnnlabError(
                f"{path} is no report of cnnlab's in the format {format}, so it was not replaced. Name a new file."
            )
    elif format == "md" and pictures_of(path).exists():
        raise CnnlabError(
            f"{pictures_of(path)}, where the pictures of {path.name} would go, is there already and not of a report, "
            "so nothing was written. Name a new file."
        )


def _beginning(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(BEGINNING)
    except (OSError, UnicodeDecodeError):
        return ""
