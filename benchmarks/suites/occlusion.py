"""Occlusion: cover an image at every position, and map how the score falls."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks import material
from benchmarks.harness import Arrays, Race, Side, Suite, growing

PROBABILITY, LOGIT = 1e-5, 1e-4
"""How far maps may differ: of probabilities, and of logits as a share of the largest value in the map."""


def given(network: str, images: int) -> tuple[np.ndarray, np.ndarray]:
    """The images, and the class whose score is watched."""
    if network == "classic":
        return material.digits(count=images)
    pictures = material.pictures(int(network.removeprefix("vgg")), images)
    return pictures, material.logits(network, pictures).argmax(axis=1)


def edges(side: int, patch: int, stride: int) -> np.ndarray:
    return np.arange(-(-(side - patch) // stride) + 1) * stride


def masks(side: int, patch: int, stride: int) -> np.ndarray:
    """What each position covers, bool [P, side, side]."""
    pixel = np.arange(side)
    covered = (pixel >= (at := edges(side, patch, stride)[:, None])) & (pixel < at + patch)
    return (covered[:, None, :, None] & covered[None, :, None, :]).reshape(-1, side, side)


def averaged(drops: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """The mean at each pixel of the drops [N, P] of the patches that cover it."""
    by_pixel = drops @ covered.reshape(len(covered), -1).astype(np.float32)
    return by_pixel.reshape(-1, *covered.shape[1:]) / covered.sum(axis=0)


def by_cnnlab(network: str, images: int, patch: int, stride: int, fill: float = 0.0) -> Any:
    """The analysis as a user asks for it, of a model that is opened, with all that the host does around it."""
    import cnnlab

    classifier = cnnlab.load(material.in_keras(network))
    shown, classes = given(network, images)
    params = {
        "patch": patch,
        "stride": stride,
        "fill": fill,
        "score": "logit" if network != "classic" else "probability",
    }

    def work() -> Arrays:
        found = cnnlab.analyze("occlusion", classifier, shown, classes, progress=False, **params).arrays
        return {"map": found["heatmap"], "score": found["score"]}

    return work


def by_covered_logits(network: str, images: int, patch: int, stride: int) -> Any:
    """What plugins ask of an opened model, from images to maps, without what the host does around an analysis."""
    import cnnlab

    classifier = cnnlab.load(material.in_keras(network))
    shown, classes = given(network, images)
    side = shown.shape[1]
    at, covered = edges(side, patch, stride), masks(side, patch, stride)
    corners = np.array([(side, side), *itertools.product(at, at)])  # the first lies outside of the image

    def work() -> Arrays:
        logits = classifier.covered_logits(shown, np.zeros(1), corners, patch)
        scores = logits if network != "classic" else classifier.probabilities_of(logits)
        own = np.take_along_axis(scores, classes[:, None, None], axis=2)[..., 0]
        return {"map": averaged(own[:, :1] - own[:, 1:], covered)}

    return work


def in_one_function(network: str, images: int, patch: int, stride: int) -> Any:
    """The full pass of every position, painted and read in one compiled function of TensorFlow."""
    import tensorflow as tf

    model = material.in_keras(network, softmax=network == "classic")
    shown, classes = given(network, images)
    covered = masks(shown.shape[1], patch, stride)
    batch = 1024 if network == "classic" else 32

    @tf.function(reduce_retracing=True)
    def score(image: Any, where: Any, class_: Any) -> Any:
        return tf.gather(model(tf.where(where[..., None], 0.0, image), training=False), class_, axis=1)

    def work() -> Arrays:
        parts = [tf.constant(covered[first : first + batch]) for first in range(0, len(covered), batch)]
        scores = np.stack(
            [
                np.concatenate([score(image, part, class_).numpy() for part in parts])
                for image, class_ in zip(tf.constant(shown), tf.constant(classes), strict=True)
            ]
        )
        alone = model(shown, training=False).numpy()[np.arange(images), classes]
        return {"map": averaged(alone[:, None] - scores, covered)}

    return work


def by_predict(network: str, images: int, patch: int, stride: int) -> Any:
    """What one writes first: all occluded images in NumPy, through ``model.predict``."""
    model = material.in_keras(network, softmax=network == "classic")
    shown, classes = given(network, images)
    covered = masks(shown.shape[1], patch, stride)

    def work() -> Arrays:
        scores = [
            model.predict(np.where(covered[..., None], np.float32(0), image), batch_size=1024, verbose=0)[:, class_]
            for image, class_ in zip(shown, classes, strict=True)
        ]
        alone = model.predict(shown, verbose=0)[np.arange(images), classes]
        return {"map": averaged(alone[:, None] - np.stack(scores), covered)}

    return work


def by_xplique(network: str, images: int, patch: int, stride: int) -> Any:
    from xplique.attributions import Occlusion

    shown, classes = given(network, images)
    explainer = Occlusion(
        material.in_keras(network, softmax=network == "classic"),
        batch_size=1024 if network == "classic" else 32,
        patch_size=patch,
        patch_stride=stride,
    )
    covering = masks(shown.shape[1], patch, stride).sum(axis=0)  # Xplique sums where patches overlap
    targets = np.eye(10, dtype=np.float32)[classes]
    return lambda: {"map": np.asarray(explainer.explain(shown, targets))[..., 0] / covering}


def by_captum(network: str, images: int, patch: int, stride: int) -> Any:
    import torch
    from captum.attr import Occlusion

    shown, classes = given(network, images)
    occlusion = Occlusion(material.in_torch(network, softmax=network == "classic"))
    tensor, targets = material.channels_first(shown), torch.tensor(classes)
    at_once = 625 if network == "classic" else 32

    def work() -> Arrays:
        with torch.no_grad():
            maps = [
                occlusion.attribute(
                    image[None],
                    sliding_window_shapes=(image.shape[0], patch, patch),
                    strides=(image.shape[0], stride, stride),
                    target=target,
                    perturbations_per_eval=at_once,
                )
                for image, target in zip(tensor, targets, strict=True)
            ]
        return {"map": torch.cat(maps)[:, 0].numpy()}

    return work


def by_tf_explain(network: str, images: int, patch: int, stride: int, fill: float) -> Any:
    """tf-explain moves by whole patches and paints them 127.5: this model takes values to 255, so that it is 0.5."""
    import keras
    from tf_explain.core.occlusion_sensitivity import OcclusionSensitivity

    assert (stride, fill) == (patch, 0.5)
    model = keras.Sequential([keras.layers.Rescaling(1 / 255), material.in_keras(network, softmax=True)])
    shown, classes = given(network, images)
    explainer = OcclusionSensitivity(batch_size=1024)

    def work() -> Arrays:
        pairs = zip(255 * shown, classes, strict=True)
        return {"enlarged": np.stack([explainer.get_sensitivity_map(model, *pair, patch) for pair in pairs])}

    return work


def same_maps(found: Mapping[str, Arrays]) -> dict[str, float]:
    """Hold each map against cnnlab's: the largest difference, of logits as a share of the largest value."""
    own = found["cnnlab"]["map"]
    logits = np.abs(found["cnnlab"]["score"]).max() > 1
    scale = np.abs(own).max() if logits else 1.0
    checks = {
        f"largest difference, {name}": float(np.abs(each["map"] - own).max() / scale) for name, each in found.items()
    }
    worst = max(checks, key=checks.__getitem__)
    assert checks[worst] <= (LOGIT if logits else PROBABILITY), f"{worst}: {checks[worst]:g}"
    return {name: value for name, value in checks.items() if not name.endswith(", cnnlab")}


