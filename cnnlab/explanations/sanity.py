"""Is a map to be believed? Any map of any model is put to the test, whoever makes it.

A plugin that maps what a model looks at derives its parameters from :class:`cnnlab.plugin.MapTestParams`, declares
:data:`cnnlab.plugin.MAP_TEST_ARRAYS` and :data:`cnnlab.plugin.MAP_TEST_METRICS` beside its own, and adds what
:func:`run_map_test` gives to its Result.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cnnlab.classifier.finite import first_not_finite
from cnnlab.errors import CnnlabError
from cnnlab.explanations.drawing import draw_map_test
from cnnlab.explanations.exchange import Score, area, blurred, counts, exchange, fill_values, ranks
from cnnlab.explanations.randomisation import similarity, stages
from cnnlab.numerics import known_mean, of_class

if TYPE_CHECKING:
    from cnnlab.analysis.context import Context
    from cnnlab.classifier import Classifier
    from cnnlab.drawings import Drawing
    from cnnlab.explanations.params import MapTestParams
    from cnnlab.inputs import Inputs

Explain = Callable[["Classifier", np.ndarray, np.ndarray, int], np.ndarray]
"""From a model, images [n, H, W, C], target classes [n] and a seed for what is random in it, to maps [n, H, W].

Of a model with a fixed batch, n is at most that.

Example:
    >>> import numpy as np
    >>> from cnnlab.plugin import Classifier
    >>> from cnnlab.testing import FakeClassifier
    >>> def slope(classifier: Classifier, images: np.ndarray, targets: np.ndarray, seed: int) -> np.ndarray:
    ...     return np.abs(classifier.input_gradient(images, targets, of="logit")).sum(axis=-1)
    >>> explain: Explain = slope
    >>> explain(FakeClassifier.of_brightness(), np.zeros((1, 2, 2, 1)), np.array([1]), 0).tolist()
    [[[0.25, 0.25], [0.25, 0.25]]]
