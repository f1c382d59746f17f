"""What TensorFlow sees of this machine, and why it sees no GPU where it sees none."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

DRIVER = Path("/proc/driver/nvidia/version")
"""Where the NVIDIA driver of Linux tells its version."""


@dataclass(frozen=True)
class Listing:
    """What was found.

    Attributes:
        devices: What each device is, by the name that ``--device`` takes.
        tensorflow: TensorFlow's version, and what it was built for.
        driver: The NVIDIA driver's version; empty where there is none.
        missing: Libraries of CUDA that TensorFlow was built for and that cannot be loaded.
        why: Why there is no GPU among the devices; empty where there is one.
    """

    devices: Mapping[str, str]
    tensorflow: str
    driver: str
    missing: tuple[str, ...]
    why: str


def listing() -> Listing:
    """Look at the machine through TensorFlow, and at what it needs for a GPU."""
    import tensorflow as tf

    built = tf.sysconfig.get_build_info()
    for_cuda = bool(built.get("is_cuda_build"))
    said = f"built for CUDA {built['cuda_version']} and cuDNN {built['cudnn_version']}" if for_cuda else "without CUDA"
    devices = {"cpu": f"{os.cpu_count()} cores, {platform.machine()}"}
    for gpu in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpu)
        capability = ".".join(map(str, details.get("compute_capability", ())))
        name = gpu.name.removeprefix("/physical_device:").lower()
        devices[name] = f"{details.get('device_name', 'GPU')}{f', compute capability {capability}' * bool(capability)}"
    driver, missing = _driver(), _missing(built) if for_cuda else ()
    why = "" if len(devices) > 1 else _why(for_cuda, driver, missing, os.environ.get("CUDA_VISIBLE_DEVICES"))
    return Listing(devices, f"{tf.__version__}, {said}", driver, missing, why)


def _why(for_cuda: bool, driver: str, missing: tuple[str, ...], visible: str | None) -> str:
    if not for_cuda:
        return "this TensorFlow was built without CUDA; on Linux `pip install cnnlab[gpu]` brings one that was"
    if visible is not None and visible.split(",")[0].strip() in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES is set to {visible!r}, which hides all of them"
    if not driver:
        return "there is no NVIDIA driver, or this process cannot reach it (a container needs --gpus all)"
    if missing:
        return f"the libraries {', '.join(missing)} cannot be loaded; `pip install cnnlab[gpu]` brings them"
    return "TensorFlow does not say; `TF_CPP_MIN_LOG_LEVEL=0 cnnlab devices` shows what it logs"


def _driver() -> str:
    try:
        first = DRIVER.read_text(encoding="utf-8", errors="replace").splitlines()[0]
    except (OSError, IndexError):
        return "found, its version unknown" if _loads("libcuda.so.1") else ""
    return next((word for word in first.split() if word[0].isdigit()), first)


def _missing(built: Mapping[str, Any]) -> tuple[str, ...]:
    """The main libraries that neither the system nor NVIDIA's packages for Python have."""
    major = str(built["cuda_version"]).partition(".")[0]
    wanted = {
        f"libcudart.so.{major}": "cuda_runtime",
        f"libcublas.so.{major}": "cublas",
        f"libcudnn.so.{str(built['cudnn_version']).partition('.')[0]}": "cudnn",
    }
    return tuple(library for library, package in wanted.items() if not (_packaged(package, library) or _loads(library)))


def _packaged(package: str, library: str) -> bool:
    found = find_spec("nvidia")
    folders = (found.submodule_search_locations or ()) if found else ()
    return any((Path(folder) / package / "lib" / library).exists() for folder in folders)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
