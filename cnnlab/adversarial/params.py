"""Parameters that attacks share, declared once: plugins derive theirs from these. Cheap to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt

from cnnlab.pluginhost.params import Doc, Params

if TYPE_CHECKING:
    from cnnlab.perturbations import Norm


@dataclass(frozen=True, kw_only=True)
class BallParams(Params):
    """How far an image may move: a ball around it, or several.

    Example:
        >>> BallParams(epsilon=(0.2, 0.1)).radii((0.0, 1.0), (28, 28, 1), {"linf": (0.5,), "l2": (0.1,)})
        (0.1, 0.2)
        >>> BallParams(norm="l2").radii((0.0, 1.0), (28, 28, 1), {"linf": (0.5,), "l2": (0.1,)})
        (2.8000000000000003,)
    """

    epsilon: Annotated[
        tuple[Annotated[float, Ge(0)], ...],
        Doc("How far an image may move, in the model's units; may be given several times."),
    ] = ()
    norm: Annotated[
        Literal["linf", "l2"], Doc("What epsilon bounds: the largest change of a pixel, or the Euclidean length.")
    ] = "linf"

    def radii(
        self, bounds: tuple[float, float], shape: tuple[int, ...], shares: Mapping[Norm, tuple[float, ...]]
    ) -> tuple[float, ...]:
        """Return the radii to search, ascending, each once, in the model's units.

        Args:
            bounds: The model's value range.
            shape: An image's [H, W, C].
            shares: For each norm what stands for an ``epsilon`` that nobody gave, as shares of the radius of the ball
                that holds every image of the model.

        Returns:
            One radius at least.
        """
        from cnnlab.perturbations import largest_epsilon

        whole = largest_epsilon(bounds, shape, self.norm)
        return tuple(sorted(set(self.epsilon))) or tuple(share * whole for share in shares[self.norm])


@dataclass(frozen=True, kw_only=True)
class AttackParams(BallParams):
    """How an image moves within its ball.

    Example:
        >>> AttackParams(epsilon=0.1, steps=40).steps
        40
    """

    steps: Annotated[
        int, Ge(1), Doc("Steps: 1 is the fast gradient sign method, more are the iterated attack (BIM, PGD).")
    ] = 1
    step_size: Annotated[
        float | None,
        Gt(0),
        Doc("Length of a step, in the model's units; by default epsilon for one step, 2.5 epsilon / steps for more."),
    ] = None
    random_start: Annotated[bool, Doc("Begin at a random point of the ball instead of at the image.")] = False
    eight_bit: Annotated[
        bool, Doc("Search among 8-bit images only, so that what is found outlives being saved as a PNG.")
    ] = False
