"""Models that take integers: what is told of them holds for images that they can be given, and of no others."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import cnnlab
from cnnlab.adversarial.measure import measure
from cnnlab.errors import UsageError
from cnnlab.plugin import pgd, smallest_epsilon, whole_noise
from cnnlab.testing import FakeClassifier

SHAPE = (6, 6, 1)


class Network(tf.Module):
    """From uint8 images to the logits of three classes: a cast, and two layers of random weights."""

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        self.first = tf.Variable(rng.normal(size=(36, 24)).astype(np.float32) / 1000)
        self.second = tf.Variable(rng.normal(size=(24, 3)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE), tf.uint8)])
    def __call__(self, images):
        flat = tf.reshape(tf.cast(images, tf.float32) - 127.5, (-1, 36))
        return {"logits": tf.tanh(flat @ self.first) @ self.second}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of the model; the function in it, called by TensorFlow alone; and the same opened."""
    network, folder = Network(), tmp_path_factory.mktemp("uint8") / "m"
    tf.saved_model.save(network, str(folder), signatures={"serving_default": network.__call__})
    loaded = tf.saved_model.load(str(folder))
    call = loaded.signatures["serving_default"]
    return folder, lambda pixels: call(tf.constant(pixels))["logits"].numpy(), cnnlab.load(folder)


PIXELS = np.random.default_rng(4).integers(0, 256, (12, *SHAPE)).astype(np.uint8)


def test_what_it_takes_is_told(saved):
    _, call, classifier = saved
    assert (classifier.whole_numbers, classifier.input_dtype, classifier.bounds) == (True, "uint8", (0.0, 255.0))
    np.testing.assert_allclose(classifier.logits(PIXELS), call(PIXELS), rtol=1e-5, atol=1e-5)
    assert not cnnlab.load(tf_float()).whole_numbers


def tf_float():
    import keras

    return keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(3)])


def test_images_between_whole_numbers_are_rounded_before_it_sees_them(saved):
    _, call, classifier = saved
    between = (PIXELS * 0.9 + 0.3).astype(np.float32)
    wanted = call(np.rint(between).astype(np.uint8))
    np.testing.assert_allclose(classifier.logits(between), wanted, rtol=1e-5, atol=1e-5)
    (value,) = classifier.graph_function("logits")(tf.constant(between, tf.float32))
    np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-5)
    at_whole = classifier.input_gradient(np.rint(between), np.zeros(12, int), of="logit")
    np.testing.assert_array_equal(classifier.input_gradient(between, np.zeros(12, int), of="logit"), at_whole)
    assert (at_whole != 0).any()


def test_images_that_are_no_whole_numbers_are_rounded_with_a_note(saved):
    found = cnnlab.predict(saved[2], PIXELS * 0.9)
    assert "the model takes whole numbers, and pixels were rounded to them." in found.notes
    assert cnnlab.predict(saved[2], PIXELS).notes == saved[2].notes


def test_a_dataset_in_another_range_is_rounded(saved):
    """MNIST's 255ths times 255 are whole but for the last bit."""
    split = cnnlab.datasets.Split(PIXELS, [0] * 12)
    data = cnnlab.datasets.Dataset(name="unit", train=split, test=split, class_names=("a", "b", "c"))
    from cnnlab.inputs import from_split

    np.testing.assert_array_equal(from_split(saved[2], data, "test", range(12)).images, PIXELS)


ATTACKS = {
    "fgsm-untargeted": {"epsilon": [3.5, 20]},
    "targeted": {"target": "1", "method": "pgd", "epsilon": [6.0, 30.0]},
    "noise-addition": {"target": "2", "epsilon": 25.0, "steps": 60},
    "fooling": {"seeds": 2, "steps": 60},
}
MORE = {
    "fgsm-untargeted in l2": ("fgsm-untargeted", {"epsilon": 60.0, "norm": "l2"}),
    "targeted by a penalty": ("targeted", {"target": "1", "method": "adam"}),
    "a noise in l2": ("noise-addition", {"target": "2", "epsilon": 90.0, "norm": "l2", "steps": 60}),
    "a noise for each": ("noise-addition", {"target": "2", "epsilon": 25.0, "per_image": True}),
}


