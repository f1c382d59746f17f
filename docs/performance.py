"""How fast it is, from benchmarks/results: ``python docs/performance.py`` writes docs/performance.md and its plots."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import statistics
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

DOCS = Path(__file__).resolve().parent
sys.path += [str(folder) for folder in (DOCS, DOCS.parent) if str(folder) not in sys.path]

from tables import table  # noqa: E402

from benchmarks import suites  # noqa: E402
from benchmarks.harness import RESULTS, Race, Records, Suite  # noqa: E402

if TYPE_CHECKING:
    from cnnlab.drawings.charts import Curves

HEAD = """# How fast it is

Written by `make bench` from what it measures, the files in `benchmarks/results`; a test
compares the two, and the [README of the benchmarks](../benchmarks/README.md) says how to run them. Where no unit is
told, a number is a ratio of times: all sides do the same work by turns, in one sitting on one machine, each in an
environment of its own; the ratio is taken in each round, and the median over the rounds is told. The first time, with
what it compiles, is not counted unless that is said. No time is compared before the results were: each part says what
must agree, and the files hold how well it did. What commands take of memory is a [page of its
own](measurements/memory.md)."""


def page() -> str:
    """The page, from what the results' files hold."""
    measured = [(suite, results(suite.name)) for suite in map(suites.load, suites.NAMES)]
    measured = [(suite, found) for suite, found in measured if found]
    lines = [HEAD, "", *conditions([found for _, found in measured])]
    lines += ["## What was aimed at", "", *goals((suite, found["races"]) for suite, found in measured)]
    for suite, found in measured:
        lines += [f"## {suite.title}", "", flowing(suite.says), "", *chapter(suite, found["races"])]
    if profiles := results("profiles"):
        lines += [f"## {profiles['title']}", "", flowing(profiles["says"]), ""]
        lines += table(tuple(profiles["head"]), (tuple(row) for row in profiles["rows"]))
    return "\n".join(lines)


def flowing(text: str) -> str:
    """A paragraph in lines that are not too long."""
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False)


