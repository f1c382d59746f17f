"""Whether a ``.keras`` or ``.h5`` file can be opened safely: it is read as data before Keras builds anything of it.

Such a file says which classes to make and how. A Lambda layer carries Python code in it; a class or function named by
a module's path can be any; and some layers load a file that their configuration names. Keras' safe mode refuses most
of this, less of it in the older ``.h5`` format and in older versions of Keras; what is read here is refused in all of
them, in one sentence that names the layer. Keras' safe mode is on all the same.

What a file names is looked up among Keras' own building blocks, which are listed before: no module is imported, and no
attribute fetched, because a file names it. And how large a thing becomes is known before it is unpacked.
"""

from __future__ import annotations

import functools
import io
import json
import operator
import types
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from cnnlab.errors import CnnlabError
from cnnlab.files.reading import check_regular, check_unpacked, in_bytes
from cnnlab.trust.savedmodel import WAY_OUT

LARGEST_CONFIGURATION = 16 << 20
"""Bytes that the configuration of a model may have: that of a network of 1,000 layers takes 1 MB, and the rest leaves
room for the vocabularies of layers that read texts."""

MOST_PARTS = 100_000
"""Layers, initialisers and other parts that a configuration may name: a network of 1,000 layers has some 10,000."""

DEEPEST = 200
"""How deep a configuration may be nested: a model within a model within a model takes some 20."""

MOST_MEMBERS = 10_000
"""Files that an archive may hold: Keras writes three, and one for each layer that keeps assets."""

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

