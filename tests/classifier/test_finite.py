"""Numbers that are not finite are named: the layer whose weights they are, the image, the first layer they come of."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import cnnlab
from cnnlab.classifier.classifier import broken_weights
from cnnlab.classifier.finite import NotFiniteError
from cnnlab.classifier.noise_probe import probe_images
from cnnlab.errors import CnnlabError
from cnnlab.inspection.gradients import preflight
from cnnlab.plugin import Context, Inputs, explained
from cnnlab.testing import FakeClassifier

layers = keras.layers
IMAGES = np.random.default_rng(0).random((5, 6, 6, 1), dtype=np.float32)


def network(*between, end: str | None = None):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(2, 3, name="first"),
            layers.BatchNormalization(name="norm"),
            *between,
            layers.Flatten(name="flat"),
            layers.Dense(3, name="scores", activation=end),
        ]
    )


def poisoned(layer: str, place: int = 0, value: float = np.nan, end: str | None = None):
    """A network with one number of a layer's that is none."""
    model = network(end=end)
    weights = model.get_layer(layer).get_weights()
    weights[place].flat[-1] = value
    model.get_layer(layer).set_weights(weights)
    return model


SOME = [("first", np.nan, None), ("first", -np.inf, "softmax"), ("scores", np.inf, None), ("scores", np.nan, "softmax")]
BROKEN = [
    pytest.param(layer, place, value, end, marks=[pytest.mark.full] * ((layer, value, end) not in SOME))
    for layer, place in (("first", 0), ("scores", 1))
    for value in (np.nan, np.inf, -np.inf)
    for end in (None, "softmax")
]


@pytest.mark.parametrize(("layer", "place", "value", "end"), BROKEN)
def test_a_broken_kernel_or_bias_is_named_and_refused(layer, place, value, end):
    classifier = cnnlab.load(poisoned(layer, place, value, end))
    assert classifier.broken_layers == (layer,)
    assert any(f"not finite (NaN or infinity), in {layer}" in note for note in classifier.notes)
    for ask in (
        lambda: cnnlab.analyze("occlusion", classifier, IMAGES, [0] * 5),
        lambda: cnnlab.analyze("filters", classifier),
        lambda: cnnlab.analyze("fgsm-untargeted", classifier, IMAGES),
        lambda: cnnlab.predict(classifier, IMAGES),
        lambda: cnnlab.evaluate(classifier, cnnlab.datasets.Split(IMAGES, [0, 1, 2, 0, 1])),
    ):
        with pytest.raises(CnnlabError, match=f"weights of this model .* in {layer}, so that"):
            ask()


def test_broken_statistics_of_a_batch_normalisation_are_named():
    assert cnnlab.load(poisoned("norm", 2)).broken_layers == ("norm",)


def test_broken_layers_are_counted():
    ends = [broken_weights(["a", "b", "c"][:count]).rpartition(", in ")[2] for count in (1, 2, 3)]
    assert ends == ["a", "a and 1 more layer", "a and 2 more layers"]


def test_a_broken_model_is_still_shown():
    found = cnnlab.inspect(poisoned("first"))
    told = found.to_json()
    assert told["gradients"]["margins"] == [None, None, None]
    assert not any(analysis["runs"] for analysis in told["analyses"].values())
    assert [layer["name"] for layer in told["layers"]] == ["first", "norm", "flat", "scores"]


def test_summary_warns_and_analyze_ends_with_1(command_line, tmp_path):
    poisoned("first").save(tmp_path / "broken.keras")
    status, out, err = command_line("summary", tmp_path / "broken.keras")
    assert (status, "scores" in out) == (0, True)
    assert "Note: the weights of this model hold numbers that are not finite (NaN or infinity), in first" in err
    words = ("analyze", "filters", "--model", tmp_path / "broken.keras", "--out", tmp_path / "out")
    status, _, err = command_line(*words)
    assert (status, (tmp_path / "out").exists()) == (1, False)
    assert "in first, so that its answers mean nothing" in err