"""

IMAGES = 32
"""Images that are explained together, at most."""

BELIEVED = 0.5
"""A rank correlation with a model that has forgotten everything, above which the user is warned."""

CURVES = ("deletion", "insertion", "deletion_random", "insertion_random")


@dataclass(frozen=True, kw_only=True)
class MapTest:
    """What :func:`run_map_test` found: arrays, metrics, columns and drawings of a Result, to be added to its own.

    All are empty where the user asked for no test. Made of the arrays of a whole Result, it tells their metrics and
    columns, for an analysis that sums up (:attr:`cnnlab.plugin.Analysis.sum_up`).

    Attributes:
        arrays: What :data:`~cnnlab.plugin.MAP_TEST_ARRAYS` explains; others among them are of no account.
        drawings: ``deletion-insertion`` and, where the model has weights, ``sanity`` and ``sanity-maps``.

    Example:
        >>> import numpy as np
        >>> {"map": np.zeros((1, 2, 2)), **MapTest().arrays}.keys()
        dict_keys(['map'])
    """

    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    drawings: Mapping[str, Drawing] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, float]:
        """What :data:`~cnnlab.plugin.MAP_TEST_METRICS` explains."""
        if "sanity_similarity" not in self.arrays:
            return {}
        likeness = self.arrays["sanity_similarity"]
        layers = zip(self.arrays["sanity_layers"], likeness, strict=True)
        metrics = {f"sanity/{name}": known_mean(row) for name, row in layers}
        if len(likeness):
            metrics["sanity_all"] = known_mean(likeness[-1])
        return metrics | {f"{name}_area": float(self._area(name).mean()) for name in CURVES}

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """Values for each image, [N]: ``sanity_all``, ``deletion_area`` and ``insertion_area``."""
        if "sanity_similarity" not in self.arrays:
            return {}
        likeness = self.arrays["sanity_similarity"]
        columns = {"sanity_all": likeness[-1]} if len(likeness) else {}
        return columns | {f"{name}_area": self._area(name) for name in ("deletion", "insertion")}

    def _area(self, name: str) -> np.ndarray:
        return area(self.arrays[name], self.arrays["fraction"])


def explained(
    explain: Explain,
    classifier: Classifier,
    inputs: Inputs,
    targets: np.ndarray,
    context: Context,
    description: str = "maps",
) -> np.ndarray:
    """Explain images a batch at a time, and show how far one is.

    Args:
        explain: What makes the maps; see :data:`Explain`.
        classifier: The model.
        inputs: The images, N of them.
        targets: The class that each is explained for, int64 [N].
        context: Its seed gives each batch one of its own, the same for every model: nothing but the model differs
            between two maps of an image.
        description: What is being done, in a few words.

    Returns:
        float32 [N, H, W].

    Raises:
        CnnlabError: A map holds numbers that are not finite.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import Context, Inputs
        >>> from cnnlab.testing import FakeClassifier
        >>> def ink(classifier, images, targets, seed):
        ...     return images.mean(axis=-1)
        >>> images, targets = np.eye(2, dtype=np.float32)[None, ..., None], np.array([0])
        >>> inputs = Inputs(lambda indices: images[indices], targets, ["one"])
        >>> explained(ink, FakeClassifier.of_brightness(), inputs, targets, Context()).tolist()
        [[[1.0, 0.0], [0.0, 1.0]]]
    """
    size = classifier.fixed_batch or min(IMAGES, classifier.batch_size)
    with context.progress(description, len(inputs)) as advance:

        def of_batch(first: int, last: int) -> dict[str, np.ndarray]:
            seed = int(np.random.SeedSequence([context.seed, first // size]).generate_state(1)[0])
            maps = explain(classifier, inputs.span(first, last)[0], targets[first:last], seed)
            wrong = first_not_finite(maps)
            if wrong is not None:
                raise CnnlabError(
                    f"the map of {inputs.sources[first + wrong]} is not finite (NaN or infinity), though the model's "
                    "logits are: a gradient on the way to them overflows or is undefined there. Leave the image out, "
                    "or use what needs no gradients, as occlusion."
                )
            advance(last - first)
            return {"maps": maps.astype(np.float32)}

        return context.in_blocks(len(inputs), of_batch, size, divisible=False)["maps"]


def run_map_test(
    explain: Explain,
    classifier: Classifier,
    inputs: Inputs,
    params: MapTestParams,
    context: Context,
    arrays: Mapping[str, np.ndarray],
    *,
    of: str = "map",
    name: str,
    signed: bool = False,
) -> MapTest:
    """Put maps to the test where ``params.sanity`` asks for it.

    The model's weights are shuffled from the top down, and each map is compared with the model's own (Adebayo et al.,
    "Sanity Checks for Saliency Maps", 2018); pixels are deleted and inserted in the order of the map, and in a random
    one (Petsiuk, Das and Saenko, "RISE", 2018). Where the maps of a model that has forgotten everything are much like
    its own, the user is warned.

    Args:
        explain: What makes the maps; see :data:`Explain`.
        classifier: The model.
        inputs: The images, N of them.
        params: How they are tested.
        context: What the host lends the analysis.
        arrays: The plugin's own: the maps [N, H, W], larger where a pixel speaks more for the class, and ``target``,
            the class that each image is explained for, int64 [N].
        of: The name of the maps among them.
        name: What the figures call the maps: ``Grad-CAM``.
        signed: Whether a map below zero speaks against the class, so that its scale is centred at zero.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import Context, Inputs, MapTestParams, explained
        >>> from cnnlab.testing import FakeClassifier
        >>> def ink(classifier, images, targets, seed):
        ...     return images.mean(axis=-1)
        >>> images, targets = np.eye(2, dtype=np.float32)[None, ..., None], np.array([0])
        >>> classifier = FakeClassifier(lambda images: images[:, 0, 0] * [[1, 0]], (2, 2, 1), 2)
        >>> inputs, context = Inputs(lambda indices: images[indices], targets, ["one"]), Context()
        >>> arrays = {"target": targets, "map": explained(ink, classifier, inputs, targets, context)}
        >>> params = MapTestParams(sanity=True, score="logit", steps=4)
        >>> test = run_map_test(ink, classifier, inputs, params, context, arrays, name="ink")
        >>> test.arrays["deletion"][0, [0, -1]].tolist()
        [1.0, 0.0]
    """
    if not params.sanity:
        return MapTest()
    maps, targets = arrays[of], arrays["target"]
    found = _randomised(explain, classifier, inputs, context, maps, targets)
    found |= _exchanged(classifier, inputs, params, context, maps, targets)
    metrics = MapTest(arrays=found).metrics
    kept = metrics.get("sanity_all", 0.0)
    if kept > BELIEVED:
        context.warn(
            f"with all weights shuffled the maps keep a rank correlation of {kept:.2f} with the model's own: they "
            "show the images more than what the model has learned."
        )
    titles = [f"{name} for {classifier.class_names[target]}" for target in targets]
    drawings = draw_map_test(found, metrics, inputs, of=of, name=name, titles=titles, score=params.score, signed=signed)
    return MapTest(arrays=found, drawings=drawings)


def _randomised(
    explain: Explain,
    classifier: Classifier,
    inputs: Inputs,
    context: Context,
    maps: np.ndarray,
    targets: np.ndarray,
) -> dict[str, np.ndarray]:
    """Shuffle the weights from the top down, and compare the maps with the model's own."""
    cascade = stages(classifier)
    found: dict[str, np.ndarray] = {}
    likeness = np.zeros((len(cascade), len(inputs)))
    for stage, (name, layers) in enumerate(cascade):
        other = classifier.randomized(layers, context.seed)
        shuffled = explained(explain, other, inputs, targets, context, f"shuffled to {name}")
        found[f"sanity_map/{name}"] = shuffled
        likeness[stage] = similarity(maps, shuffled)
    found["sanity_layers"] = np.array([name for name, _ in cascade], dtype=np.str_)
    found["sanity_similarity"] = likeness
    return found


