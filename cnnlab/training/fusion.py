"""The same network in fewer operations.

Adding a bias and taking ReLU keep the order of values: behind a max-pooling their gradients are those of the pooled
map, and of a 2x2 pooling a quarter of the work is left. Batch normalisation becomes one kernel each way instead of ten
operations, and a bias that it takes out again is added to the running mean alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from cnnlab.errors import CnnlabError

_FLOATS = ("float32", "bfloat16", "float16")
"""What TensorFlow's kernel of batch normalisation computes in; its statistics are float32."""


@dataclass(frozen=True)
class _Map:
    """How a map came about: ``finish(before)``, where ``finish`` keeps the order of the values of a channel."""

    map: Any
    before: Any
    finish: Callable[[Any], Any]
    convolution: layers.Layer | None = None


def fuse(model: keras.Model, *, synchronized: bool = False) -> keras.Model:
    """Return a network that is trained in the place of ``model``, with its weights: the model itself stays as it is.

    Called with ``training=True`` it gives what the model gives, but for rounding, and updates the same running
    statistics. Layers that are not known here are called as the model calls them, and a model that is no graph of
    layers is returned as it is. Batch normalisations that are ``synchronized`` take the mean and the variance of the
    images of all replicas.

    Raises:
        CnnlabError: A batch normalisation cannot be synchronised.

    A max-pooling passes the gradient to the first of several equal values; behind a batch normalisation whose scale is
    exactly zero all are equal, and Keras' choice is another.
    """
    calls = _Calls(synchronized)
    if not model.built:
        return model
    if type(model) is keras.Sequential:
        x = images = keras.Input(batch_shape=model.input_shape, dtype=model.inputs[0].dtype)
        for layer in model.layers:
            x = calls(layer, x)
        return keras.Model(images, x)
    if type(model).__name__ == "Functional":
        return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=calls)
    return calls.checked(model)


