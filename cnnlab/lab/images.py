"""The images of a lab: drawn, uploaded, or of a dataset; each with an id, and fitted to any model that is asked."""

from __future__ import annotations

import base64
import binascii
import io
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

from cnnlab.datasets.images import Encoded, read_image, stored_shape
from cnnlab.errors import UsageError
from cnnlab.lab.bodies import Body
from cnnlab.lab.errors import RefusedError, unknown
from cnnlab.lab.kept import Kept
from cnnlab.numerics import UNKNOWN
from cnnlab.render.html import addresses

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier

MOST_BYTES = 8 << 20
"""Bytes of one uploaded file."""

MOST_PIXELS = 16_000_000
"""Pixels that it may unpack to."""

MOST_AT_ONCE = 16
"""Files in one request."""

ROOM = 128 << 20
"""Bytes of all images that are kept; of more, those that were used least lately leave."""

BESIDE = 1 << 10
"""Bytes that Python takes for an image beside its file: most drawings are smaller than that."""

MOST_OPEN_PIXELS = 1_000_000
"""Pixels of an image for a model that takes any: what its layers make of it takes many times its room."""

OPEN_SIDE = 224
"""The side of a drawing for a model that takes any."""

CANVAS = 280
"""The side of the canvas that strokes come from, where a request does not say."""

MOST_CANVAS = 2048
BOX = 20 / 28
"""The share of MNIST's side that a digit was scaled into."""

Shape = tuple[int | None, int | None, int]


@dataclass(frozen=True)
class LabImage:
    """An image that a browser handed over.

    Attributes:
        content: An image file, of 8 bits where it was drawn: what is saved is what was asked about.
        label: Its true class; -1 where unknown.
        note: What was done to make an image of what came.
    """

    content: Encoded
    label: int = UNKNOWN
    note: str = ""

    @property
    def source(self) -> str:
        """Where it came from."""
        return self.content.name

    def unit(self, shape: Shape) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return the image float32 [H, W, C] in [0, 1] in a model's shape, and what was done to it.

        Raises:
            RefusedError: The model takes any size, and this one is too large.
        """
        height, width, _ = stored_shape(self.content)
        if None in shape and (shape[0] or height) * (shape[1] or width) > MOST_OPEN_PIXELS:
            raise RefusedError(
                413,
                f"{self.source} has {width}x{height} pixels, and the model takes any; the lab asks such models about "
                f"{MOST_OPEN_PIXELS:,} at most. Make it smaller first.",
            )
        found = read_image(self.content, shape)
        return found.pixels, found.notes


class Images:
    """Images by id, those that were used least lately leaving where they take too much room.

    Args:
        room: Bytes that they may take.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._kept: Kept[LabImage] = Kept(room, lambda image: len(image.content.content) + BESIDE)

    def add(self, image: LabImage) -> str:
        """Keep an image, and return its id."""
        name = f"i{secrets.token_hex(6)}"
        self._kept.put(name, image)
        return name

    def find(self, name: str) -> LabImage:
        """Return an image.

        Raises:
            RefusedError: There is none of that id, or no longer.
        """
        found = self._kept.find(name)
        if found is None:
            raise unknown("image", name)
        return found


def uploaded(name: str, content: bytes) -> LabImage:
    """Take an image file as it came.

    Args:
        name: What it is called.
        content: Its bytes.

    Raises:
        RefusedError: It is larger than a lab takes.
        CnnlabError: It is no image.
    """
    called = "".join(each for each in name.replace("\\", "/").split("/")[-1] if each.isprintable())[:80] or "image"
    if len(content) > MOST_BYTES:
        raise RefusedError(413, f"{called} has {len(content):,} bytes; the lab takes files of {MOST_BYTES:,} at most.")
    image = Encoded(content, called)
    height, width, _ = stored_shape(image)
    if height * width > MOST_PIXELS:
        raise RefusedError(413, f"{called} has {width}x{height} pixels; the lab takes {MOST_PIXELS:,} at most.")
    return LabImage(image)


def drawn(body: Body, shape: Shape) -> LabImage:
    """Make an image of what a browser drew: its pixels, or the strokes on a canvas.

    Args:
        body: ``pixels`` with ``height``, ``width`` and ``channels``; or ``strokes`` and ``mnist``.
        shape: The model's.

    Raises:
        UsageError: It holds neither, or what it holds is not as it must be.
    """
    if "pixels" in body:
        return LabImage(_encoded(_pixels(body, shape)))
    if "strokes" in body:
        ink = _ink(body)
        mnist = body.flag("mnist", True)
        side = (shape[0] or OPEN_SIDE, shape[1] or OPEN_SIDE)
        made = as_mnist(ink, side) if mnist else _resized(ink, side)
        told = (
            "scaled into the middle 20/28 of the image and centred by mass, as the digits of MNIST were"
            if mnist
            else "scaled as a whole"
        )
        return LabImage(_encoded(np.repeat(made[..., np.newaxis], shape[2], axis=2)), note=f"The drawing was {told}.")
    raise UsageError("an image must be `pixels` or `strokes`; received neither.")


