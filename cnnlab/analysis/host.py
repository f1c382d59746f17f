"""The host: everything that every analysis needs, so that a plugin is its mathematics and nothing else.

It checks the parameters and what the model offers, seeds, times, runs the plugin in a guard, checks what came back
against what was declared, and writes down everything needed to repeat it.
"""

from __future__ import annotations

import importlib.metadata
import math
import os
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.analysis import inputs as reading
from cnnlab.analysis.context import Context, Progress
from cnnlab.analysis.declared import meaning
from cnnlab.analysis.inputs import Inputs
from cnnlab.analysis.result import SCHEMA, Result
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.plugins import registry
from cnnlab.plugins.declarations import Analysis, resolve
from cnnlab.plugins.params import Params
from cnnlab.versions import versions

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier


def analyze(
    name: str,
    model: Any,
    images: Any = None,
    labels: Any = None,
    *,
    seed: int = 0,
    dataset: Any = None,
    progress: Progress | None = None,
    **params: Any,
) -> Result:
    """Ask one question of one model: the same as ``cnnlab analyze NAME``, as a function.

    Args:
        name: The analysis, as ``cnnlab plugins list`` names it.
        model: A path to a run folder, a SavedModel or a ``.keras`` file, a live ``keras.Model``, or an opened
            :class:`~cnnlab.classifier.Classifier` (opening once and asking often saves time).
        images: Arrays [N, H, W, C] (or [N, H, W], [H, W, C], [H, W]) in the model's value range, a path to an image
            file or a list of them, or :class:`Inputs`. Analyses that look at the model alone take none.
        labels: The true labels, int [N]; None or -1 where unknown.
        seed: Seeds everything random in the analysis.
        dataset: A :class:`~cnnlab.datasets.Dataset` that the images belong to, for analyses that look at training
            images; by default the one the model was trained on, where it can be loaded.
        progress: Where to show progress; nowhere by default.
        **params: The analysis' own parameters.

    Returns:
        The Result, with its record filled in; ``result.save(DIR)`` writes what the command writes.

    Raises:
        UsageError: An unknown analysis or parameter, a value out of bounds, images that do not fit the model.
        CnnlabError: The model or an image cannot be read, or the analysis failed.
    """
    from cnnlab.classifier import load

    analysis = registry.find_analysis(name)
    checked = analysis.params.from_public(params)
    classifier = load(model)
    inputs = read_inputs(classifier, images, labels, dataset)
    return run(analysis, classifier, inputs, checked, seed=seed, progress=progress)


def read_inputs(classifier: Classifier, images: Any, labels: Any = None, dataset: Any = None) -> Inputs:
    """Make :class:`Inputs` of whatever a library caller has. See :func:`analyze` for what that may be."""
    if isinstance(images, Inputs):
        return images
    dataset = dataset if dataset is not None else training_dataset(classifier)
    if images is None:
        images = np.zeros((0, *(side or 1 for side in classifier.input_shape)), np.float32)
    if isinstance(images, (str, os.PathLike)):
        images = [images]
    if isinstance(images, Sequence) and images and all(isinstance(i, (str, os.PathLike)) for i in images):
        return reading.from_files(classifier, images, labels, dataset=dataset)
    return reading.from_arrays(classifier, images, labels, dataset=dataset)


def training_dataset(classifier: Classifier) -> Any:
    """Load the dataset that a run was trained on; None for other models, and where it is not to be had."""
    name = getattr(classifier, "dataset_name", None)
    if name is None:
        return None
    from cnnlab import datasets

    try:
        return datasets.load(name)
    except CnnlabError:
        return None


