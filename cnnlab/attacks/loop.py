"""The compiled loop: TensorFlow functions that evaluate, step and project a batch of rows.

A row is one image at one strength. Rows never look at each other, so they can be batched, reordered and taken out
at will. Functions share the parts of an attack: ``start`` evaluates where a row begins (``start_known`` is told),
``advance`` takes a stretch of steps in one ``tf.while_loop``, and ``finish`` takes the last step, whose gradient nobody
needs. ``once`` does all that there is to a single step that is known where it begins, and not looked at where it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import tensorflow as tf

from cnnlab.attacks.goals import Goal
from cnnlab.attacks.objectives import Objective, Penalty, of_class
from cnnlab.attacks.steps import Step
from cnnlab.devices.sharing import one_at_a_time
from cnnlab.errors import CnnlabError
from cnnlab.perturbations import LEVELS, Norm, grid, tolerance

Then = Literal["stop", "closest", "last"]
Tensors = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What a compiled loop depends on, beside the model and the shape of the images.

    Attributes:
        objective: What is climbed.
        penalties: What is taken off it.
        norm: The ball's norm, None for the box alone.
        bounds: The model's value range.
        step: The step rule.
        goal: What a row is after.
        then: What a row does when it gets there; see :class:`cnnlab.attacks.Attack`.
        eight_bit: Whether only images on a grid of levels are looked at.
        levels: Into how many equal steps that grid divides the range: 255, unless the model takes whole numbers.
    """

    objective: Objective
    penalties: tuple[Penalty, ...]
    norm: Norm | None
    bounds: tuple[float, float]
    step: Step
    goal: Goal
    then: Then
    eight_bit: bool
    levels: int = LEVELS


