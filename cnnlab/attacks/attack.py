"""An attack: its parts, and running it over many images and strengths at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from cnnlab.attacks.goals import Fooled, Goal
from cnnlab.attacks.loop import Loop, Plan, Then
from cnnlab.attacks.objectives import LogOdds, Objective, Penalty
from cnnlab.attacks.rows import Known, Pool, Rows, batch_size_for
from cnnlab.attacks.starts import AtImage, Start, UniformNoise, stream
from cnnlab.attacks.steps import NormalisedGradient, Sign, Step
from cnnlab.devices.sharing import gather
from cnnlab.errors import UsageError
from cnnlab.numerics import of_class, softmax
from cnnlab.perturbations import LEVELS, Norm, largest_epsilon, shrunk


class Model(Protocol):
    """What the engine asks of a classifier; :class:`cnnlab.classifier.Classifier` is one.

    Attributes:
        logits_function: A TensorFlow callable from images [N, H, W, C] to logits [N, K], differentiable.
        bounds: The model's value range.
        num_classes: K.
        whole_numbers: Whether it takes whole numbers alone.
    """

    @property
    def logits_function(self) -> Callable[[Any], Any]: ...  # noqa: D102
    @property
    def bounds(self) -> tuple[float, float]: ...  # noqa: D102
    @property
    def num_classes(self) -> int: ...  # noqa: D102
    @property
    def whole_numbers(self) -> bool: ...  # noqa: D102
    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return the logits float32 [N, K] of images [N, H, W, C]."""

    def logits_and_gradient(
        self, images: np.ndarray, labels: np.ndarray, objective: Objective
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the logits too, and the gradient [N, H, W, C] of an objective for labels int [N]."""

    def compiled(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what ``make`` makes, once for this model and key."""

    def shrink(self, size: int) -> None:
        """Be told that memory ran out, and that batches are cut to ``size`` images."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """What is climbed, within what, how, from where and until when.

    Attributes:
        objective: What is climbed, on the logits: :class:`~cnnlab.plugin.LogOdds`, ``CrossEntropy``, ``ClassLogit``,
            ``Margin``, or any hashable callable from logits [B, K] and classes [B] to values [B], in TensorFlow.
        penalties: What is taken off it: :class:`~cnnlab.plugin.SquaredDistance`, ``TotalVariation``, ``Energy``, or any
            hashable callable from images, references [B, H, W, C] and beta [B] to values [B], in TensorFlow.
        norm: The ball that the image stays in, ``"linf"`` or ``"l2"``, its radius given to :meth:`run`; None for none.
            The box of the model's value range is always kept to.
        step: How it moves: :class:`~cnnlab.plugin.Sign`, ``NormalisedGradient`` or ``Adam``.
        step_size: Length of a step in the model's units; None for ``epsilon * min(1, 2.5 / steps)``, which lets every
            row cross its ball (Madry et al., 2018).
        steps: How many steps at most.
        start: Where it begins: :class:`~cnnlab.plugin.AtImage`, ``UniformNoise`` or ``GaussianNoise``.
        restarts: How many times a row that did not reach its goal begins anew, from its next random stream.
        goal: What a row is after: :class:`~cnnlab.plugin.Fooled` or :class:`~cnnlab.plugin.Confident`.
        then: What a row does when it reaches its goal. ``"stop"``: it ends there, and is taken out of the batch.
            ``"closest"``: it goes on to the last step and gives the image nearest to the original (least sum of squared
            differences) of those that reached it. ``"last"``: it goes on and gives the last image, whatever it is.
        eight_bit: Look only at images that an 8-bit file can hold: what is found outlives being saved as a PNG.
            A pixel of an original that is no 8-bit value itself, and has none within the ball, stays as it is. Of a
            model that takes whole numbers alone, only images of whole numbers are ever looked at.

    Raises:
        UsageError: Steps or restarts are below 0, restarts have no random start, or there is neither a ball nor a step
            size.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import NormalisedGradient
        >>> from cnnlab.testing import FakeClassifier
        >>> attack = Attack(norm="l2", step=NormalisedGradient(), steps=10)
        >>> images = np.full((1, 2, 2, 1), 0.4, np.float32)
        >>> attack.run(FakeClassifier.of_brightness(), images, [0], epsilon=0.5).predicted.tolist()
        [1]
    """

    objective: Objective = field(default_factory=LogOdds)
    penalties: tuple[Penalty, ...] = ()
    norm: Norm | None = "linf"
    step: Step = field(default_factory=Sign)
    step_size: float | None = None
    steps: int = 1
    start: Start = field(default_factory=AtImage)
    restarts: int = 0
    goal: Goal = field(default_factory=Fooled)
    then: Then = "stop"
    eight_bit: bool = False

    def __post_init__(self) -> None:
        if self.steps < 0 or self.restarts < 0:
            raise UsageError(f"steps and restarts must be at least 0; received {self.steps} and {self.restarts}.")
        if self.restarts and not self.start.random:
            raise UsageError("restarts need a random start: begun anew at the same image, an attack does the same.")
        if self.norm is None and self.step_size is None and self.steps:
            raise UsageError("an attack without a ball needs a step_size.")

    def run(
        self,
        model: Model,
        images: np.ndarray,
        labels: Any,
        *,
        epsilon: Any = None,
        step_size: Any = None,
        beta: Any = 0.0,
        references: np.ndarray | None = None,
        starts: np.ndarray | None = None,
        keys: Sequence[bytes | str] | None = None,
        seed: int = 0,
        batch_size: int | None = None,
        trace: bool = False,
        advance: Callable[[int], None] | None = None,
        watch: Callable[[Callable[[], np.ndarray]], None] | None = None,
    ) -> Outcome:
        """Attack images, at one strength or several.

        ``labels``, ``epsilon``, ``step_size`` and ``beta`` are broadcast as NumPy broadcasts, against rows of shape [N]
        or [E, N]: a number for all, [N] for one an image, [E, 1] for E strengths, [E, N] for each row its own. The
        outcome has that shape. What a row gives depends on its image, its numbers, the seed and its key alone: not on
        the other rows, their order or the batch size (bit for bit on a CPU from 16 rows a batch on, which small images
        are always padded to; to float32 rounding elsewhere).

        Args:
            model: An opened classifier.
            images: The originals [N, H, W, C] float32, in the model's bounds.
            labels: The class that each row's objective and goal are about: the label to get away from, or the target.
            epsilon: Radius of the ball, in the model's units, from 0 to the value range (times sqrt(H W C) for L2).
            step_size: Length of a step, where :attr:`step_size` is not to hold for all.
            beta: Factor of the :class:`~cnnlab.plugin.SquaredDistance` penalty.
            references: The images [N, H, W, C] that the penalties measure the distance to; by default the originals.
            starts: Where to begin, [N, H, W, C] or [E, N, H, W, C], instead of :attr:`start`; restarts begin there.
            keys: What each image's random stream belongs to; by default its contents, so that an image gets the same
                noise wherever it occurs. Give keys where images are alike but their noise shall not be.
            seed: Seeds the random streams.
            batch_size: Rows computed at once; by default what keeps the processor busy.
            trace: Whether to record the confidence in each row's class after every step.
            advance: Called with the number of steps just done or saved; they add up to rows * steps * (1 + restarts).
            watch: Called every few steps with a function that gives the images as they are now, [*rows, H, W, C]: for
                :meth:`~cnnlab.plugin.Context.preview`. Those that are not being attacked just now are the originals.

        Raises:
            UsageError: A value is out of its bounds, or the shapes do not fit together.
            NotFiniteError: Logits of the originals, or with ``then="last"`` of what is found, are NaN or infinite.
            CnnlabError: The model is not differentiable.
        """
        if model.whole_numbers:
            self = replace(self, eight_bit=True)
        images = np.ascontiguousarray(images, np.float32)
        numbers = self._numbers(model, images, labels, epsilon, step_size, beta, starts)
        rows_shape = numbers["label"].shape
        shape, classes = images.shape[1:], model.num_classes
        low, high = model.bounds
        plan = Plan(
            self.objective,
            self.penalties,
            self.norm,
            (float(low), float(high)),
            self.step,
            self.goal,
            self.then,
            self.eight_bit,
            max(1, round(high - low)) if model.whole_numbers else LEVELS,
        )
        loop = model.compiled((plan, shape), lambda: Loop(model.logits_function, plan, shape, classes))
        report = advance or (lambda steps: None)
        batch = batch_size or batch_size_for(shape)
        strengths = rows_shape[0] if len(rows_shape) == 2 else 1
        block = max(1, Pool.most_rows(shape, batch) // strengths)

        def of_block(first: int, last: int) -> dict[str, np.ndarray]:
            nonlocal batch
            chosen = np.arange(first, last)
            rows_here = (*rows_shape[:-1], len(chosen))
            outcome = Outcome.empty(rows_here, shape, classes, self.steps if trace else None)
            for attempt in range(1 + self.restarts) if len(chosen) else ():
                missing = ~outcome.reached.reshape(strengths, len(chosen))
                if attempt and not missing.any():
                    report(int(missing.size) * self.steps * (1 + self.restarts - attempt))
                    break
                strength, image = np.nonzero(missing if attempt else np.ones_like(missing))
                rows = Rows.of(numbers, images, references, strength, chosen[image])
                begin: np.ndarray | Known | None = self._begin(rows, images, starts, keys, numbers, seed, attempt, plan)
                if numbers["alone"]:
                    label = numbers["label"].reshape(-1, len(images))[0, chosen]
                    begin = Known(*model.logits_and_gradient(images[chosen], label, self.objective), image)
                pool = Pool(loop, rows, batch, model.shrink)
                report(int(missing.size - len(rows)) * self.steps)
                seen = functools.partial(_seen, pool, images, rows_shape, strength, chosen[image])
                look = (lambda: None) if watch is None else functools.partial(watch, seen)
                traced = pool.run(begin, self.steps, stop=self.then == "stop", trace=trace, advance=report, look=look)
                batch = pool.batch_size
                found = pool.result()
                if self.then == "last":
                    self._look(model, rows, found, traced)
                outcome.put(strength, image, found, traced, replace=not attempt)
            return {name: values for name, values in vars(outcome).items() if values is not None}

        return Outcome(**gather(len(images), block, of_block, axis=len(rows_shape) - 1))

    def _look(self, model: Model, rows: Rows, found: dict[str, np.ndarray], traced: np.ndarray | None) -> None:
        """Look at the images that are found, at those of each strength by themselves: so whoever is given them does."""
        for strength in np.unique(rows.strength):
            mine = rows.strength == strength
            found["logits"][mine] = model.logits(found["adversarial"][mine])
        found["reached"] = np.asarray(self.goal(tf.constant(found["logits"]), tf.constant(rows.label)))
        if traced is not None:
            traced[:, -1] = of_class(softmax(found["logits"]), rows.label)

    def _numbers(
        self,
        model: Model,
        images: np.ndarray,
        labels: Any,
        epsilon: Any,
        step_size: Any,
        beta: Any,
        starts: np.ndarray | None,
    ) -> dict[str, np.ndarray]:
        """Check the per-row numbers and broadcast them against one another."""
        if images.ndim != 4:
            raise UsageError(f"the images have shape {list(images.shape)}; expected [N, H, W, C].")
        _check_range(images, model.bounds)
        radius = self._epsilon(model, images.shape, epsilon)
        given = step_size if step_size is not None else self.step_size
        default = radius * min(1.0, 2.5 / max(self.steps, 1))
        numbers = {
            "label": np.asarray(labels, np.int64),
            "epsilon": radius,
            "size": np.asarray(default if given is None else given, np.float64),
            "beta": np.asarray(beta, np.float64),
        }
        size = numbers["size"]
        if not np.all((size >= 0) & np.isfinite(size)):
            raise UsageError(f"step_size must be a number from 0 on; received {np.asarray(given).tolist()}.")
        wrong = numbers["label"][(numbers["label"] < 0) | (numbers["label"] >= model.num_classes)]
        if wrong.size:
            raise UsageError(
                f"the class {wrong.flat[0]} is none of the model's {model.num_classes}, 0 to {model.num_classes - 1}."
            )
        shapes = [(len(images),), *(number.shape for number in numbers.values())]
        if starts is not None:
            shapes.append(starts.shape[:-3])
        try:
            rows = np.broadcast_shapes(*shapes)
        except ValueError:
            rows = ()
        if len(rows) not in (1, 2) or rows[-1] != len(images):
            raise UsageError(
                f"numbers of shapes {', '.join(str(list(s)) for s in shapes[1:])} do not fit {len(images)} images: "
                "give a number, [N], [E, 1] or [E, N]."
            )
        # Whether all strengths of an image begin with the same gradient, that of the objective at the original.
        at_image = starts is None and not (self.start.random or self.eight_bit or self.penalties)
        alone = at_image and numbers["label"].ndim < 2
        broadcast = {name: np.broadcast_to(number, rows) for name, number in numbers.items()}
        return broadcast | {"alone": np.asarray(alone)}

    def _epsilon(self, model: Model, shape: tuple[int, ...], epsilon: Any) -> np.ndarray:
        if self.norm is None:
            if epsilon is not None:
                raise UsageError("an attack without a ball takes no epsilon.")
            return np.asarray(np.inf)
        if epsilon is None:
            raise UsageError(f"an attack in an {self.norm} ball needs its radius, epsilon.")
        values = np.asarray(epsilon, np.float64)
        most = largest_epsilon(model.bounds, shape[1:], self.norm)
        wrong = values[~((values >= 0) & (values <= most))]
        if wrong.size:
            raise UsageError(
                f"epsilon must be from 0 to {most:g}, the model's value range"
                f"{' times the root of the number of pixels' if self.norm == 'l2' else ''}; received {wrong.flat[0]:g}."
            )
        return values

    def _begin(
        self,
        rows: Rows,
        images: np.ndarray,
        starts: np.ndarray | None,
        keys: Sequence[bytes | str] | None,
        numbers: dict[str, np.ndarray],
        seed: int,
        attempt: int,
        plan: Plan,
    ) -> np.ndarray | None:
        """Set the rows' radii, and return where they begin [R, H, W, C]; None for the originals."""
        shape = images.shape[1:]
        if self.norm is None:
            rows.radius = np.zeros(len(rows), np.float32)
        elif self.eight_bit and self.norm == "linf":
            rows.radius = rows.epsilon.astype(np.float32)
        else:
            rows.radius = shrunk(rows.epsilon, self.norm, shape, plan.bounds)
        if starts is not None and not attempt:
            wide = np.broadcast_to(starts, (*numbers["label"].shape, *shape))
            return wide.reshape(-1, len(images), *shape)[rows.strength, rows.image].astype(np.float32)
        if isinstance(self.start, AtImage):
            return None
        begin = np.empty((len(rows), *shape), np.float32)
        for index in np.unique(rows.image):
            mine = np.flatnonzero(rows.image == index)
            key = images[index].tobytes() if keys is None else keys[index]
            generator = stream(seed, key.encode() if isinstance(key, str) else key, attempt)
            begin[mine] = self.start(images[index], rows.epsilon[mine], self.norm, plan.bounds, generator)
        return begin


def _seen(pool: Pool, images: np.ndarray, rows: tuple[int, ...], strength: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return the images as they are while they are attacked, [*rows, H, W, C], the others as they were."""
    whole = np.broadcast_to(images, (*rows, *images.shape[1:])).copy()
    whole[(strength, image) if len(rows) == 2 else image] = pool.images()
    return whole


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an attack found, for rows of shape [N] or [E, N].

    Attributes:
        adversarial: [*rows, H, W, C] float32: within the ball and the box, whether or not the goal was reached.
        reached: bool [*rows], whether it reached its goal.
        steps: int [*rows], the steps taken to it.
        logits: float32 [*rows, K] of ``adversarial``, as the loop computed them.
        flat: bool [*rows], whether the gradient of what is climbed was exactly zero where the row began: then not
            having reached the goal says nothing about the network.
        confidence: float32 [*rows, steps + 1], the softmax probability of each row's class at the start and after every
            step, NaN after the row has stopped; None unless ``trace`` was asked for.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import fgsm
        >>> from cnnlab.testing import FakeClassifier
        >>> images, epsilon = np.full((1, 2, 2, 1), 0.4, np.float32), np.array([[0.05], [0.2]])
        >>> outcome = fgsm().run(FakeClassifier.of_brightness(), images, [0], epsilon=epsilon)
        >>> outcome.reached.tolist(), outcome.adversarial.shape
        ([[False], [True]], (2, 1, 2, 2, 1))
    """

    adversarial: np.ndarray
    reached: np.ndarray
    steps: np.ndarray
    logits: np.ndarray
    flat: np.ndarray
    confidence: np.ndarray | None = None

    @classmethod
    def empty(cls, rows: tuple[int, ...], shape: tuple[int, ...], classes: int, traced: int | None) -> Outcome:
        """Make room for ``rows`` of images of a ``shape``, with logits of ``classes`` and ``traced`` steps, if any."""
        return cls(
            adversarial=np.zeros((*rows, *shape), np.float32),
            reached=np.zeros(rows, bool),
            steps=np.zeros(rows, np.int64),
            logits=np.zeros((*rows, classes), np.float32),
            flat=np.zeros(rows, bool),
            confidence=None if traced is None else np.full((*rows, traced + 1), np.nan, np.float32),
        )

    def put(
        self,
        strength: np.ndarray,
        image: np.ndarray,
        found: dict[str, np.ndarray],
        confidence: np.ndarray | None,
        *,
        replace: bool,
    ) -> None:
        """Take over the rows of ``image`` at ``strength`` from what was ``found``, with its ``confidence``.

        With ``replace`` all of them, otherwise those alone that have now reached their goal.
        """
        taken = np.ones(len(image), bool) if replace else found["reached"]
        where = (strength[taken], image[taken]) if self.reached.ndim == 2 else (image[taken],)
        for name, values in found.items():
            getattr(self, name)[where] = values[taken]
        if self.confidence is not None and confidence is not None:
            self.confidence[where] = confidence[taken]

    def carried(self) -> Outcome:
        """Give each row that did not reach its goal what the next smaller strength found for that image.

        It lies in the larger ball as well, so that what is left standing never rises with epsilon.

        Returns:
            An outcome of rows [E, N], where the strengths were given in ascending order.
        """
        carried = self.or_else(self)
        for strength in range(1, len(self.reached)):
            taken = carried.reached[strength - 1] & ~carried.reached[strength]
            for one in fields(self):
                values = getattr(carried, one.name)
                if values is not None:
                    values[strength, taken] = values[strength - 1, taken]
        return carried

    def or_else(self, other: Outcome) -> Outcome:
        """Give each row that did not reach its goal what another attack found for it, if that did.

        Args:
            other: An outcome of as many rows, at the same strengths or smaller ones. The traced confidence is kept if
                both have it, for as many steps.
        """
        taken = ~self.reached & other.reached

        def pick(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
            return np.where(taken.reshape(taken.shape + (1,) * (mine.ndim - taken.ndim)), theirs, mine)

        confidence = None
        if self.confidence is not None and other.confidence is not None:
            confidence = pick(self.confidence, other.confidence)
        return Outcome(
            adversarial=pick(self.adversarial, other.adversarial),
            reached=self.reached | other.reached,
            steps=pick(self.steps, other.steps),
            logits=pick(self.logits, other.logits),
            flat=pick(self.flat, other.flat),
            confidence=confidence,
        )

    @property
    def predicted(self) -> np.ndarray:
        """The class that each adversarial image is read as, int64 [*rows]."""
        return self.logits.argmax(axis=-1).astype(np.int64)

    @property
    def probabilities(self) -> np.ndarray:
        """The softmax of the logits, float32 [*rows, K]."""
        return softmax(self.logits)


def _check_range(images: np.ndarray, bounds: tuple[float, float]) -> None:
    """Refuse images that are no images of the model's; those that reach out by rounding or resizing will do."""
    low, high = bounds
    hair = 1e-3 * (high - low)
    if images.size and not (images.min() >= low - hair and images.max() <= high + hair):
        raise UsageError(
            f"the images hold values from {images.min():g} to {images.max():g}; expected the model's value range, "
            f"{low:g} to {high:g}. Scale them into it."
        )


def fgsm(*, targeted: bool = False, norm: Norm = "linf", eight_bit: bool = False) -> Attack:
    """One step of the full epsilon: the fast gradient sign method; for L2, the fast gradient method.

    Goodfellow, Shlens and Szegedy, "Explaining and Harnessing Adversarial Examples" (2015):
    x' = clip(x + epsilon sign(grad of cross-entropy)).

    Args:
        targeted: Whether the labels given to :meth:`Attack.run` are to be reached, instead of got away from.
        norm: ``"linf"`` or ``"l2"``.
        eight_bit: Whether only images are looked at that an 8-bit file can hold.

    Example:
        >>> import numpy as np
        >>> from cnnlab.testing import FakeClassifier
        >>> images = np.full((1, 2, 2, 1), 0.4, np.float32)
        >>> found = fgsm().run(FakeClassifier.of_brightness(), images, [0], epsilon=0.2)
        >>> round(float(found.adversarial.mean()), 3), found.predicted.tolist()
        (0.6, [1])
    """
    step: Step = Sign() if norm == "linf" else NormalisedGradient()
    return Attack(
        objective=LogOdds(targeted), norm=norm, step=step, goal=Fooled(targeted), then="last", eight_bit=eight_bit
    )


def pgd(
    *,
    steps: int = 40,
    targeted: bool = False,
    norm: Norm = "linf",
    step_size: float | None = None,
    random_start: bool = False,
    restarts: int = 0,
    then: Then = "stop",
    eight_bit: bool = False,
) -> Attack:
    """Many small steps, projected back into the ball after each: projected gradient descent.

    From the image itself it is the basic iterative method (Kurakin, Goodfellow and Bengio, 2017), from a random
    point of the ball it is Madry et al. (2018). An image is done as soon as it is fooled.

    Args:
        steps: How many steps at most, from 0 on.
        targeted: Whether the labels given to :meth:`Attack.run` are to be reached, instead of got away from.
        norm: ``"linf"`` or ``"l2"``.
        step_size: Length of a step in the model's units; by default ``epsilon * min(1, 2.5 / steps)``.
        random_start: Whether it begins at a random point of the ball.
        restarts: How many times an image that is not fooled begins anew; needs a random start.
        then: ``"stop"``, ``"closest"`` or ``"last"``; see :class:`Attack`.
        eight_bit: Whether only images are looked at that an 8-bit file can hold.

    Raises:
        UsageError: As :class:`Attack`.

    Example:
        >>> import numpy as np
        >>> from cnnlab.testing import FakeClassifier
        >>> attack = pgd(steps=20, random_start=True, restarts=2)
        >>> images = np.full((3, 2, 2, 1), 0.4, np.float32)
        >>> attack.run(FakeClassifier.of_brightness(), images, [0, 0, 0], epsilon=0.2, seed=1).reached.tolist()
        [True, True, True]
    """
    return Attack(
        objective=LogOdds(targeted),
        norm=norm,
        step=Sign() if norm == "linf" else NormalisedGradient(),
        step_size=step_size,
        steps=steps,
        start=UniformNoise() if random_start else AtImage(),
        restarts=restarts,
        goal=Fooled(targeted),
        then=then,
        eight_bit=eight_bit,
    )
