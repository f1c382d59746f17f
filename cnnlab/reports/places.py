"""Where a report is written, and what it may replace. Cheap to import."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.files import places
from cnnlab.files.writing import is_leftover
from cnnlab.runs import folder

Format = Literal["html", "md", "json"]

OF_RESULTS = "report-of-results"
"""What the file of a report of results is called: no report of a profile is replaced by it."""

_ENDINGS: dict[str, Format] = {
    "": "html", ".html": "html", ".htm": "html", ".md": "md", ".markdown": "md", ".json": "json",
}  # fmt: skip


def format_of(path: Path | None) -> Format:
    """Return the format that a file's ending names; HTML where it has none.

    Raises:
        UsageError: It names another.
    """
    ending = path.suffix.lower() if path else ""
    if ending not in _ENDINGS:
        raise UsageError(
            f"{path} does not say what the report is to be written as: expected a name that ends in .html, .md or "
            ".json, or a `format=`."
        )
    return _ENDINGS[ending]


def is_run(source: Any) -> bool:
    """Whether a model, as a user named it, is a run."""
    return isinstance(source, str | Path) and folder.is_run(Path(source))


def default_file(source: Any, format: Format) -> Path:
    """Return where the report of a model goes: into the run, or below results/ for other models.

    Raises:
        CnnlabError: There is no current folder any more.
    """
    if is_run(source):
        return Path(source) / f"report.{format}"
    places.check_current()
    return Path("results") / f"{Path(source).resolve().stem}-report.{format}"


def file_of_results(models: Iterable[Mapping[str, Any]], format: Format) -> Path:
    """Return where a report of results goes: into the run that all of them are of, or below results/.

    Args:
        models: What their records say of the models.
        format: What it is written as.

    Raises:
        CnnlabError: There is no current folder any more.
    """
    runs = {model["path"] if model["kind"] == "run" else None for model in models}
    (only,) = runs if len(runs) == 1 else (None,)
    if only and is_run(only):
        return Path(only) / f"{OF_RESULTS}.{format}"
    places.check_current()
    return Path("results") / f"{OF_RESULTS}.{format}"


@contextlib.contextmanager
def new_file(first: Path) -> Iterator[Path]:
    """Claim a file that nobody else has: the first, or with a number behind its name where there is one.

    When the ``with`` block raises, it is taken away again.

    Raises:
        CnnlabError: It cannot be made.
    """
    for number in itertools.count(1):
        path = first if number == 1 else first.with_stem(f"{first.stem}-{number}")
        places.check_folder(path.parent)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("x").close()
        except FileExistsError:
            continue
        except OSError as error:
            raise CnnlabError(f"{path} cannot be written: {error.strerror}.") from error
        break
    try:
        yield path
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def pictures_of(path: Path) -> Path:
    """Return the folder beside a Markdown file in which its pictures lie."""
    return path.with_name(f"{path.stem}-images")


def check_file(path: Path, format: Format, *, force: bool = False) -> None:
    """Refuse a place where no report can be written, or something lies that is no report of that format as written.

    Args:
        path: The file.
        format: What it is to hold.
        force: Write there all the same: the file is replaced, and no picture that is not a report's is touched.

    Raises:
        CnnlabError: It is such a place.
    """
    what = f"report of cnnlab's in the format {format}"
    places.check_file(path, force=force, whose=lambda path: places.unlike(path, what, format))
    if format != "md":
        return
    folder = pictures_of(path)
    places.check_folder(folder)
    if path.exists() or force or not folder.exists():
        return
    if not all(is_leftover(file) or is_own_picture(file) for file in folder.iterdir()):
        raise CnnlabError(
            f"{folder}, where the pictures of {path.name} would go, is there already and not of a report, so nothing "
            "was written. Name a new file, or write there all the same with `force=True`."
        )


def picture(number: int, content: bytes) -> str:
    """Name a picture of a report in Markdown: by its content, so that it is known again as the report's."""
    return f"figure-{number}-{hashlib.sha256(content).hexdigest()[:12]}.png"


def is_own_picture(file: Path) -> bool:
    """Whether a file is a picture as a report wrote it: it is called by what it holds."""
    found = re.fullmatch(r"figure-(\d+)-[0-9a-f]{12}\.png", file.name)
    if found is None or file.is_symlink() or not file.is_file():
        return False
    return file.name == picture(int(found[1]), file.read_bytes())
