"""Whether a ``.keras`` or ``.h5`` file can be opened safely: its configuration is read before Keras builds anything.

Such a file says which classes to make and how. A Lambda layer carries Python code in it; a class or function named by
a module's path can be any; and some layers load a file that their configuration names. Keras' safe mode refuses most
of this, less of it in the older ``.h5`` format and in older versions of Keras; what is read here is refused in all of
them, in one sentence that names the layer. Keras' safe mode is on all the same.
"""

from __future__ import annotations

import importlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from cnnlab.errors import CnnlabError
from cnnlab.trust.savedmodel import WAY_OUT

MOST_EXPANSION = 100
LARGE = 64 << 20
"""A member of an archive that is larger than so many bytes may be at most so many times what it takes in the file."""

LARGEST_CONFIGURATION = 256 << 20
"""Bytes that the configuration of a model may have."""

_CODE = {
    "Lambda": "is a Lambda layer, which holds Python code",
    "__lambda__": "holds a Python lambda",
    "TFOpLambda": "calls a TensorFlow function by its name",
    "SlicingOpLambda": "calls a TensorFlow function by its name",
    "TFSMLayer": "loads another SavedModel",
    "TorchModuleWrapper": "unpickles a PyTorch module",
    "JaxLayer": "holds a function of JAX",
    "FlaxLayer": "holds a module of Flax",
    "__typespec__": "names a class of TensorFlow by its path",
}
"""Classes of Keras whose configuration is a program, or names one."""

_VALUES = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"})
_LEGACY = frozenset({"Functional", "Model", "Policy", "TensorShape", "BatchNormalizationV1", "BatchNormalizationV2"})
"""Harmless names in ``.h5`` files that no public part of Keras has."""

_FILES = ("vocabulary", "input_vocabulary", "filepath", "file_path", "filename")
"""Parts of a configuration that name a file where they are text."""

_SPACES = (
    *("layers", "models", "activations", "initializers", "regularizers", "constraints", "dtype_policies", "quantizers"),
    *("losses", "metrics", "optimizers", "optimizers.schedules", "ops", "random"),
)
"""Where Keras keeps what a model's configuration may name."""

REGISTER = (
    "If it is your own, register it in Python (keras.saving.register_keras_serializable) before cnnlab.load; or have "
    "the model written as a SavedModel (model.export), which needs no classes. "
)


def check_keras_file(path: Path) -> None:
    """Refuse a Keras file that brings code, names files, or is an archive with a trap. Nothing of it is built.

    Args:
        path: A ``.keras`` file, which is a zip archive, or a ``.h5`` file.

    Raises:
        CnnlabError: It has a Lambda layer or an unknown class, its data lie in other files, or it cannot be read.
    """
    if path.suffix == ".keras":
        configuration, legacy = _read_archive(path), False
    else:
        configuration, legacy = _read_h5(path), True
    if isinstance(configuration, dict):
        configuration.pop("compile_config", None)  # It is not used: models are opened without what trains them.
    for layer, why in _offences(configuration, legacy, ""):
        raise CnnlabError(
            f"{path} was not opened: {f'the layer {layer!r}' if layer else 'it'} {why}, so that opening it could run "
            f"code that is not Keras' own. {REGISTER if ' unknown ' in why else ''}{WAY_OUT}"
        )


# --- the configuration ---


def _offences(value: Any, legacy: bool, layer: str) -> Iterator[tuple[str, str]]:
    """Walk a configuration: the name of the layer that something is wrong with, and what."""
    if isinstance(value, list):
        for each in value:
            yield from _offences(each, legacy, layer)
    if not isinstance(value, dict):
        return
    if isinstance(value.get("class_name"), str):
        config = value.get("config")
        if isinstance(config, dict) and isinstance(config.get("name"), str):
            layer = config["name"]
        if why := _wrong(value, legacy):
            yield layer, why
    for each in value.values():
        yield from _offences(each, legacy, layer)


def _wrong(named: Mapping[str, Any], legacy: bool) -> str | None:
    """Say what is wrong with a named class or function; None where Keras itself has it."""
    name, config = named["class_name"], named.get("config")
    if name in _CODE:
        return _CODE[name]
    if name in _VALUES or _registered(named):
        return None
    module = named.get("module")
    if name == "function":
        function = config if isinstance(config, str) else str(named.get("registered_name"))
        return None if _is_function(function, module) else f"uses the unknown function {function!r} of {module}"
    if not (_is_class(name, module) if module or not legacy else name in _LEGACY or _in_spaces(name)):
        return f"is of the unknown class {name!r}{f' of {module}' if module else ''}"
    if isinstance(config, dict):
        for key in _FILES:
            if isinstance(config.get(key), str):
                return f"reads the file {config[key]!r}"
    return None


