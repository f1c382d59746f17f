"""The value range that the first thing a graph does to its images tells."""

from __future__ import annotations

import pytest
import tensorflow as tf

from cnnlab.classifier.preprocessing import ASSUMED, _read_off

FIRST = {
    "multiplied by 1/255": (lambda x: x * (1 / 255), 255, "multiply its images by 1/255"),
    "multiplied by 1/127.5, less 1": (lambda x: x * (1 / 127.5) - 1.0, 255, "multiply its images by 1/127.5"),
    "divided by 255": (lambda x: x / 255.0, 255, "divide its images by 255"),
    "less a mean": (lambda x: x - tf.constant([120.0, 110.0, 100.0]), 255, "take 110 off its images"),
    "less a mean, after a resize": (lambda x: tf.identity(tf.reshape(x, (-1, 75))) - 110.0, 255, "take 110 off"),
    "doubled": (lambda x: x * 2.0 - 1.0, 1, ASSUMED),
    "halved": (lambda x: x / 2.0, 1, ASSUMED),
    "a small mean": (lambda x: x - 0.45, 1, ASSUMED),
    "a thousandth": (lambda x: x * 0.001, 1, ASSUMED),
    "something added": (lambda x: x + 110.0, 1, ASSUMED),
    "two ways": (lambda x: x * (1 / 255) + tf.exp(x), 1, ASSUMED),
    "what it computed": (lambda x: x * tf.reduce_mean(x), 1, ASSUMED),
    "after a convolution": (lambda x: tf.nn.conv2d(x, tf.ones((1, 1, 3, 3)), 1, "SAME") * (1 / 255), 1, ASSUMED),
}


@pytest.mark.parametrize("case", FIRST)
def test_the_first_thing_that_is_done_tells_the_range(case):
    does, highest, reason = FIRST[case]
    with tf.Graph().as_default():
        image = tf.compat.v1.placeholder(tf.float32, (None, 5, 5, 3))
        does(image)
        found, why = _read_off(image)
    assert found == (0.0, float(highest))
    assert reason in why


def test_integers_are_of_8_bits():
    with tf.Graph().as_default():
        image = tf.compat.v1.placeholder(tf.uint8, (None, 5, 5, 3))
        for each in (image, tf.cast(image, tf.float32)):
            assert _read_off(each) == ((0.0, 255.0), "the model takes 8-bit integers")
