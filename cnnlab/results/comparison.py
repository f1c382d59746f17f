"""Results side by side: one analysis of two models or more, paired by their images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from packaging.utils import canonicalize_name

from cnnlab.drawings import Image, Tiles
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.files.writing import short_names
from cnnlab.numerics import mean_interval, paired_share_interval
from cnnlab.results.meanings import declared_as
from cnnlab.results.per_image import PerImage, per_image
from cnnlab.results.result import Result
from cnnlab.words import few, is_share, number, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A number of two results.

    Attributes:
        name: The metric, or the column of the rows whose mean it is.
        first: The number in the first result: over the images that take part in both, where these are paired.
        second: The same in the second; None where it has no such number.
        difference: The second less the first; None where one is missing.
        low: Where its 95% interval begins; None where the number is no mean over images that both have.
        high: Where it ends.
        images: How many images it is over; None where it is not paired.
        kind: ``share`` where it is a yes or no of each image, whose interval is Newcombe's of paired shares (1998,
            method 10); ``mean`` where it is another value of each, whose interval is Student's of the paired
            differences; ``number`` where nothing is paired.
        percent: Whether people read it in percent.
    """

    name: str
    first: float | None
    second: float | None
    difference: float | None
    low: float | None = None
    high: float | None = None
    images: int | None = None
    kind: Literal["share", "mean", "number"] = "number"
    percent: bool = False

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    def written(self, value: float | None) -> str:
        """Write one of its two values."""
        return percent(value, 2) if self.percent and value is not None else number(value)


@dataclass(frozen=True, kw_only=True)
class Against:
    """One result held against the first.

    Attributes:
        label: What it is called.
        images: How many images both have; None where the results are about no given images.
        differences: Their numbers.
    """

    label: str
    images: int | None
    differences: list[Difference]