_VALUES = frozenset(
    {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__", "__tuple__"}
)
_LEGACY = frozenset({"Functional", "Model", "Policy", "TensorShape", "BatchNormalizationV1", "BatchNormalizationV2"})
"""Harmless names in ``.h5`` files that no public part of Keras has."""

_FILES = ("vocabulary", "input_vocabulary", "filepath", "file_path", "filename")
"""Parts of a configuration that name a file where they are text."""

_ROOMS = ("activations", "initializers", "regularizers", "constraints", "losses", "metrics", "optimizers")
_SPACES = ("layers", "models", *_ROOMS, "optimizers.schedules", "dtype_policies", "quantizers", "ops", "random")
"""Where Keras keeps what a model's configuration may name: the classes, and in the former the functions that it names
without a module."""

_FUNCTIONS = ("activations", "losses", "metrics", "ops", "ops.image", "ops.linalg", "ops.nn", "ops.numpy", "random")
_NO_PART = frozenset({"get", "serialize", "deserialize"})
"""Functions of these that make things of configurations, and are no part of a model."""

REGISTER = (
    "If it is your own, register it in Python (keras.saving.register_keras_serializable) before cnnlab.load; or have "
    "the model written as a SavedModel (model.export), which needs no classes. "
)


def check_keras_file(path: Path) -> None:
    """Refuse a Keras file that brings code, names files, or is made to fill the memory. Nothing of it is built.

    Args:
        path: A ``.keras`` file, which is a zip archive, or a ``.h5`` file.

    Raises:
        CnnlabError: It has a Lambda layer or an unknown class, its data lie in other files, it was written by Keras 2
            in a way that Keras 3 does not read, it is larger than it should be, no regular file, or cannot be read.
    """
    check_regular(path)
    legacy = path.suffix != ".keras"
    try:
        configuration = _read_h5(path) if legacy else _read_archive(path)
        if isinstance(configuration, dict):
            configuration.pop("compile_config", None)  # It is not used: models are opened without what trains them.
        parts = list(_parts(configuration, "", 0))
    except CnnlabError:
        raise
    except Exception as error:  # h5py, zipfile and zlib raise what they run into
        raise _unreadable(path, error) from error
    if len(parts) > MOST_PARTS:
        raise CnnlabError(
            f"{path} was not opened: it has {len(parts):,} parts, and cnnlab reads {MOST_PARTS:,} at most."
        )
    for part, layer in parts:
        if why := _wrong(part, legacy):
            raise CnnlabError(
                f"{path} was not opened: {f'the layer {layer!r}' if layer else 'it'} {why}, so that opening it could "
                f"run code that is not Keras' own. {REGISTER if ' unknown ' in why else ''}{WAY_OUT}"
            )


# --- the configuration ---


def _parts(value: Any, layer: str, depth: int) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Walk a configuration: what names a class or a function, and the layer that it is of."""
    if depth > DEEPEST:
        raise RecursionError
    if isinstance(value, dict):
        if isinstance(value.get("class_name"), str):
            config = value.get("config")
            if isinstance(config, dict) and isinstance(config.get("name"), str):
                layer = config["name"]
            yield value, layer
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _parts(each, layer, depth + 1)


def _wrong(named: Mapping[str, Any], legacy: bool) -> str | None:
    """Say what is wrong with a named class or function; None where Keras itself has it."""
    name, config, module = named["class_name"], named.get("config"), named.get("module")
    if name in _CODE:
        return _CODE[name]
    if name in _VALUES or _is_registered(named, legacy):
        return None
    if name == "function":
        return None if _is_function(module, config) else f"uses the unknown function {config!r} of {module}"
    known = _has(_classes(), module, name) if module or not legacy else name in _LEGACY or _in_spaces(name)
    if not known:
        return f"is of the unknown class {name!r}{f' of {module}' if module else ''}"
    for key, said in config.items() if isinstance(config, dict) else ():
        if key in _FILES and isinstance(said, str):
            return f"reads the file {said!r}"
        if key.endswith("activation") and isinstance(said, str) and not (_is_function(None, said) or _is_own(said)):
            return f"uses the unknown function {said!r}"
    return None


def _is_registered(named: Mapping[str, Any], legacy: bool) -> bool:
    """Whether whoever imported cnnlab has registered the class or function that Keras takes, so that it is theirs."""
    if named["class_name"] == "function":
        return _is_own(named.get("config"))
    return _is_own(named["class_name"] if legacy else named.get("registered_name", named["class_name"]))


def _is_own(name: Any) -> bool:
    import keras

    return isinstance(name, str) and keras.saving.get_registered_object(name) is not None


def _is_function(module: Any, name: Any) -> bool:
    if module in (None, "builtins"):
        return any(_has(_functions(), f"keras.{room}", name) for room in _ROOMS)
    return _has(_functions(), module, name)


def _in_spaces(name: str) -> bool:
    return any(_has(_classes(), f"keras.{space}", name) for space in _SPACES)


def _has(known: frozenset[tuple[str, str]], module: Any, name: Any) -> bool:
    return isinstance(module, str) and isinstance(name, str) and (module, name) in known


@functools.cache
def _classes() -> frozenset[tuple[str, str]]:
    """The classes that a configuration may name, by module and name: Keras' own building blocks."""
    import keras

    blocks = (
        *(keras.Operation, keras.KerasTensor, keras.Initializer, keras.Regularizer, keras.constraints.Constraint),
        *(keras.DTypePolicy, keras.dtype_policies.DTypePolicyMap, keras.Loss, keras.Metric, keras.Optimizer),
        *(keras.optimizers.schedules.LearningRateSchedule, keras.random.SeedGenerator, keras.Quantizer),
        *(getattr(keras.quantizers, name) for name in ("QuantizationConfig",) if hasattr(keras.quantizers, name)),
    )
    public = {
        (space, name)
        for space in ("keras", *(f"keras.{space}" for space in _SPACES))
        for name, found in _vars(space).items()
        if isinstance(found, type) and issubclass(found, blocks)
    }
    own = {
        (found.__module__, found.__name__)
        for block in blocks
        for found in _kinds(block)
        if found.__module__.startswith(tuple(f"keras.src.{space}." for space in _SPACES))
    }
    return frozenset(public | own)


@functools.cache
def _functions() -> frozenset[tuple[str, str]]:
    """The functions that a configuration may name, by module and name."""
    return frozenset(
        (f"keras.{space}", name)
        for space in _FUNCTIONS
        for name, found in _vars(f"keras.{space}").items()
        if isinstance(found, types.FunctionType) and name not in _NO_PART
    )


def _vars(space: str) -> dict[str, Any]:
    import keras

    return vars(operator.attrgetter(space.removeprefix("keras."))(keras) if space != "keras" else keras)


def _kinds(block: Any) -> Iterator[Any]:
    yield block
    for kind in block.__subclasses__():
        yield from _kinds(kind)


# --- the files ---


def _read_archive(path: Path) -> Any:
    if not zipfile.is_zipfile(path):
        raise CnnlabError(f"{path} cannot be read as a Keras model: a .keras file is a zip archive, and this is none.")
    with zipfile.ZipFile(path) as archive:
        _check_members(path, archive.infolist())
        names = set(archive.namelist())
        if "config.json" not in names:
            raise CnnlabError(f"{path} cannot be read as a Keras model: it holds no config.json.")
        if "metadata.json" in names:
            _check_version(path, archive.read("metadata.json"))
        configuration = json.loads(archive.read("config.json"))
        for name in sorted(names):
            if name.endswith((".h5", ".hdf5")):
                # In memory, as Keras reads them: seeking back in a member starts it anew.
                _check_arrays(path, io.BytesIO(archive.read(name)))
            elif name.endswith(".npz"):
                with zipfile.ZipFile(io.BytesIO(archive.read(name))) as arrays:
                    _check_members(path / name, arrays.infolist())
    return configuration


def _check_version(path: Path, metadata: bytes) -> None:
    """Name a file of Keras 2, whose ``.keras`` files Keras 3 reads wrongly or not at all."""
    said = json.loads(metadata)
    version = said.get("keras_version") if isinstance(said, dict) else None
    if isinstance(version, str) and version.startswith(("0.", "1.", "2.")):
        raise CnnlabError(
            f"{path} was written by Keras {version}, and Keras 3 does not read .keras files of Keras 2. Have the model "
            'written as a SavedModel where it was made (model.save("folder") or model.export("folder")) and open the '
            "folder, or as a .h5 file."
        )


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuse names that lead out of the archive, names that occur twice, and members that are bombs."""
    if len(members) > MOST_MEMBERS:
        raise CnnlabError(f"{path} was not opened: it holds {len(members):,} files, more than {MOST_MEMBERS:,}.")
    seen = set()
    for member in members:
        name = member.filename
        parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
        if ".." in parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor or "\0" in name:
            raise CnnlabError(f"{path} was not opened: it holds {name!r}, a name that leads out of the archive.")
        if name in seen:
            raise CnnlabError(f"{path} was not opened: it holds {name!r} twice.")
        seen.add(name)
        if name.endswith(".json") and member.file_size > LARGEST_CONFIGURATION:
            raise _too_large(path, repr(name), member.file_size)
        check_unpacked(path / name, member.file_size, member.compress_size)
    check_unpacked(path, sum(m.file_size for m in members), sum(m.compress_size for m in members))


def _read_h5(path: Path) -> Any:
    import h5py

    _check_arrays(path, path)
    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise CnnlabError(
                f"{path} cannot be read as a Keras model: it holds weights without a model (no model_config). Save the "
                "whole model, with model.save."
            )
        size = file.attrs.get_id("model_config").get_storage_size()
        configuration = file.attrs["model_config"] if size <= LARGEST_CONFIGURATION else b""
    size = max(size, len(configuration))
    if size > LARGEST_CONFIGURATION:
        raise _too_large(path, "its configuration", size)
    return json.loads(configuration)


def _check_arrays(path: Path, source: Any) -> None:
    """Refuse an HDF5 file whose links or data lie in other files, and one that claims more data than it could hold."""
    import h5py

    outside: list[str] = []
    claimed = 0

    def link(name: str, found: Any) -> None:
        if isinstance(found, h5py.ExternalLink):
            outside.append(f"{name!r} links to {found.filename!r}")

    def data(name: str, found: Any) -> None:
        nonlocal claimed
        if isinstance(found, h5py.Dataset):
            claimed += found.nbytes
            files = [each[0] for each in found.external or ()]
            if found.is_virtual:
                files += [each.file_name for each in found.virtual_sources() if each.file_name != "."]
            outside.extend(f"{name!r} has its values in {file!r}" for file in files)

    with h5py.File(source, "r") as file:
        file.visititems_links(link)
        if not outside:
            file.visititems(data)
        size = file.id.get_filesize()
    if outside:
        raise CnnlabError(f"{path} was not opened: {outside[0]}, which lies outside it. {WAY_OUT}")
    check_unpacked(path, claimed, size)


def _too_large(path: Path, what: str, size: int) -> CnnlabError:
    return CnnlabError(
        f"{path} was not opened: {what} takes {in_bytes(size)}, and cnnlab reads {in_bytes(LARGEST_CONFIGURATION)} of "
        "a model's configuration at most."
    )


def _unreadable(path: Path, error: Exception) -> CnnlabError:
    if isinstance(error, RecursionError):
        return CnnlabError(f"{path} cannot be read as a Keras model: its configuration is nested too deep.")
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return CnnlabError(f"{path} cannot be read as a Keras model: {lines[0].rstrip('.')}. It is damaged or truncated.")
