"""One noise for a whole set of images, learned with the same objectives, steps and balls as any attack."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from cnnlab.attacks.attack import Model
from cnnlab.attacks.goals import Fooled, Goal
from cnnlab.attacks.loop import Plan, by_itself, climbed, finite_gradient
from cnnlab.attacks.objectives import CrossEntropy, Objective, Penalty, of_class
from cnnlab.attacks.starts import stream
from cnnlab.attacks.steps import Adam, Step
from cnnlab.errors import UsageError
from cnnlab.perturbations import Norm, largest_epsilon, shrunk, whole_noise

STRETCH = 20
"""Steps between two reports of progress."""


@dataclass(frozen=True, kw_only=True)
class Learned:
    """Noises learned over a set of images; [T, ...] where several were learned.

    Attributes:
        noise: float32 [H, W, C] or [T, H, W, C], within the ball; add it with :func:`~cnnlab.plugin.add_noise`.
        confidence: float32 [steps] or [T, steps], the mean confidence in the wanted class over each step's images.
        reached: float32 [steps] or [T, steps], the share of each step's images that reached the goal.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import learn_noise
        >>> from cnnlab.testing import FakeClassifier
        >>> images, wanted = np.full((4, 2, 2, 1), 0.4, np.float32), np.array([[0], [1]])
        >>> model = FakeClassifier.of_brightness()
        >>> learned = learn_noise(model, images, wanted, epsilon=0.2, step_size=0.1, steps=5)
        >>> learned.noise.shape, learned.reached[:, -1].tolist()
        ((2, 2, 2, 1), [1.0, 1.0])
    """

    noise: np.ndarray
    confidence: np.ndarray
    reached: np.ndarray


def learn_noise(
    model: Model,
    images: np.ndarray,
    classes: Any,
    *,
    epsilon: float | None,
    norm: Norm | None = "linf",
    objective: Objective | None = None,
    penalties: tuple[Penalty, ...] = (),
    beta: float = 0.0,
    goal: Goal | None = None,
    step: Step | None = None,
    step_size: float,
    steps: int,
    batch_size: int = 64,
    weights: np.ndarray | None = None,
    start: np.ndarray | None = None,
    seed: int = 0,
    advance: Callable[[int], None] | None = None,
    watch: Callable[[Callable[[], np.ndarray]], None] | None = None,
) -> Learned:
    """Learn one additive noise N so that clip(X + N) reaches the goal for as many images X as possible.

    Stochastic ascent over mini-batches of the images, drawn without replacement in an order that the seed gives. The
    step size falls linearly to a tenth, so that the noise comes to rest. (Moosavi-Dezfooli et al., "Universal
    adversarial perturbations", 2017; learned by gradient as in Shafahi et al., "Universal adversarial training", 2020.)

    Args:
        model: An opened classifier.
        images: The learning set [N, H, W, C], in the model's bounds.
        classes: The class that the objective is about: one for all, [N] one an image; [T, 1] or [T, N] learns T noises
            at once.
        epsilon: Radius of the ball that the noise stays in; None without one.
        norm: ``"linf"`` or ``"l2"``; None without a ball.
        objective: What is climbed, on the mean over the images; by default a targeted cross-entropy, under which images
            that are read as wanted already lose their say and the others decide.
        penalties: Taken off it, as functions of the noise (the reference image is zero).
        beta: Factor of the :class:`~cnnlab.plugin.SquaredDistance` penalty.
        goal: When an image counts as reached, for the trace; by default when it is read as the class.
        step: The step rule; Adam by default.
        step_size: Length of the first step, in the model's units.
        steps: How many steps.
        batch_size: Images a step, for each noise.
        weights: [N] or [T, N], how much each image counts; 0 leaves it out.
        start: The noise to begin with, [H, W, C] or [T, H, W, C]; zero by default.
        seed: Seeds the order of the images.
        advance: Called with the number of steps just done.
        watch: Called every few steps with a function that gives the noise as it is now, of the shape of
            :attr:`Learned.noise`: for :meth:`~cnnlab.plugin.Context.preview`.

    Raises:
        UsageError: There are no images, or a value is out of its bounds.

    Example:
        >>> import numpy as np
        >>> from cnnlab.testing import FakeClassifier
        >>> images = np.full((4, 2, 2, 1), 0.4, np.float32)
        >>> learned = learn_noise(FakeClassifier.of_brightness(), images, 1, epsilon=0.2, step_size=0.1, steps=5)
        >>> learned.noise.shape, bool(np.abs(learned.noise).max() <= 0.2)
        ((2, 2, 1), True)
    """
    images = np.ascontiguousarray(images, np.float32)
    if not len(images):
        raise UsageError("a noise cannot be learned without images.")
    wanted = np.asarray(classes, np.int64)
    if wanted.size and not (wanted.min() >= 0 and wanted.max() < model.num_classes):
        raise UsageError(f"the classes must be from 0 to {model.num_classes - 1}; received {wanted.tolist()}.")
    _check_epsilon(model, images.shape[1:], epsilon, norm)
    several = wanted.ndim == 2
    wanted = np.broadcast_to(wanted, (len(wanted) if several else 1, len(images)))
    counts = np.broadcast_to(np.ones(1) if weights is None else weights, wanted.shape).astype(np.float32)
    low, high = map(float, model.bounds)
    step = step or Adam()
    plan = Plan(
        objective=objective or CrossEntropy(targeted=True),
        penalties=penalties,
        norm=norm,
        bounds=(low, high),
        step=step,
        goal=goal or Fooled(targeted=True),
        then="last",
        eight_bit=False,
    )
    learner = model.compiled(
        ("learner", plan, images.shape[1:]), lambda: _learner(model.logits_function, plan, images.shape[1:])
    )
    radius = np.float32(0.0 if norm is None else shrunk(epsilon or 0.0, norm, images.shape, (low, high)))
    noise = tf.zeros([len(wanted), *images.shape[1:]])
    if start is not None:
        noise = tf.convert_to_tensor(np.broadcast_to(start, noise.shape).astype(np.float32))
    state = (noise, tuple(tf.zeros_like(noise) for _ in range(step.slots)))
    data = tuple(map(tf.convert_to_tensor, (images, wanted, counts)))
    order = _order(len(images), steps, min(batch_size, len(images)), seed)
    sizes = (step_size * np.linspace(1.0, 0.1, max(steps, 1))).astype(np.float32)
    traces: list[np.ndarray] = []
    for first in range(0, steps, STRETCH):
        part = slice(first, first + STRETCH)
        state, trace = learner(state, data, order[part], sizes[part], radius, np.float32(beta), np.int32(first))
        traces.append(trace.numpy())
        if advance is not None:
            advance(len(order[part]))
        if watch is not None:
            watch(functools.partial(_noise_of, state, several))
    trace = np.concatenate(traces) if traces else np.zeros((0, 2, len(wanted)), np.float32)
    noise = state[0].numpy()
    if model.whole_numbers:
        noise = whole_noise(noise, epsilon, norm)
    confidence, reached = trace.transpose(1, 2, 0)
    if several:
        return Learned(noise=noise, confidence=confidence, reached=reached)
    return Learned(noise=noise[0], confidence=confidence[0], reached=reached[0])


def _noise_of(state: tuple[Any, Any], several: bool) -> np.ndarray:
    noise: np.ndarray = state[0].numpy()
    return noise if several else noise[0]


def _check_epsilon(model: Model, shape: tuple[int, ...], epsilon: float | None, norm: Norm | None) -> None:
    if (norm is None) != (epsilon is None):
        raise UsageError("a noise in a ball needs both a norm and its epsilon; one without a ball takes neither.")
    if norm is not None and epsilon is not None:
        most = largest_epsilon(model.bounds, shape, norm)
        if not 0 <= epsilon <= most:
            raise UsageError(f"epsilon must be from 0 to {most:g}; received {epsilon:g}.")


def _order(count: int, steps: int, batch_size: int, seed: int) -> np.ndarray:
    """Which images each step looks at, int32 [steps, batch]: passes over all of them, each in a random order."""
    passes = -(-steps * batch_size // count)
    drawn = [stream(seed, b"order of learning", number).permutation(count) for number in range(passes)]
    flat = np.concatenate(drawn) if drawn else np.zeros(0, np.int64)
    return flat[: steps * batch_size].reshape(steps, batch_size).astype(np.int32)


def _learner(logits_function: Callable[[Any], Any], plan: Plan, shape: tuple[int, ...]) -> Any:
    """Compile the loop that learns; see :func:`learn_noise` for the parts."""
    norm, step = plan.norm, plan.step

    @by_itself
    def evaluate(noise: Any, images: Any, classes: Any, weights: Any, beta: Any) -> tuple[Any, Any, Any]:
        """The gradient of the mean objective in each noise [T, H, W, C], the mean confidence and share reached [T]."""
        flat = tf.reshape(classes, [-1])
        share = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=1, keepdims=True))
        with tf.GradientTape() as tape:
            tape.watch(noise)
            moved = tf.clip_by_value(images[None] + noise[:, None], *plan.bounds)
            logits = logits_function(tf.reshape(moved, [-1, *shape]))
            values = tf.reshape(plan.objective(logits, flat), tf.shape(classes))
            value = tf.reduce_sum(share * values, axis=1)
            rows = {"reference": tf.zeros_like(noise), "beta": tf.fill([tf.shape(noise)[0]], beta)}
            value = climbed(lambda *_: value, plan.penalties, logits, noise, {**rows, "label": flat})
        gradient = finite_gradient(tape, value, noise)
        sure = tf.reshape(of_class(tf.nn.softmax(logits), flat), tf.shape(classes))
        reached = tf.cast(tf.reshape(plan.goal(logits, flat), tf.shape(classes)), tf.float32)
        return gradient, tf.reduce_sum(share * sure, axis=1), tf.reduce_sum(share * reached, axis=1)

    def project(noise: Any, radius: Any) -> Any:
        if norm == "linf":
            return tf.clip_by_value(noise, -radius, radius)
        if norm == "l2":
            length = tf.sqrt(tf.reduce_sum(tf.square(noise), axis=[1, 2, 3], keepdims=True))
            return noise * tf.minimum(1.0, tf.math.divide_no_nan(radius, length) + tf.cast(length == 0.0, tf.float32))
        return noise

    def learn(
        state: tuple[Any, tuple[Any, ...]], data: Any, order: Any, sizes: Any, radius: Any, beta: Any, taken: Any
    ) -> tuple[Any, Any]:
        images, classes, weights = data
        count = tf.shape(order)[0]
        trace = tf.TensorArray(tf.float32, size=count, element_shape=[2, None])

        def body(number: Any, noise: Any, slots: Any, trace: Any) -> Any:
            drawn = order[number]
            gradient, sure, reached = evaluate(
                noise,
                tf.gather(images, drawn),
                tf.gather(classes, drawn, axis=1),
                tf.gather(weights, drawn, axis=1),
                beta,
            )
            direction, slots = step(gradient, slots, tf.cast(taken + number, tf.float32))
            noise = project(noise + sizes[number] * direction, radius)
            return number + 1, noise, slots, trace.write(number, tf.stack([sure, reached]))

        _, noise, slots, trace = tf.while_loop(
            lambda number, *_: number < count, body, (0, project(state[0], radius), state[1], trace)
        )
        return (noise, slots), trace.stack()

    return tf.function(learn, autograph=False, reduce_retracing=True)
