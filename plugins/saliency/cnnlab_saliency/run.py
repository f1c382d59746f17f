"""The analysis: a map for every image and, with ``--sanity``, how far each can be believed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnlab.analysis import Context, Inputs, Result
from cnnlab.classifier import Classifier
from cnnlab.errors import UsageError
from cnnlab_saliency import SaliencyParams, sanity
from cnnlab_saliency.drawing import figures, pictures
from cnnlab_saliency.maps import batch, make_map

BELIEVED = 0.5
"""A rank correlation with a model that has forgotten everything, above which the user is warned."""


def run(classifier: Classifier, inputs: Inputs, params: SaliencyParams, context: Context) -> Result:
    """Explain each image and, where that is asked for, put the explanations to the test."""
    _check_class(classifier, params)
    arrays = {"target": _targets(classifier, inputs, params)}
    arrays["map"] = _maps(classifier, inputs, params, context, arrays["target"], "maps")
    if params.sanity:
        arrays |= _shuffled(classifier, inputs, params, context, arrays)
        arrays |= _exchanged(classifier, inputs, params, context, arrays)
    metrics = _metrics(arrays)
    if metrics.get("sanity_all", 0.0) > BELIEVED:
        context.warn(
            f"with all weights shuffled the maps keep a rank correlation of {metrics['sanity_all']:.2f} with the "
            "model's own: they show the images more than what the model has learned."
        )
    return Result(
        arrays=arrays,
        metrics=metrics,
        figures=figures(classifier, inputs, params, arrays),
        rows=list(_rows(classifier, inputs, arrays)),
        pictures=pictures(classifier, inputs, params, arrays, 0),
    )


def _maps(
    classifier: Classifier,
    inputs: Inputs,
    params: SaliencyParams,
    context: Context,
    targets: np.ndarray,
    what: str,
) -> np.ndarray:
    explain = make_map(classifier, params)
    found: list[np.ndarray] = []
    first = 0
    with context.progress(what, len(inputs)) as advance:
        for number, (images, _) in enumerate(inputs.batches(batch(classifier))):
            # The same noise for every model, so that nothing but the model differs between two maps of an image.
            seed = int(np.random.SeedSequence([context.seed, number]).generate_state(1)[0])
            found.append(explain(images, targets[first : first + len(images)], seed))
            first += len(images)
            advance(len(images))
    return np.concatenate(found).astype(np.float32)


def _shuffled(
    classifier: Classifier, inputs: Inputs, params: SaliencyParams, context: Context, arrays: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Shuffle the weights from the top down, and compare the maps with the model's own."""
    cascade = sanity.stages(classifier)
    found: dict[str, np.ndarray] = {}
    likeness = np.zeros((len(cascade), len(inputs)))
    for stage, (name, layers) in enumerate(cascade):
        other = classifier.randomized(layers, context.seed)
        maps = _maps(other, inputs, params, context, arrays["target"], f"shuffled to {name}")
        found[f"sanity_map/{name}"] = maps
        likeness[stage] = sanity.similarity(arrays["map"], maps)
    found["sanity_layers"] = np.array([name for name, _ in cascade], dtype=np.str_)
    found["sanity_similarity"] = likeness
    return found


def _exchanged(
    classifier: Classifier, inputs: Inputs, params: SaliencyParams, context: Context, arrays: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Delete and insert pixels in the order of the map, and in a random one."""
    pixels = arrays["map"][0].size
    amounts = sanity.counts(pixels, params.steps)
    curves: dict[str, list[np.ndarray]] = {}
    with context.progress("deletion and insertion", len(inputs)) as advance:
        first = 0
        for images, _ in inputs.batches(classifier.batch_size):
            part = slice(first, first + len(images))
            score = _score(classifier, params, arrays["target"][part])
            fill = sanity.fill_values(images, params.fill, classifier.bounds)
            blank = sanity.blurred(images, params.blur)
            maps = arrays["map"][part]
            for suffix, order in (("", maps), ("_random", np.zeros_like(maps))):
                places = sanity.ranks(order, context.rng)
                for name, start, end in (("deletion", images, fill), ("insertion", blank, images)):
                    curve = sanity.exchange(start, end, places, amounts, score)
                    curves.setdefault(name + suffix, []).append(curve)
            first += len(images)
            advance(len(images))
    return {"fraction": amounts / pixels} | {name: np.concatenate(parts) for name, parts in curves.items()}


def _score(classifier: Classifier, params: SaliencyParams, targets: np.ndarray) -> sanity.Score:
    read = classifier.logits if params.score == "logit" else classifier.probabilities
    return lambda images: read(images)[np.arange(len(targets)), targets]


def _metrics(arrays: dict[str, np.ndarray]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    if "sanity_layers" in arrays:
        with warnings.catch_warnings():  # a mean over no map at all is NaN, and that is what is to be said
            warnings.simplefilter("ignore", RuntimeWarning)
            means = np.nanmean(arrays["sanity_similarity"], axis=1)
        metrics = {f"sanity/{name}": float(mean) for name, mean in zip(arrays["sanity_layers"], means, strict=True)}
        if len(means):
            metrics["sanity_all"] = float(means[-1])
    for name in ("deletion", "insertion", "deletion_random", "insertion_random"):
        if name in arrays:
            metrics[f"{name}_area"] = float(sanity.area(arrays[name], arrays["fraction"]).mean())
    return metrics


def _rows(classifier: Classifier, inputs: Inputs, arrays: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    for index, source in enumerate(inputs.sources):
        row, col = np.unravel_index(int(arrays["map"][index].argmax()), arrays["map"].shape[1:])
        found = {
            "image": source,
            "class": classifier.class_names[arrays["target"][index]],
            "at_row": int(row),
            "at_col": int(col),
        }
        if len(arrays.get("sanity_similarity", ())):
            found["sanity_all"] = float(arrays["sanity_similarity"][-1, index])
        for name in ("deletion", "insertion"):
            if name in arrays:
                found[f"{name}_area"] = float(sanity.area(arrays[name][index : index + 1], arrays["fraction"])[0])
        yield found


def _targets(classifier: Classifier, inputs: Inputs, params: SaliencyParams) -> np.ndarray:
    if params.class_ is not None:
        return np.full(len(inputs), params.class_, np.int64)
    predicted = [classifier.predict(images) for images, _ in inputs.batches(classifier.batch_size)]
    return np.where(inputs.labels >= 0, inputs.labels, np.concatenate(predicted)).astype(np.int64)


def _check_class(classifier: Classifier, params: SaliencyParams) -> None:
    if params.class_ is not None and params.class_ >= classifier.num_classes:
        raise UsageError(
            f"class must be one of the model's {classifier.num_classes} classes, 0 to {classifier.num_classes - 1}; "
            f"received {params.class_}."
        )
