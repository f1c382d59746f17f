"""Squares on images: what is computed of the change alone is what the whole images give, whatever the network does."""

from __future__ import annotations

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st
from keras import layers as L

import cnnlab
from cnnlab.classifier import covering, incremental
from cnnlab.classifier.incremental import Incremental

SHAPE = (17, 15, 3)


@pytest.fixture
def always(monkeypatch):
    """Parts are computed, whether that is less work or not."""
    monkeypatch.setattr(incremental, "WORTH", float("inf"))


def network(*body, shape=SHAPE, classes=5, seed=1):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input(shape), *body, L.Flatten(), L.Dense(classes)])
    # Biases and statistics other than those that a new network has, so that forgetting one is seen.
    rng = np.random.default_rng(seed)
    model.set_weights([value + rng.uniform(0, 0.1, value.shape) for value in model.get_weights()])
    return model


def brute(classifier, images, fills, corners, size):
    """Every covered image, painted and put through the model by itself in full."""
    found = []
    for image, fill in zip(images, fills, strict=True):
        covered = np.repeat(image[None], len(corners), axis=0)
        for one, (top, left) in zip(covered, corners, strict=True):
            one[top : top + size, left : left + size] = fill
        found.append(classifier.logits(covered))
    return np.stack(found)


def check(model, shape=SHAPE, size=4, stride=3, count=2, parted=True, seed=0):
    """Compare with the brute force, and see whether parts can be computed."""
    classifier = model if isinstance(model, cnnlab.Classifier) else cnnlab.load(model)
    rng = np.random.default_rng(seed)
    images = rng.random((count, *shape), dtype=np.float32)
    # Some pixels have the colour of the square already, so that some squares change nothing.
    fills = rng.random((count, 1, 1, shape[2]), dtype=np.float32)
    images[:, : shape[0] // 2, : shape[1] // 2] = fills
    corners = np.array(
        [(shape[0], shape[1]), *itertools.product(range(0, shape[0], stride), range(0, shape[1], stride))]
    )
    done = []
    found = classifier.covered_logits(images, fills, corners, size, done.append)
    expected = brute(classifier, images, fills, corners, size)
    assert found.shape == (count, len(corners), classifier.num_classes)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))
    np.testing.assert_allclose(found[:, 0], classifier.logits(images), rtol=0, atol=1e-5 * np.abs(expected).max())
    assert sum(done) == count * len(corners)
    assert parted is None or bool(Incremental(classifier._frozen, classifier._output.logits).cuts) == parted


LIKE_OTHERS = [("valid", 1), ("same", 2), ("same", 3), ("valid", 3)]
SLID = [
    pytest.param(kind, padding, stride, marks=[pytest.mark.full] * ((padding, stride) in LIKE_OTHERS))
    for kind in ("conv", "depthwise", "max", "average")
    for padding in ("same", "valid")
    for stride in (1, 2, 3)
]


@pytest.mark.parametrize(("kind", "padding", "stride"), SLID)
def test_windows_of_every_stride_and_padding(always, kind, padding, stride):
    layer = {
        "conv": lambda: L.Conv2D(4, 3, strides=stride, padding=padding, activation="relu"),
        "depthwise": lambda: L.DepthwiseConv2D(3, strides=stride, padding=padding, activation="elu"),
        "max": lambda: L.MaxPooling2D(3, stride, padding=padding),
        "average": lambda: L.AveragePooling2D((3, 2), stride, padding=padding),
    }[kind]()
    check(network(layer, L.Conv2D(3, 3, padding="same")))


@pytest.mark.parametrize(
    ("padding", "dilation"),
    [
        *(("same", (1, 3)), ("valid", 2)),
        *(pytest.param(*case, marks=pytest.mark.full) for case in (("same", 2), ("valid", (1, 3)))),
    ],
)
def test_dilated_windows(always, padding, dilation):
    check(network(L.Conv2D(4, 3, dilation_rate=dilation, padding=padding), L.ReLU(), L.Conv2D(3, 2, padding="same")))


BODIES = {
    "grouped": lambda: [L.Conv2D(6, 3, groups=3, padding="same"), L.ReLU(max_value=6)],
    "separable": lambda: [L.SeparableConv2D(6, 3, padding="same"), L.LeakyReLU()],
    "batch normalisation": lambda: [L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(), L.MaxPooling2D()],
    "normalisation by itself": lambda: [L.Rescaling(2.0, -1.0), L.BatchNormalization(), L.Conv2D(4, 3)],
    "padded": lambda: [L.ZeroPadding2D(((1, 2), (3, 0))), L.Conv2D(4, 5, strides=2), L.MaxPooling2D(2, padding="same")],
    "bias, ReLU, pool": lambda: [
        L.Conv2D(4, 3, padding="same", activation="relu"),
        L.MaxPooling2D(3, 2, padding="same"),
    ],
    "global pooling": lambda: [L.Conv2D(4, 3), L.GlobalAveragePooling2D()],
    "one by one": lambda: [L.Conv2D(8, 1, activation="tanh"), L.Dense(3, activation="relu")],
    "softmax of channels": lambda: [L.Conv2D(8, 2), L.Softmax()],
    "no windows at all": list,
    "dense layers alone": lambda: [L.Flatten(), L.Dense(8, activation="relu")],
    "wide strides": lambda: [L.Conv2D(4, 2, strides=4), L.Conv2D(3, 3, padding="same")],
}


