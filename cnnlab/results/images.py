"""Adversarial images as PNG files: which are written, from which pixels, and what ``result.json`` says of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.errors import CnnlabError
from cnnlab.files.reading import check_regular
from cnnlab.perturbations import to_8bit
from cnnlab.results.claims import Claims

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGES = "images"
"""The folder in a result's that they are written to."""

MOST = 100
"""How many images are written; arrays.npz holds them all."""

CHANNELS = (1, 2, 3, 4)
"""How many channels a PNG can hold: grey, grey and alpha, colour, colour and alpha."""


@dataclass(frozen=True)
class Place:
    """One adversarial image: its file, and where it lies in the arrays.

    Attributes:
        file: ``images/3.png``, or ``images/3-eps0.1.png``.
        image: Its index along axis N.
        strength: Its index along axis E.
        value: The strength itself; None where there is none.
    """

    file: str
    image: int
    strength: int
    value: float | None

    def of(self, array: np.ndarray) -> Any:
        """Pick what belongs to this image from an array [E, N, ...]."""
        return array[self.strength, self.image]


def places(strengths: int, count: int, channels: int, claims: Claims) -> list[Place]:
    """Say which images are written: the first :data:`MOST`, the strengths of one image following each other.

    Args:
        strengths: The length of axis E of ``adversarial``.
        count: Of axis N.
        channels: Of axis C.
        claims: What names the strengths.
    """
    if channels not in CHANNELS:
        return []
    return list(_places(strengths, count, claims))[:MOST]


def _places(strengths: int, count: int, claims: Claims) -> Iterator[Place]:
    word = "eps" if claims.axis == "epsilon" else claims.axis
    single = claims.epsilons[0] if claims.epsilons and len(claims.epsilons) == 1 else None
    names = claims.names(strengths)
    for image in range(min(count, MOST)):
        for index, name in enumerate(names):
            yield Place(f"{IMAGES}/{image}-{word}{name}.png", image, index, float(name))
        if not names:
            yield Place(f"{IMAGES}/{image}.png", image, 0, single)


def describe(measured: Mapping[str, np.ndarray], claims: Claims, channels: int) -> list[dict[str, Any]]:
    """Make ``images`` of ``result.json``: what a fresh forward pass said of each image as its file holds it.

    Args:
        measured: The arrays of :func:`cnnlab.adversarial.measure.measure`.
        claims: What names the strengths.
        channels: Of an image.
    """
    strengths, count = measured["label_after"].shape
    return [
        {
            "file": place.file,
            "index": place.image,
            "epsilon": place.value if claims.axis == "epsilon" else None,
            **({} if claims.axis == "epsilon" else {claims.axis: place.value}),
            "label_after": int(place.of(measured["label_after_8bit"])),
            "confidence_after": float(place.of(measured["confidence_after_8bit"])),
            "success": _success(place, measured),
        }
        for place in places(strengths, count, channels, claims)
    ]


def _success(place: Place, measured: Mapping[str, np.ndarray]) -> bool | None:
    counted = measured["counted"]
    took_part = place.of(counted) if counted.ndim > 1 else counted[place.image]
    return bool(place.of(measured["success_8bit"])) if took_part else None


def write(folder: Path, adversarial: np.ndarray, claims: Claims, bounds: tuple[float, float]) -> list[str]:
    """Write the images [E, N, H, W, C] into ``folder/images`` and return their names, relative to ``folder``."""
    from PIL import Image

    strengths, count, *_, channels = adversarial.shape
    wanted = places(strengths, count, channels, claims)
    if wanted:
        (folder / IMAGES).mkdir()
    for place in wanted:
        pixels = to_8bit(place.of(adversarial), bounds)
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(folder / place.file)
    return [place.file for place in wanted]


def read(path: Path) -> np.ndarray:
    """Read the pixels of such a file as they lie there, uint8 [H, W, C].

    Raises:
        CnnlabError: The file is missing, or no such image.
    """
    with opened(path) as image:
        if image.mode not in ("L", "LA", "RGB", "RGBA"):
            raise CnnlabError(f"{path.name} holds pixels of the kind {image.mode}, not of 8 bits.")
        pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


@contextmanager
def opened(path: Path) -> Iterator[Image]:
    """Open a PNG file that may have been put in the place of ours.

    Raises:
        CnnlabError: The file is missing, no file, or no PNG.
    """
    from PIL import Image

    try:
        with Image.open(check_regular(path), formats=("PNG",)) as image:
            yield image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CnnlabError(f"{path.name} cannot be read as an image: {error}.") from error