class _Calls:
    """Calls the layers of a network one after the other, each in the cheapest way that it knows of."""

    def __init__(self, synchronized: bool) -> None:
        self._maps: dict[int, _Map] = {}
        self._synchronized = synchronized

    def __call__(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        if len(args) != 1 or any(value is not None for value in kwargs.values()) or not _is_plain(layer):
            return self.checked(layer)(*args, **kwargs)
        (x,) = args
        known = self._maps.get(id(x))
        if type(layer) is layers.Conv2D and _activation(layer) in ("linear", "relu"):
            return self._finished(_Convolution(layer)(x), _Finish(layer), layer)
        if type(layer) in (layers.ReLU, layers.Activation) and _activation(layer) == "relu":
            return self._finished(x, layer)
        if type(layer) is layers.MaxPooling2D and known is not None:
            if isinstance(known.finish, _Finish):
                return _Pooled(known.finish.layer, layer)(known.before)
            return known.finish(layer(known.before))
        if type(layer) is layers.BatchNormalization and _is_usual(layer, len(x.shape)):
            normalization = _Synchronized if self._synchronized else _Normalization
            if known is not None and known.convolution is not None and _activation(known.convolution) == "linear":
                return normalization(layer, known.convolution)(known.before)
            return normalization(layer)(x)
        if type(layer) is layers.Dense and len(x.shape) == 2 and layer.quantization_mode is None:
            return _Dense(layer)(x)
        return self.checked(layer)(x)

    def checked(self, layer: Any) -> Any:
        """Return a layer that is called as it is, if no batch normalisation in it was to be another.

        Raises:
            CnnlabError: One was.
        """
        inside = layer._flatten_layers() if self._synchronized and isinstance(layer, layers.Layer) else ()
        for each in inside:
            if isinstance(each, layers.BatchNormalization) and each.trainable:
                raise CnnlabError(
                    f"the batch normalisation {each.name!r} cannot be synchronised: it is in no graph of layers, or "
                    "no usual one over the last axis. Train without `sync_batch_norm=True`."
                )
        return layer

    def _finished(self, before: Any, finish: Callable[[Any], Any], convolution: layers.Layer | None = None) -> Any:
        made = _Map(finish(before), before, finish, convolution)
        self._maps[id(made.map)] = made
        return made.map


def _is_plain(layer: Any) -> bool:
    """Whether a layer works on the channels last, and adds nothing to the loss by what it gives."""
    return (
        isinstance(layer, layers.Layer)
        and getattr(layer, "data_format", "channels_last") == "channels_last"
        and layer.activity_regularizer is None
    )


def _activation(layer: Any) -> str:
    """The name of a layer's activation; of a ReLU only where it is the plain one, or one that is cut off above."""
    if type(layer) is layers.ReLU:
        return "relu" if not layer.negative_slope and not layer.threshold else ""
    known = {keras.activations.linear: "linear", keras.activations.relu: "relu"}
    return known.get(layer.activation, "")


def _is_usual(layer: Any, rank: int) -> bool:
    """Whether a batch normalisation is one that TensorFlow's kernel knows, and is to learn."""
    return (
        layer.trainable
        and rank in (2, 4)
        and layer.axis in (-1, rank - 1)
        and layer.compute_dtype in _FLOATS
        and not layer.synchronized
        and not getattr(layer, "renorm", False)
    )


class _Convolution(layers.Layer):
    """A convolution without what follows it."""

    def __init__(self, layer: Any) -> None:
        super().__init__(dtype=layer.dtype_policy)
        self.layer = layer

    def call(self, inputs: Any) -> Any:
        """Convolve [N, H, W, C]."""
        return self.layer.convolution_op(inputs, self.layer.kernel)


class _Finish(layers.Layer):
    """Bias and activation of a convolution."""

    def __init__(self, layer: Any) -> None:
        super().__init__(dtype=layer.dtype_policy)
        self.layer = layer

    def call(self, inputs: Any) -> Any:
        """Add the bias to [N, H, W, C] and take the activation."""
        if self.layer.use_bias:
            inputs = tf.nn.bias_add(inputs, self.layer.bias)
        return self.layer.activation(inputs)


class _Pooled(layers.Layer):
    """Bias and activation of a convolution, which TensorFlow makes one kernel with it, and a max-pooling."""

    def __init__(self, layer: Any, pooling: Any) -> None:
        super().__init__(dtype=layer.dtype_policy)
        self.layer, self.pooling = layer, pooling

    def call(self, inputs: Any) -> Any:
        """Pool [N, H, W, C]."""
        relu = _activation(self.layer) == "relu"
        height, width = self.pooling.pool_size
        down, right = self.pooling.strides
        how = {
            "ksize": [1, height, width, 1],
            "strides": [1, down, right, 1],
            "padding": self.pooling.padding.upper(),
        }

        @tf.custom_gradient
        def pooled(x: tf.Tensor, bias: tf.Tensor) -> Any:
            finished = tf.nn.bias_add(x, bias)
            if relu:
                finished = tf.nn.relu(finished)
            largest = tf.raw_ops.MaxPool(input=finished, **how)

            def gradient(above: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                if relu:
                    above = tf.raw_ops.ReluGrad(gradients=above, features=largest)
                below = tf.raw_ops.MaxPoolGrad(orig_input=finished, orig_output=largest, grad=above, **how)
                return below, tf.raw_ops.BiasAddGrad(out_backprop=above)

            return largest, gradient

        bias = self.layer.bias if self.layer.use_bias else tf.zeros(inputs.shape[-1:], inputs.dtype)
        return pooled(inputs, tf.cast(bias, inputs.dtype))


class _Dense(layers.Layer):
    """A dense layer whose gradient by its inputs is computed transposed.

    oneDNN multiplies the kernel from the left a fifth faster than the transposed kernel from the right.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__(dtype=layer.dtype_policy)
        self.layer = layer

    def call(self, inputs: Any) -> Any:
        """Multiply [N, C], add the bias and take the activation."""
        outputs = _product(inputs, tf.cast(self.layer.kernel, inputs.dtype))
        if self.layer.use_bias:
            outputs = tf.nn.bias_add(outputs, self.layer.bias)
        return self.layer.activation(outputs)


@tf.custom_gradient
def _product(x: tf.Tensor, kernel: tf.Tensor) -> Any:
    def gradient(above: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        below = tf.transpose(tf.matmul(kernel, above, transpose_b=True))
        return below, tf.matmul(x, above, transpose_a=True)

    return tf.matmul(x, kernel), gradient


class _Normalization(layers.Layer):
    """A batch normalisation while it learns, of a map to which ``convolution`` has still to add its bias."""

    def __init__(self, layer: Any, convolution: Any = None) -> None:
        super().__init__(dtype=layer.dtype_policy)
        self.layer = layer
        self.bias_of = convolution if convolution is not None and convolution.use_bias else None

    def call(self, inputs: Any) -> Any:
        """Normalise [N, H, W, C] or [N, C], and move the running statistics."""
        layer = self.layer
        shape = tf.shape(inputs)
        channels = inputs.shape[-1]
        maps = inputs if len(inputs.shape) == 4 else tf.reshape(inputs, [-1, 1, 1, channels])
        none = tf.zeros([0])
        normalized, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=maps,
            scale=tf.cast(layer.gamma, tf.float32) if layer.scale else tf.ones([channels]),
            offset=tf.cast(layer.beta, tf.float32) if layer.center else tf.zeros([channels]),
            mean=none,
            variance=none,
            epsilon=layer.epsilon,
        )
        count = tf.cast(tf.size(maps) // channels, tf.float32)
        variance *= tf.maximum(count - 1.0, 1.0) / count  # the kernel tells it with Bessel's correction, Keras without
        self._move(mean, variance)
        return tf.reshape(normalized, shape)

    def _move(self, mean: Any, variance: Any) -> None:
        """Move the running statistics towards those of a batch."""
        layer = self.layer
        if self.bias_of is not None:
            mean += tf.cast(self.bias_of.bias, tf.float32)
        for moving, now in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            moving.assign(tf.cast(moving, tf.float32) * layer.momentum + now * (1.0 - layer.momentum))


class _Synchronized(_Normalization):
    """The same of the images of all replicas, however many each has."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of what it is given."""
        return input_shape

    def call(self, inputs: Any) -> Any:
        """Normalise [N, H, W, C] or [N, C], and move the running statistics."""
        layer, x = self.layer, tf.cast(inputs, tf.float32)
        axes = list(range(len(x.shape) - 1))
        count = _over_replicas(tf.cast(tf.size(x) // x.shape[-1], tf.float32))
        mean = _over_replicas(tf.reduce_sum(x, axes)) / count
        variance = _over_replicas(tf.reduce_sum(tf.square(x - mean), axes)) / count
        self._move(mean, variance)
        scale = tf.cast(layer.gamma, tf.float32) if layer.scale else None
        offset = tf.cast(layer.beta, tf.float32) if layer.center else None
        return tf.cast(tf.nn.batch_normalization(x, mean, variance, offset, scale, layer.epsilon), inputs.dtype)


def _over_replicas(values: tf.Tensor) -> tf.Tensor:
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)
