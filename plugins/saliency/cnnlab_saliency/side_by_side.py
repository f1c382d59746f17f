"""Every method that applies to a model, side by side, and how far their maps agree."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from cnnlab.plugin import (
    At,
    Classifier,
    CnnlabError,
    Context,
    Drawing,
    Inputs,
    Matrix,
    Picture,
    Result,
    correlation,
    known_mean,
)
from cnnlab_saliency import METHODS, OF_A_LAYER, Method, SaliencyParams
from cnnlab_saliency.maps import WORDS, headline, mapped, name_of


def all_methods(
    classifier: Classifier, inputs: Inputs, params: SaliencyParams, context: Context, targets: np.ndarray
) -> Result:
    """Explain each image for its class, ``targets`` [N], by every method that applies, and compare the maps.

    Raises:
        CnnlabError: No method applies to this model.
    """
    maps, told = applicable(classifier, inputs, params, context, targets)
    alike = rank_correlations(list(maps.values()))
    classes = [classifier.class_names[label] for label in targets]
    return Result(
        arrays={
            **told,
            "target": targets,
            "methods": np.array(list(maps)),
            "rank_correlation": alike,
            **{f"map/{method}": planes for method, planes in maps.items()},
        },
        show=functools.partial(show, inputs, params, list(maps), classes),
        title="What the class rests on, by each method",
        drawings=agreement(list(maps), alike),
    )


def sum_up(
    classifier: Classifier, params: SaliencyParams, arrays: Mapping[str, np.ndarray]
) -> tuple[str, dict[str, list[str]], np.ndarray]:
    """Say which maps agree: the headline, where each is largest as columns, and the agreement of each image [N]."""
    maps: dict[Method, np.ndarray] = {
        method: arrays[f"map/{method}"] for method in METHODS if f"map/{method}" in arrays
    }
    alike = arrays["rank_correlation"]
    above = np.triu_indices(len(maps), k=1)
    agree = np.array([known_mean(image[above]) for image in np.moveaxis(alike, -1, 0)])
    peaks = {f"peak/{method}": [peak(plane) for plane in planes] for method, planes in maps.items()}
    return comparison(classifier, params, maps, alike), peaks, agree


def applicable(
    classifier: Classifier, inputs: Inputs, params: SaliencyParams, context: Context, targets: np.ndarray
) -> tuple[dict[Method, np.ndarray], dict[str, np.ndarray]]:
    """Return the maps [N, H, W] of every method that applies, by its name, and what there is to tell of each image.

    Raises:
        CnnlabError: None applies.
    """
    maps: dict[Method, np.ndarray] = {}
    columns: dict[str, np.ndarray] = {}
    failed: dict[Method, CnnlabError] = {}
    for method in METHODS:
        try:
            maps[method], more = mapped(alone(params, method), classifier, inputs, targets, context)
        except CnnlabError as error:
            failed[method] = error
        else:
            columns |= more
    if not maps:
        raise next(iter(failed.values()))
    for reason in dict.fromkeys(map(str, failed.values())):
        methods = ", ".join(method for method, error in failed.items() if str(error) == reason)
        context.warn(f"left out, as not for this model: {methods}: {reason}")
    return maps, columns


def alone(params: SaliencyParams, method: Method) -> SaliencyParams:
    """Return the parameters of one method among all."""
    return replace(params, method=method, layer=params.layer if method in OF_A_LAYER else None)


def rank_correlations(maps: Sequence[np.ndarray]) -> np.ndarray:
    """Return Spearman's rank correlation of any two of M methods' maps, each [N, H, W]: float64 [M, M, N].

    Equal pixels share their mean rank; NaN where one map is flat.
    """
    from scipy.stats import rankdata

    ranks = [rankdata(planes.reshape(len(planes), -1), axis=1) for planes in maps]
    return np.array([[correlation(one, other) for other in ranks] for one in ranks])


def comparison(
    classifier: Classifier, params: SaliencyParams, maps: dict[Method, np.ndarray], alike: np.ndarray
) -> str:
    """Say which two methods agree most and which least, by their rank correlations [M, M, N]."""
    if len(maps) == 1:
        (method, planes), *_ = maps.items()
        own = alone(params, method)
        return headline(own, name_of(own, classifier), planes)
    names = [WORDS[method] for method in maps]
    pairs = [
        (known_mean(alike[one, other]), f"{names[one]} and {names[other]}")
        for one, other in zip(*np.triu_indices(len(maps), k=1), strict=True)
    ]
    known = sorted(pair for pair in pairs if np.isfinite(pair[0]))
    if not known:
        return "No two maps can be compared: of each image, one at most is not flat"
    (least, who_least), (most, who_most) = known[0], known[-1]
    where = "" if alike.shape[-1] == 1 else ", mean over the images"
    if len(known) == 1:
        said = f"{who_most} agree to a rank correlation of {most:.2f}{where}"
    else:
        said = (
            f"{who_most} agree most, with a rank correlation of {most:.2f}{where}; {who_least} least, with {least:.2f}"
        )
    return said[0].upper() + said[1:]


def peak(plane: np.ndarray) -> str:
    """Say at which row and column a map [H, W] is largest; a dash where it is flat."""
    if np.ptp(plane) == 0:
        return "-"
    row, col = np.unravel_index(plane.argmax(), plane.shape)
    return f"{row}, {col}"


def show(
    inputs: Inputs, params: SaliencyParams, methods: Sequence[str], classes: Sequence[str], index: int
) -> list[Picture]:
    """The image, and its map by each method over it."""
    image, outline = inputs.picture(index), inputs.unit_image(index)
    maps = [
        Picture(
            values=At(f"map/{method}", index),
            title=WORDS[method],
            scale="diverging" if params.signed else "sequential",
            outline=outline,
        )
        for method in methods
    ]
    return [replace(image, title=f"{image.title}\nfor {classes[index]}"), *maps]


def agreement(methods: Sequence[str], alike: np.ndarray) -> dict[str, Drawing]:
    """Draw how far any two methods agree, by their rank correlations [M, M, N], where there are two."""
    if len(methods) == 1:
        return {}
    means = np.array([[known_mean(images) for images in row] for row in alike])
    count = alike.shape[-1]
    matrix = Matrix(
        values=means,
        rows=tuple(methods),
        columns=tuple(methods),
        row_label="method",
        column_label="method",
        title=f"How far the methods agree, {f'mean of {count:,} images' if count > 1 else '1 image'}",
        unit="rank correlation",
        scale="diverging",
        limits=(-1.0, 1.0),
        number=".2f",
        plain_diagonal=True,
    )
    return {"agreement": matrix}
