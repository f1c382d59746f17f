"""What a user says of a model that the model does not say itself, and the small file that remembers it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.files.reading import read_json, read_text
from cnnlab.files.writing import write_json
from cnnlab.words import shortened

SIDECAR = "cnnlab.json"

SCHEMES = ("imagenet", "caffe")
"""Preparations that are no mere range: ``imagenet`` takes off ImageNet's mean and divides by its standard deviation,
channel by channel, from images in [0, 1]; ``caffe`` takes its mean off images in [0, 255], whose channels it turns to
blue, green, red."""

Range = tuple[float, float] | Literal["imagenet", "caffe"]
Layout = Literal["channels_last", "channels_first"]


@dataclass(frozen=True, kw_only=True)
class About:
    """What is said of a model; None where nothing is.

    Attributes:
        signature: Which of a SavedModel's signatures to call.
        output: Which of the outputs holds the logits or probabilities.
        input_range: The values that the model's images have, (low, high), or one of :data:`SCHEMES`.
        class_names: The classes, in the order of their labels.
        layout: Whether the model's images are [N, H, W, C] or [N, C, H, W].
    """

    signature: str | None = None
    output: str | None = None
    input_range: Range | None = None
    class_names: tuple[str, ...] | None = None
    layout: Layout | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what is said, as :func:`make_about` takes it."""
        said = {name: value for name, value in vars(self).items() if value is not None}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}

    def over(self, other: About) -> About:
        """Return what is said here, and where nothing is, what is said in ``other``."""
        mine = {name: value for name, value in vars(self).items() if value is not None}
        return About(**{**vars(other), **mine})


def make_about(
    *,
    signature: str | None = None,
    output: str | None = None,
    input_range: str | Sequence[float] | None = None,
    class_names: Sequence[str] | None = None,
    layout: str | None = None,
) -> About:
    """Check what a user said, on the command line, in Python or in a file.

    Args:
        signature: A name.
        output: A name.
        input_range: ``"0,255"``, two numbers, ``"imagenet"`` or ``"caffe"``.
        class_names: Names.
        layout: ``channels_last`` or ``channels_first``.

    Raises:
        UsageError: Something is not as expected.
    """
    for name, value in (("signature", signature), ("output", output)):
        if not isinstance(value, str | None):
            raise UsageError(f"the {name} must be a text; received {value!r}.")
    if layout not in (None, "channels_last", "channels_first"):
        raise UsageError(f"layout must be channels_last or channels_first; received {layout}.")
    if class_names is not None and (
        isinstance(class_names, str | Mapping)
        or not len(class_names)
        or not all(isinstance(name, str) for name in class_names)
    ):
        raise UsageError(f"class names must be a list of texts; received {class_names!r}.")
    return About(
        signature=signature,
        output=output,
        input_range=_range(input_range),
        class_names=None if class_names is None else tuple(map(str, class_names)),
        layout=layout,  # type: ignore[arg-type]  # checked above
    )


def _range(value: str | Sequence[float] | None) -> Range | None:
    if value is None:
        return None
    if isinstance(value, str) and value in SCHEMES:
        return value  # type: ignore[return-value]
    try:
        low, high = (float(part) for part in (value.split(",") if isinstance(value, str) else value))
    except (TypeError, ValueError, OverflowError):
        low = high = math.nan
    if not low < high or math.isinf(low) or math.isinf(high):
        raise UsageError(
            f"the input range must be two numbers such as 0,255 or -1,1, the smaller first, or {' or '.join(SCHEMES)}; "
            f"received {value}."
        )
    return (low, high)


def read_class_names(path: Path) -> list[str]:
    """Read class names from a file: one a line, or a JSON list.

    Raises:
        CnnlabError: It cannot be read, or holds none.
    """
    if path.suffix == ".json":
        names = read_json(path)
        if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
            raise CnnlabError(f"{path} must hold a JSON list of names, each a text or a whole number.")
        return [str(name) for name in names]
    names = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    if not names:
        raise CnnlabError(f"{path} holds no class names; expected one a line.")
    return names


def sidecar(model: Path) -> Path:
    """Return where what is said of a model is remembered: in its folder, or beside its file."""
    return model / SIDECAR if model.is_dir() else model.with_name(f"{model.name}.{SIDECAR}")


def recall(model: Path) -> About:
    """Read what was remembered of a model; nothing where there is no such file.

    Raises:
        CnnlabError: The file is damaged.
    """
    path = sidecar(model)
    if not os.path.lexists(path):
        return About()
    try:
        said = read_json(path)
        known = {field.name for field in fields(About)}
        if not isinstance(said, dict) or set(said) - known:
            raise ValueError(f"expected an object with some of {', '.join(sorted(known))}")
        return make_about(**said)
    except (CnnlabError, ValueError, TypeError) as error:
        wrong = shortened(str(error).rstrip("."), 300)
        raise CnnlabError(f"{path} cannot be understood: {wrong}. Mend or delete it.") from error


def remember(model: Path, about: About) -> Path:
    """Write what is said of a model beside it, and return the file's path."""
    path = sidecar(model)
    write_json(path, about.to_json())
    return path