def run(
    analysis: Analysis,
    classifier: Classifier,
    inputs: Inputs,
    params: Params,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Result:
    """Run one analysis on an opened model and prepared inputs, and complete its Result.

    Raises:
        UsageError: The analysis needs images and got none.
        CnnlabError: The model lacks what the analysis needs, the plugin failed, or it broke its own declaration.
    """
    if analysis.inputs == "required" and not len(inputs):
        raise UsageError(
            f"{analysis.name} needs images: name files with --image, or a dataset with --dataset and --index or "
            "--limit."
        )
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageError(f"seed must be an integer of at least 0; received {seed}.")
    check_requirements(analysis, classifier)
    context = Context(seed, progress)
    for note in (*classifier.notes, *inputs.notes):
        context.warn(note)
    preflight = _preflight(analysis, classifier, inputs, context)
    started = time.perf_counter()
    result = _guarded(analysis, classifier, inputs, params, context)
    seconds = time.perf_counter() - started
    _check_declared(analysis, result)
    result, attacked = _check_adversarial(analysis, classifier, inputs, context, result)
    record = {
        **_record(analysis, classifier, inputs, params, context, result, seconds),
        **attacked,
        "preflight": preflight,
    }
    return replace(result, metrics=record["metrics"], record=record)


def check_requirements(analysis: Analysis, classifier: Classifier) -> None:
    """Check what can be known before any image is seen.

    Raises:
        CnnlabError: The model lacks what the analysis needs.
    """
    if "convolutions" in analysis.requires and not any(
        layer.kernel is not None and layer.kernel.ndim == 4 for layer in classifier.layers
    ):
        kinds = ", ".join(f"{layer.name} ({layer.kind})" for layer in classifier.layers) or "no layers"
        raise CnnlabError(f"{analysis.name} needs a model with convolutional layers; this one has {kinds}.")


def _preflight(analysis: Analysis, classifier: Classifier, inputs: Inputs, context: Context) -> dict[str, Any] | None:
    """Look at the gradients before an analysis uses them; None where it does not, or there are no images."""
    if "gradients" not in analysis.requires or not len(inputs):
        return None
    from cnnlab.classifier.preflight import preflight

    try:
        found = preflight(classifier, inputs.batches(classifier.batch_size))
    except CnnlabError as error:
        raise CnnlabError(f"{analysis.name} follows gradients, and cannot here: {error}") from error
    if found.warning:
        context.warn(found.warning)
    return found.to_json()


def _guarded(analysis: Analysis, classifier: Classifier, inputs: Inputs, params: Params, context: Context) -> Result:
    try:
        result = resolve(analysis.run)(classifier, inputs, params, context)
    except (CnnlabError, KeyboardInterrupt, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        raise _blame(analysis, f"failed: {type(error).__name__}: {error}") from error
    if not isinstance(result, Result):
        raise _blame(analysis, f"returned {type(result).__name__} where a cnnlab.analysis.Result was expected")
    return result


def _blame(analysis: Analysis, what: str) -> CnnlabError:
    """An error for the plugin's author: what happened, whose it is, and where to say so."""
    plugin = registry.provider(analysis)
    where = _issues_url(plugin.distribution)
    report = (
        f" Please report it at {where}." if where else f" Please report it to the authors of {plugin.distribution}."
    )
    return CnnlabError(
        f"the analysis {analysis.name!r} of {plugin.distribution} {plugin.version} {what.rstrip('.')}.{report} "
        "CNNLAB_DEBUG=1 shows where it happened."
    )


def _issues_url(distribution: str) -> str:
    try:
        urls = importlib.metadata.metadata(distribution).get_all("Project-URL") or []
    except importlib.metadata.PackageNotFoundError:
        return ""
    pairs = [url.partition(",") for url in urls]
    links = {label.strip(): link.strip() for label, _, link in pairs}
    wanted = [links[label] for label in links if re.search("issue|bug|tracker", label, re.IGNORECASE)]
    return (wanted or list(links.values()) or [""])[0]


def _check_declared(analysis: Analysis, result: Result) -> None:
    for name, array in result.arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufU":
            raise _blame(analysis, f"returned the array {name!r} as {type(array).__name__}, not as numbers in NumPy")
    for name, value in result.metrics.items():
        if not isinstance(value, (int, float, np.integer, np.floating)):
            raise _blame(analysis, f"returned the metric {name!r} as {type(value).__name__}, not as a number")
    for declared, delivered, noun in (
        (analysis.arrays, result.arrays, "array"),
        (analysis.metrics, result.metrics, "metric"),
    ):
        for name in delivered:
            if declared and meaning(declared, name) is None:
                raise _blame(analysis, f"returned the {noun} {name!r}, which it does not declare")


def _check_adversarial(
    analysis: Analysis, classifier: Classifier, inputs: Inputs, context: Context, result: Result
) -> tuple[Result, dict[str, Any]]:
    """Verify adversarial images before anybody reads of them; return what the record says of them."""
    from cnnlab.analysis import verify

    if not verify.is_adversarial(result.arrays):
        return replace(result, claims=None), {"claims": None, "images": []}
    result, found, record = verify.verified(classifier, result, inputs)
    if found.failed:
        first = found.failed[0]
        raise _blame(analysis, f"gave adversarial images that do not verify ({first.claim}): {first.says}")
    for finding in found.findings:
        if finding.state == "note":
            context.warn(finding.says)
    return result, record


def _record(
    analysis: Analysis,
    classifier: Classifier,
    inputs: Inputs,
    params: Params,
    context: Context,
    result: Result,
    seconds: float,
) -> dict[str, Any]:
    plugin = registry.provider(analysis)
    return {
        "schema": SCHEMA,
        "analysis": analysis.name,
        "plugin": {"distribution": plugin.distribution, "version": plugin.version},
        "params": params.to_json(),
        "model": {
            "path": str(classifier.path) if classifier.path else None,
            "kind": classifier.kind,
            "digest": classifier.digest,
            "about": classifier.about.to_json(),
        },
        "inputs": inputs.records(),
        "seed": context.seed,
        "metrics": {name: plain_number(value) for name, value in result.metrics.items()},
        "arrays": {
            name: {
                "shape": list(array.shape),
                "dtype": str(array.dtype),
                "meaning": meaning(analysis.arrays, name) or "",
            }
            for name, array in result.arrays.items()
        },
        "figures": [],
        "rows": [{key: plain_number(value) for key, value in row.items()} for row in result.rows],
        "versions": versions(),
        "device": _device(),
        "seconds": round(seconds, 3),
        "warnings": list(context.warnings),
    }


def plain_number(value: Any) -> Any:
    """Turn a NumPy scalar into JSON's number; what JSON has no number for (NaN, infinity) becomes None."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def _device() -> str:
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    return gpus[0].name.removeprefix("/physical_device:").lower() if gpus else "cpu"
