"""Reading a saved noise. Nothing in the file is ever unpickled."""

from __future__ import annotations

import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnlab.errors import CnnlabError, UsageError


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A noise from a file.

    Attributes:
        noise: float32 [H, W, C], or [T, H, W, C] for T targets.
        target: The class that each leads to, int64 [] or [T]; None where the file does not say.
        bounds: The value range in whose units it is; None where the file does not say.
    """

    noise: np.ndarray
    target: np.ndarray | None
    bounds: tuple[float, float] | None

    def for_target(self, wanted: int | None, path: Path) -> Saved:
        """Pick the noise that leads to ``wanted`` out of several; None keeps them all, and a single one is kept.

        Raises:
            UsageError: There are several, and none for that class, or the file does not say what they lead to.
        """
        if self.noise.ndim == 3:
            return self
        if self.target is None:
            raise UsageError(
                f"{path} holds {len(self.noise)} noises and not the classes that they lead to (an array noise_target, "
                f"[{len(self.noise)}]); save one of them, [H, W, C], in a file of its own."
            )
        if wanted is None:
            return self
        found = np.flatnonzero(self.target == wanted)
        if not found.size:
            held = ", ".join(map(str, self.target))
            raise UsageError(f"{path} holds noises for the classes {held} and none for {wanted}.")
        return Saved(noise=self.noise[found[0]], target=self.target[found[0]], bounds=self.bounds)

    def scaled_to(self, bounds: tuple[float, float]) -> np.ndarray:
        """Return the noise in the units of another value range, float32."""
        if self.bounds is None or self.bounds == bounds:
            return self.noise
        factor = (bounds[1] - bounds[0]) / (self.bounds[1] - self.bounds[0])
        return (self.noise * factor).astype(np.float32)


def read_noise(path: Path, shape: tuple[int, int, int]) -> Saved:
    """Read the array ``noise`` of an .npz file, and ``noise_target`` and ``noise_bounds`` where it has them.

    Args:
        path: The file.
        shape: Height, width and channels of the images that the noise is for.

    Raises:
        CnnlabError: The file cannot be read, or holds no noise of numbers.
        UsageError: The noise has another shape than the images.
    """
    arrays = _arrays(path)
    if "noise" not in arrays:
        raise CnnlabError(
            f"{path} holds no array called noise; it has {', '.join(sorted(arrays)) or 'none'}. Name the arrays.npz of "
            "a result of noise-addition (without --per-image), or an .npz file with an array noise."
        )
    noise = arrays["noise"]
    if noise.dtype.kind not in "fiu" or not np.isfinite(noise).all():
        raise CnnlabError(f"the noise in {path} must be finite numbers; received {noise.dtype}, some of them not.")
    if noise.ndim == 2:
        noise = noise[..., None]
    if noise.ndim not in (3, 4) or noise.shape[-3:] != shape or not len(noise):
        raise UsageError(
            f"the noise in {path} has shape {list(arrays['noise'].shape)}, and the images are {list(shape)}; a noise "
            "must have the shape of the images that it is added to."
        )
    return Saved(
        noise=noise.astype(np.float32),
        target=_target(arrays.get("noise_target"), noise.shape[:-3], path),
        bounds=_bounds(arrays.get("noise_bounds"), path),
    )


def _arrays(path: Path) -> dict[str, np.ndarray]:
    wanted = ("noise", "noise_target", "noise_bounds")
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("it holds a single array")
        with archive:
            return {name: archive[name] if name in wanted else np.empty(0) for name in archive.files}
    except FileNotFoundError:
        raise CnnlabError(f"there is no file {path}, where a saved noise was expected.") from None
    except (
        OSError,
        ValueError,
        EOFError,
        TypeError,
        KeyError,
        AttributeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        why = (
            "it holds Python objects, which are never loaded"
            if re.search("allow_pickle|pickled", str(error))
            else str(error)
        )
        raise CnnlabError(f"{path} cannot be read as a saved noise: {why}. Expected an .npz file.") from None


def _target(array: np.ndarray | None, shape: tuple[int, ...], path: Path) -> np.ndarray | None:
    if array is None:
        return None
    if array.dtype.kind not in "iu" or array.shape != shape:
        raise CnnlabError(
            f"noise_target in {path} must be whole numbers of shape {list(shape)}, a class for each noise; received "
            f"{array.dtype} {list(array.shape)}."
        )
    return array.astype(np.int64)


def _bounds(array: np.ndarray | None, path: Path) -> tuple[float, float] | None:
    if array is None:
        return None
    if array.dtype.kind not in "fiu" or array.shape != (2,) or not np.isfinite(array).all() or array[0] >= array[1]:
        raise CnnlabError(f"noise_bounds in {path} must be two rising numbers; received {array.tolist()}.")
    return (float(array[0]), float(array[1]))
