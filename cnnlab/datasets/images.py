"""Image files: from any of the usual kinds to the pixels that a model takes, and back to a file."""

from __future__ import annotations

import io
import mmap
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.files.reading import check_regular, read_npy
from cnnlab.files.writing import write_beside

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif"}
"""What files must be called for a folder of images to count them."""

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
"""The formats that are opened. Pillow knows more, and starts other programs for some of them."""

MOST_PIXELS = 64_000_000
"""A file that unpacks to more pixels than this is refused: a small file can hold a picture that fills the memory."""

LARGE = 64 * 64
"""Images of at least so many pixels are decoded in threads; smaller ones are done before another gets its turn."""

Fit = Literal["stretch", "crop", "pad"]
"""How an image of another shape is brought to the model's: stretched; its middle cut out; or black bars added."""

_TURNING = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")
"""One of these is in a PNG file that says how it is turned."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class ReadImage:
    """An image as a model takes it.

    Attributes:
        pixels: float32 [H, W, C] in [0, 1], black is 0.
        notes: What was done to make it fit, one sentence each.
    """

    pixels: np.ndarray
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Encoded:
    """An image file that lies within another file.

    Attributes:
        content: Its bytes.
        name: What to call it where something is wrong with it.
    """

    content: bytes
    name: str

    def __str__(self) -> str:
        return self.name


def read_image(
    path: str | os.PathLike[str] | Encoded,
    shape: tuple[int | None, int | None, int],
    *,
    fit: Fit = "stretch",
    invert: bool = False,
    strict: bool = False,
) -> ReadImage:
    """Read an image file and bring it to a model's shape.

    PNG, JPEG, BMP, TIFF, WebP and GIF (its first frame), of 8 and 16 bits, with palettes, with transparency (laid on
    white), turned as EXIF says; and ``.npy`` arrays [H, W] or [H, W, C], uint8, uint16 or floats in [0, 1]. A colour
    image for a grey model becomes its luma (ITU-R BT.601); a grey one for a colour model is repeated. Another size is
    resized bilinearly, over the whole area of each pixel where it gets smaller.

    Args:
        path: The file, or the bytes of one.
        shape: Height, width and channels of the model's images; None for a side that may have any length.
        fit: What to do with another aspect ratio.
        invert: Exchange black and white first.
        strict: Refuse another size or number of channels.

    Raises:
        CnnlabError: There is no such file, it is no image, too large, or (with ``strict``) does not fit.
    """
    path = path if isinstance(path, Encoded) else Path(path)
    pixels, notes = _decode(path)
    if invert:
        pixels = 1 - pixels
    height, width, channels = shape
    wanted = (height or pixels.shape[0], width or pixels.shape[1])
    if strict and (pixels.shape[:2] != wanted or pixels.shape[2] != channels):
        raise CnnlabError(
            f"{path} is {_described(pixels.shape)}; the model takes {_described((*wanted, channels))}, and "
            "`strict=True` asks for no conversion."
        )
    if pixels.shape[2] != channels:
        pixels, note = _convert_channels(path, pixels, channels)
        notes.append(note)
    if pixels.shape[:2] != wanted:
        before = pixels.shape
        pixels = _resize(pixels, wanted, fit)
        notes.append(
            f"{path} was resized from {before[1]}x{before[0]} to {wanted[1]}x{wanted[0]} pixels (bilinear, {fit})."
        )
    return ReadImage(np.ascontiguousarray(pixels, np.float32), tuple(notes))


def write_image(path: str | os.PathLike[str], pixels: np.ndarray) -> None:
    """Write an image, rounded to 8 bits, in the format that the suffix names.

    Args:
        path: Where to; ``.png``, ``.bmp`` and ``.tif`` keep every value.
        pixels: Floats in [0, 1], [H, W, C] with one or three channels.

    Raises:
        UsageError: The suffix names no format that can be written.
        CnnlabError: The disk is full.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path} must end in {', '.join(sorted(SUFFIXES))}, to say what kind of image to write.")
    eight = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(eight[..., 0] if eight.shape[-1] == 1 else eight)
    with write_beside(path) as beside:
        image.save(beside)


def decode_8bit(file: Path | Encoded, shape: tuple[int, int, int]) -> np.ndarray:
    """Decode a file to uint8 [H, W, C], with one or three channels.

    Raises:
        CnnlabError: It is damaged, or of another size.
    """
    with _opened(file) as image:
        upright, _ = _upright(file, image)
        deep = _is_deep(upright)
        pixels = _floats(upright) if deep else _eight(upright)
    if pixels.shape[:2] != shape[:2]:
        raise CnnlabError(f"{file} has changed: it was {_described(shape)} and is {_described(pixels.shape)}.")
    if pixels.shape[2] > shape[2]:
        raise CnnlabError(f"{file} has changed: it was grey and is in colour.")
    eight = np.rint(pixels * 255).astype(np.uint8) if deep else pixels
    return eight if eight.shape == shape else np.repeat(eight, shape[2], axis=2)


