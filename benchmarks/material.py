"""The networks, their weights and the images, written out once, so that every side has the same.

``python -m benchmarks.material RUN`` writes them below ``build/benchmarks``: each network as NAME.keras and as NAME.npz
(kernels and biases in their order, as Keras lays them out), and MNIST as mnist.npz.
"""

from __future__ import annotations

import filecmp
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parent.parent / "build" / "benchmarks"

VGG_SIZES = (28, 56, 112, 224)
"""Sides of the images that there are VGG-style networks for."""

SHAPES: dict[str, tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]] = {
    "classic": (((32,), (32,)), (500, 10)),
    "initial": (((32,), (32,)), (500, 10)),
    **{f"vgg{side}": (((16, 16), (32, 32), (64, 64), (128, 128)), (256, 10)) for side in VGG_SIZES},
}
"""Each network: the channels of its 3x3 convolutions, block by block with a pooling after each; its dense layers."""


def digits(part: str = "test", count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the first ``count`` images of MNIST, float32 [N, 28, 28, 1] from 0 to 1, and their labels int64 [N]."""
    with np.load(FOLDER / "mnist.npz") as found:
        images, labels = found[f"x_{part}"][:count], found[f"y_{part}"][:count]
    return (images[..., None] / np.float32(255)).astype(np.float32), labels.astype(np.int64)


def pictures(side: int, count: int = 1) -> np.ndarray:
    """Return images for a VGG-style network, float32 [N, side, side, 3] from 0 to 1: blobs drawn at random."""
    random = np.random.default_rng(side)
    coarse = random.random((count, 7, 7, 3), dtype=np.float32)
    return np.kron(coarse, np.ones((1, side // 7, side // 7, 1), np.float32))


def weights(name: str) -> list[np.ndarray]:
    """Return the kernels and biases of a network, in their order."""
    with np.load(FOLDER / f"{name}.npz") as found:
        return [found[f"arr_{number}"] for number in range(len(found.files))]


def in_keras(name: str, softmax: bool = False) -> Any:
    """Open a network in Keras, with a softmax behind it where one is wanted."""
    import keras

    model = keras.models.load_model(FOLDER / f"{name}.keras", compile=False)
    return keras.Model(model.inputs[0], keras.layers.Softmax()(model.outputs[0])) if softmax else model


def in_torch(name: str, softmax: bool = False) -> Any:
    """Make a network in PyTorch, of the same weights."""
    import torch
    from torch import nn

    blocks, dense = SHAPES[name]
    given, layers = iter(weights(name)), []
    for block in blocks:
        for _ in block:
            kernel, bias = next(given), next(given)
            layers += [nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1), nn.ReLU()]
            _fill(layers[-2], kernel.transpose(3, 2, 0, 1), bias)
        layers.append(nn.MaxPool2d(2))
    channels = blocks[-1][-1]
    layers.append(nn.Flatten())
    for number, _ in enumerate(dense):
        kernel, bias = next(given), next(given)
        if not number:  # Keras flattens [h, w, c], PyTorch [c, h, w]
            side = round((len(kernel) / channels) ** 0.5)
            kernel = kernel.reshape(side, side, channels, -1).transpose(2, 0, 1, 3).reshape(len(kernel), -1)
        layers += [nn.Linear(*kernel.shape), nn.ReLU()]
        _fill(layers[-2], kernel.T, bias)
    model = nn.Sequential(*layers[:-1], *([nn.Softmax(dim=1)] if softmax else []))
    return model.to(memory_format=torch.contiguous_format).eval()


def _fill(layer: Any, kernel: np.ndarray, bias: np.ndarray) -> None:
    import torch

    with torch.no_grad():
        layer.weight.copy_(torch.tensor(kernel.copy()))
        layer.bias.copy_(torch.tensor(bias))


def channels_first(images: np.ndarray) -> Any:
    """Return images as PyTorch wants them."""
    import torch

    return torch.tensor(images.transpose(0, 3, 1, 2).copy())


def logits(name: str, images: np.ndarray) -> np.ndarray:
    """Work out the logits [N, 10] of a network in NumPy alone: the judge of all sides."""
    return np.concatenate([_logits(name, images[first : first + 100]) for first in range(0, len(images), 100)])


def _logits(name: str, x: np.ndarray) -> np.ndarray:
    blocks, dense = SHAPES[name]
    given = iter(weights(name))
    for block in blocks:
        for _ in block:
            kernel, bias = next(given), next(given)
            padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))  # [N, H, W, C, 3, 3]
            flat = windows.transpose(0, 1, 2, 4, 5, 3).reshape(*x.shape[:3], -1)
            x = np.maximum(flat @ kernel.reshape(-1, kernel.shape[3]) + bias, 0)
        height, width = x.shape[1] // 2, x.shape[2] // 2
        x = x[:, : 2 * height, : 2 * width].reshape(len(x), height, 2, width, 2, -1).max(axis=(2, 4))
    x = x.reshape(len(x), -1)
    for number, _ in enumerate(dense):
        x = x @ next(given) + next(given)
        x = np.maximum(x, 0) if number < len(dense) - 1 else x
    return x


def is_written(run: Path) -> bool:
    """Whether everything is there, of that run."""
    last, model = FOLDER / f"{list(SHAPES)[-1]}.npz", run / "model.keras"
    return last.exists() and model.exists() and filecmp.cmp(model, FOLDER / "classic.keras", shallow=False)


def main(run: Path) -> None:
    """Write everything out; the classic network is trained first where there is no run."""
    import keras

    import cnnlab
    from cnnlab.training import build

    FOLDER.mkdir(parents=True, exist_ok=True)
    if not (run / "run.json").exists():
        subprocess.run([sys.executable, "-m", "cnnlab", "train", "--out", run], check=True)
    shutil.copy(run / "model.keras", FOLDER / "classic.keras")
    mnist = cnnlab.datasets.load("mnist")
    parts = {"train": mnist.train, "test": mnist.test}
    np.savez(
        FOLDER / "mnist.npz",
        **{f"x_{name}": np.rint(part.images[..., 0] * 255).astype(np.uint8) for name, part in parts.items()},
        **{f"y_{name}": np.asarray(part.labels, np.uint8) for name, part in parts.items()},
    )
    keras.utils.set_random_seed(0)
    build("mnist-cnn", (28, 28, 1), 10).save(FOLDER / "initial.keras")
    for side in VGG_SIZES:
        vgg(side).save(FOLDER / f"vgg{side}.keras")
    for name in SHAPES:
        np.savez(FOLDER / f"{name}.npz", *(weight.numpy() for weight in in_keras(name).weights))


def vgg(side: int) -> Any:
    """Make a VGG-style network in Keras, its weights drawn at random."""
    import keras

    blocks, (hidden, classes) = SHAPES[f"vgg{side}"]
    he = {"kernel_initializer": "he_normal", "activation": "relu"}
    x = images = keras.Input((side, side, 3))
    for block in blocks:
        for channels in block:
            x = keras.layers.Conv2D(channels, 3, padding="same", **he)(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Dense(hidden, **he)(keras.layers.Flatten()(x))
    return keras.Model(images, keras.layers.Dense(classes)(x))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / "run")
