"""What ``result.json`` must say, checked once, where it is read: whoever asks it for something then gets it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Len

from cnnlab.errors import CnnlabError
from cnnlab.files.reading import check_typed
from cnnlab.results.artifacts import ARTIFACTS, NAME
from cnnlab.results.images import IMAGES
from cnnlab.results.rows import Kind
from cnnlab.words import shortened

SCHEMA = 1

SCHEMA_OF_MANY = 2
"""That of a result whose images or rows are too many for result.json and lie beside it. Whoever reads schema 1 expects
lists there: it is told by the number that it cannot read this, and every other result stays as it was."""

NAMES = re.compile(
    rf"arrays\.npz|drawings\.json|rows\.parquet|\w+\.csv|figure[^/\\]*\.(png|svg|pdf)|{IMAGES}/[^/\\]+\.png"
    rf"|{ARTIFACTS}/{NAME}"
)
"""What a result's folder holds beside its record. A record from elsewhere must not lead to other files."""

DIGEST = "digest"
"""The entry by which a record tells that it is as it was written."""

_STRICT = {"allow_inf_nan": False, "strict": True}

Count = Annotated[int, Ge(0)]
Cell = str | bool | int | float | None


@dataclass(kw_only=True)
class Plugin:
    """What provides the analysis."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    distribution: str
    version: str


@dataclass(kw_only=True)
class About:
    """What was said of the model."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    signature: str | None = None
    output: str | None = None
    input_range: str | Annotated[list[float], Len(2, 2)] | None = None
    class_names: list[str] | None = None
    layout: str | None = None


@dataclass(kw_only=True)
class Model:
    """The model."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    path: str | None
    kind: str
    digest: str
    about: About | None = None


@dataclass(kw_only=True)
class Input:
    """An image that was given."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    source: str
    digest: str
    shape: list[Count]
    label: int | None


@dataclass(kw_only=True)
class InputsBeside:
    """The images that were given, where they are too many to be listed."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    count: Count
    file: Literal["inputs.csv"]
    digest: str


@dataclass(kw_only=True)
class RowsBeside:
    """The rows, where they are too many; of each column what it holds."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    count: Count
    file: Literal["rows.csv", "rows.parquet"]
    columns: dict[str, Kind]


@dataclass(kw_only=True)
class Data:
    """The dataset of the images; of an evaluation, which part of it."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    name: str
    source: str | None = None
    split: str | None = None
    images: Count | None = None
    digest: str | None = None


@dataclass(kw_only=True)
class Described:
    """An array."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    shape: list[Count]
    dtype: str
    meaning: str = ""
    axes: list[str] | None = None


@dataclass(kw_only=True)
class Claimed:
    """What an attack promises, and what was seen of it."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    norm: Literal["linf", "l2"] | None
    epsilons: list[float] | None
    eight_bit: bool
    strengths: list[float] | None
    axis: str
    bounds: Annotated[list[float], Len(2, 2)]
    original: str

    def __post_init__(self) -> None:
        if not re.fullmatch("[a-z][a-z_]*", self.axis):
            raise ValueError("the axis of strengths to be called by a lower-case word")


@dataclass(kw_only=True)
class Written:
    """A saved adversarial image; its strength stands beside it, by the name of its axis."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    file: str
    index: Count
    epsilon: float | None
    label_after: int
    confidence_after: float
    success: bool | None


@dataclass(kw_only=True)
class Listed:
    """A file that the analysis wrote itself."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    file: str
    media_type: str


@dataclass(kw_only=True)
class Record:
    """``result.json``. What earlier versions did not write has a default."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    schema: Literal[1]
    analysis: str
    params: dict[str, Any]
    model: Model
    inputs: list[Input]
    seed: Count
    metrics: dict[str, float | None]
    arrays: dict[str, Described]
    figures: list[str]
    files: dict[str, str]
    versions: dict[str, str | None]
    device: str
    seconds: float
    warnings: list[str]
    headline: str = ""
    plugin: Plugin | None = None
    dataset: Data | None = None
    rows: list[dict[str, Cell]] = field(default_factory=list)
    meanings: dict[str, dict[str, str]] = field(default_factory=dict)
    preflight: dict[str, Any] | None = None
    claims: Claimed | None = None
    images: list[Written] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    models: dict[str, Model] = field(default_factory=dict)
    artifacts: list[Listed] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    digest: str | None = None

    def __post_init__(self) -> None:
        images, artifacts = (each.file for each in self.images), (each.file for each in self.artifacts)
        for name in (*self.files, *self.figures, *images, *artifacts):
            if not NAMES.fullmatch(name):
                raise ValueError(f"files of a result alone, and not {shortened(name, 60)!r}")


@dataclass(kw_only=True)
class RecordOfMany(Record):
    """``result.json`` where a list lies in a file beside it."""

    schema: Literal[2]  # type: ignore[assignment]
    inputs: InputsBeside | list[Input]  # type: ignore[assignment]
    rows: RowsBeside | list[dict[str, Cell]] = field(default_factory=list)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        beside = [part.file for part in (self.inputs, self.rows) if not isinstance(part, list)]
        if not beside or not set(beside) <= set(self.files):
            raise ValueError(f"digests of its lists among its files: {' and '.join(beside) or 'a list in one of them'}")


_SCHEMAS: dict[Any, type[Record]] = {SCHEMA: Record, SCHEMA_OF_MANY: RecordOfMany}


def lists_beside(record: Mapping[str, Any]) -> dict[str, str]:
    """Return which of its lists a record has in a file beside it: the file, by the key.

    >>> lists_beside({"inputs": {"count": 20_000, "file": "inputs.csv", "digest": "0"}, "rows": []})
    {'inputs': 'inputs.csv'}
    """
    return {key: record[key]["file"] for key in ("inputs", "rows") if isinstance(record.get(key), Mapping)}


def schema_of(record: Mapping[str, Any]) -> int:
    """Return the schema that a record with these lists has."""
    return SCHEMA_OF_MANY if lists_beside(record) else SCHEMA


def check_record(record: Any, path: Path) -> dict[str, Any]:
    """Return the record of a result as it is written, each key of :class:`Record` and of the type there.

    Args:
        record: What was read.
        path: Where.

    Raises:
        CnnlabError: It was written by a newer cnnlab, or something in it is missing or of another type.
    """
    found = record.get("schema") if isinstance(record, dict) else None
    if isinstance(found, bool) or not isinstance(found, int) or found not in _SCHEMAS:
        raise CnnlabError(
            f"{path} has schema {shortened(repr(found), 60)}; this cnnlab reads schemas {SCHEMA} and {SCHEMA_OF_MANY}, "
            "which `cnnlab analyze NAME --out DIR` writes."
        )
    return check_typed(record, _SCHEMAS[found], path, "Run the analysis again.")


def signed(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with its own digest: of use against accidents and edits by hand, and no proof of anything."""
    return {**record, DIGEST: _digest_of(record)}


def is_as_signed(record: Mapping[str, Any]) -> bool | None:
    """Whether a record is what it was when it was written; None where it does not say."""
    return record[DIGEST] == _digest_of(record) if record.get(DIGEST) else None


def _digest_of(record: Mapping[str, Any]) -> str:
    said = {key: value for key, value in record.items() if key != DIGEST}
    found = hashlib.sha256()
    for piece in json.JSONEncoder(sort_keys=True).iterencode(said):  # the pieces of many images fill the memory
        found.update(piece.encode())
    return found.hexdigest()