def decode_all(decode: Callable[[int], np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Decode images into one array, in a thread for each processor where they are of :data:`LARGE` pixels.

    Args:
        decode: From a number, counted from 0, to an image uint8 [H, W, C].
        shape: [N, H, W, C], of all.
    """
    decoded = np.empty(shape, np.uint8)

    def fill(places: range) -> None:
        for place in places:
            decoded[place] = decode(place)

    threads = min(shape[0], os.cpu_count() or 1)
    if threads < 2 or shape[1] * shape[2] < LARGE:
        fill(range(shape[0]))
        return decoded
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(fill, [range(first, shape[0], threads) for first in range(threads)]):
            pass
    return decoded


def common_shape(shapes: Iterable[tuple[object, tuple[int, int, int]]]) -> tuple[int, int, int]:
    """Return height, width and channels that the images of a dataset share: grey if all of them are, else colour.

    Args:
        shapes: What each image is called, and its own shape; one at least.

    Raises:
        CnnlabError: They differ in size.
    """
    channels, first, name = 0, (0, 0, 0), object()
    for other, shape in shapes:
        if not channels:
            first, name = shape, other
        if shape[:2] != first[:2]:
            raise CnnlabError(
                f"{other} is {shape[1]}x{shape[0]} pixels and {name} is {first[1]}x{first[0]}; the images of a "
                "dataset must be of one size. Resize them first."
            )
        channels = max(channels, shape[2])
    return (first[0], first[1], channels)


def stored_shape(file: Path | Encoded) -> tuple[int, int, int]:
    """Return height, width and channels (1 or 3) of a file, from its header alone."""
    with _opened(file) as image:
        width, height = image.size
        if _may_be_turned(file, image) and image.getexif().get(0x0112, 1) in (5, 6, 7, 8):  # by 90 degrees
            width, height = height, width
        return (height, width, 1 if _is_grey(image) else 3)


def _may_be_turned(file: Path | Encoded, image: Image.Image) -> bool:
    """Whether to ask Pillow how an image is turned; of a PNG file it decodes the whole to say that nothing says so."""
    if image.format != "PNG":
        return True
    if isinstance(file, Encoded):
        return any(word in file.content for word in _TURNING)
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(word) >= 0 for word in _TURNING)


def expand(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Replace every folder among ``paths`` by the image files in it, sorted by name.

    Raises:
        CnnlabError: A folder holds no images.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            files.append(path)
            continue
        within = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES | {".npy"})
        if not within:
            raise CnnlabError(f"the folder {path} holds no images ({', '.join(sorted(SUFFIXES))} or .npy).")
        files += within
    return files


def ground(pixels: np.ndarray) -> float:
    """Return the brightness of an image's border, in [0, 1]: the median over its outermost pixels.

    Args:
        pixels: [H, W, C] in [0, 1].
    """
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return float(np.median(edge))


def _decode(path: Path | Encoded) -> tuple[np.ndarray, list[str]]:
    """Decode a file to floats [H, W, 1 or 3] in [0, 1]."""
    if isinstance(path, Path) and path.suffix.lower() == ".npy":
        return _decode_npy(path), []
    with _opened(path) as image:
        upright, notes = _upright(path, image)
        return _floats(upright), notes


def _upright(file: Path | Encoded, image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Read the whole of an opened image, turned as EXIF says and without transparency, and say what was done."""
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    if not _has_transparency(image):
        return image, []
    return _on_white(image), [f"the transparent parts of {file} were laid on white."]


class _Unwarned:
    """Silences warnings while any thread is in it: what Python has for that knows of one thread only."""

    def __init__(self) -> None:
        self._lock, self._inside, self._silence = threading.Lock(), 0, warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._silence = warnings.catch_warnings()
                self._silence.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._silence.__exit__(None, None, None)


_UNWARNED = _Unwarned()


@contextmanager
def _opened(path: Path | Encoded) -> Iterator[Image.Image]:
    """Open an image; whatever Pillow runs into, in here and in the block, is said in one sentence."""
    stored = check_regular(path) if isinstance(path, Path) else io.BytesIO(path.content)
    try:
        # What Pillow warns of, damaged metadata and too many pixels, is harmless or refused.
        with _UNWARNED, Image.open(stored, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise CnnlabError(
                    f"{path} has {image.width}x{image.height}, more than the {MOST_PIXELS:,} pixels that cnnlab "
                    "unpacks. Make it smaller first."
                )
            yield image
    except CnnlabError:
        raise
    except Image.DecompressionBombError as error:
        raise CnnlabError(f"{path} has more than the {MOST_PIXELS:,} pixels that cnnlab unpacks: {error}") from error
    except UnidentifiedImageError:
        raise CnnlabError(
            f"{path} is not an image that can be read; expected PNG, JPEG, BMP, TIFF, WebP, GIF or .npy."
        ) from None
    except Exception as error:  # Pillow's parsers raise what they run into
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise CnnlabError(f"{path} is damaged: {reason}.") from error


def _is_grey(image: Image.Image) -> bool:
    if image.mode == "P":
        palette = image.getpalette("RGB") or []
        return palette[0::3] == palette[1::3] == palette[2::3]
    return image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16")


def _has_transparency(image: Image.Image) -> bool:
    if not image.has_transparency_data:
        return False
    return bool((np.asarray(image.convert("RGBA").getchannel("A")) < 255).any())


def _on_white(image: Image.Image) -> Image.Image:
    grey = _is_grey(image)
    over = Image.new("RGBA", image.size, "white")
    over.alpha_composite(image.convert("RGBA"))
    return over.convert("L" if grey else "RGB")


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _eight(image: Image.Image) -> np.ndarray:
    """The pixels of an image that has no more than 8 bits, uint8 [H, W, 1 or 3]."""
    plain = image if image.mode in ("L", "RGB") else image.convert("L" if _is_grey(image) else "RGB")
    eight = np.asarray(plain)
    return eight if eight.ndim == 3 else eight[..., np.newaxis]


def _floats(image: Image.Image) -> np.ndarray:
    if _is_deep(image):
        # Pillow has 16-bit greys in "I;16" or "I"; "F" is whatever its writer meant.
        values = np.asarray(image, np.float32)
        largest = 65535.0 if image.mode != "F" else 1.0
        if values.min() < 0 or values.max() > largest:
            raise ValueError(f"its values go from {values.min():g} to {values.max():g}; expected 0 to {largest:g}")
        return (values / np.float32(largest))[..., np.newaxis]
    return _eight(image).astype(np.float32) / np.float32(255)


def _decode_npy(path: Path) -> np.ndarray:
    array = read_npy(path)
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.ndim != 3 or array.shape[2] not in (1, 3) or 0 in array.shape:
        raise CnnlabError(f"{path} holds an array {list(array.shape)}; expected [H, W], [H, W, 1] or [H, W, 3].")
    if array.dtype in (np.uint8, np.uint16):
        return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
    if array.dtype.kind != "f":
        raise CnnlabError(f"{path} holds {array.dtype}; expected uint8, uint16, or floats in [0, 1].")
    if not np.isfinite(array).all():
        raise CnnlabError(f"{path} holds NaN or infinity; every pixel must be a finite number.")
    if array.min() < 0 or array.max() > 1:
        raise CnnlabError(f"{path} holds values from {array.min():g} to {array.max():g}; expected floats in [0, 1].")
    return array.astype(np.float32)


def _convert_channels(path: Path | Encoded, pixels: np.ndarray, channels: int) -> tuple[np.ndarray, str]:
    if channels == 1:
        # Where the three are alike, their weighted sum is one of them but for rounding.
        alike = (pixels == pixels[..., :1]).all()
        grey = pixels[..., :1] if alike else (pixels @ _LUMA)[..., np.newaxis]
        return grey, f"{path} is stored in colour and was converted to grey (its luma)."
    if channels == 3:
        return np.repeat(pixels, 3, axis=2), f"{path} is grey and was repeated in three colour channels."
    raise CnnlabError(f"{path} has {pixels.shape[2]} channels and the model takes {channels}; no conversion is known.")


def _resize(pixels: np.ndarray, wanted: tuple[int, int], fit: Fit) -> np.ndarray:
    height, width = wanted
    if fit == "crop":
        pixels = _crop_to_aspect(pixels, height / width)
    if fit != "pad":
        return _resample(pixels, height, width)
    scale = min(height / pixels.shape[0], width / pixels.shape[1])
    inner = (max(1, round(pixels.shape[0] * scale)), max(1, round(pixels.shape[1] * scale)))
    padded = np.zeros((height, width, pixels.shape[2]), np.float32)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    padded[top : top + inner[0], left : left + inner[1]] = _resample(pixels, *inner)
    return padded


def _crop_to_aspect(pixels: np.ndarray, aspect: float) -> np.ndarray:
    height, width = pixels.shape[:2]
    keep = (min(height, max(1, round(width * aspect))), min(width, max(1, round(height / aspect))))
    top, left = (height - keep[0]) // 2, (width - keep[1]) // 2
    return pixels[top : top + keep[0], left : left + keep[1]]


def _resample(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    planes = [
        Image.fromarray(np.ascontiguousarray(plane)).resize((width, height), Image.Resampling.BILINEAR)
        for plane in np.moveaxis(pixels.astype(np.float32), 2, 0)
    ]
    return np.clip(np.stack([np.asarray(plane) for plane in planes], axis=2), 0, 1)


def _described(shape: Sequence[int]) -> str:
    height, width, channels = shape
    return f"{width}x{height} pixels in {'grey' if channels == 1 else 'colour' if channels == 3 else channels}"
