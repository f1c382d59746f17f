"""What an attack promises of its images, as data that lies with its result."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from cnnlab.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What an attack promises of its images beyond their labels.

    Attributes:
        norm: In which norm the change is bounded; None where it is not.
        epsilons: The bounds, in the units of the model's value range: one for each entry of the leading axis E of
            ``adversarial``, or a single one.
        eight_bit: Whether every adversarial image lies on the model's 8-bit grid.
        strengths: What the axis E stands for where that is no epsilon (beta, or the target), one number for each entry.
        axis: The name of what it stands for: the key in the rows, and part of the names of the image files.

    Raises:
        UsageError: The axis is not called by a lower-case word.

    Example:
        >>> Claims(norm="linf", epsilons=(0.1, 0.2)).names(2)
        ('0.1', '0.2')
    """

    norm: Literal["linf", "l2"] | None = None
    epsilons: tuple[float, ...] | None = None
    eight_bit: bool = False
    strengths: tuple[float, ...] | None = None
    axis: str = "epsilon"

    def __post_init__(self) -> None:
        for name in ("epsilons", "strengths"):
            values = getattr(self, name)
            if values is not None:
                object.__setattr__(self, name, tuple(float(value) for value in values))
        if not re.fullmatch("[a-z][a-z_]*", self.axis):
            raise UsageError(f"the axis of strengths must be called by a lower-case word; received {self.axis!r}.")

    def to_json(self) -> dict[str, Any]:
        """Return the claims as ``result.json`` holds them."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Claims:
        """Read the claims back from ``record``; what the host wrote beside them is left out."""
        known = {name: record[name] for name in cls.__dataclass_fields__ if name in record}
        return cls(**known)

    def names(self, count: int) -> tuple[str, ...]:
        """Name the strengths along an axis E of length ``count``, each as ``%g``; a single strength has no axis.

        Raises:
            UsageError: There is not one strength for each entry, or two are alike.
        """
        return () if count == 1 else self.strength_names(count)

    def strength_names(self, count: int) -> tuple[str, ...]:
        """Name ``count`` strengths, also where there is one, which is called by its epsilon or strength.

        Raises:
            UsageError: See :meth:`names`.
        """
        values = self.strengths if self.strengths is not None else self.epsilons
        if values is None:
            values = tuple(range(count))
        if len(values) != count:
            raise UsageError(f"there must be one strength for each of {count} along axis E; received {len(values)}.")
        names = tuple(f"{value:g}" for value in values)
        if len(set(names)) < count:
            names = tuple(repr(float(value)) for value in values)
        if len(set(names)) < count:
            raise UsageError(f"the strengths must differ; received {', '.join(names)}.")
        return names

    def metrics(self, values: Mapping[str, Iterable[float]]) -> dict[str, float]:
        """Name numbers of each strength [E] as metrics: ``reached@0.1``; ``reached`` where there is a single one.

        Args:
            values: By name, a number for each strength, [E].

        Example:
            >>> Claims(epsilons=(0.1, 0.2)).metrics({"reached": (0.25, 1)})
            {'reached@0.1': 0.25, 'reached@0.2': 1.0}
        """
        numbers = {name: [float(value) for value in each] for name, each in values.items()}
        strengths = self.names(max(map(len, numbers.values()), default=1))
        return {
            f"{name}@{strength}" if strength else name: numbers[name][index]
            for index, strength in enumerate(strengths or ("",))
            for name in numbers
        }
