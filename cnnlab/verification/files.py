"""Files as they were written: the record by its own digest, the others by those that it holds, figures drawn again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.adversarial.judge import Finding
from cnnlab.drawings import Drawing, Image
from cnnlab.files.writing import is_leftover
from cnnlab.results import images
from cnnlab.results.folder import digest
from cnnlab.results.record import is_as_signed
from cnnlab.verification.report import FEW, fails, holds, judged, not_checked
from cnnlab.versions import versions

if TYPE_CHECKING:
    import PIL.Image


def as_recorded(record: Mapping[str, Any], name: str) -> Finding:
    """Say whether a record is as it was written, by its own digest: no proof, for who forges it mends that too.

    Args:
        record: ``result.json`` or ``run.json``.
        name: Which.
    """
    signed = is_as_signed(record)
    if signed is None:
        return not_checked("record", f"{name} holds no digest of itself: an earlier version of cnnlab wrote it.")
    if not signed:
        return fails("record", f"{name} was changed since it was written: its own digest is another.")
    return holds("record", f"{name} is as it was written, or whoever changed it mended its digest.")


def as_written(folder: Path, files: Mapping[str, str] | None, known: Iterable[str]) -> Iterator[Finding]:
    """Hold every file against its digest, and name the files that nobody knows of.

    Args:
        folder: Where they lie.
        files: Their digests by name; None where the record holds none.
        known: Names of other files and folders that belong there.
    """
    if not files:
        yield not_checked("files", "The record holds no digests of its files: an earlier version of cnnlab wrote it.")
        return
    there = {name: said for name, said in files.items() if _is_of(folder, name)}
    missing = [f"{name} is missing" for name in files if name not in there]
    changed = [f"{name} is not as it was written" for name, said in there.items() if digest(folder / name) != said]
    count = len(files)
    yield judged("files", [*missing, *changed], f"{count} of {count} have the digests that the record gives them.")
    unknown = sorted(_unknown(folder, {*files, *known}))
    if unknown:
        more = ", ..." if len(unknown) > FEW else ""
        says = f"{len(unknown):,} here are not of it, and were not looked at: {', '.join(unknown[:FEW])}{more}."
        yield Finding(claim="other files", state="note", says=says)


def _is_of(folder: Path, name: str) -> bool:
    """Whether there is such a file in a folder; a record from elsewhere must not lead out of it."""
    path = folder / name
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())


def _unknown(folder: Path, known: set[str]) -> Iterator[str]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        above = (parent.as_posix() for parent in Path(name).parents)
        if not path.is_dir() and name not in known and known.isdisjoint(above) and not is_leftover(path):
            yield name


def redrawn(
    folder: Path, figures: Mapping[str, Drawing], said: Mapping[str, str | None], resolution: int | None = None
) -> Iterator[Finding]:
    """Draw figures again, and compare them pixel for pixel.

    Args:
        folder: Where they lie.
        figures: What each shows, its values arrays, by its file.
        said: The versions that the record names.
        resolution: Dots per inch; by default what the files say of themselves.
    """
    if not figures:
        return
    here = versions()
    other = [name for name in ("cnnlab", "matplotlib", "numpy") if said.get(name) != here.get(name)]
    if other:
        yield not_checked("figures", f"They were drawn with another version of {other[0]}, so not drawn again.")
        return
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as stage:
        for name, drawing in figures.items():
            if not (folder / name).is_file():
                wrong.append(f"{name} is missing")
            elif not _same(folder / name, drawing, Path(stage) / Path(name).name, resolution):
                wrong.append(f"{name} does not show what drawings.json holds")
    yield judged("figures", wrong, f"{len(figures)} of {len(figures)} are what drawings.json gives, drawn again.")


def _same(file: Path, drawing: Drawing, again: Path, resolution: int | None) -> bool:
    from cnnlab.render import save, size

    if file.suffix == ".png" and not isinstance(drawing, Image):
        with images.opened(file) as image:
            resolution = resolution or _resolution(image)
            # What would be larger than the file is not drawn: a few bytes may ask for gigabytes.
            if any(abs(here - there) > 1 for here, there in zip(image.size, size(drawing, resolution), strict=True)):
                return False
    save(drawing, again, resolution)
    if file.read_bytes() == again.read_bytes():
        return True
    if file.suffix != ".png":
        return False
    first, second = _pixels(file), _pixels(again)
    return first.shape == second.shape and bool((first == second).all())


def _resolution(image: PIL.Image.Image) -> int | None:
    """The dots per inch that a PNG tells; None where it does not."""
    told = image.info.get("dpi", (0, 0))[0]
    return round(told) if 0.5 < told < 10_000 else None


def _pixels(file: Path) -> np.ndarray:
    with images.opened(file) as image:
        return np.asarray(image.convert("RGBA"))
