"""Each published vulnerability in how Keras loads models: a file that uses it is refused, and nothing of it has run."""

from __future__ import annotations

import base64
import io
import json
import marshal
import pickle
import types
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import cnnlab
from cnnlab.errors import CnnlabError


def weights(change=None) -> bytes:
    """A file of weights, with what is added to it."""
    packed = io.BytesIO()
    with h5py.File(packed, "w") as file:
        file.create_dataset("layers/dense/vars/0", data=np.zeros((4, 2), np.float32))
        if change is not None:
            change(file)
    return packed.getvalue()


def archive(folder: Path, *layers, members=(), model_weights: bytes | None = None) -> Path:
    """A ``.keras`` file of a Sequential model with these layers."""
    config = {"name": "model", "layers": list(layers)}
    described = {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("metadata.json", json.dumps({"keras_version": keras.__version__}))
        file.writestr("config.json", json.dumps(described))
        file.writestr("model.weights.h5", weights() if model_weights is None else model_weights)
        for name, data in members:
            file.writestr(name, data)
    return path


def layer(module, name, /, **config) -> dict:
    return {"module": module, "class_name": name, "config": config | {"name": "evil"}, "registered_name": None}


def function(module, name) -> dict:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def bytecode(canary: Path) -> dict:
    code = compile(f"lambda x: (open({str(canary)!r}, 'w').close(), x)[1]", "x", "eval").co_consts[0]
    packed = base64.b64encode(marshal.dumps(code)).decode()
    return {"class_name": "__lambda__", "config": {"code": packed, "defaults": None, "closure": None}}


def as_h5(folder: Path, *layers) -> Path:
    config = {"class_name": "Sequential", "config": {"name": "model", "layers": list(layers)}}
    (folder / "model.h5").write_bytes(weights(lambda file: file.attrs.update(model_config=json.dumps(config))))
    return folder / "model.h5"


class Reduced:
    """What writes the canary where it is unpickled."""

    def __init__(self, canary: Path):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


def npz(canary: Path) -> bytes:
    packed = io.BytesIO()
    np.savez(packed, a=np.array([Reduced(canary)], dtype=object))
    return packed.getvalue()


def external(canary: Path):
    canary.with_suffix(".secret").write_bytes(bytes(40))
    return lambda file: file.create_dataset(
        "x", (10,), np.float32, external=[(str(canary.with_suffix(".secret")), 0, 40)]
    )


def virtual(canary: Path):
    layout = h5py.VirtualLayout((10,), np.float32)
    layout[:] = h5py.VirtualSource(str(canary.with_suffix(".h5")), "values", (10,))
    return lambda file: file.create_virtual_dataset("x", layout)


def yaml(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "model.keras", "w") as file:
        file.writestr(
            "config.json", "!!python/object/new:type\nargs: ['z', !!python/tuple [], {'extend': !!python/name:exec }]"
        )
    return folder / "model.keras"


PUBLISHED = {
    "CVE-2021-37678: YAML that makes objects": (
        lambda folder, canary: yaml(folder),
        "cannot be read as a Keras model",
    ),
    "CVE-2024-3660: Python code in a Lambda layer": (
        lambda folder, canary: archive(folder, layer("keras.layers", "Lambda", function=bytecode(canary))),
        "the layer 'evil' is a Lambda layer",
    ),
    "CVE-2024-55459: get_file unpacks a tar that writes where it likes": (
        lambda folder, canary: archive(
            folder, layer("keras.layers", "Dense", activation=function("keras.utils", "get_file"))
        ),
        "unknown function 'get_file' of keras.utils",
    ),
    "CVE-2025-1550: any function of any module": (
        lambda folder, canary: archive(folder, layer("keras.layers", "Dense", activation=function("os", "system"))),
        "unknown function 'system' of os",
    ),
    "CVE-2025-1550: any class of any module": (
        lambda folder, canary: archive(folder, layer("subprocess", "Popen", args=["touch", str(canary)])),
        "unknown class 'Popen' of subprocess",
    ),
    "CVE-2025-8747: functions of Keras itself, by a Lambda layer": (
        lambda folder, canary: archive(
            folder,
            layer(
                "keras.layers",
                "Lambda",
                function=function("keras.utils", "get_file"),
                arguments={"origin": f"file://{__file__}", "cache_dir": str(canary), "force_download": True},
            ),
        ),
        "the layer 'evil' is a Lambda layer",
    ),
    "CVE-2025-9905: Python code in a Lambda layer of an .h5 file": (
        lambda folder, canary: as_h5(
            folder, {"class_name": "Lambda", "config": {"function": bytecode(canary), "name": "evil"}}
        ),
        "the layer 'evil' is a Lambda layer",
    ),
    "CVE-2025-9906: a file that turns safe mode off": (
        lambda folder, canary: archive(
            folder, layer("keras.layers", "Dense", activation=function("keras.config", "enable_unsafe_deserialization"))
        ),
        "unknown function 'enable_unsafe_deserialization'",
    ),
    "CVE-2025-9906: a file that loads another": (
        lambda folder, canary: archive(
            folder, layer("keras.layers", "Dense", activation=function("keras.models", "load_model"))
        ),
        "unknown function 'load_model'",
    ),
    "CVE-2025-12058: a vocabulary that is read from a file or an address": (
        lambda folder, canary: archive(
            folder, layer("keras.layers", "StringLookup", vocabulary="http://127.0.0.1:9/x")
        ),
        "reads the file 'http://127.0.0.1:9/x'",
    ),
    "CVE-2025-12060: members that leave the archive": (
        lambda folder, canary: archive(folder, members=[(f"assets/../../{canary.name}", b"seized")]),
        "leads out of the archive",
    ),
    "CVE-2025-49655: a pickled PyTorch module": (
        lambda folder, canary: archive(
            folder,
            layer(
                "keras.layers", "TorchModuleWrapper", module=base64.b64encode(pickle.dumps(Reduced(canary))).decode()
            ),
        ),
        "unpickles a PyTorch module",
    ),
    "CVE-2026-0897: weights that claim petabytes": (
        lambda folder, canary: archive(
            folder,
            model_weights=weights(
                lambda file: file.create_dataset("x", (50_000_000, 50_000_000), "f4", chunks=(1, 1024))
            ),
        ),
        "unpacks (from .*)?to",
    ),
    "CVE-2026-1462: another SavedModel": (
        lambda folder, canary: archive(folder, layer("keras.layers", "TFSMLayer", filepath=str(folder / "other"))),
        "loads another SavedModel",
    ),
    "CVE-2026-1669: weights that lie in any file": (
        lambda folder, canary: archive(folder, model_weights=weights(external(canary))),
        "which lies outside it",
    ),
    "CVE-2026-12480: weights that are a view of another file": (
        lambda folder, canary: archive(folder, model_weights=weights(virtual(canary))),
        "which lies outside it",
    ),
    "CVE-2026-12481: Python code where safe mode was neither on nor off": (
        lambda folder, canary: archive(
            folder,
            layer("keras.layers", "TimeDistributed", layer=layer("keras.layers", "Lambda", function=bytecode(canary))),
        ),
        "the layer 'evil' is a Lambda layer",
    ),
    "Keras 3.12.3: a member that unpacks to what no memory holds": (
        lambda folder, canary: archive(folder, members=[("assets/zeros", bytes(300 << 20))]),
        "unpacks from",
    ),
    "a class of TensorFlow, or of Python, by its path": (
        lambda folder, canary: archive(
            folder,
            layer(
                "keras.layers",
                "Dense",
                activation={
                    "class_name": "__typespec__",
                    "module": "types",
                    "spec_name": "FunctionType",
                    "registered_name": None,
                    "config": [],
                },
            ),
        ),
        "names a class of TensorFlow by its path",
    ),
}


@pytest.mark.parametrize("published", PUBLISHED)
def test_what_was_published_is_refused_and_has_not_run(tmp_path, published):
    make, says = PUBLISHED[published]
    canary = tmp_path / "canary"
    (tmp_path / "model").mkdir()
    path = make(tmp_path / "model", canary)
    with pytest.raises(CnnlabError, match=says) as caught:
        cnnlab.load(path)
    assert "\n" not in str(caught.value)
    assert not canary.exists()
    assert not list(tmp_path.parent.glob("canary*"))


def test_pickled_weights_are_refused_and_have_not_run(tmp_path):
    """Weights as .npz, in which NumPy would keep Python objects (as in the data sets of Keras 3.12.4 and 3.15.1)."""
    canary = tmp_path / "canary"
    path = archive(tmp_path, layer("keras.layers", "InputLayer", batch_shape=[None, 6, 6, 1]))
    with zipfile.ZipFile(path) as file:
        kept = {name: file.read(name) for name in file.namelist() if "weights" not in name}
    with zipfile.ZipFile(path, "w") as file:
        for name, data in kept.items():
            file.writestr(name, data)
        file.writestr("model.weights.npz", npz(canary))
    with pytest.raises(CnnlabError) as caught:
        cnnlab.load(path)
    assert "\n" not in str(caught.value)
    assert not canary.exists()


def test_the_canaries_sing(tmp_path):
    """That the files above would do what they say, where nobody stopped them."""
    canary = tmp_path / "canary"
    code = marshal.loads(base64.b64decode(bytecode(canary)["config"]["code"]))
    assert types.FunctionType(code, {"open": open})(5) == 5
    assert canary.exists()
    pickle.loads(pickle.dumps(Reduced(tmp_path / "other"))).close()
    assert (tmp_path / "other").exists()
