"""What a section of a report says: figures, numbers with their intervals, and conclusions with their rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from cnnlab.drawings import Drawing
from cnnlab.drawings.tables import Table
from cnnlab.numerics import mean_interval, wilson_interval
from cnnlab.results.artifacts import Attached
from cnnlab.words import is_share, percent


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number, with what it is worth.

    Attributes:
        name: What it is called, in words (``"robust accuracy at epsilon 0.1"``).
        value: The number; None where there is none. What :attr:`meaning` calls a share is shown in percent.
        meaning: What it means, with its unit; as :attr:`Analysis.metrics` would say it.
        of: The sample that it was measured over: so many images.
        interval: The ends of its 95% interval; None where nothing is known of it.
        reported: What others reported of the same, in the same unit, to be shown beside it.

    Example:
        >>> Metric(name="loss", value=0.0309, meaning="mean cross-entropy, in nats", of=10_000).interval is None
        True
    """

    name: str
    value: float | None
    meaning: str = ""
    of: int | None = None
    interval: tuple[float, float] | None = None
    reported: float | None = None

    @classmethod
    def share(cls, name: str, count: int, of: int, meaning: str, reported: float | None = None) -> Metric:
        """Make one of a share of a sample, with its Wilson interval.

        Args:
            name: What it is called.
            count: How many.
            of: Of how many; of none, there is no value.
            meaning: What it means, beginning with "share".
            reported: The share that others reported.

        Example:
            >>> fooled = Metric.share("fooled", 9, 10, "share of the images that are fooled")
            >>> fooled.value, [round(end, 3) for end in fooled.interval]
            (0.9, [0.596, 0.982])
        """
        if not of:
            return cls(name=name, value=None, meaning=meaning, of=0, reported=reported)
        low, high = wilson_interval(count / of, of)
        ends = (float(low), float(high))
        return cls(name=name, value=count / of, meaning=meaning, of=of, interval=ends, reported=reported)

    @classmethod
    def mean(cls, name: str, values: np.ndarray, meaning: str) -> Metric:
        """Make one of a mean over a sample, with its interval by Student's t.

        Args:
            name: What it is called.
            values: What was measured of each image, [N]; those that are not finite do not count, and of none there is
                no value.
            meaning: What it means.

        Example:
            >>> import numpy as np
            >>> steps = Metric.mean("steps", np.array([9.0, 11.0, 13.0, np.nan]), "steps taken, mean over the images")
            >>> steps.value, steps.of, [round(end, 2) for end in steps.interval]
            (11.0, 3, [6.03, 15.97])
        """
        known = np.asarray(values, np.float64)
        known = known[np.isfinite(known)]
        ends = mean_interval(known) if len(known) > 1 else None
        if ends and is_share(meaning):
            ends = (max(0.0, ends[0]), min(1.0, ends[1]))
        value = float(known.mean()) if len(known) else None
        return cls(name=name, value=value, meaning=meaning, of=len(known), interval=ends)

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers and texts."""
        return {**vars(self), "interval": None if self.interval is None else list(self.interval)}


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What follows from the numbers, and by which rule.

    Attributes:
        says: One sentence worked out from the numbers, with the ones that it rests on.
        holds: Whether what one hopes of a model, or what was claimed of it, is so; None where the numbers do not tell.
            The sentence is true either way: it says what was found.
        rule: By which thresholds it was decided, and what would have been said otherwise: a sentence for readers.

    Example:
        >>> share = 0.2
        >>> Conclusion(
        ...     says=f"Few images are fooled: {share:.0%} of them.",
        ...     holds=share < 0.5,
        ...     rule="Few are fewer than half of the images.",
        ... ).holds
        True
    """

    says: str
    holds: bool | None
    rule: str

    @classmethod
    def on_most(
        cls, holds: Sequence[bool] | np.ndarray, what: str, claim: str, *, hoped: bool = True, nouns: str = "images"
    ) -> Self:
        """Conclude whether most images are something, by the 95% interval of their share.

        Args:
            holds: Whether each image is, [N]; independent of each other, so that several answers of an image are one.
            what: What they are, in words that go on after "Most images are".
            claim: What is claimed, or hoped, of them: the beginning of the rule.
            hoped: Whether it is hoped that they are; else that they are not.
            nouns: What they are called.

        Example:
            >>> Conclusion.on_most([True] * 10, "read as 8", "The images are to be read as 8.").says
            'Most images are read as 8: 10 of 10 (72.2% to 100%).'
            >>> Conclusion.on_most([True, False], "read as 8", "The images are to be read as 8.").holds is None
            True
        """
        rule = f"{claim} Decided by the 95% interval of the share of such {nouns}: most are where all of it is above "
        rule += "50%, fewer than half where all of it is below, and in between it stays open."
        count, total = int(np.sum(holds)), len(holds)
        if not total:
            return cls(says=f"There are no {nouns} to tell by whether most are {what}.", holds=None, rule=rule)
        low, high = map(float, wilson_interval(count / total, total))
        told = f"{what}: {count:,} of {total:,} ({percent(low)} to {percent(high)})."
        if low > 0.5:
            return cls(says=f"Most {nouns} are {told}", holds=hoped, rule=rule)
        if high < 0.5:
            return cls(says=f"Fewer than half of the {nouns} are {told}", holds=not hoped, rule=rule)
        return cls(says=f"It stays open whether most {nouns} are {told}", holds=None, rule=rule)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return dict(vars(self))


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A drawing, with what a reader needs to repeat it.

    Attributes:
        drawing: What to look at, its values arrays (see :meth:`Result.drawing`).
        caption: What is seen, in a sentence or two.
        command: The command that makes it again; empty where none can.
        params: The parameters that it was made with, defaults too.
        seed: What seeded it; None where nothing was random.
        rows: Its data by image or step, as records; what a reader may save as CSV.
        images: Digests of the images that the drawing's pictures number: pictures of one image share a pointer all over
            the page.
        attached: Files that belong to it: what the analysis wrote itself (:meth:`Context.artifact`).

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import Picture
        >>> Figure(drawing=Picture(values=np.eye(3)), caption="A diagonal.", command="cnnlab inspect").rows
        ()
    """

    drawing: Drawing
    caption: str = ""
    command: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    rows: Sequence[Mapping[str, Any]] = ()
    images: Sequence[str] = ()
    attached: Sequence[Attached] = ()


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """What a section says of a model.

    Attributes:
        says: What is shown and why one looks at it: a paragraph, or several.
        figures: What to look at.
        metrics: The numbers.
        tables: Numbers by row and column.
        conclusions: What follows from them.

    Example:
        >>> Chapter(says="The brightness of each image.").figures
        ()
    """

    says: str | Sequence[str]
    figures: Sequence[Figure] = ()
    metrics: Sequence[Metric] = ()
    tables: Sequence[Table] = ()
    conclusions: Sequence[Conclusion] = ()

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """What is said, paragraph by paragraph."""
        return (self.says,) if isinstance(self.says, str) else tuple(self.says)
