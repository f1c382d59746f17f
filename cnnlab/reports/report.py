"""A report: its sections, written one by one, and what it says of itself at the end."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab.analysis.cache import Cache
from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.devices.choice import current_device, use_devices
from cnnlab.errors import CnnlabError, FailedError, UsageError
from cnnlab.interrupts import saying
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.blaming import answer_of
from cnnlab.pluginhost.declarations import Section, resolve
from cnnlab.progress import Progress, shown
from cnnlab.reports import profiles
from cnnlab.reports.chapter import Chapter
from cnnlab.reports.subject import NO_DATASET, Subject
from cnnlab.results.artifacts import Attached
from cnnlab.versions import versions

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.datasets import Dataset
    from cnnlab.reports.places import Format
    from cnnlab.reports.profiles import Profile

SCHEMA = 1

INTERRUPTED = "Interrupted. What was found is kept, and the same command goes on with it."


@dataclass(frozen=True, kw_only=True)
class Written:
    """A section, and what became of it.

    Attributes:
        name: The section's name.
        title: Its heading.
        chapter: What it says; None where it is left out.
        reason: Why it is left out, in a sentence.
        headline: What was found, in a sentence, where the chapter concludes nothing.
        failed: Whether it should have been written, and could not be.
        seconds: How long it took.
        owner: Whose words and figures they are: a distribution and its version; empty where that is not known.
        command: What repeats it, where it has no figure that says so.
        attached: The files that belong to it, where it has no figure that has them.
    """

    name: str
    title: str
    chapter: Chapter | None = None
    reason: str = ""
    headline: str = ""
    failed: bool = False
    seconds: float = 0.0
    owner: str = ""
    command: str = ""
    attached: Sequence[Attached] = ()

    def __repr__(self) -> str:
        words = self.title if self.chapter else f"{self.title}, left out"
        return f"Written({words})"

    def _repr_html_(self) -> str:
        from cnnlab.reports.notebook import of_section

        return of_section(self)


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that a report says: data, from which pages and Markdown are made.

    Attributes:
        profile: The kind of report.
        title: The heading.
        sections: What each section says.
        record: The model, the dataset, versions, device, seconds, and when it was made.
    """

    profile: Profile
    title: str
    sections: tuple[Written, ...]
    record: dict[str, Any]

    def __repr__(self) -> str:
        from cnnlab.reports.telling import models

        return f"Report({self.profile.name} of {models(self)}, {len(self.sections)} sections)"

    def _repr_html_(self) -> str:
        from cnnlab.reports.notebook import of_report

        return of_report(self)

    @property
    def warnings(self) -> list[str]:
        """Which sections could not be written, and why."""
        return [f"the section {each.name} could not be written: {each.reason}" for each in self.sections if each.failed]

    def save(self, path: str | os.PathLike[str], format: Format = "html", *, force: bool = False) -> list[Path]:
        """Write it.

        Args:
            path: The file. Beside a Markdown file, its pictures are written into a folder of its name.
            format: ``html`` for one self-contained page, ``md`` for Markdown, ``json`` for data.
            force: Replace also a file that is no report, and write pictures beside others that are none.

        Returns:
            What was written: the file, and with Markdown the folder.

        Raises:
            CnnlabError: Something that is no report lies there, or it cannot be written.
        """
        from cnnlab.reports import saving

        return saving.save(self, Path(path), format, force=force)


def report(
    model: Any = None,
    *,
    profile: str = "audit",
    dataset: str | os.PathLike[str] | Dataset | None = None,
    split: str = "test",
    limit: int | None = None,
    compare: str | os.PathLike[str] | None = None,
    seed: int = 0,
    device: str = "auto",
    results: Sequence[str | os.PathLike[str]] = (),
    progress: Progress | bool | None = None,
    told: Callable[[Written, int, int], None] = lambda *_: None,
) -> Report:
    """Run the analyses that apply to a model, and tell what follows: the same as ``cnnlab report``.

    Every answer is kept beside the run, or under results/ for other models, so that the same report is made in seconds
    the next time, and one that was interrupted goes on.

    Args:
        model: As for :func:`cnnlab.load`; None for the newest run.
        profile: ``assignment``, ``audit`` or ``quick``.
        dataset: Labelled images, by name or path; by default those that the run was trained on.
        split: Which part of them.
        limit: How many of them the model is evaluated on; by default all.
        compare: A run with batch normalisation to compare with, or one without.
        seed: Seeds what is random.
        device: ``auto``, ``cpu`` or ``gpu:0``.
        results: Folders of results that there are already: the report is of these alone, each a section in this order,
            and no model is opened and nothing asked again.
        progress: Whether to show a bar, or what to show it with; by default there is one on a terminal and in a
            notebook.
        told: Called with each section once it is written, its number from 1, and how many there are.

    Returns:
        The report; ``.save("report.html")`` writes what the command writes.

    Raises:
        UsageError: There is no such profile, or the dataset does not fit.
        CnnlabError: The model or the dataset cannot be read. What goes wrong within a section is said in its place.

    Example:
        >>> import contextlib
        >>> import tempfile
        >>> import cnnlab
        >>> import keras
        >>> model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
        >>> with contextlib.chdir(tempfile.mkdtemp()):
        ...     found = cnnlab.report(model, profile="quick", dataset="mnist", limit=64, progress=False)
        ...     [path.name for path in found.save("report.html")]
        ['report.html']
    """
    if results:
        return _of_results(
            results, {"model": model, "dataset": dataset, "limit": limit, "compare": compare}, progress, told
        )
    wanted = profiles.find_profile(profile)
    choice = model if isinstance(model, ModelChoice) else ModelChoice(model=model)
    where = shown(progress)
    with use_devices(device, where):
        with where.stage("Opening the model"):
            classifier = choice.open()
            data = _dataset(classifier, dataset)
        subject = Subject(
            classifier=classifier,
            profile=profile,
            run=_run_of(classifier),
            dataset=data,
            split=split,
            limit=limit,
            choice=choice,
            compare=None if compare is None else _run(compare),
            seed=seed,
            device=device,
            cache=Cache(_kept_in(classifier)),
            progress=where,
        )
        with saying(lambda: INTERRUPTED):
            return write(subject, wanted, told)


