"""Who wrote a model: read off its files, without loading it."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Origin:
    """Where a model came from.

    Attributes:
        writer: What wrote it, such as ``Keras 3 export``.
        version: The version of the framework that did; None where the files do not say.
    """

    writer: str
    version: str | None = None


def find_origin(path: Path | None, kind: str) -> Origin:
    """Read off a model's files who wrote it.

    Args:
        path: Where it is; None for a live model.
        kind: As :attr:`cnnlab.classifier.Classifier.kind`.
    """
    if path is None:
        return Origin("a live Keras model")
    if kind == "keras":
        return Origin("Keras `save`, a .keras file", _keras_version(path))
    if kind == "h5":
        return Origin("Keras `save`, an HDF5 file", _h5_version(path))
    folder = path / "model" if kind == "run" else path
    origin = _of_saved_model(folder)
    return Origin(f"cnnlab train, through {origin.writer}", origin.version) if kind == "run" else origin


def _of_saved_model(folder: Path) -> Origin:
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    if not saved.meta_graphs:
        return Origin("an unknown writer")
    meta = saved.meta_graphs[0]
    nodes = meta.object_graph_def.nodes
    version = f"TensorFlow {meta.meta_info_def.tensorflow_version}"
    # What each writer leaves in the tree of objects; there is no field that names it.
    identifiers = {node.user_object.identifier for node in nodes}
    children = {child.local_name for child in nodes[0].children} if nodes else set()
    if any(identifier.startswith("_tf_keras") for identifier in identifiers):
        return Origin("Keras 2 `save`", version)
    if "_misc_assets" in children:
        return Origin("Keras 2 `export`" if "_endpoint_names" in children else "Keras 3 `export`", version)
    return Origin("plain TensorFlow" if nodes else "TensorFlow 1", version)


def _keras_version(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            return f"Keras {json.loads(archive.read('metadata.json'))['keras_version']}"
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _h5_version(path: Path) -> str | None:
    import h5py

    with h5py.File(path, "r") as file:
        version = file.attrs.get("keras_version")
    if version is None:
        return None
    return f"Keras {version.decode() if isinstance(version, bytes) else version}"