class Loop:
    """The compiled functions of one plan on one model.

    Rows come as a dictionary of tensors: ``original`` and ``reference`` [B, H, W, C], ``label`` int64 [B], and
    ``radius``, ``size`` (of a step) and ``beta``, each float32 [B]. State is a dictionary too: ``x`` [B, H, W, C]
    where the row is, ``gradient`` there, ``logits`` [B, K], ``slots`` of the step rule, ``reached`` bool [B] (the goal,
    there), ``done`` bool [B] (no further steps), ``steps`` int64 [B] taken, ``flat`` bool [B] (no gradient at the
    start), and with ``then="closest"`` the nearest image that reached the goal: ``best``, ``best_distance`` (squared)
    and ``best_logits``.
    """

    def __init__(
        self, logits_function: Callable[[Any], Any], plan: Plan, shape: tuple[int, int, int], classes: int
    ) -> None:
        self.plan = plan
        self._logits_function, self._classes = logits_function, classes
        self._levels = tf.constant(grid(plan.bounds, plan.levels))
        image, row = tf.TensorSpec([None, *shape]), tf.TensorSpec([None])
        rows = {"original": image, "reference": image, "radius": row, "size": row, "beta": row}
        rows["label"] = tf.TensorSpec([None], tf.int64)
        state: Tensors = {
            "x": image,
            "gradient": image,
            "logits": tf.TensorSpec([None, classes]),
            "slots": (image,) * plan.step.slots,
            "reached": tf.TensorSpec([None], tf.bool),
            "done": tf.TensorSpec([None], tf.bool),
            "steps": tf.TensorSpec([None], tf.int64),  # int32 would be added up by the host of a GPU
            "flat": tf.TensorSpec([None], tf.bool),
        }
        if plan.then == "closest":
            state |= {"best": image, "best_distance": row, "best_logits": tf.TensorSpec([None, classes])}
        count = tf.TensorSpec([], tf.int32)
        self._evaluated: Callable[[Any, Tensors], tuple[Any, Any]] = by_itself(self._evaluate)

        def function(body: Callable[..., Any], *signature: Any) -> Any:
            return tf.function(one_at_a_time(body), input_signature=signature, autograph=False)

        self.start = function(self._start, image, rows)
        self.start_known = function(self._start_known, rows, state["logits"], image)
        self.once = function(self._once, rows, state["logits"], image)
        self.advance = function(self._advance, state, rows, count, count)
        self.finish = function(self._finish, state, rows, count)
        self.render = function(self._render, image, rows)

    def _start(self, x: Any, rows: Tensors) -> tuple[Tensors, Any]:
        """Project the starting images and evaluate them; return the state and the confidence [B] in their classes."""
        limits = self._limits(rows)
        x = self._project(x, limits, rows)
        seen = self._candidate(x, limits, rows)
        return self._begun(x, seen, *self._evaluated(seen, rows), rows)

    def _start_known(self, rows: Tensors, logits: Any, gradient: Any) -> tuple[Tensors, Any]:
        """Do as ``_start`` at the originals, of which logits and the gradient of what is climbed are known."""
        return self._begun(rows["original"], rows["original"], logits, _finite(gradient), rows)

    def _once(self, rows: Tensors, logits: Any, gradient: Any) -> tuple[Tensors, Any]:
        """Do as ``_start_known``, and take the only step, with ``then="last"``; returned is what a result holds."""
        state, confidence = self._start_known(rows, logits, gradient)
        moved, _ = self._finish(state, rows, tf.constant(0))
        kept = {name: state[name] for name in ("logits", "reached", "flat")}
        return {**kept, **moved, "done": tf.ones_like(state["done"])}, confidence

    def _begun(self, x: Any, seen: Any, logits: Any, gradient: Any, rows: Tensors) -> tuple[Tensors, Any]:
        count = tf.shape(x)[0]
        state = {
            "x": x,
            "gradient": gradient,
            "logits": logits,
            "slots": tuple(tf.zeros_like(x) for _ in range(self.plan.step.slots)),
            "reached": tf.zeros([count], tf.bool),
            "done": tf.zeros([count], tf.bool),
            "steps": tf.zeros([count], tf.int64),
            "flat": tf.reduce_all(gradient == 0, axis=[1, 2, 3]),
        }
        if self.plan.then == "closest":
            nowhere = tf.fill([count], tf.float32.max)
            state |= {"best": x, "best_distance": nowhere, "best_logits": logits}
        return self._judge(state, seen, rows), self._confidence(state, rows)

    def _advance(self, state: Tensors, rows: Tensors, taken: Any, stretch: Any) -> tuple[Tensors, Any]:
        """Take up to ``stretch`` steps after the first ``taken``, fewer when every row is done.

        Returns the state and the confidence in each row's class after each step, [stretch, B]; zeros where no step
        was taken.
        """
        limits = self._limits(rows)

        def under_way(count: Any, state: Tensors, _: Any) -> Any:
            # Only rows that may stop are ever done; and a GPU would have to tell the host so at each step.
            return (count < stretch) & ~tf.reduce_all(state["done"]) if self.plan.then == "stop" else count < stretch

        def step(count: Any, state: Tensors, trace: Any) -> tuple[Any, Tensors, Any]:
            x, slots = self._move(state, limits, rows, taken + count)
            seen = self._candidate(x, limits, rows)
            logits, gradient = self._evaluated(seen, rows)
            moved = {**state, "x": x, "gradient": gradient, "logits": logits, "slots": slots}
            state = self._judge(self._unless_done(state, moved), seen, rows)
            return count + 1, state, trace.write(count, self._confidence(state, rows))

        trace = tf.TensorArray(tf.float32, size=stretch, element_shape=[None], clear_after_read=False)
        # Unwritten entries are read as zeros of the shape of the first.
        trace = trace.write(0, tf.zeros_like(rows["radius"]))
        _, state, trace = tf.while_loop(under_way, step, (0, state, trace))
        return state, trace.stack()

    def _finish(self, state: Tensors, rows: Tensors, taken: Any) -> tuple[Tensors, Any]:
        """Take the last step, and look at the image it leads to without asking for a gradient.

        With ``then="last"`` nothing is looked at: that is done when all rows are there. Returned is what has changed.
        """
        limits = self._limits(rows)
        x, _ = self._move(state, limits, rows, taken)
        if self.plan.then == "last":
            return {"x": x, "steps": state["steps"] + 1}, self._confidence(state, rows)
        seen = self._candidate(x, limits, rows)
        moved = {**state, "x": x, "logits": self._logits(seen)}
        state = self._judge(self._unless_done(state, moved), seen, rows)
        confidence = self._confidence(state, rows)
        return {name: value for name, value in state.items() if name not in ("gradient", "slots", "flat")}, confidence

    def _render(self, x: Any, rows: Tensors) -> Any:
        """Return the images that were looked at where the rows are: 8-bit ones, if the plan says so."""
        return self._candidate(x, self._limits(rows), rows)

    def _logits(self, seen: Any) -> Any:
        """Networks of half precision give their logits in it; goals and objectives want float32."""
        return tf.ensure_shape(tf.cast(self._logits_function(seen), tf.float32), [None, self._classes])

    def _evaluate(self, seen: Any, rows: Tensors) -> tuple[Any, Any]:
        """Return the logits, and the gradient of what is climbed."""
        with tf.GradientTape() as tape:
            tape.watch(seen)
            logits = self._logits(seen)
            value = climbed(self.plan.objective, self.plan.penalties, logits, seen, rows)
        return logits, finite_gradient(tape, value, seen)

    def _move(self, state: Tensors, limits: tuple[Any, Any], rows: Tensors, taken: Any) -> tuple[Any, Any]:
        direction, slots = self.plan.step(state["gradient"], state["slots"], tf.cast(taken, tf.float32))
        return self._project(state["x"] + _rowwise(rows["size"]) * direction, limits, rows), slots

    def _unless_done(self, before: Tensors, after: Tensors) -> Tensors:
        """Keep the rows that are done as they are, and count the step of the others.

        Nobody looks at the gradient and the slots of a row that is done; and only rows that may stop are ever done.
        """
        done = before["done"]
        kept: Tensors = {}
        if self.plan.then == "stop":
            # This operation copies whole rows, where tf.where looks at every pixel.
            kept = {name: tf.raw_ops.Select(condition=done, x=before[name], y=after[name]) for name in ("x", "logits")}
        return {**after, **kept, "steps": before["steps"] + tf.cast(~done, tf.int64)}

    def _judge(self, state: Tensors, seen: Any, rows: Tensors) -> Tensors:
        """Note which rows have reached the goal, and what follows from it."""
        reached = self.plan.goal(state["logits"], rows["label"])
        if self.plan.then != "closest":
            done = reached if self.plan.then == "stop" else state["done"]
            return {**state, "reached": reached, "done": state["done"] | done}
        distance = tf.reduce_sum(tf.square(seen - rows["original"]), axis=[1, 2, 3])
        closer = reached & (distance < state["best_distance"])
        return {
            **state,
            "reached": state["reached"] | reached,
            "best": tf.where(_rowwise(closer), seen, state["best"]),
            "best_distance": tf.where(closer, distance, state["best_distance"]),
            "best_logits": tf.where(closer[:, None], state["logits"], state["best_logits"]),
        }

    def _confidence(self, state: Tensors, rows: Tensors) -> Any:
        return of_class(tf.nn.softmax(state["logits"]), rows["label"])

    def _limits(self, rows: Tensors) -> tuple[Any, Any]:
        """The lowest and highest value that each pixel may take: the box, and the L-infinity ball if there is one."""
        original = rows["original"]
        low, high = (tf.constant(bound, tf.float32) for bound in self.plan.bounds)
        if self.plan.norm != "linf":
            return tf.minimum(low, original), tf.maximum(high, original)
        if self.plan.eight_bit:
            return self._grid_limits(rows)
        radius = _rowwise(rows["radius"])
        # An original that reaches out of the box by a hair is never moved for it.
        lower = tf.minimum(tf.maximum(original - radius, low), original)
        upper = tf.maximum(tf.minimum(original + radius, high), original)
        return lower, upper

    def _grid_limits(self, rows: Tensors) -> tuple[Any, Any]:
        """The lowest and highest 8-bit level in each pixel's interval; where there is none, the pixel stays."""
        low, high = self.plan.bounds
        per_level = (high - low) / self.plan.levels
        level = (tf.cast(rows["original"], tf.float64) - low) / per_level
        reach = tf.cast(_rowwise(rows["radius"]), tf.float64) / per_level
        # 8/255 is no float32 number: a reach that is whole but for rounding counts as whole.
        hair = 0.75 * tolerance("linf", (1, 1, 1), self.plan.bounds) / per_level
        lowest = tf.clip_by_value(tf.math.ceil(level - reach - hair), 0, self.plan.levels)
        highest = tf.clip_by_value(tf.math.floor(level + reach + hair), 0, self.plan.levels)
        there = lowest <= highest
        lower, upper = (tf.gather(self._levels, tf.cast(end, tf.int32)) for end in (lowest, highest))
        return tf.where(there, lower, rows["original"]), tf.where(there, upper, rows["original"])

    def _project(self, x: Any, limits: tuple[Any, Any], rows: Tensors) -> Any:
        """Bring images back into the ball and the box: to the nearest point of both, or for L2 of each in turn."""
        if self.plan.norm == "l2":
            away = x - rows["original"]
            length = tf.sqrt(tf.reduce_sum(tf.square(away), axis=[1, 2, 3]))
            shrink = tf.minimum(1.0, tf.math.divide_no_nan(rows["radius"], length))
            x = tf.where(_rowwise(length > rows["radius"]), rows["original"] + _rowwise(shrink) * away, x)
        return tf.clip_by_value(x, *limits)

    def _candidate(self, x: Any, limits: tuple[Any, Any], rows: Tensors) -> Any:
        """Return the image that stands for ``x``: itself, or an 8-bit one within the same bounds.

        Steps may be smaller than a level, so that ``x`` goes on unrounded while its 8-bit image is what is looked at,
        gradient included.
        """
        if not self.plan.eight_bit:
            return x
        low, high = self.plan.bounds
        level = (x - low) * (self.plan.levels / (high - low))
        if self.plan.norm != "l2":
            return tf.clip_by_value(self._at_level(tf.round(level)), *limits)
        # Rounded toward the original, so that the length does not grow; a pixel that reaches no level stays.
        original = rows["original"]
        up = tf.maximum(self._at_level(tf.math.floor(level)), original)
        down = tf.minimum(self._at_level(tf.math.ceil(level)), original)
        return tf.where(x > original, up, tf.where(x < original, down, original))

    def _at_level(self, level: Any) -> Any:
        return tf.gather(self._levels, tf.cast(tf.clip_by_value(level, 0, self.plan.levels), tf.int32))