def _exchanged(
    classifier: Classifier,
    inputs: Inputs,
    params: MapTestParams,
    context: Context,
    maps: np.ndarray,
    targets: np.ndarray,
) -> dict[str, np.ndarray]:
    """Delete and insert pixels in the order of the map, and in a random one."""
    amounts, count, size = counts(maps[0].size, params.steps), len(inputs), classifier.batch_size
    with context.progress("deletion and insertion", count) as advance:

        def of_batch(first: int, last: int) -> dict[str, np.ndarray]:
            images, own = inputs.span(first, last)[0], maps[first:last]
            score = _score(classifier, params, targets[first:last])
            fill = fill_values(images, params.fill, classifier.bounds)
            blank = blurred(images, params.blur)
            curves: dict[str, np.ndarray] = {}
            for turn, (suffix, order) in enumerate((("", own), ("_random", np.zeros_like(own)))):
                # One stream of random numbers for each batch of images, wherever each is computed.
                ties = [_random(context.rng, _behind(image, turn, count, size), own[0]) for image in range(first, last)]
                places = ranks(order, np.stack(ties))
                for name, begin, end in (("deletion", images, fill), ("insertion", blank, images)):
                    curves[name + suffix] = exchange(begin, end, places, amounts, score, size)
            advance(last - first)
            return curves

        found = context.in_blocks(count, of_batch, size)
    context.rng.bit_generator.advance(2 * maps.size)  # type: ignore[attr-defined]
    return {"fraction": amounts / maps[0].size} | {name: found[name] for name in CURVES}


def _behind(image: int, turn: int, count: int, size: int) -> int:
    """How many images' random numbers are drawn before those of one: each batch draws for all of its images twice.

    >>> [_behind(image, turn, 5, 3) for image, turn in ((0, 0), (0, 1), (3, 0), (4, 0), (3, 1))]
    [0, 3, 6, 7, 8]
    """
    first = image - image % size
    return first + image + turn * min(size, count - first)


def _random(rng: np.random.Generator, behind: int, like: np.ndarray) -> np.ndarray:
    """Draw numbers from a place of a random stream on, and leave the stream where it was."""
    stream = copy.deepcopy(rng)
    stream.bit_generator.advance(behind * like.size)  # type: ignore[attr-defined]
    return stream.random(like.shape)


def _score(classifier: Classifier, params: MapTestParams, targets: np.ndarray) -> Score:
    read = classifier.logits if params.score == "logit" else classifier.probabilities
    return lambda images: of_class(read(images), np.tile(targets, len(images) // len(targets)))