def _pixels(body: Body, shape: Shape) -> np.ndarray:
    height = body.number("height", shape[0] or OPEN_SIDE, 1, MOST_CANVAS)
    width = body.number("width", shape[1] or OPEN_SIDE, 1, MOST_CANVAS)
    channels = body.number("channels", shape[2], 1, 3)
    count = height * width * channels
    given = body["pixels"]
    if channels == 2 or not isinstance(given, list) or len(given) != count:
        received = f"{len(given):,}" if isinstance(given, list) else "no list"
        raise UsageError(f"pixels must be a list of {height} x {width} x {channels} numbers; received {received}.")
    try:
        values = np.array(given, np.float64) if all(type(each) in (int, float) for each in given) else None
    except OverflowError:
        values = None
    if values is None or not ((values >= 0) & (values <= 1)).all():
        raise UsageError("pixels must be numbers from 0 (black) to 1 (white).")
    return values.reshape(height, width, channels)


def _ink(body: Body) -> np.ndarray:
    height, width = (body.number(side, CANVAS, 1, MOST_CANVAS) for side in ("height", "width"))
    try:
        given = base64.b64decode(body.text("strokes"), validate=True)
    except (binascii.Error, ValueError):
        raise UsageError("strokes must be bytes in base64.") from None
    if len(given) != height * width:
        raise UsageError(f"strokes must be {height} x {width} bytes, one for each pixel; received {len(given):,}.")
    return np.frombuffer(given, np.uint8).reshape(height, width)


def as_mnist(ink: np.ndarray, side: tuple[int, int] = (28, 28)) -> np.ndarray:
    """Bring a drawing to the place and size that the digits of MNIST have.

    Args:
        ink: uint8 [h, w], white on black.
        side: Height and width of the image.

    Returns:
        Floats [H, W] in [0, 1]: the drawing's bounding box scaled, its proportions kept, into a box of 20/28 of the
        side, and its centre of mass, pixels counted from 0, at half of it, where MNIST has it; as far as nothing is cut
        off.
    """
    image = np.zeros(side)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return image
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = min(BOX * side[0] / cut.shape[0], BOX * side[1] / cut.shape[1])
    small = _resized(cut, tuple(max(1, round(length * scale)) for length in cut.shape))
    mass = small.sum() or 1.0
    corner = []
    for axis, (length, whole) in enumerate(zip(small.shape, side, strict=True)):
        middle = (small.sum(axis=1 - axis) * np.arange(length)).sum() / mass
        wanted = math.ceil(whole / 2 - middle - 0.5 - 1e-9)  # to the nearest; of two, to the upper left
        corner.append(min(max(wanted, 0), whole - length))
    image[corner[0] : corner[0] + small.shape[0], corner[1] : corner[1] + small.shape[1]] = small
    return image


def _resized(ink: np.ndarray, side: Sequence[int]) -> np.ndarray:
    made = Pillow.fromarray(ink).resize((side[1], side[0]), Pillow.Resampling.BILINEAR, reducing_gap=None)
    return np.asarray(made, np.float64) / 255


def _encoded(pixels: np.ndarray) -> Encoded:
    return Encoded(png(pixels), "drawing")


def png(pixels: np.ndarray) -> bytes:
    """Return floats [H, W, 1 or 3] in [0, 1] as a PNG file of 8 bits."""
    eight = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    written = io.BytesIO()
    Pillow.fromarray(eight[..., 0] if eight.shape[-1] == 1 else eight).save(written, "PNG", compress_level=1)
    return written.getvalue()


def data_url(pixels: np.ndarray) -> str:
    """Return the same as a data URL."""
    return addresses.data_url(png(pixels), "image/png")


def in_range(unit: np.ndarray, classifier: Classifier) -> np.ndarray:
    """Return images in [0, 1] in a model's own value range; float32."""
    low, high = classifier.bounds
    found = (unit * np.float32(high - low) + np.float32(low)).astype(np.float32)
    return np.rint(found) if classifier.whole_numbers else found


def in_unit(image: Any, bounds: tuple[float, float]) -> np.ndarray:
    """Return an image in a value range in [0, 1]."""
    low, high = bounds
    found: np.ndarray = (np.asarray(image, np.float32) - np.float32(low)) / np.float32(high - low)
    return found
