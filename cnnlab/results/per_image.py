"""What the numbers of a saved result are means of: a value for each image, so that two results can be paired."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.numerics import UNKNOWN, known_mean
from cnnlab.results.rows import Column, columns_of

if TYPE_CHECKING:
    from cnnlab.results.result import Result

YES_NO = {"yes": 1.0, "no": 0.0, "undone by rounding": 0.0, True: 1.0, False: 0.0}
"""What a cell of a row counts as; an image with any other word (misread before, say) takes no part."""


@dataclass(frozen=True)
class PerImage:
    """The values of each image, by the name of the number that is their mean.

    Attributes:
        keys: What each image is: the digest of its pixels, or its place in the dataset of that digest. [N], each once.
        values: By number, float64 [N]; NaN where the image takes no part.
    """

    keys: np.ndarray
    values: Mapping[str, np.ndarray]


def per_image(result: Result) -> PerImage | None:
    """Find the values of each image in a result's rows and arrays; None where it is about no given images.

    A metric has such values where the mean of the column of its name, or of what its arrays say of each image, is the
    metric itself; columns of fractions that no metric sums up are taken too. Of several rows for one image the mean
    counts.
    """
    strengths = tuple(dict.fromkeys(at for name in result.metrics if (at := name.partition("@")[2])))
    keys, columns = _of_rows(result, strengths) if result.rows else (_keys(result), {})
    if keys is None or not len(keys):
        return None
    candidates = {**columns, **dict(_of_arrays(result, len(keys)))}
    images, places = np.unique(keys, return_inverse=True)
    values = {name: _by_image(each, places, len(images)) for name, each in _named(result, candidates, strengths)}
    return PerImage(images, values)


def _keys(result: Result) -> np.ndarray | None:
    """What identifies each image of a result without rows."""
    dataset = result.record.get("dataset") or {}
    if "digest" in dataset and "index" in result.arrays:
        return np.char.add(f"{dataset['digest']}/{dataset['split']}:".encode(), result.arrays["index"].astype("S20"))
    return _digests(result)


def _digests(result: Result) -> np.ndarray:
    """Of the images that were given, in hexadecimal, bytes [N]."""
    return np.array([digest.encode() for digest in columns_of(result.inputs).get("digest", ())], "S")


def _of_rows(result: Result, strengths: Sequence[str]) -> tuple[np.ndarray | None, dict[str, np.ndarray]]:
    """Return what identifies the image of each entry, [N], and the columns of the rows, [E, N].

    The rows of the E strengths of an entry follow each other; without strengths E is 1. There may be several entries
    for an image: targets.
    """
    columns, claims = columns_of(result.rows), result.claims
    several = bool(strengths) and claims is not None and claims.axis in columns
    count = len(strengths) if several else 1
    keys = _keys_of(columns.get("image", ())[::count], result)
    if keys is None or len(result.rows) % count:
        return None, {}
    leave_out = {"image", claims.axis if claims is not None and several else "image"}
    numbers = {name: _numbers(each).reshape(-1, count).T for name, each in columns.items() if name not in leave_out}
    return keys, {name: values for name, values in numbers.items() if not np.isnan(values).all()}


def _keys_of(images: Sequence[Any], result: Result) -> np.ndarray | None:
    """The digests of images by their sources; None where one is none of those given."""
    sources = columns_of(result.inputs).get("source", ())
    if len(images) == len(sources) and all(map(operator.eq, map(str, images), map(str, sources))):
        return _digests(result)
    digests = dict(zip(map(str, sources), _digests(result), strict=True))
    keys = [digests.get(str(image)) for image in images]
    return None if None in keys or not keys else np.array(keys)


def _numbers(values: Sequence[Any]) -> np.ndarray:
    """A column as numbers, float64 [N]; NaN where an image takes no part."""
    if isinstance(values, Column) and values.kind in ("int", "float", "bool"):
        numbers = np.array(values.values, np.float64)
        numbers[~np.isfinite(numbers) if values.missing is None else values.missing] = np.nan
        return numbers
    return np.array([_number(value) for value in values], np.float64)


def _number(cell: Any) -> float:
    if isinstance(cell, str | bool):
        return YES_NO.get(cell, np.nan)
    return float(cell) if isinstance(cell, int | float) else np.nan


def _of_arrays(result: Result, count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Work out of labels, where the arrays hold them, which images count in the accuracies: [E, N]."""
    arrays = {name: np.atleast_2d(array) for name, array in result.arrays.items() if array.shape[-1:] == (count,)}
    if "label" not in arrays:
        return
    label = arrays["label"]

    def right(reads: np.ndarray) -> np.ndarray:
        return np.where(label == UNKNOWN, np.nan, reads == label)

    if "predicted" in arrays:
        yield "accuracy", right(arrays["predicted"])
        yield "mean_confidence", arrays["confidence"]
        with np.errstate(divide="ignore"):
            yield "loss", -np.log(arrays["probability_of_label"].astype(np.float64))
        for place, name in enumerate(result.record.get("classes", ())):
            yield f"class_accuracy/{name}", np.where(label == place, right(arrays["predicted"]), np.nan)
    if "label_before" in arrays:
        before = right(arrays["label_before"])
        yield "accuracy_before", before
        yield "misread_before", 1 - before
        if "label_after" in arrays:
            for name in ("accuracy", "accuracy_after"):
                yield name, before * right(arrays["label_after"])
        if "standing" in arrays:
            yield "accuracy", np.where(label == UNKNOWN, np.nan, arrays["standing"])
            yield "success", np.where(before == 1, ~arrays["standing"], np.nan)
    for name, reads in arrays.items():
        if name.endswith("_label_after"):
            yield name.removesuffix("_label_after"), right(reads)


def _named(
    result: Result, candidates: Mapping[str, np.ndarray], strengths: Sequence[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Give each candidate [E, N] the name of the metric that is its mean, or its own where it is no metric's."""
    summed_up, columns = set(), columns_of(result.rows)
    for name, metric in result.metrics.items():
        base, _, strength = name.partition("@")
        # The metric correlation/conv1 of a layer may be the mean of a column conv1_correlation.
        found = next((key for key in (base, name, "_".join(base.split("/")[::-1])) if key in candidates), None)
        if found is None or metric is None:
            continue
        summed_up.add(found)
        values = candidates[found]
        row = values[strengths.index(strength) if strength and len(values) > 1 else 0]
        if np.isclose(known_mean(row), metric, rtol=1e-4, atol=1e-9):
            yield name, row
    for name, values in candidates.items():
        fractions = values[np.isfinite(values)]
        words = any(value in ("yes", "no") for value in columns.get(name, ()))
        if name not in summed_up and (words or (fractions != fractions.round()).any()):
            same = np.array_equal(values, np.broadcast_to(values[0], values.shape), equal_nan=True)
            for row, strength in zip(values[:1] if same else values, ("",) if same else strengths, strict=True):
                yield f"{name}@{strength}" if strength else name, row


def _by_image(values: np.ndarray, places: np.ndarray, images: int) -> np.ndarray:
    """The mean over the entries of each image that take part, [images]; NaN where none does."""
    known = np.isfinite(values)
    counts = np.bincount(places[known], minlength=images)
    sums = np.bincount(places[known], values[known], images)
    return np.divide(sums, counts, out=np.full(images, np.nan), where=counts > 0)