def _of_results(
    results: Sequence[str | os.PathLike[str]],
    others: Mapping[str, Any],
    progress: Progress | bool | None,
    told: Callable[[Written, int, int], None],
) -> Report:
    from cnnlab.reports.of_results import report_of

    for name, value in others.items():
        if value is not None:
            raise UsageError(f"a report of results is made of these alone: give `results=` or `{name}=`, not both.")
    return report_of([results] if isinstance(results, str | os.PathLike) else results, shown(progress), told)


def _dataset(classifier: Classifier, named: Any) -> Dataset | None:
    from cnnlab.datasets import Dataset, loading

    if named is None:
        return loading.trained_on(classifier)
    return named if isinstance(named, Dataset) else loading.load(named)


def _run_of(classifier: Classifier) -> Any:
    from cnnlab.runs import Run

    return Run(classifier.path) if classifier.kind == "run" and classifier.path else None


def _run(path: str | os.PathLike[str]) -> Any:
    from cnnlab import runs

    return runs.find(path)


def _kept_in(classifier: Classifier) -> Path:
    """Where answers are kept: in the run, or under results/ for other models."""
    if classifier.kind == "run" and classifier.path:
        return classifier.path / "analyses" / "report"
    return Path("results") / f"report-{classifier.digest[:12]}"


def write(subject: Subject, profile: Profile, told: Callable[[Written, int, int], None] = lambda *_: None) -> Report:
    """Write the sections of a report on a subject, one after the other.

    Args:
        subject: The model, and how it is asked.
        profile: The kind of report.
        told: Called with each section once it is written, its number from 1, and how many there are.
    """
    started = time.perf_counter()
    known = registry.sections()
    names = profiles.outline(profile, known.values())
    written = []
    for number, name in enumerate(names, start=1):
        written.append(_written(name, known.get(name), subject))
        told(written[-1], number, len(names))
    return Report(
        profile=profile,
        title=profile.title.format(model=subject.name),
        sections=tuple(written),
        record={
            **subject.record(),
            "profile": profile.name,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": versions(),
            "device": current_device(),
            "seconds": round(time.perf_counter() - started, 3),
        },
    )


def _written(name: str, section: Section | None, subject: Subject) -> Written:
    """Write a section, in its guard: whatever goes wrong in it is said in its place, and the others go on."""
    if section is None:
        return Written(name=name, title=name, reason=f"no plugin that is active provides the section {name!r}.")
    started = time.perf_counter()
    chapter, reason, failed = None, _lacking(section, subject), False
    if not reason:
        try:
            chapter = _asked(section, subject)
        except CnnlabError as error:
            reason, failed = str(error), isinstance(error, FailedError)
    seconds = round(time.perf_counter() - started, 3)
    return Written(
        name=name,
        title=section.title,
        chapter=chapter,
        reason=reason,
        failed=failed,
        seconds=seconds,
        owner=registry.provider(section).source.owner,
    )


def _lacking(section: Section, subject: Subject) -> str:
    if "run" in section.requires and subject.run is None:
        return "it is about a run, a folder that `cnnlab train` wrote, and this model is none."
    if "dataset" in section.requires and subject.dataset is None:
        return NO_DATASET
    return ""


def _asked(section: Section, subject: Subject) -> Chapter:
    write = registry.declared(section).write
    return answer_of(section, lambda: resolve(write)(subject), Chapter, "cnnlab.plugin.Chapter")
