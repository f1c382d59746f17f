"""Fooling images (Nguyen, Yosinski and Clune, 2015), made by climbing logits (Simonyan and others, 2014) from noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnlab.plugin import (
    UNKNOWN,
    Adam,
    At,
    Attack,
    Claims,
    Classifier,
    ClassLogit,
    Confident,
    Context,
    Curves,
    GaussianNoise,
    Inputs,
    Line,
    Outcome,
    Picture,
    Result,
    SquaredDistance,
    Tiles,
    TotalVariation,
    UniformNoise,
    UsageError,
    few,
    from_split,
    measure,
    of_class,
    out_of,
    percent,
    round_8bit,
    stream,
)
from cnnlab_fooling import FoolingParams
from cnnlab_fooling.likeness import MEASURES, beside, means, resemblance

Arrays = Mapping[str, np.ndarray]

MOST_SEEDS, MOST_CLASSES = 5, 20
"""Images of each class, and classes, in the drawings; arrays.npz holds all."""


def run(classifier: Classifier, inputs: Inputs, params: FoolingParams, context: Context) -> Result:
    """Make images that the network is sure of, and compare them with the images given or with the training images."""
    compared = _compared(classifier, inputs)
    chosen = list(dict.fromkeys(params.classes)) or range(classifier.num_classes)
    classes, seeds = np.tile(chosen, params.seeds), np.repeat(np.arange(params.seeds), len(chosen))
    noise = starts(classifier, _shape(classifier, compared), classes, seeds, params, context.seed)
    outcome = climb(classifier, noise, classes, params, context)
    made, claims = outcome.adversarial, Claims(eight_bit=params.eight_bit)
    measured = measure(classifier, noise, made, np.full(len(classes), UNKNOWN), target=classes, claims=claims)
    probabilities = measured.probabilities
    arrays = measured.arrays | {
        "seed": seeds,
        "steps": outcome.steps,
        "class_confidence_before": of_class(probabilities["before"], classes),
        "class_confidence": of_class(probabilities["after"][0], classes),
        "class_confidence_8bit": of_class(probabilities["after_8bit"][0], classes),
        "confidence_by_step": np.asarray(outcome.confidence),
    }
    _warn(arrays, outcome.flat, classifier, params, context)
    grid = np.arange(len(classes)).reshape(params.seeds, -1)[:MOST_SEEDS, :MOST_CLASSES]
    drawings: dict[str, Any] = {
        "": images(grid, arrays, classifier, params),
        "confidence": climbs(grid[0], arrays, classifier, params),
    }
    if compared is None:
        context.warn(
            "the model does not say what it was trained on, so the images are compared with nothing; "
            "`dataset=NAME` `split=train` compares them."
        )
    else:
        alike = resemblance(made, classes, compared, classifier.num_classes, context)
        nearest = np.array([compared.sources[index] for index in alike["nearest"]], np.str_)
        arrays = arrays | alike | {"nearest_source": nearest}
        first = [picture(index, arrays, classifier) for index in grid[0]]
        drawings["likeness"] = beside(first, grid[0].tolist(), arrays, classifier.bounds)
    return Result(arrays=arrays, drawings=drawings, claims=claims)


def sum_up(classifier: Classifier, result: Result, params: FoolingParams) -> Result:
    """Count the images that the network is sure of, and say how much they resemble any."""
    sure = result.arrays["class_confidence"]
    reached = out_of(int((sure >= params.confidence).sum()), len(sure))
    return Result(
        headline=f"{reached} made of noise read as the wanted class with a confidence of at least "
        f"{100 * params.confidence:g}%",
        metrics=_metrics(result.arrays, params) | means(result.arrays),
        columns=_columns(result.arrays, classifier, params),
    )


def starts(
    classifier: Classifier,
    shape: tuple[int, int, int],
    classes: np.ndarray,
    seeds: np.ndarray,
    params: FoolingParams,
    seed: int,
) -> np.ndarray:
    """Draw the noise that each image begins at, float32 [N, H, W, C] in the model's value range.

    What an image gets depends on the user's seed, its class and its number alone: not on which others are made.
    """
    low, high = classifier.bounds
    start = GaussianNoise(params.std, mean=0.5) if params.start == "gaussian" else UniformNoise()
    none = np.array([np.inf])
    grey = np.zeros(shape, np.float32)
    drawn = [
        start(grey, none, None, (low, high), stream(seed, f"fooling {target} {number}".encode()))[0]
        for target, number in zip(classes, seeds, strict=True)
    ]
    noise = np.clip(np.stack(drawn), low, high).astype(np.float32)
    noise = np.rint(noise) if classifier.whole_numbers else noise
    return round_8bit(noise, classifier.bounds) if params.eight_bit else noise


def climb(
    classifier: Classifier, noise: np.ndarray, classes: np.ndarray, params: FoolingParams, context: Context
) -> Outcome:
    """Climb the logit of each image's class, less the penalties, until the network is sure of it.

    Args:
        classifier: The model.
        noise: Where to begin, [N, H, W, C].
        classes: [N].
        params: How.
        context: Where progress is shown.

    Returns:
        Rows [N], with the confidence by step.
    """
    low, high = classifier.bounds
    size = high - low
    penalties: list[Any] = []
    if params.smoothness:
        penalties.append(TotalVariation(params.smoothness / size))
    if params.darkness:
        penalties.append(SquaredDistance())
    attack = Attack(
        objective=ClassLogit(),
        penalties=tuple(penalties),
        norm=None,
        step=Adam(),
        step_size=params.step_size * size,
        steps=params.steps,
        goal=Confident(params.confidence),
        then="stop",
        eight_bit=params.eight_bit,
    )
    with context.progress("steps", len(noise) * params.steps) as advance:
        return attack.run(
            classifier,
            noise,
            classes,
            beta=params.darkness / size**2,
            # The darkness penalty is a squared distance too: to the image that is all dark.
            references=np.full_like(noise, low),
            trace=True,
            advance=advance,
            watch=lambda now: context.preview(lambda: so_far(now(), classes, classifier)),
        )


def so_far(images: np.ndarray, classes: np.ndarray, classifier: Classifier) -> Tiles:
    """Show the first images while they are made, each under the class that it is to be read as."""
    shown = range(min(len(images), MOST_CLASSES))
    read = classifier.probabilities(images[: len(shown)])
    sure = of_class(read, classes[: len(shown)])
    names = [f"{classifier.class_names[classes[index]]}: {percent(sure[index])}" for index in shown]
    tiles = (Picture.of_image(images[index], classifier.bounds, names[index]) for index in shown)
    return Tiles(tiles=tuple(tiles), columns=-(-len(shown) // 2) if len(shown) > 5 else None)


def _compared(classifier: Classifier, inputs: Inputs) -> Inputs | None:
    """The images given, else those that the model was trained on, else none."""
    dataset = inputs.dataset
    if len(inputs):
        return inputs
    if dataset is None:
        return None
    split = "train" if len(dataset.train) else "test"
    return from_split(classifier, dataset, split, np.arange(len(dataset.split(split))))


def _shape(classifier: Classifier, compared: Inputs | None) -> tuple[int, int, int]:
    height, width, channels = classifier.input_shape
    if height is not None and width is not None:
        return height, width, channels
    if compared is None:
        raise UsageError(
            "this model takes images of any size, so it does not say how large to make them; name images of the "
            "wanted size with `images=` or `dataset=`."
        )
    return compared.shape


def _metrics(arrays: Arrays, params: FoolingParams) -> dict[str, float]:
    sure, sure_8bit = arrays["class_confidence"], arrays["class_confidence_8bit"]
    return {
        "images": len(sure),
        "reached": float((sure >= params.confidence).mean()),
        "reached_8bit": float((sure_8bit >= params.confidence).mean()),
        "confidence": float(sure.min()),
        "confidence_8bit": float(sure_8bit.min()),
        "confidence_before": float(arrays["class_confidence_before"].mean(dtype=np.float64)),
        "steps": float(arrays["steps"].mean()),
        "most_steps": int(arrays["steps"].max()),
    }


def _columns(arrays: Arrays, classifier: Classifier, params: FoolingParams) -> dict[str, Any]:
    names = np.array(classifier.class_names)
    return {
        "class": names[arrays["target"]],
        **({"seed": arrays["seed"]} if params.seeds > 1 else {}),
        "noise_read_as": names[arrays["label_before"]],
        "read_as": names[arrays["label_after"][0]],
        "confidence": arrays["class_confidence"],
        "confidence_8bit": arrays["class_confidence_8bit"],
        "reached": np.where(arrays["class_confidence"] >= params.confidence, "yes", "no"),
        "steps": arrays["steps"],
        **({"nearest": arrays["nearest_source"]} if "nearest_source" in arrays else {}),
        **{name: arrays[name] for name in MEASURES if name in arrays},
    }


def _warn(arrays: Arrays, flat: np.ndarray, classifier: Classifier, params: FoolingParams, context: Context) -> None:
    sure, names = arrays["class_confidence"], classifier.class_names
    missed = np.flatnonzero(sure < params.confidence)
    if len(missed):
        best = few((f"{names[arrays['target'][index]]} ({sure[index]:.3g})" for index in missed), most=10)
        context.warn(
            f"{len(missed)} of {len(sure)} images did not reach the confidence {params.confidence:g} in "
            f"{params.steps} steps: {best}."
        )
    if flat.any():
        context.warn(
            f"the gradient of the class's logit is exactly zero at {flat.sum()} of {len(flat)} noise images: there is "
            "no way up from there, and that these were not reached says nothing about the network."
        )


def picture(index: int, arrays: Arrays, classifier: Classifier) -> Picture:
    """Show one of the images made, with its class and how sure the network is of it."""
    name, sure = classifier.class_names[arrays["target"][index]], arrays["class_confidence"][index]
    shown = At("adversarial", (0, index))
    return Picture.of_image(shown, classifier.bounds, f"{name}: {percent(sure)}", image=int(index))


def images(grid: np.ndarray, arrays: Arrays, classifier: Classifier, params: FoolingParams) -> Tiles:
    """Show the images made, a row for each seed; of a single seed, ten classes in two rows.

    Args:
        grid: Which of the N images are shown, [seeds, classes].
        arrays: What the analysis declares.
        classifier: The model.
        params: What was wanted.
    """
    seeds, classes = grid.shape
    made = len(arrays["target"]) // params.seeds
    title = f"Noise that the network reads as a class (wanted: {100 * params.confidence:g}%)"
    if seeds < params.seeds:
        title += f"\nthe first {seeds} of {params.seeds} images of each class"
    if classes < made:
        title += f"\nthe first {classes} of {made:,} classes"
    return Tiles(
        tiles=tuple(picture(index, arrays, classifier) for index in grid.flat),
        columns=classes if seeds > 1 or classes <= 5 else -(-classes // 2),
        title=title,
        rows=tuple(f"noise {seed}" for seed in range(seeds)) if seeds > 1 else (),
        size=1.5,
    )


def climbs(indices: np.ndarray, arrays: Arrays, classifier: Classifier, params: FoolingParams) -> Curves:
    """Draw the probability of the class after every step, a line for each of some images."""

    def line(index: int) -> Line:
        path = arrays["confidence_by_step"][index, : arrays["steps"][index] + 1]
        return Line(name=classifier.class_names[arrays["target"][index]], x=np.arange(len(path)), y=path)

    return Curves(
        lines=tuple(line(index) for index in indices),
        x_label="step",
        y_label="probability of the class",
        title="From noise to certainty, by class",
        percent=True,
        marks=False,
        whole=True,
        y_limits=(0, 1.03),
        horizontal={f"wanted: {100 * params.confidence:g}%": params.confidence},
    )
