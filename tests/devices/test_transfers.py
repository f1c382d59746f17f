"""What compiled functions would do on a GPU, where there is none: read off their graphs and TensorFlow's kernels.

TensorFlow registers its kernels for GPUs, and which of their arguments lie in the host's memory, on any machine. So
a graph tells which operations have no such kernel, and which values would have to be copied from a GPU to the host, for
which the host waits. What it does not tell is what TensorFlow's optimiser makes of it, but for this: it takes away
operations that hand on what they are given.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager.polymorphic_function import tracing_compilation
from tensorflow.python.framework import function_def_to_graph, kernels

import cnnlab
from cnnlab.attacks.goals import Fooled
from cnnlab.attacks.loop import Loop, Plan
from cnnlab.attacks.objectives import CrossEntropy, Energy, LogOdds, Margin, SquaredDistance, TotalVariation
from cnnlab.attacks.steps import Adam, NormalisedGradient, Sign
from cnnlab.datasets import Split
from cnnlab.training.data import MemoryFeed, StreamFeed
from cnnlab.training.evaluation import Evaluator
from cnnlab.training.loop import TrainingLoop, take
from cnnlab.training.network import build_network
from cnnlab.training.optimizer import make_optimizer
from cnnlab.training.schedules import schedule

SHAPE = (8, 8, 1)
LOOPS = ("While", "StatelessWhile")
FUNCTIONS = ("PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "Case", "StatelessCase", *LOOPS)
BOUNDARIES = ("Placeholder", *FUNCTIONS)
ON_HOST = (tf.int32, tf.resource, tf.variant, tf.string)
"""What functions are given in the memory of the host."""


class Found(NamedTuple):
    """Something that a GPU would not do by itself."""

    what: str
    operation: str
    in_a_loop: bool


registered = functools.cache(kernels.get_registered_kernels_for_op)


def kernel(operation: Any) -> Any:
    """TensorFlow's kernel for a GPU; None where there is none."""
    attributes = operation.node_def.attr
    for each in registered(operation.type).kernel:
        if each.device_type in ("GPU", "DEFAULT") and not each.label:
            constraints = ((attributes[one.name], one.allowed_values.list.type) for one in each.constraint)
            if all(set(value.list.type or [value.type]) <= set(allowed) for value, allowed in constraints):
                return each
    return None


def on_host(operation: Any, arguments: Any, tensors: Any) -> list[bool]:
    """Whether each input or output of an operation lies in the memory of the host."""
    found = None if operation.type in BOUNDARIES else kernel(operation)
    if found is None:
        return [tensor.dtype.base_dtype in ON_HOST for tensor in tensors]
    attributes, names = operation.node_def.attr, []
    for each in arguments:
        several = len(attributes[each.type_list_attr].list.type) if each.type_list_attr else 1
        names += [each.name] * (attributes[each.number_attr].i if each.number_attr else several)
    return [name in found.host_memory_arg for name in names]


def comes_from_a_gpu(tensor: Any) -> bool:
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    if tensor.dtype in (tf.resource, tf.variant, tf.string) or "CPU" in tensor.op.device:
        return False
    return not on_host(tensor.op, tensor.op.op_def.output_arg, tensor.op.outputs)[tensor.value_index]


def looked_at(concrete: Any) -> list[Found]:
    """What of a traced function, and of those that it calls, a GPU would not do by itself."""
    known = {each.signature.name: each for each in concrete.graph.as_graph_def().library.function}
    with concrete.graph.as_default():
        return list(in_graph(concrete.graph, known, False))


def in_graph(graph: Any, known: dict[str, Any], in_a_loop: bool) -> Iterator[Found]:
    for operation in graph.get_operations():
        if operation.device and "GPU" not in operation.device and operation.type != "Const":
            yield Found(f"is pinned to {operation.device}", operation.type, in_a_loop)
        if operation.type not in (*BOUNDARIES, "NoOp") and kernel(operation) is None:
            yield Found("has no kernel", operation.type, in_a_loop)
        wanted = on_host(operation, operation.op_def.input_arg, operation.inputs)
        if operation.type in ("If", "StatelessIf", "Case", "StatelessCase"):
            wanted[0] = True
        for host, tensor in zip(wanted, operation.inputs, strict=True):
            if host and comes_from_a_gpu(tensor):
                yield Found("waits for a GPU", operation.type, in_a_loop)
        for name, value in operation.node_def.attr.items():
            for function in [value.func] if value.HasField("func") else value.list.func:
                if function.name not in known:
                    continue
                inside = function_def_to_graph.function_def_to_graph(known[function.name])
                if name == "cond" and comes_from_a_gpu(inside.outputs[0]):
                    yield Found("waits for a GPU", "condition", True)
                yield from in_graph(inside, known, in_a_loop or operation.type in LOOPS)


def test_what_is_found():
    @tf.function
    def bad(x):
        for _ in tf.range(tf.constant(3, tf.int64)):  # counts in the memory of the GPU
            x += tf.ensure_shape(tf.numpy_function(np.sin, [x], tf.float32), [2])
        with tf.device("/CPU:0"):
            return tf.reshape(tf.gather(tf.cast(x, tf.uint8), [0]), tf.cast(x[:1], tf.int32))

    found = set(looked_at(bad.get_concrete_function(tf.TensorSpec([2]))))
    assert Found("waits for a GPU", "condition", True) in found
    assert Found("has no kernel", "PyFunc", True) in found
    assert Found("has no kernel", "GatherV2", False) in found
    assert {each.operation for each in found if "pinned" in each.what} >= {"GatherV2", "Reshape"}