def same_enlarged(found: Mapping[str, Arrays]) -> dict[str, float]:
    """The same of tf-explain, which gives 1 less the score, enlarged to the image between the middles of its cells."""
    covered = 1 - found["cnnlab"]["score"]
    side, cells = found["tf-explain"]["enlarged"].shape[1], covered.shape[1]
    at = np.clip((np.arange(side) + 0.5) * cells / side - 0.5, 0, cells - 1)
    share = np.maximum(1 - np.abs(at[:, None] - np.arange(cells)), 0)
    difference = float(np.abs(share @ covered @ share.T - found["tf-explain"]["enlarged"]).max())
    assert difference <= PROBABILITY, difference
    return {"largest difference, tf-explain": difference}


def afresh(make: Any) -> Any:
    """The same work by a model that is opened anew each time, so that everything is compiled anew too."""
    return lambda **given: lambda: make(**given)()


CNNLAB = Side("cnnlab", "cnnlab", by_cnnlab)
COVERED = Side("cnnlab, `Classifier.covered_logits` alone", "cnnlab", by_covered_logits)
FUNCTION = Side("one `tf.function`, full pass", "tensorflow", in_one_function)
PREDICT = Side("`model.predict`, full pass", "tensorflow", by_predict)
XPLIQUE = Side("Xplique", "xplique", by_xplique)
CAPTUM = Side("Captum", "torch", by_captum)
ALL = (CNNLAB, COVERED, XPLIQUE, CAPTUM, FUNCTION, PREDICT)