def results(name: str) -> dict[str, Any]:
    """What was measured of a suite; nothing where it was not."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def conditions(measured: list[Mapping[str, Any]]) -> Iterator[str]:
    """On which machines, and with which versions."""
    for machine in {json.dumps(found["machine"]): found["machine"] for found in measured}.values():
        yield "{processor}, {cores} cores, {memory} of memory, {system}, no accelerator.".format(**machine)
    environments: dict[str, dict[str, str]] = {}
    for found in measured:
        for name, versions in found["versions"].items():
            environments.setdefault(name, {}).update(versions)
    yield ""
    rows = ((name, ", ".join(map(" ".join, versions.items()))) for name, versions in sorted(environments.items()))
    yield from table(("environment", "versions"), rows)


def goals(suites_and_races: Iterable[tuple[Suite, Records]]) -> list[str]:
    """Every ratio that was aimed at, and whether it is reached."""
    rows = []
    for suite, races in suites_and_races:
        for race in suite.races:
            measured = ratios(races[race.name]) if race.name in races else {}
            for name, aim in race.wanted.items():
                if name not in measured:
                    continue
                found = measured[name]
                base = race.sides[0].name
                rows.append(
                    (
                        f"{suite.title}: {race.title}",
                        f"{name} / {base}",
                        number(median(found)),
                        aim,
                        verdict(found, aim),
                    )
                )
    return table(("work", "time of / time of", "measured", "aimed at", ""), rows)


def verdict(found: list[float], aim: str) -> str:
    """Whether a ratio is what it should be."""
    sign, _, wanted = aim.partition(" ")
    reached = median(found) >= float(wanted) if sign == "≥" else median(found) <= float(wanted)
    return "reached" if reached else "**missed**"


def chapter(suite: Suite, races: Records) -> Iterator[str]:
    """The tables and plots of a suite: one for each race, and one for those along which something grows."""
    known = [race for race in suite.races if race.name in races]
    for family, group in itertools.groupby(known, lambda race: race.name.partition(":")[0]):
        members = list(group)
        if members[0].grows and len(members) > 1:
            yield from growth(suite, family, members, races)
        else:
            for race in members:
                yield from single(race, races[race.name])
    yield from suite.more(races)


def single(race: Race, record: Mapping[str, Any]) -> list[str]:
    """A table of a race."""
    base = race.sides[0].name
    rows = [
        (
            name,
            number(median(found)),
            f"{number(min(found))} to {number(max(found))}" if max(found) > min(found) else "",
        )
        for name, found in ratios(record).items()
    ]
    rounds = len(next(iter(record["seconds"].values())))
    head = (f"{race.title}; {rounds} rounds" if rounds > 1 else race.title, f"time / time of {base}", "over the rounds")
    return [*table(head, rows), *agreed(record)]


def growth(suite: Suite, family: str, races: list[Race], records: Records) -> Iterator[str]:
    """A table over what grows, and the plot of it."""
    assert races[0].grows is not None
    what, base = races[0].grows[0], races[0].sides[0].name
    others = sides_of(races, records)[1:]
    rows = [
        (number(size_of(race)), *(number(median(ratios(records[race.name])[name])) for name in others))
        for race in races
    ]
    yield f"{fixed_of(races[0])}; time / time of {base}:"
    yield ""
    yield from table((what, *others), rows)
    name = f"performance-{suite.name}-{family}"
    yield f"![{suite.title}: how time grows with the {what}](pictures/{name}.png)"
    yield ""


def agreed(record: Mapping[str, Any]) -> list[str]:
    """What was compared before the times, in words."""
    said = [f"{what} {value:.4g}" for what, value in record["checks"].items()]
    return [flowing(f"Compared before: {'; '.join(said)}."), ""] if said else []


def ratios(record: Mapping[str, Any]) -> dict[str, list[float]]:
    """Each side's time over the first's in the same round."""
    first = next(iter(record["seconds"].values()))
    return {
        name: [mine / base for mine, base in zip(seconds, first, strict=True)]
        for name, seconds in record["seconds"].items()
    }


def plots() -> dict[str, tuple[Curves, str]]:
    """Each plot by its name, and a digest of the numbers that it shows."""
    from cnnlab.drawings.charts import Curves, Line

    drawn = {}
    for suite in map(suites.load, suites.NAMES):
        records = results(suite.name).get("races", {})
        known = [race for race in suite.races if race.name in records and race.grows]
        for family, group in itertools.groupby(known, lambda race: race.name.partition(":")[0]):
            members = list(group)
            if len(members) < 2:
                continue
            seconds = [records[race.name]["seconds"] for race in members]
            one = median(next(iter(seconds[0].values())))
            lines = tuple(
                Line(
                    name=name.replace("`", ""),
                    x=tuple(map(size_of, members)),
                    y=tuple(median(each[name]) / one for each in seconds),
                )
                for name in sides_of(members, records)
            )
            assert members[0].grows is not None
            curves = Curves(
                lines=lines,
                x_label=members[0].grows[0],
                y_label="time, as many times cnnlab's at the left",
                title=fixed_of(members[0]),
                x_scale="log",
                y_scale="log",
            )
            digest = hashlib.sha256(json.dumps(seconds).encode()).hexdigest()[:16]
            drawn[f"performance-{suite.name}-{family}"] = curves, digest
    return drawn


def draw() -> None:
    """Draw the plots, each marked with the digest of what it shows; one that is up to date is left alone."""
    from PIL import Image, PngImagePlugin

    from cnnlab.render import save

    for name, (curves, digest) in plots().items():
        path = DOCS / "pictures" / f"{name}.png"
        if path.exists() and mark_of(path) == digest:
            continue
        save(curves, path)
        mark = PngImagePlugin.PngInfo()
        mark.add_text("Measured", digest)
        drawn = io.BytesIO()
        with Image.open(path) as image:
            image.save(drawn, format="png", pnginfo=mark, optimize=True, dpi=(150, 150))
        path.write_bytes(drawn.getvalue())


def mark_of(path: Path) -> str:
    """The digest of what a plot shows."""
    from PIL import Image

    with Image.open(path) as image:
        return str(image.info.get("Measured"))


def sides_of(races: list[Race], records: Records) -> list[str]:
    """Those who took part in all of some races."""
    names = (side.name for side in races[0].sides)
    return [name for name in names if all(name in records[race.name]["seconds"] for race in races)]


def fixed_of(race: Race) -> str:
    """What stays the same where something grows."""
    return race.title.rpartition("; ")[0]


def size_of(race: Race) -> float:
    """How large what grows is."""
    assert race.grows is not None
    return race.grows[1]


def median(values: list[float]) -> float:
    """The median."""
    return statistics.median(values)


def number(value: float) -> str:
    """A number of three digits at most, whole ones as they are."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2g}" if value < 1 else f"{value:.3g}"


if __name__ == "__main__":
    (DOCS / "performance.md").write_text(page(), encoding="utf-8")
    draw()