@pytest.mark.parametrize(("name", "params"), [*ATTACKS.items(), *MORE.values()], ids=[*ATTACKS, *MORE])
def test_saved_images_do_to_the_model_itself_what_the_result_says(saved, name, params, tmp_path):
    """TensorFlow alone, on the uint8 images as they were written."""
    _, call, classifier = saved
    images = None if name == "fooling" else PIXELS
    result = cnnlab.analyze(name, classifier, images, **params)
    adversarial = result.arrays["adversarial"]
    assert (adversarial == np.rint(adversarial)).all()
    assert (result.arrays["original"] == np.rint(result.arrays["original"])).all()
    wide = adversarial.reshape(-1, *SHAPE)
    read = call(wide.astype(np.uint8)).argmax(axis=1)
    np.testing.assert_array_equal(read, result.arrays["label_after"].reshape(-1))
    np.testing.assert_array_equal(result.arrays["success"], result.arrays["success_8bit"])
    assert result.arrays["success"].any()
    result.save(tmp_path / "out", format=None)
    for told in result.record["images"]:
        pixels = np.asarray(Image.open(tmp_path / "out" / told["file"]))[None, ..., None]
        assert call(pixels).argmax() == told["label_after"]
    limit = params.get("epsilon")
    if limit is not None:
        far = result.arrays["l2" if params.get("norm") == "l2" else "linf"]
        far = far.reshape(-1, far.shape[-1]).max(axis=1)
        assert (far <= np.atleast_1d(limit)).all()
        if "norm" not in params:
            assert (far == np.floor(limit)).all()


def test_a_saved_noise_is_applied_in_whole_numbers(saved, tmp_path):
    _, call, classifier = saved
    np.savez(tmp_path / "n.npz", noise=np.random.default_rng(5).uniform(-30, 30, SHAPE).astype(np.float32))
    for epsilon in (None, 9.5):
        result = cnnlab.analyze(
            "noise-addition", classifier, PIXELS, apply=tmp_path / "n.npz", target="1", epsilon=epsilon
        )
        adversarial = result.arrays["adversarial"].reshape(-1, *SHAPE)
        np.testing.assert_array_equal(call(adversarial.astype(np.uint8)).argmax(axis=1), result.arrays["label_after"])
        assert (adversarial == np.rint(adversarial)).all()
    assert result.arrays["linf"].max() == 9


def test_the_smallest_epsilon_is_a_whole_number(saved):
    _, call, classifier = saved
    labels = classifier.predict(PIXELS)
    found = smallest_epsilon(pgd(steps=10), classifier, PIXELS.astype(np.float32), labels, most=64, tolerance=0.5)
    assert found.reached.any()
    reached = found.adversarial[found.reached]
    assert (found.epsilon[found.reached] == np.rint(found.epsilon[found.reached])).all()
    assert (call(reached.astype(np.uint8)).argmax(axis=1) != labels[found.reached]).all()


def test_levels_of_another_range_are_its_whole_numbers():
    """A model of four grey levels: an epsilon below one moves nothing."""
    brightness = FakeClassifier.of_brightness((2, 2, 1), bounds=(0.0, 3.0), whole_numbers=True)
    dark = np.zeros((1, 2, 2, 1), np.float32)
    for epsilon, moved in ((0.9, 0), (1.0, 1), (2.5, 2)):
        found = pgd(steps=3).run(brightness, dark, [0], epsilon=epsilon)
        assert (found.adversarial == moved).all()


def test_fractions_of_a_plugin_are_refused_before_they_are_measured():
    brightness = FakeClassifier.of_brightness((2, 2, 1), bounds=(0.0, 3.0), whole_numbers=True)
    ones = np.ones((1, 2, 2, 1), np.float32)
    with pytest.raises(UsageError, match="hold fractions, and the model takes whole numbers"):
        measure(brightness, ones, ones + 0.5, np.array([0]))


def test_a_noise_of_whole_numbers_stays_in_its_ball():
    noise = np.random.default_rng(6).uniform(-9, 9, (5, 4, 4, 1)).astype(np.float32)
    assert np.abs(whole_noise(noise, 7.0, "linf")).max() == 7
    assert np.abs(whole_noise(np.full((1, 1, 1), 8 - 1e-6), 8.0, "linf")).max() == 8
    shorter = whole_noise(noise, None, "l2")
    assert (np.abs(shorter) <= np.abs(noise)).all()
    np.testing.assert_array_equal(whole_noise(noise, None, "linf"), np.rint(noise))
