"""``cnnlab.train`` and ``cnnlab.training.build``: what the words alone rule out is refused before TensorFlow loads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab.devices import cluster
from cnnlab.pluginhost import registry
from cnnlab.progress import wanted
from cnnlab.training import run_choice
from cnnlab.training.reporter import Reporter
from cnnlab.training.settings import Settings

if TYPE_CHECKING:
    import keras

    from cnnlab.datasets import Dataset
    from cnnlab.runs import Run


def train(
    dataset: str | os.PathLike[str] | Dataset = "mnist",
    *,
    architecture: str = "mnist-cnn",
    batch_norm: bool = False,
    sync_batch_norm: bool = False,
    recipe: str = "classic",
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    validation: int = 0,
    limit: int | None = None,
    precision: str | None = None,
    seed: int = 0,
    device: str = "auto",
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    force: bool = False,
    tensorboard: bool = False,
    profile: bool = False,
    progress: bool | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Train a network and leave a run folder.

    The same settings, data and seed on the same CPU give bit-identical weights and history, but for the seconds; a run
    that was interrupted and resumed gives those of one that was not. The weights of the last epoch are kept, whichever
    epoch was best: nothing is chosen by the test images.

    Args:
        dataset: A name that ``cnnlab datasets`` lists, a path, ``keras:NAME``, ``tfds:NAME``, or a Dataset.
        architecture: The network, by the name of its plugin.
        batch_norm: Put batch normalisation before each ReLU.
        sync_batch_norm: On several devices, take the mean and the variance of the whole batch, not of each device's
            part of it.
        recipe: ``classic`` (Adam, batch 64, 10 epochs, a learning rate that is constant and over the last 30% of the
            steps falls linearly to 0), ``constant`` (the same without the fall), ``fast`` (2 epochs of batch 256) or
            ``best`` (10 epochs of batch 128); these two with a learning rate that rises and falls, smoothed labels,
            images moved by a pixel or two, and initial weights of He et al. (2015); or that of a plugin.
        epochs: How often to go through the training images, instead of the recipe's.
        batch_size: Images per step, instead of the recipe's.
        learning_rate: The largest learning rate, instead of the recipe's.
        validation: Hold out so many training images, drawn by the seed. They are evaluated after every epoch, and the
            test images once at the end; with 0 the test images are evaluated after every epoch.
        limit: Take only the first so many training images (those held out are drawn from these).
        precision: What to compute in while training, ``float32``, ``bfloat16``, ``float16`` or ``auto``: bfloat16 where
            the device in use is faster in it, else float32. By default float32, and ``auto`` for ``fast`` and ``best``.
            Weights are kept, evaluated and saved in float32.
        seed: Seeds the initial weights, the order of the images, and which are held out.
        device: ``auto``, ``cpu`` or ``gpu:0`` (``gpu:1``, ...); or several that share each batch: ``all`` GPUs, or the
            CPU as ``cpu:N`` devices, which must be asked for before TensorFlow begins in the process. Where
            ``TF_CONFIG`` or SLURM describes several processes, each with the same command, all train the one network.
        out: The run folder; None for a new one below ``runs/``. Several processes must be told one, on a disk that
            they share; the first of them writes.
        resume: Go on with the run in ``out`` (None: the newest unfinished one), which must have the same settings. A
            complete run is returned as it is.
        force: Begin also in a folder that holds other files: those called as a run's are replaced, and no other is
            touched. A run is never replaced, nor a folder ``model`` or ``checkpoint``.
        tensorboard: Write what TensorBoard shows into the folder ``tensorboard`` of the run: losses, accuracies and
            learning rate at the number of steps done, and the first convolution's kernels after each epoch. A run
            that was begun so goes on so.
        profile: Profile a few steps for TensorBoard, too, once the loop is warm; brings ``tensorboard`` with it.
        progress: Whether to show a bar and a row per epoch, on stderr or below the cell of a notebook; by default where
            somebody sits before a terminal or a notebook.
        reporter: Is told of the progress instead.

    Returns:
        The complete run.

    Raises:
        UsageError: A value is wrong by itself, or differs from that of the run to go on with.
        CnnlabError: The data cannot be read, the folder is taken, the loss diverged, the disk is full.
        Interrupted: Ctrl-C, SIGTERM or SIGHUP (a KeyboardInterrupt); what was done is saved.

    Example:
        >>> import tempfile
        >>> import cnnlab
        >>> import numpy as np
        >>> from cnnlab.datasets import Dataset, Split
        >>> split = Split(np.zeros((8, 12, 12), np.uint8), [0, 1] * 4)
        >>> data = Dataset(name="dark", train=split, test=split[:2], class_names=("a", "b"))
        >>> run = cnnlab.train(data, epochs=1, out=tempfile.mkdtemp() + "/small", progress=False)
        >>> run.state, run.metrics["val_accuracy"]
        ('complete', 0.5)
    """
    name = source_of(dataset) if isinstance(dataset, (str, os.PathLike)) else dataset.name
    told: dict[str, Any] = {
        "dataset": name,
        "architecture": architecture,
        "batch_norm": batch_norm,
        "sync_batch_norm": sync_batch_norm,
        "recipe": recipe,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "validation": validation,
        "limit": limit,
        "precision": precision,
        "seed": seed,
    }
    together = cluster.from_environment(os.environ)
    if together and together.index:  # it writes nothing, and the first process says how far they are
        reporter = Reporter()
    reporter = reporter or _reporter(progress)
    try:
        complete = run_choice.complete_in(out) if resume else None
        if complete is not None:  # what it was trained with need not be there any more
            run_choice.check_alike(complete, told)
            return _left(complete, reporter)
        settings = Settings(**told).filled()
        with run_choice.chosen(settings, out, resume, force=force, together=together) as run:
            if run.complete:
                return _left(run, reporter)
            from cnnlab.datasets import loading

            given = None if isinstance(dataset, (str, os.PathLike)) else dataset
            if given is None:
                loading.check_named(name)
            reporter.stage("Loading TensorFlow")
            from cnnlab.training.session import train_in

            return train_in(
                run,
                settings,
                lambda: given or loading.load(name),
                device,
                reporter,
                resume=resume,
                tensorboard=tensorboard,
                profile=profile,
            )
    finally:
        reporter.finished()


def build(architecture: str, input_shape: Sequence[int], classes: int, batch_norm: bool = False) -> keras.Model:
    """Build a network with fresh weights, by the name of its architecture.

    Args:
        architecture: The name of an installed architecture.
        input_shape: Height, width and channels.
        classes: How many logits it gives.
        batch_norm: Whether to put batch normalisation before each ReLU.

    Returns:
        A ``keras.Model`` from images [N, H, W, C] to logits [N, classes].

    Raises:
        UsageError: There is no such architecture.
        CnnlabError: It cannot be built for such images.
    """
    from cnnlab.training.network import build_network

    return build_network(architecture, input_shape, classes, batch_norm)


def _left(run: Run, reporter: Reporter) -> Run:
    reporter.note(f"{run.path} is complete already; nothing was done.")
    return run


def _reporter(progress: bool | None) -> Reporter:
    if not wanted(progress):
        return Reporter()
    from cnnlab.training.live import RichReporter

    return RichReporter()


def source_of(dataset: str | os.PathLike[str]) -> str:
    """A path is made absolute, so that the run can be resumed, and its dataset found, from any folder."""
    name = os.fspath(dataset)
    if name and name not in registry.datasets() and Path(name).exists():
        return str(Path(name).resolve())
    return name
