"""What a run's record must say, checked once, where it is read: whoever asks it for something then gets it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Len

from cnnlab.files.reading import check_typed, read_json

SCHEMA = 1

_FINITE = {"allow_inf_nan": False, "strict": True}

Images = Literal["test images", "held-out training images"]
Count = Annotated[int, Ge(0)]


@dataclass(kw_only=True)
class Learned:
    """The dataset of a run."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FINITE

    name: str
    source: str
    digest: str
    class_names: Annotated[list[str], Len(1)]
    shape: Annotated[list[Annotated[int, Ge(1)]], Len(3, 3)]
    value_range: Annotated[list[float], Len(2, 2)]
    training_images: Count
    validation_images: Count
    test_images: Count

    def __post_init__(self) -> None:
        if self.value_range[0] >= self.value_range[1]:
            raise ValueError("value_range to rise")


@dataclass(kw_only=True)
class Started:
    """What is known of a run before its first step: ``checkpoint/settings.json``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FINITE

    schema: Literal[1]
    created: str
    settings: dict[str, str | bool | int | float | None]
    recipe: dict[str, str | bool | int | float | None] = field(default_factory=dict)
    dataset: Learned
    architecture: str
    batch_norm: bool
    epochs: Annotated[int, Ge(1)]
    seed: Count
    validated_on: Images
    device: str
    workers: Annotated[int, Ge(1)] = 1
    versions: dict[str, str | None]


@dataclass(kw_only=True)
class Class:
    """How one class is read by the final weights; no accuracy where there is no image of it."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FINITE

    name: str
    images: Count
    accuracy: float | None


@dataclass(kw_only=True)
class Final:
    """The final numbers."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FINITE

    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    test_loss: float = 0.0
    test_accuracy: float = 0.0


@dataclass(kw_only=True)
class Finished(Started):
    """What is known of a run at its end: ``run.json``."""

    finished: str
    seconds: float
    parameters: dict[str, Count]
    metrics: Final
    evaluated_on: Images
    classes: list[Class]
    confusion: list[list[Count]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    digest: str | None = None


def read_record(path: str | os.PathLike[str], *, complete: bool) -> dict[str, Any]:
    """Read the record of a run.

    Args:
        path: ``run.json``, or ``checkpoint/settings.json``.
        complete: Whether it is of a run that has come to its end.

    Returns:
        It, as it is written: each key of :class:`Finished`, or of :class:`Started`, and of the type there.

    Raises:
        CnnlabError: It cannot be read, or something in it is missing or of another type.
    """
    kind = Finished if complete else Started
    return check_typed(read_json(path), kind, path, "Restore the file, or train the run anew.")