@pytest.fixture
def gpu():
    """Ask for a GPU, and for nothing in its place."""
    before = tf.config.get_soft_device_placement()
    tf.config.set_soft_device_placement(False)
    with tf.device("/GPU:0"):
        yield
    tf.config.set_soft_device_placement(before)


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (20, *SHAPE)).astype(np.uint8), rng.integers(0, 3, 20)


def loop_in(precision, images, streamed):
    with tf.device("/CPU:0"):
        model = build_network("mnist-cnn", SHAPE, 3, True, precision=precision, seed=1)
        optimizer = make_optimizer(schedule(0.001, 10, 0.2, 0.5), precision)
        loop = TrainingLoop(model, optimizer, 255.0, label_smoothing=0.1)
        feed = StreamFeed(Split(*images), np.arange(20)) if streamed else MemoryFeed(*images)
        return loop, feed.batches(np.arange(20), 8, moves=np.zeros((20, 2), np.int32))


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_training_from_memory(gpu, images, precision):
    loop, batches = loop_in(precision, images, streamed=False)
    with tf.device("/CPU:0"):
        bounds = tf.constant([*batches.take(2), 8], tf.int32)
    feed = batches.feed
    traced = loop._run_gathered.get_concrete_function(
        loop._scale, feed.images, feed.labels, batches.order, batches.moves, bounds
    )
    assert [each for each in looked_at(traced) if each.in_a_loop or "waits" not in each.what] == []


def test_training_from_a_stream(gpu, images):
    loop, batches = loop_in("float32", images, streamed=True)
    with tf.device("/CPU:0"):
        count = tf.constant(2, tf.int32)
    traced = loop._run_streamed.get_concrete_function(loop._scale, batches.iterator, count)
    assert [each for each in looked_at(traced) if each.in_a_loop or "waits" not in each.what] == []


@pytest.mark.parametrize("shape", [(4, 4, 2), (2, 2, 1), (3, 2, 1), (3, 3, 1)])
def test_bytes_are_taken_to_the_bit(shape):
    images = np.random.default_rng(0).integers(0, 256, (300, *shape)).astype(np.uint8)
    order = np.random.default_rng(1).permutation(300)[:200]
    taken = tf.function(take)(tf.constant(images), tf.constant(order))
    np.testing.assert_array_equal(taken, images[order])
    np.testing.assert_array_equal(take(tf.constant(images / np.float32(3)), order), images[order] / np.float32(3))


def test_evaluating_a_network(images):
    with tf.device("/CPU:0"):
        evaluator = Evaluator(build_network("mnist-cnn", SHAPE, 3, seed=1))
    assert looked_at(evaluator._compiled.get_concrete_function()) == []


def logits_of_a_network():
    return cnnlab.load(build_network("mnist-cnn", SHAPE, 3, seed=1)).logits_function


PLANS = [
    Plan(CrossEntropy(), (), "linf", (0.0, 1.0), Sign(), Fooled(), "last", True),
    Plan(Margin(), (), "l2", (0.0, 1.0), NormalisedGradient(), Fooled(), "stop", True),
    Plan(
        LogOdds(),
        (SquaredDistance(), Energy(0.1), TotalVariation(0.1)),
        None,
        (0.0, 1.0),
        Adam(),
        Fooled(True),
        "closest",
        False,
    ),
]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.norm} {plan.then}")
def test_the_loop_of_attacks(plan):
    """Where rows may stop, a GPU tells at each step whether all have; nothing else is waited for."""
    loop = Loop(logits_of_a_network(), plan, SHAPE, 3)
    found = looked_at(loop.advance.get_concrete_function())
    assert found == [Found("waits for a GPU", "condition", True)] * (plan.then == "stop")
    for each in (loop.start, loop.start_known, loop.once, loop.finish, loop.render):
        if each is not loop.once or plan.then == "last":
            assert looked_at(each.get_concrete_function()) == []


def test_logits_as_occlusion_and_the_other_analyses_ask_for_them():
    function = logits_of_a_network()
    traced = tf.function(lambda images: function(images)).get_concrete_function(tf.TensorSpec([None, *SHAPE]))
    assert looked_at(traced) == []


ASKED = {
    "saliency": {},
    "noise-addition": {"steps": 2},
}


@pytest.mark.parametrize("name", ASKED)
def test_what_analyses_compile(name, monkeypatch):
    """All functions that are traced on the way, whoever compiles them."""
    traced, trace = [], tracing_compilation._create_concrete_function

    def heard(*args: Any, **kwargs: Any) -> Any:
        traced.append(trace(*args, **kwargs))
        return traced[-1]

    monkeypatch.setattr(tracing_compilation, "_create_concrete_function", heard)
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Conv2D(2, 3), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3, activation="softmax"))
    images = np.random.default_rng(0).random((2, *SHAPE), np.float32)
    cnnlab.analyze(name, model, images, **ASKED[name])
    found = {each.name: looked_at(each) for each in traced}
    assert len(found) > 0
    kept = {
        name: [each for each in all_of if each != Found("waits for a GPU", "condition", True)]
        for name, all_of in found.items()
    }
    assert {name: all_of for name, all_of in kept.items() if all_of} == {}