@dataclass(frozen=True, kw_only=True)
class ResultComparison:
    """Results of one analysis, each held against the first.

    Attributes:
        results: The results.
        labels: What each is called.
        against: Every result but the first, held against it.
        notes: What somebody who reads the numbers should know.
    """

    results: tuple[Result, ...]
    labels: tuple[str, ...]
    against: list[Against]
    notes: list[str]

    @property
    def analysis(self) -> str:
        """Which analysis they are of."""
        return str(self.results[0].record["analysis"])

    @property
    def headline(self) -> str:
        """The difference that is clearest, in one sentence, of the first pair; or that none is."""
        return _headline(self.labels[0], self.against[0])

    @cached_property
    def drawing(self) -> Tiles | None:
        """The first drawing of each, side by side; None where one has none that can stand beside another."""
        drawn = [result.drawing() for result in self.results if result.drawings]
        tiles = [
            Tiles(tiles=(each,), columns=1, title=label)
            for each, label in zip(drawn, self.labels, strict=False)
            if not isinstance(each, Image)
        ]
        return Tiles(tiles=tuple(tiles), columns=2) if len(tiles) == len(self.results) else None

    def figure(self) -> Figure:
        """Draw these with matplotlib.

        Raises:
            CnnlabError: There is nothing to draw.
        """
        from cnnlab.render import figure

        return figure(self._drawn())

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write them to a file, and return its path.

        Args:
            path: The file; a figure of cnnlab's that lies there is replaced.
            force: Replace also another file.

        Raises:
            CnnlabError: There is nothing to draw, or the file cannot be written, or is not cnnlab's.
        """
        from cnnlab.files.places import check_figure
        from cnnlab.render import save

        check_figure(path, force=force)
        save(self._drawn(), path)
        return Path(path)

    def _drawn(self) -> Tiles:
        if self.drawing is None:
            raise CnnlabError("these results have no drawings that could stand side by side.")
        return self.drawing

    def to_json(self) -> dict[str, Any]:
        """Return what ``cnnlab compare --json`` prints."""
        return {
            "analysis": self.analysis,
            "results": [
                {"label": label, "model": result.record["model"], "params": result.record["params"]}
                for label, result in zip(self.labels, self.results, strict=True)
            ],
            "against_first": [
                {"label": each.label, "images": each.images, "numbers": [asdict(found) for found in each.differences]}
                for each in self.against
            ],
            "headline": self.headline,
            "notes": self.notes,
        }


def compare_results(results: Sequence[Result], paths: Sequence[Path | None]) -> ResultComparison:
    """Hold results of one analysis against the first of them.

    Args:
        results: Two or more.
        paths: Where each lies, by which they are called; None for one that does not, which is called by its model.

    Raises:
        UsageError: They are of different analyses, or have no image in common, or no number.
    """
    labels = _labels([path or _model_of(result) for path, result in zip(paths, results, strict=True)])
    analyses = [str(result.record.get("analysis")) for result in results]
    owners = [_owner(result) for result in results]
    several = len(set(analyses)) > 1
    if several or len({canonicalize_name(owner) for owner in owners if owner}) > 1:
        names = analyses if several else [f"{owner}:{analyses[0]}".lstrip(":") for owner in owners]
        said = ", ".join(f"{label} is {name}" for label, name in zip(labels, names, strict=True))
        raise UsageError(f"only results of one analysis can be compared; {said}.")
    found = [per_image(result) for result in results]
    against = []
    for place in range(1, len(results)):
        pair = _paired(found[0], found[place], labels[0], labels[place])
        numbers = [_in_percent(each, results[0]) for each in _differences(results[0], results[place], pair)]
        if not numbers:
            raise UsageError(f"{analyses[0]} gives no numbers that could be compared; look at the drawings of both.")
        against.append(Against(label=labels[place], images=pair and len(pair[0].keys), differences=numbers))
    notes = list(_notes(results, labels, found, against))
    return ResultComparison(results=tuple(results), labels=labels, against=against, notes=notes)


def _labels(paths: Sequence[Path]) -> tuple[str, ...]:
    """Name the results by where they differ: a/analyses/occlusion and b/analyses/occlusion are a and b."""
    names = [name.split("/") for name in short_names(paths)]
    while len({len(name) for name in names}) == 1 < len(names[0]) and len({name[-1] for name in names}) == 1:
        names = [name[:-1] for name in names]
    return tuple("/".join(name) for name in names)


def _owner(result: Result) -> str:
    """The distribution that gave its analysis, where it is told; of a file its name alone, for files are moved."""
    return os.path.basename((result.record.get("plugin") or {}).get("distribution", ""))


def _model_of(result: Result) -> Path:
    return Path(result.record["model"]["path"] or "live model")


def _paired(
    first: PerImage | None, second: PerImage | None, label: str, other: str
) -> tuple[PerImage, PerImage] | None:
    """Bring the images that both have into one order; None where the results are about no given images.

    Raises:
        UsageError: There is none that both have.
    """
    if first is None or second is None:
        return None
    keys, ours, theirs = np.intersect1d(first.keys, second.keys, assume_unique=True, return_indices=True)
    if not len(keys):
        raise UsageError(
            f"{label} and {other} have no image in common, so there is nothing to pair: an image is known by its "
            "pixels as the model was given them, or by its dataset, split and index. Analyse the same images with both."
        )
    return (
        PerImage(keys, {name: values[ours] for name, values in first.values.items()}),
        PerImage(keys, {name: values[theirs] for name, values in second.values.items()}),
    )


def _differences(first: Result, second: Result, pair: tuple[PerImage, PerImage] | None) -> Iterator[Difference]:
    names = dict.fromkeys([*first.metrics, *second.metrics])
    if pair:
        names |= dict.fromkeys(name for name in pair[0].values if name in pair[1].values)
    for name in names:
        if pair and name in pair[0].values and name in pair[1].values:
            yield _of_pairs(name, pair[0].values[name], pair[1].values[name])
        else:
            one, other = first.metrics.get(name), second.metrics.get(name)
            difference = None if one is None or other is None else other - one
            yield Difference(name=name, first=one, second=other, difference=difference)


def _in_percent(found: Difference, result: Result) -> Difference:
    """Say of shares, and of what is declared to be one, that it is read in percent."""
    said = result.record.get("meanings", {})
    meaning = declared_as({**said.get("columns", {}), **said.get("metrics", {})}, found.name) or ""
    return replace(found, percent=found.kind == "share" or is_share(meaning))


def _of_pairs(name: str, first: np.ndarray, second: np.ndarray) -> Difference:
    both = np.isfinite(first) & np.isfinite(second)
    first, second = first[both], second[both]
    # What differs by rounding alone does not differ.
    second = np.where(np.isclose(first, second, rtol=1e-6, atol=0), first, second)
    count = len(first)
    if not count:
        return Difference(name=name, first=None, second=None, difference=None, images=0)
    share = bool(np.isin([first, second], (0.0, 1.0)).all())
    interval: tuple[float, float] | tuple[None, None] = (None, None)
    if share:
        interval = paired_share_interval(first == 1, second == 1)
    elif count > 1:
        interval = mean_interval(second - first)
    return Difference(
        name=name,
        first=float(first.mean()),
        second=float(second.mean()),
        difference=float((second - first).mean()),
        low=interval[0],
        high=interval[1],
        images=count,
        kind="share" if share else "mean",
    )


def _headline(label: str, against: Against) -> str:
    paired = [found for found in against.differences if found.low is not None]
    if not paired:
        return ""
    clear = [found for found in paired if found.clear]
    if not clear:
        return f"{against.label} and {label} differ in no number beyond chance ({_counted(against.images)})"
    # A change that is the same in every image, of a distance say, would always be the clearest.
    best = max(clear, key=lambda found: (found.kind == "share", _clearness(found)))
    more = f"; {len(clear) - 1} of {len(paired) - 1} other numbers differ beyond chance too" if len(clear) > 1 else ""
    return (
        f"{best.name} differs most clearly: {best.written(best.second)} of {against.label}, "
        f"{best.written(best.first)} of {label} "
        f"({_counted(best.images)}){more}"
    )


def _clearness(found: Difference) -> float:
    return abs(found.difference or 0.0) / max((found.high or 0.0) - (found.low or 0.0), 1e-12)


def _counted(images: int | None) -> str:
    return f"{images:,} image{'' if images == 1 else 's'}"


def _notes(
    results: Sequence[Result], labels: Sequence[str], found: Sequence[PerImage | None], against: Sequence[Against]
) -> Iterator[str]:
    settings = [{**result.record["params"], "seed": result.record.get("seed")} for result in results]
    for name in dict.fromkeys(key for each in settings for key in each):
        values = [each.get(name) for each in settings]
        if any(value != values[0] for value in values):
            said = ", ".join(f"{value} in {label}" for label, value in zip(labels, values, strict=True))
            yield f"the results were not made alike, so their numbers differ by that too: {name} is {said}."
    digests = [result.record["model"]["digest"] for result in results]
    if len(set(digests)) < len(digests):
        yield "some of these results are of one and the same model."
    for place, each in enumerate(against, 1):
        if each.images is None:
            yield "these results are about no given images: nothing is paired, and no difference has an interval."
            return
        sizes = [len(part.keys) for part in (found[0], found[place]) if part is not None]
        if set(sizes) != {each.images}:
            yield (
                f"both have {_counted(each.images)}, of {sizes[0]:,} in {labels[0]} and {sizes[1]:,} in {each.label}; "
                "paired numbers are over these."
            )
    missing = [d.name for each in against for d in each.differences if d.difference is None and d.images is None]
    if missing:
        yield f"not every result has these numbers: {few(dict.fromkeys(missing))}."