OF_THE_SAME = ("grouped", "bias, ReLU, pool", "softmax of channels", "dense layers alone", "wide strides")


@pytest.mark.parametrize(
    "body", [pytest.param(body, marks=[pytest.mark.full] * (body in OF_THE_SAME)) for body in BODIES]
)
def test_what_a_network_is_made_of(always, body):
    check(network(*BODIES[body]()))


def residual(shape=SHAPE):
    keras.utils.set_random_seed(2)
    image = keras.Input(shape)
    x = L.Conv2D(6, 3, padding="same")(image)
    y = L.Conv2D(6, 5, padding="same", activation="relu")(x)
    y = L.Add()([x, L.Conv2D(6, 3, padding="same")(y)])
    y = L.Concatenate()([y, L.Multiply()([x, y]), L.MaxPooling2D(3, 1, padding="same")(x)])
    y = L.Conv2D(4, 3, strides=2)(y)
    return keras.Model(image, L.Dense(5)(L.Flatten()(y)))


def test_branches_that_reach_unequally_far(always):
    check(residual())


def test_squares_of_every_size(always):
    model = cnnlab.load(network(L.Conv2D(4, 3, padding="same", activation="relu"), L.MaxPooling2D(2), L.Conv2D(4, 3)))
    for size in (1, 2, 5, 16, 30):
        check(model, size=size, stride=size if size < 6 else 5)


@pytest.mark.parametrize("many", [10_000, 100])
def test_results_do_not_depend_on_what_is_computed_together(always, monkeypatch, many):
    monkeypatch.setattr(covering, "NUMBERS", many)
    monkeypatch.setattr(covering, "FEW", 3)
    check(network(L.Conv2D(4, 3, padding="same", activation="relu"), L.MaxPooling2D(2)), count=5, stride=2)


def test_a_dense_layer_takes_few_products_whatever_the_number_of_rows(always, monkeypatch):
    monkeypatch.setattr(incremental, "TOPS", 3)
    check(network(L.Conv2D(4, 3, padding="same", activation="relu")), stride=1)


def test_images_of_any_size(always):
    image = keras.Input((None, None, 3))
    x = L.Conv2D(4, 3, padding="same", activation="relu")(image)
    classifier = cnnlab.load(keras.Model(image, L.Dense(5)(L.GlobalAveragePooling2D()(L.MaxPooling2D()(x)))))
    check(classifier)
    check(classifier, shape=(9, 30, 3))


def test_what_a_model_does_to_its_images_first(always):
    model = network(L.Conv2D(4, 3, activation="relu"))
    for input_range in ("imagenet", "caffe"):
        classifier = cnnlab.load(model, input_range=input_range)
        images, corners = np.full((1, *SHAPE), classifier.bounds[1], np.float32), np.array([[2, 3], [0, 12]])
        found = classifier.covered_logits(images, np.zeros((1, 1, 1, 3)), corners, 4)
        expected = brute(classifier, images, np.zeros((1, 1, 1, 3)), corners, 4)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_a_model_in_low_precision(always):
    keras.utils.set_random_seed(3)
    image = keras.Input(SHAPE)
    x = L.Conv2D(4, 3, padding="same", activation="relu", dtype="mixed_bfloat16")(image)
    model = keras.Model(image, L.Dense(5, dtype="float32")(L.Flatten()(x)))
    classifier = cnnlab.load(model)
    images, corners = np.random.default_rng(0).random((2, *SHAPE), np.float32), np.array([[2, 3], [0, 12], [9, 9]])
    fills = np.zeros((2, 1, 1, 3), np.float32)
    found = classifier.covered_logits(images, fills, corners, 4)
    np.testing.assert_allclose(found, brute(classifier, images, fills, corners, 4), atol=2e-2)


def test_parts_in_low_precision(always):
    """They are the same but for what bfloat16 leaves out, and what cannot be computed in it is not, which is said."""
    images, corners = np.random.default_rng(0).random((2, *SHAPE), np.float32), np.array([[2, 3], [0, 12], [99, 99]])
    body = [L.Conv2D(4, 3, padding="same", activation="relu"), L.MaxPooling2D(), L.DepthwiseConv2D(3, padding="same")]
    for end in ([], [L.GlobalAveragePooling2D()], [L.AveragePooling2D(2, padding="same")]):
        classifier, said = cnnlab.load(network(*body, *end)), []
        exact = classifier.covered_logits(images, 0.0, corners, 4)
        found = classifier.covered_logits(images, 0.0, corners, 4, warn=said.append, precision="bfloat16")
        assert said == []
        assert 1e-5 < np.abs(found - exact)[:, :2].max() < 2e-2
        np.testing.assert_array_equal(found[:, 2], exact[:, 2])
    classifier, said = cnnlab.load(network(L.Conv2D(4, 3, activation="tanh"))), []
    found = classifier.covered_logits(images, 0.0, corners, 4, warn=said.append, precision="bfloat16")
    np.testing.assert_array_equal(found, classifier.covered_logits(images, 0.0, corners, 4))
    assert said == ["the model was computed in float32, not in bfloat16, for its operation Tanh."]


