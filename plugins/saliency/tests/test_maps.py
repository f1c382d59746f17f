"""What is made of gradients and feature maps, on numbers small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.plugin import Context, Inputs
from cnnlab.testing import FakeClassifier
from cnnlab_saliency import SaliencyParams, maps
from cnnlab_saliency.cams import cam_plus_weights, cam_weights, masks, score_weights
from cnnlab_saliency.gradients import strongest
from cnnlab_saliency.maps import headline, mapped, name_of


def test_gradcam_weighs_by_the_mean_gradient():
    gradient = np.arange(12.0).reshape(1, 2, 3, 2)
    assert cam_weights(np.zeros_like(gradient), gradient).tolist() == [[5.0, 6.0]]


def test_gradcam_plus_plus_by_hand():
    """alpha = 1 / (2 + sum(A) g) where g is above zero; the weight is the sum of alpha g."""
    features = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 2, 2, 1)
    gradient = np.array([0.5, -1.0, 0.0, 0.25]).reshape(1, 2, 2, 1)
    wanted = 0.5 / (2 + 10 * 0.5) + 0.25 / (2 + 10 * 0.25)
    assert cam_plus_weights(features, gradient).item() == pytest.approx(wanted, rel=1e-12)
    # Before a ReLU the sum may be below zero, and what is divided by may vanish: that place has no say.
    vanishing = cam_plus_weights(-features, np.array([0.2, 0.1, 0.0, 0.0]).reshape(1, 2, 2, 1))
    assert vanishing.item() == pytest.approx(0.1 / (2 - 10 * 0.1), rel=1e-12)


def test_masks_are_stretched_from_0_to_1_and_flat_ones_hide_everything():
    features = np.stack([np.array([[2.0, 4.0], [3.0, 6.0]]), np.full((2, 2), 5.0)], axis=-1).astype(np.float32)
    found = masks(features, (2, 2))
    np.testing.assert_allclose(found, [[[0, 0.5], [0.25, 1]], np.zeros((2, 2))])


def test_scorecam_weighs_by_the_rise_of_the_probability_above_the_blank_image():
    """Brightness: the masked image has a mean of its own, and a channel that is flat points nowhere."""
    classifier = FakeClassifier.of_brightness((2, 2, 1))
    image = np.full((2, 2, 1), 0.8, np.float32)
    features = np.stack([np.array([[0.0, 1.0], [0.0, 1.0]]), np.full((2, 2), 5.0)], axis=-1).astype(np.float32)
    found = score_weights(classifier, image, 1, features)

    def sure(mean):
        return 1 / (1 + np.exp(-2 * (mean - 0.5)))

    np.testing.assert_allclose(found, [sure(0.4) - sure(0.0), 0.0], rtol=1e-5)


def test_the_strongest_channel_keeps_its_sign():
    values = np.array([[1.0, -3.0, 2.0], [0.0, 0.5, -0.25]]).reshape(1, 1, 2, 3)
    assert strongest(values).tolist() == [[[-3.0, 0.5]]]


@pytest.mark.parametrize(
    ("values", "pixels"),
    [
        ([1, 1, 1, 1], 2),
        ([4, 1, 1, 1], 1),
        ([3, 1, 1, 1], 1),
        ([2.9, 1, 1, 1], 2),
        ([-4, 1, 1, 1], 1),
        ([0, 0, 0, 1], 1),
    ],
)
def test_half_of_a_map_lies_on_as_few_pixels_as_hold_it(values, pixels):
    """By trying every number of the largest pixels."""
    sizes = sorted(map(abs, values), reverse=True)
    assert next(n for n in range(1, 5) if sum(sizes[:n]) >= sum(sizes) / 2) == pixels
    words = headline(SaliencyParams(method="vanilla"), "gradient", np.array(values, np.float32).reshape(1, 2, 2))
    assert words == f"Half of the gradient lies on {25 * pixels}.0% of the pixels"


def test_the_share_is_a_mean_over_the_maps_that_are_not_flat():
    several = np.array([[1, 1, 1, 1], [4, 1, 1, 1], [0, 0, 0, 0]], np.float32).reshape(3, 2, 2)
    words = headline(SaliencyParams(method="integrated"), "integrated gradients", several)
    assert words == "Half of the integrated gradients lie on 37.5% of the pixels, mean over the images"
    assert headline(SaliencyParams(method="integrated"), "x", several[2:]) == "The x are zero everywhere"
    assert headline(SaliencyParams(method="vanilla"), "x", several[2:]) == "The x is zero everywhere"


@pytest.mark.parametrize(("gap", "warned"), [(0.04, False), (0.0499, False), (0.051, True), (-0.051, True)])
def test_a_gap_is_told_of_from_a_twentieth_of_the_rise_on(monkeypatch, gap, warned):
    """Two images that rise by 4 and 12, and maps that add up to as much and a part more."""
    rise = np.array([4.0, -12.0])
    planes = np.zeros((2, 2, 2))
    planes[:, 0, 0], planes[:, 1, 1] = rise * (1 + gap) + 1, -1
    monkeypatch.setattr(maps, "logit_rise", lambda *_: rise)
    monkeypatch.setattr(maps, "explain", lambda params, classifier, images, targets, seed: planes)
    images = np.zeros((2, 2, 2, 1), np.float32)
    inputs, context = Inputs(lambda indices: images[indices], np.zeros(2), ["a", "b"]), Context()
    classifier = FakeClassifier.of_brightness()
    for signed in (False, True):
        params = SaliencyParams(method="integrated", signed=signed)
        found, columns = mapped(params, classifier, inputs, np.zeros(2, int), context)
        np.testing.assert_allclose(found, planes if signed else np.abs(planes), rtol=1e-6)
        np.testing.assert_allclose(columns["completeness_gap"], np.abs(rise * gap), atol=1e-5)
        np.testing.assert_array_equal(columns["logit_rise"], rise)
    assert bool(context.warnings) == warned
    if warned:
        assert "by 0.408, 5.1% of it, mean over the images; more `path_steps=` than" in context.warnings[0]


def test_only_a_map_of_a_layer_is_called_after_it():
    assert (
        name_of(SaliencyParams(method="gradcam", layer="conv2"), FakeClassifier.of_brightness()) == "Grad-CAM of conv2"
    )
    assert name_of(SaliencyParams(method="smoothgrad"), FakeClassifier.of_brightness()) == "SmoothGrad"
