"""MNIST, whole and inside the package, and the network that it is classically learned by."""

from collections.abc import Iterable

from cnnlab.plugin import Architecture, DatasetSource, hookimpl


@hookimpl
def cnnlab_datasets() -> Iterable[DatasetSource]:
    """The 70,000 handwritten digits."""
    return [
        DatasetSource(
            name="mnist",
            summary="Handwritten digits, white on black, centred.",
            load="cnnlab_mnist.data:load",
            shape=(28, 28, 1),
            class_names=tuple("0123456789"),
            train_size=60_000,
            test_size=10_000,
            provenance="LeCun, Cortes and Burges, 1998",
            licence="CC BY-SA 3.0",
        )
    ]


@hookimpl
def cnnlab_architectures() -> Iterable[Architecture]:
    """The network of two convolutions and two dense layers."""
    return [
        Architecture(
            name="mnist-cnn",
            summary="Two 3x3 convolutions of 32 filters, each with 2x2 max-pooling; dense layers of 500 and 10.",
            build="cnnlab_mnist.network:build",
            input_shape=(28, 28, 1),
            classes=10,
            batch_norm=True,
        )
    ]
