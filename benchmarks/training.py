"""One epoch of the classic recipe: cnnlab's compiled loop, Keras' fit, and PyTorch."""

from __future__ import annotations

import keras
import numpy as np
import torch
from side_by_side import race, rounds_from_command_line

import cnnlab
from cnnlab.training import build
from cnnlab.training.data import make_feed, shuffled
from cnnlab.training.loop import TrainingLoop
from cnnlab.training.network import build_network
from cnnlab.training.optimizer import make_optimizer

BATCH = 64


def cnnlab_epoch(split, precision: str = "float32", batch_norm: bool = False):
    """The loop of `cnnlab train`, in calls of a hundred steps, as long as those that show progress."""
    feed = make_feed(split, np.arange(len(split)))
    model = build_network("mnist-cnn", (28, 28, 1), 10, batch_norm, precision=precision, seed=0)
    loop = TrainingLoop(model, make_optimizer(1e-3, precision), feed.scale)

    def epoch() -> None:
        batches = feed.batches(shuffled(len(split), 0, 1), BATCH)
        steps = -(-len(split) // BATCH)
        for start in range(0, steps, 100):
            loop.run(batches, min(100, steps - start))
            _ = loop.loss

    return epoch


def keras_epoch(split, **options):
    """Keras' own fit, without validation."""
    model = build("mnist-cnn", (28, 28, 1), 10)
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        **options,
    )
    images, labels = split.images, split.labels
    return lambda: model.fit(images, labels, batch_size=BATCH, verbose=0)


def torch_epoch(split):
    """The plain loop of PyTorch's tutorials, the images as one tensor."""
    from torch import nn

    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1568, 500), nn.ReLU(), nn.Linear(500, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    images = torch.tensor(split.images.transpose(0, 3, 1, 2).copy())
    labels = torch.tensor(split.labels.copy())

    def epoch() -> None:
        for chosen in torch.randperm(len(labels)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[chosen]), labels[chosen]).backward()
            optimizer.step()

    return epoch


def main() -> None:
    split = cnnlab.datasets.load("mnist").train
    race(
        "training",
        "One training epoch: mnist-cnn, 60,000 images, batch 64, Adam",
        {
            "cnnlab": cnnlab_epoch(split),
            "cnnlab, `--precision bfloat16`": cnnlab_epoch(split, "bfloat16"),
            "cnnlab, `--batch-norm`": cnnlab_epoch(split, batch_norm=True),
            "Keras `fit`, defaults": keras_epoch(split),
            "Keras `fit`, `steps_per_execution=50`": keras_epoch(split, jit_compile=False, steps_per_execution=50),
            "PyTorch": torch_epoch(split),
        },
        rounds=rounds_from_command_line(3, __doc__),
        packages=["cnnlab", "tensorflow", "keras", "torch"],
        note="cnnlab and PyTorch shuffle the images in every epoch, as Keras does. Evaluation is in none of them.",
    )


if __name__ == "__main__":
    main()
