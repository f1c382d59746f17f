"""Where an attack begins: at the image, or at noise from the image's own random stream.

A stream belongs to an image: it is seeded by the user's seed and the image's contents (or a key that stands for it),
and by nothing else. So an image gets the same noise alone, in any batch, in any order, and at every strength.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from cnnlab.perturbations import Norm


def stream(seed: int, key: bytes, number: int = 0) -> np.random.Generator:
    """Return the random stream that belongs to ``key``.

    Args:
        seed: The user's seed.
        key: What the stream belongs to: an image's bytes, or a name.
        number: Which of its streams: restarts each have their own.

    Returns:
        A generator over Philox (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), whose key is a
        hash of all three.

    Example:
        >>> one, same, other = stream(7, b"image 3"), stream(7, b"image 3"), stream(7, b"image 4")
        >>> first = one.random()
        >>> first == same.random(), first == other.random()
        (True, False)
    """
    hashed = hashlib.blake2b(key, digest_size=16, salt=_word(seed), person=_word(number)).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(hashed, "little")))


def _word(value: int) -> bytes:
    return (value % 2**128).to_bytes(16, "little")


class Start(Protocol):
    """Where an attack begins.

    Attributes:
        random: Whether it draws from the image's stream; attacks that do can be restarted.
    """

    random: ClassVar[bool]

    def __call__(
        self,
        image: np.ndarray,
        epsilon: np.ndarray,
        norm: Norm | None,
        bounds: tuple[float, float],
        generator: np.random.Generator,
    ) -> np.ndarray:
        """Return the starting images [E, H, W, C] of one image, for each of its strengths; the engine projects them.

        Args:
            image: [H, W, C].
            epsilon: [E], the radius of the ball at each strength; infinite without a ball.
            norm: The ball's norm, None without a ball.
            bounds: The model's value range.
            generator: The image's stream.
        """


@dataclass(frozen=True)
class AtImage:
    """Begin at the image itself.

    Example:
        >>> from cnnlab.plugin import Attack
        >>> Attack(start=AtImage(), restarts=3)
        Traceback (most recent call last):
            ...
        cnnlab.errors.UsageError: restarts need a random start: begun anew at the same image, an attack does the same.
    """

    random: ClassVar[bool] = False

    def __call__(
        self, image: np.ndarray, epsilon: np.ndarray, norm: Norm | None, bounds: tuple[float, float], generator: Any
    ) -> np.ndarray:
        """Return the image, once for each strength."""
        return np.broadcast_to(image, (len(epsilon), *image.shape))


@dataclass(frozen=True)
class UniformNoise:
    """Begin at a uniformly drawn point of the ball around the image; without a ball, at a uniformly drawn image.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import stream
        >>> image, epsilon = np.full((2, 2, 1), 0.5), np.array([0.1, 0.2])
        >>> begin = UniformNoise()(image, epsilon, "linf", (0.0, 1.0), stream(0, b"an image"))
        >>> bool(np.abs(begin - image).max() <= 0.2), bool((begin[0] != begin[1]).all())
        (True, True)
    """

    random: ClassVar[bool] = True

    def __call__(
        self,
        image: np.ndarray,
        epsilon: np.ndarray,
        norm: Norm | None,
        bounds: tuple[float, float],
        generator: np.random.Generator,
    ) -> np.ndarray:
        """Return the starting images; the same direction at every strength."""
        radius = epsilon[:, None, None, None]
        if norm == "linf":
            return image + radius * generator.uniform(-1.0, 1.0, image.shape)
        if norm == "l2":
            direction = generator.standard_normal(image.shape)
            length = generator.uniform() ** (1 / image.size) / np.sqrt(np.square(direction).sum())
            return image + radius * length * direction
        drawn = generator.uniform(*bounds, image.shape)
        return np.broadcast_to(drawn, (len(epsilon), *image.shape))


@dataclass(frozen=True)
class GaussianNoise:
    """Begin at Gaussian noise, clipped to the value range and projected into the ball.

    Attributes:
        std: Standard deviation, as a share of the value range.
        mean: The mean grey level as a share of the value range; None adds the noise to the image instead.

    Example:
        >>> import numpy as np
        >>> from cnnlab.plugin import stream
        >>> image, epsilon = np.full((2, 2, 1), 0.5), np.array([0.1, 0.2])
        >>> begin = GaussianNoise(std=0.1)(image, epsilon, "linf", (0.0, 1.0), stream(0, b"an image"))
        >>> begin.shape, bool((begin[0] == begin[1]).all())
        ((2, 2, 2, 1), True)
    """

    std: float = 0.2
    mean: float | None = None
    random: ClassVar[bool] = True

    def __call__(
        self,
        image: np.ndarray,
        epsilon: np.ndarray,
        norm: Norm | None,
        bounds: tuple[float, float],
        generator: np.random.Generator,
    ) -> np.ndarray:
        """Return the starting images; the same noise at every strength."""
        low, high = bounds
        centre = image if self.mean is None else low + (high - low) * self.mean
        drawn = centre + (high - low) * self.std * generator.standard_normal(image.shape)
        return np.broadcast_to(drawn, (len(epsilon), *image.shape))
