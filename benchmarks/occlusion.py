"""Occlusion of one 28x28 image, patch 4, stride 1: 625 positions."""

from __future__ import annotations

import numpy as np
import torch
from captum.attr import Occlusion
from side_by_side import race, rounds_from_command_line
from torch import nn

import cnnlab
from cnnlab.training import build


def cnnlab_map(model, image):
    """The plugin as the host runs it, on an opened model, with all that the host does around it."""
    classifier = cnnlab.load(model)
    return lambda: cnnlab.analyze("occlusion", classifier, image[None], class_=7)


def naive(model, image):
    """All occluded images at once, made in NumPy, through `model.predict`."""

    def do():
        images = np.repeat(image[None], 625, axis=0)
        for position in range(625):
            row, col = divmod(position, 25)
            images[position, row : row + 4, col : col + 4] = 0
        return model.predict(images, batch_size=625, verbose=0)

    return do


def captum_map(model, image, per_pass):
    """Captum, on the same network in PyTorch with the same weights."""
    twin = torch_twin(model)
    occlusion = Occlusion(twin)
    tensor = torch.tensor(image.transpose(2, 0, 1)[None].copy())

    def do():
        return occlusion.attribute(
            tensor, sliding_window_shapes=(1, 4, 4), strides=(1, 1, 1), target=7, perturbations_per_eval=per_pass
        )

    return do


def torch_twin(model):
    """The network in PyTorch, with the weights of a Keras model."""
    twin = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1568, 500), nn.ReLU(), nn.Linear(500, 10),
    )  # fmt: skip
    layers = dict(zip((0, 3, 7, 9), ("conv1", "conv2", "fc1", "fc2"), strict=True))
    with torch.no_grad():
        for position, name in layers.items():
            kernel, bias = (np.asarray(weight) for weight in model.get_layer(name).weights)
            if name == "fc1":  # Keras flattens [h, w, c], PyTorch [c, h, w]
                kernel = kernel.reshape(7, 7, 32, 500).transpose(2, 0, 1, 3).reshape(1568, 500)
            order = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
            twin[position].weight.copy_(torch.tensor(kernel.transpose(order).copy()))
            twin[position].bias.copy_(torch.tensor(bias))
    return twin.eval()


def main() -> None:
    image = cnnlab.datasets.load("mnist").test.batch([0])[0]
    model = build("mnist-cnn", (28, 28, 1), 10)
    expected = model(image[None]).numpy()
    found = torch_twin(model)(torch.tensor(image.transpose(2, 0, 1)[None].copy())).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    race(
        "occlusion",
        "Occlusion of one 28x28 image: mnist-cnn, patch 4, stride 1, 625 positions",
        {
            "`cnnlab.analyze`": cnnlab_map(model, image),
            "`model.predict` of all positions": naive(model, image),
            "Captum, 625 positions a pass": captum_map(model, image, 625),
            "Captum, defaults (one position a pass)": captum_map(model, image, 1),
        },
        rounds=rounds_from_command_line(15, __doc__),
        packages=["cnnlab", "tensorflow", "keras", "torch", "captum"],
        note="Captum runs the same weights in PyTorch. Its map and cnnlab's average overlapping patches alike.",
    )


if __name__ == "__main__":
    main()