def _registered(named: Mapping[str, Any]) -> bool:
    """Whether whoever imported cnnlab has registered the class or function, so that its code is theirs."""
    import keras

    names = [named.get("registered_name"), named["class_name"]]
    if named["class_name"] == "function":
        names.append(named.get("config"))
    known = keras.saving.get_custom_objects()
    return any(
        isinstance(name, str) and (name in known or keras.saving.get_registered_object(name) is not None)
        for name in names
    )


def _in_spaces(name: str) -> bool:
    return any(isinstance(getattr(_module(f"keras.{space}"), name, None), type) for space in _SPACES)


def _is_function(name: str, module: Any) -> bool:
    if module not in (None, "builtins") and not (isinstance(module, str) and module.removeprefix("keras.") in _SPACES):
        return False
    return any(callable(getattr(_module(f"keras.{space}"), name, None)) for space in _SPACES)


def _is_class(name: str, module: Any) -> bool:
    """Whether a class is a building block of Keras: importing a module of Keras runs nothing else."""
    import keras

    if not isinstance(module, str) or module.split(".")[0] != "keras":
        return False
    found = getattr(_module(module), name, None)
    blocks = (
        *(keras.Operation, keras.KerasTensor, keras.Initializer, keras.Regularizer, keras.constraints.Constraint),
        *(keras.DTypePolicy, keras.dtype_policies.DTypePolicyMap, keras.Loss, keras.Metric, keras.Optimizer),
        *(keras.optimizers.schedules.LearningRateSchedule, keras.random.SeedGenerator, keras.Quantizer),
    )
    return isinstance(found, type) and issubclass(found, blocks)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


# --- the files ---


def _read_archive(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive.infolist())
            names = set(archive.namelist())
            if "config.json" not in names:
                raise CnnlabError(f"{path} cannot be read as a Keras model: it holds no config.json.")
            configuration = json.loads(archive.read("config.json"))
            for name in sorted(names):
                if name.endswith((".h5", ".hdf5")):
                    # In memory, as Keras reads them: seeking back in a member starts it anew.
                    _check_links(path, io.BytesIO(archive.read(name)))
    except (OSError, ValueError, zipfile.BadZipFile, RecursionError, EOFError, KeyError) as error:
        raise _unreadable(path, error) from error
    return configuration


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuse names that lead out of the archive, names that occur twice, and members that are bombs."""
    seen = set()
    for member in members:
        name = member.filename
        parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
        if ".." in parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor or "\0" in name:
            raise CnnlabError(f"{path} was not opened: it holds {name!r}, a name that leads out of the archive.")
        if name in seen:
            raise CnnlabError(f"{path} was not opened: it holds {name!r} twice.")
        seen.add(name)
        large = LARGEST_CONFIGURATION if name.endswith(".json") else LARGE
        if member.file_size > large and (
            name.endswith(".json") or member.file_size > MOST_EXPANSION * max(1, member.compress_size)
        ):
            raise CnnlabError(
                f"{path} was not opened: {name!r} in it would grow from {member.compress_size:,} to "
                f"{member.file_size:,} bytes."
            )


def _read_h5(path: Path) -> Any:
    import h5py

    try:
        _check_links(path, path)
        with h5py.File(path, "r") as file:
            configuration = file.attrs.get("model_config")
        if configuration is None:
            raise CnnlabError(
                f"{path} cannot be read as a Keras model: it holds weights without a model (no model_config). Save the "
                "whole model, with model.save."
            )
        return json.loads(configuration)
    except (OSError, ValueError, TypeError, RuntimeError, RecursionError, KeyError) as error:
        raise _unreadable(path, error) from error


def _check_links(path: Path, source: Any) -> None:
    """Refuse an HDF5 file whose links or data lie in other files."""
    import h5py

    outside: list[str] = []

    def link(name: str, found: Any) -> None:
        if isinstance(found, h5py.ExternalLink):
            outside.append(f"{name!r} links to {found.filename!r}")

    def data(name: str, found: Any) -> None:
        if isinstance(found, h5py.Dataset):
            files = [each[0] for each in found.external or ()]
            if found.is_virtual:
                files += [each.file_name for each in found.virtual_sources() if each.file_name != "."]
            outside.extend(f"{name!r} has its values in {file!r}" for file in files)

    with h5py.File(source, "r") as file:
        file.visititems_links(link)
        if not outside:
            file.visititems(data)
    if outside:
        raise CnnlabError(f"{path} was not opened: {outside[0]}, which lies outside it. {WAY_OUT}")


def _unreadable(path: Path, error: Exception) -> CnnlabError:
    if isinstance(error, RecursionError):
        return CnnlabError(f"{path} cannot be read as a Keras model: its configuration is nested too deep.")
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return CnnlabError(f"{path} cannot be read as a Keras model: {lines[0].rstrip('.')}. It is damaged or truncated.")