def by_itself(work: Callable[..., Any]) -> Callable[..., Any]:
    """Have a gradient in a loop's body compiled as a function of its own.

    TensorFlow puts it into the body else, and does not tell in every process alike then that a maximum pooling and its
    gradient belong together: where it does not, a step takes half as long again.
    """
    compiled: Callable[..., Any] = tf.function(work, autograph=False, experimental_attributes={"_noinline": True})
    return compiled


def climbed(objective: Objective, penalties: tuple[Penalty, ...], logits: Any, seen: Any, rows: Tensors) -> Any:
    """What an attack climbs: the objective [B] less the penalties [B]."""
    value = objective(logits, rows["label"])
    for penalty in penalties:
        value -= penalty(seen, rows["reference"], rows["beta"])
    return value


def finite_gradient(tape: Any, value: Any, of: Any) -> Any:
    """Return the gradient of ``value`` in ``of``; where it is not a number, a row rather stays where it is.

    Raises:
        CnnlabError: There is no differentiable path from the image to the logits.
    """
    gradient = tape.gradient(value, of)
    if gradient is None:
        raise CnnlabError(
            "this model has no differentiable path from its input to its logits, so that no gradient attack can be "
            "made on it. Occlusion needs no gradients."
        )
    return tf.ensure_shape(_finite(gradient), of.shape)


def _finite(gradient: Any) -> Any:
    return tf.where(tf.math.is_finite(gradient), gradient, 0.0)


def _rowwise(values: Any) -> Any:
    """Give [B] values the shape to be broadcast against images."""
    return values[:, None, None, None]