def test_the_first_image_and_the_first_layer_are_named():
    """A logarithm of what is above a half in most images: of the third image it is not."""
    shift = layers.Lambda(lambda x: tf.math.log(tf.reduce_mean(x, axis=(1, 2, 3), keepdims=True) + 0 * x), name="log")
    model = keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(1, 3, name="conv"), shift])
    model.add(layers.Flatten(name="flat"))
    model.add(layers.Dense(3, name="scores"))
    model.get_layer("conv").set_weights([np.ones((3, 3, 1, 1)), np.full(1, -1.0)])
    classifier, images = cnnlab.load(model), np.ones((5, 6, 6, 1), np.float32)
    images[2] = 0
    assert classifier.broken_layers == ()
    assert np.isfinite(classifier.logits(images[:2])).all()
    with pytest.raises(
        NotFiniteError, match=r"logits for image 2 .*first layer whose output is not finite there is log"
    ):
        classifier.logits(images)
    for ask in (
        lambda: cnnlab.predict(classifier, images),
        lambda: cnnlab.analyze("occlusion", classifier, images, [0] * 5),
        lambda: cnnlab.analyze("activations", classifier, images),
    ):
        with pytest.raises(CnnlabError, match=r"logits for array:2 .* is log"):
            ask()
    with pytest.raises(CnnlabError, match=r"logits for images/test:2 .* is log"):
        cnnlab.evaluate(classifier, cnnlab.datasets.Split(images, [0, 1, 2, 0, 1]), batch_size=2)


def test_a_mask_of_infinity_is_no_broken_weight():
    """As in attention: minus infinity where nothing shall be looked at, and a softmax that makes zeros of it."""
    mask = tf.constant(np.where(np.eye(16, dtype=bool), 0, -np.inf).astype(np.float32))

    def attend(x):
        flat = tf.reshape(x, (-1, 16, 2))
        return tf.reshape(tf.nn.softmax(tf.matmul(flat, flat, transpose_b=True) + mask) @ flat, (-1, 32))

    model = network(layers.Lambda(attend, output_shape=(32,), name="attention"))
    classifier = cnnlab.load(model)
    assert (classifier.broken_layers, classifier.notes[1:]) == ((), ())
    np.testing.assert_allclose(classifier.logits(IMAGES), model(IMAGES), rtol=1e-4, atol=1e-5)
    cnnlab.analyze("occlusion", classifier, IMAGES, patch=6, stride=6)


def of_a_root():
    """The mean's root: at black images it is 0 and its gradient infinite."""

    def logits(images):
        root = tf.sqrt(tf.reduce_mean(images, axis=(1, 2, 3)))
        return tf.stack([0.5 - root, root - 0.5], axis=1)

    return FakeClassifier(logits, (2, 2, 1), 2)


def test_gradients_that_are_not_finite_are_counted_and_their_maps_refused():
    images = np.full((3, 2, 2, 1), 0.5, np.float32)
    images[1] = 0
    found = preflight(of_a_root(), [(images, np.full(3, -1))])
    assert (found.not_finite, found.zero, found.to_json()["not_finite"]) == (1, 0, 1 / 3)
    assert "1 of 3 images have an input gradient that is not finite" in found.warning

    def slope(classifier, images, targets, seed):
        return classifier.input_gradient(images, targets, of="logit").sum(axis=-1)

    inputs = Inputs(lambda indices: images[indices], np.zeros(3), ["a.png", "b.png", "c.png"])
    with pytest.raises(CnnlabError, match=r"the map of b\.png is not finite"):
        explained(slope, of_a_root(), inputs, np.zeros(3, int), Context())


def test_the_probe_of_a_broken_model_does_not_keep_it_from_being_opened():
    classifier = cnnlab.load(poisoned("scores", 0, np.inf))
    with pytest.raises(NotFiniteError):
        classifier.logits(probe_images(classifier))
