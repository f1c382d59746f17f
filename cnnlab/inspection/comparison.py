"""Runs side by side, or results side by side: which of both is asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cnnlab.errors import UsageError
from cnnlab.results.comparison import ResultComparison, compare_results
from cnnlab.results.folder import RECORD
from cnnlab.results.result import Result
from cnnlab.runs import Run, find
from cnnlab.runs.comparison import Comparison, compare_runs


def compare(*chosen: str | os.PathLike[str] | Run | Result) -> Comparison | ResultComparison:
    """Put runs side by side, or results of one analysis.

    Of runs: accuracy, loss, time per epoch, and their curves. Of results: every number of each beside the first's, with
    the difference and, where both have it of the same images, its 95% interval, paired by image: Newcombe's of paired
    shares (1998, method 10), or Student's of the differences.

    Args:
        *chosen: Two or more run folders, or names of runs below ``runs/``; or two or more results, or folders of such.

    Raises:
        UsageError: There are fewer than two, runs and results are mixed, or the results are of different analyses or
            have no image in common.
        CnnlabError: One is no complete run, has no history, or is a result that cannot be read.

    Example:
        >>> import numpy as np
        >>> from cnnlab.datasets import Dataset, Split
        >>> from cnnlab.testing import FakeClassifier
        >>> split = Split(np.array([0, 255, 255], np.uint8)[:, None, None], [0, 1, 1])
        >>> data = Dataset(name="spots", train=split[:0], test=split, class_names=("dark", "bright"))
        >>> import cnnlab
        >>> one = cnnlab.evaluate(FakeClassifier.of_brightness((1, 1, 1)), data)
        >>> other = cnnlab.evaluate(FakeClassifier(lambda images: images[:, 0, 0] * [1, 0], (1, 1, 1), 2), data)
        >>> accuracy = compare(one.result(), other.result()).against[0].differences[0]
        >>> accuracy.images, round(accuracy.difference, 3)
        (3, -0.667)
    """
    if len(chosen) < 2:
        raise UsageError(
            f"compare needs two runs or more; received {len(chosen)}. `cnnlab runs` lists them; two results of one "
            "analysis will do as well."
        )
    results = [_is_result(each) for each in chosen]
    if all(results):
        read, paths = zip(*map(_result, chosen), strict=True)
        return compare_results(read, paths)
    if any(results):
        one, other = chosen[results.index(True)], chosen[results.index(False)]
        raise UsageError(f"runs and results cannot be compared with each other: {one} is a result, and {other} is not.")
    return compare_runs([_run(each) for each in chosen])


def _is_result(each: Any) -> bool:
    return isinstance(each, Result) or (isinstance(each, str | os.PathLike) and (Path(each) / RECORD).is_file())


def _result(each: Any) -> tuple[Result, Path | None]:
    """Return a result, and where it was read from."""
    return (each, None) if isinstance(each, Result) else (Result.load(each), Path(each))


def _run(each: Any) -> Run:
    if isinstance(each, Run):
        return each
    if isinstance(each, str | os.PathLike):
        return find(each)
    raise UsageError(
        f"compare takes runs: folders, names below runs/, or a Run; or results; received a {type(each).__name__}."
    )