DIGITS = Race(
    name="images",
    title="28x28, patch 4, stride 1, 625 positions",
    sides=ALL,
    given={"network": "classic", "patch": 4, "stride": 1},
    agree=same_maps,
    rounds=7,
    wanted={FUNCTION.name: "≥ 1"},
)
WANTED = {1: {"Xplique": "≥ 6"}, 16: {"Xplique": "≥ 10"}}
BY_IMAGES = tuple(
    replace(
        race, wanted=DIGITS.wanted | WANTED.get(race.given["images"], {}), quick=3 * (race.given["images"] in WANTED)
    )
    for race in growing(DIGITS, "images", {count: {"images": count} for count in (1, 4, 16, 32)})
)
BY_POSITIONS = tuple(
    growing(
        replace(DIGITS, name="positions", title="4 images of 28x28, patch 4", given={**DIGITS.given, "images": 4}),
        "positions",
        {len(edges(28, 4, stride)) ** 2: {"stride": stride} for stride in (4, 2, 1)},
    )
)
BY_SIZE = tuple(
    replace(
        race,
        wanted={FUNCTION.name: "≥ 2" if race.given["network"] == "vgg224" else "≥ 1"},
        quick=race.name == "size:112",
    )
    for race in growing(
        replace(
            DIGITS,
            name="size",
            title="One image, a VGG-style network, the patch a seventh of the image, 169 positions",
            sides=(CNNLAB, COVERED, XPLIQUE, CAPTUM, FUNCTION),
            rounds=3,
        ),
        "pixels across",
        {
            side: {"network": f"vgg{side}", "images": 1, "patch": side // 7, "stride": side // 14}
            for side in material.VGG_SIZES
        },
    )
)
WHOLE_PATCHES = Race(
    name="whole-patches",
    title="16 images of 28x28, patch 4, stride 4, filled with grey, 49 positions",
    sides=(CNNLAB, Side("tf-explain", "tensorflow", by_tf_explain)),
    given={"network": "classic", "images": 16, "patch": 4, "stride": 4, "fill": 0.5},
    agree=same_enlarged,
    quick=3,
)

AFRESH = replace(
    BY_IMAGES[0],
    name="afresh",
    title="One image of 28x28, 625 positions, by a model that is opened anew, with all that is compiled for it",
    sides=tuple(replace(side, make=afresh(side.make)) for side in (CNNLAB, XPLIQUE, FUNCTION)),
    rounds=5,
    grows=None,
    wanted={},
)

SUITE = Suite(
    name="occlusion",
    title="Occlusion",
    says=f"""The map of every image by `cnnlab.analyze`, with all that it does around the analysis, and by what a
plugin asks of the opened model alone; beside Xplique (batch 1,024; 32 of the VGG-style network), Captum (all
positions of an image in a pass; 32), tf-explain, and the full pass over all positions: in one compiled function that
paints the patches itself, and through `model.predict`. All are warm. What is watched is the probability of the
image's class, of the VGG-style network (eight convolutions of 16 to 128 channels, random weights) its logit. The maps
agree to {PROBABILITY:g} in probability, of logits to {LOGIT:g} of the largest value; Xplique's is divided by how many
patches cover a pixel, which it sums over.""",
    races=(*BY_IMAGES, *BY_POSITIONS, *BY_SIZE, WHOLE_PATCHES, AFRESH),
)