def test_a_change_is_not_followed_where_a_network_looks_everywhere(always):
    """What begins with something global, such as an attention, is computed in full."""
    image = keras.Input((8, 8, 2))
    x = L.Reshape((64, 2))(image)
    x = L.MultiHeadAttention(1, 2)(x, x)
    classifier = cnnlab.load(keras.Model(image, L.Dense(3)(L.Flatten()(x))))
    warnings = []
    classifier.covered_logits(np.ones((1, 8, 8, 2)), 0.0, np.array([[0, 0]]), 3, warn=warnings.append)
    assert len(warnings) == 1
    assert "computed in full, for nothing is known of how far changes reach" in warnings[0]
    check(classifier, shape=(8, 8, 2), parted=False)


def test_statistics_of_the_batch_are_not_of_one_place(tmp_path):
    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 1))])
        def __call__(self, images):
            one, none = tf.ones(1), tf.zeros(1)
            normal = tf.raw_ops.FusedBatchNormV3(x=images, scale=one, offset=none, mean=none, variance=none)[0]
            return tf.reshape(normal, (-1, 64))[:, :3]

    tf.saved_model.save(Model(), tmp_path / "model")
    classifier = cnnlab.load(tmp_path / "model")
    read = Incremental(classifier._frozen, classifier._output.logits)
    assert (read.cuts, read.stopped_by) == ((), "FusedBatchNormV3")


def test_less_work_is_what_is_done(monkeypatch):
    """A square as large as the image is computed in full, one of a pixel is not."""
    classifier = cnnlab.load(network(L.Conv2D(32, 3, padding="same", activation="relu"), shape=(32, 32, 3)))
    images, corners = np.ones((1, 32, 32, 3), np.float32), np.array(list(itertools.product(range(9), range(9))))
    whole = []
    in_full = type(classifier)._unchecked_logits
    monkeypatch.setattr(
        type(classifier), "_unchecked_logits", lambda self, images: whole.append(1) or in_full(self, images)
    )
    classifier.covered_logits(images, 0.0, corners, 1)
    assert not whole
    classifier.covered_logits(images, 0.0, corners * 0, 32)
    assert whole


@pytest.mark.parametrize("build", ["MobileNetV2", "ResNet50"])
@pytest.mark.full
def test_networks_of_applications(always, build, tmp_path):
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, build)(input_shape=(64, 64, 3), weights=None, classes=7)
    model.export(tmp_path / "model", verbose=False)
    check(cnnlab.load(tmp_path / "model"), shape=(64, 64, 3), size=8, stride=12)


LAYERS = {
    "conv": functools.partial(L.Conv2D, 4, activation="relu"),
    "depthwise": L.DepthwiseConv2D,
    "max": L.MaxPooling2D,
    "average": L.AveragePooling2D,
    "dilated": functools.partial(L.Conv2D, 4, dilation_rate=2),
}
ENDS = [L.Flatten, L.GlobalAveragePooling2D, L.GlobalMaxPooling2D]


def chain(shape, links, end):
    """A network of layers that slide, as long as there is room for them, and branches around some."""
    image = x = keras.Input(shape)
    for kind, size, stride, padding in links:
        if min(x.shape[1:3]) < 5:
            break
        if kind == "branch":
            x = L.Add()([x, L.Conv2D(x.shape[3], size, padding="same")(x)])
        elif kind == "normal":
            x = L.ReLU()(L.BatchNormalization(gamma_initializer="random_normal", beta_initializer="ones")(x))
        elif kind == "padding":
            x = L.ZeroPadding2D(((size[0] - 1, stride), (0, size[1] - 1)))(x)
        else:
            x = LAYERS[kind](size, strides=1 if kind == "dilated" else stride, padding=padding)(x)
    return keras.Model(image, L.Dense(3)(end()(x)))


SIDE = st.integers(6, 14)
LINK = st.tuples(
    st.sampled_from([*LAYERS, "branch", "normal", "padding"]),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.integers(1, 2),
    st.sampled_from(["same", "valid"]),
)
NETWORKS = given(
    shape=st.tuples(SIDE, SIDE, st.sampled_from([1, 3])),
    links=st.lists(LINK, min_size=1, max_size=4),
    end=st.sampled_from(ENDS),
    size=st.integers(1, 6),
    stride=st.integers(1, 4),
    seed=st.integers(0, 99),
)


def compare(shape, links, end, size, stride, seed):
    keras.utils.set_random_seed(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(incremental, "WORTH", float("inf"))
        check(chain(shape, links, end), shape, size, stride, parted=None)


@settings(max_examples=8, deadline=None)
@NETWORKS
def test_random_networks(**case):
    compare(**case)


@pytest.mark.full
@settings(max_examples=150, deadline=None)
@NETWORKS
def test_many_random_networks(**case):
    compare(**case)
