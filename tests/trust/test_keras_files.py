"""Keras files not to be trusted: read as data, and refused before Keras builds anything that is not its own."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tf_keras

import cnnlab
from cnnlab.errors import CnnlabError
from cnnlab.trust import keras_files
from cnnlab.trust.keras_files import check_keras_file

SIZE = (6, 6, 1)


def network(*layers) -> keras.Model:
    return keras.Sequential([keras.Input(SIZE), *layers, keras.layers.Flatten(), keras.layers.Dense(10, name="out")])


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_lambda_layers_are_refused_before_they_run(tmp_path, suffix, refused):
    target = tmp_path / "spoils"
    code = f"lambda x: (__import__('pathlib').Path({str(target)!r}).write_text('seized'), x)[1]"
    inner = keras.Sequential([keras.Input(SIZE), keras.layers.Lambda(eval(code), SIZE, name="helper")], name="inner")
    path = tmp_path / f"model{suffix}"
    network(inner).save(path)
    target.unlink(missing_ok=True)
    message = refused(path)
    assert "the layer 'helper' is a Lambda layer" in message
    assert not target.exists()
    assert cnnlab.load(path, trust=True).num_classes == 10
    assert target.exists()


def test_lambda_layers_of_keras_2_are_refused(tmp_path, refused):
    inner = [tf_keras.layers.InputLayer(SIZE), tf_keras.layers.Lambda(lambda x: x, name="helper")]
    model = tf_keras.Sequential([*inner, tf_keras.layers.Flatten(), tf_keras.layers.Dense(10)])
    model.save(tmp_path / "model.h5")
    assert "the layer 'helper' is a Lambda layer" in refused(tmp_path / "model.h5")


class Unknown(keras.layers.Layer):
    def call(self, images):
        return images


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_unknown_classes_are_refused_and_registered_ones_are_not(tmp_path, suffix, refused):
    path = tmp_path / f"model{suffix}"
    network(Unknown(name="odd")).save(path)
    message = refused(path)
    assert "the layer 'odd' is of the unknown class 'Unknown'" in message
    assert "register it in Python" in message
    with keras.saving.custom_object_scope({"Unknown": Unknown}):
        assert cnnlab.load(path).num_classes == 10


def rewrite(path: Path, change) -> Path:
    """Change the configuration in a ``.keras`` file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    configuration = json.loads(members["config.json"])
    change(configuration)
    members["config.json"] = json.dumps(configuration).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("module", "name", "says"),
    [
        ("os", "system", "unknown class 'system' of os"),
        ("subprocess", "Popen", "unknown class 'Popen' of subprocess"),
        ("keras.utils", "get_file", "unknown class 'get_file' of keras.utils"),
        ("keras.config", "enable_unsafe_deserialization", "unknown class 'enable_unsafe_deserialization'"),
        ("keras.models", "load_model", "unknown class 'load_model'"),
        ("keras.layers", "TFSMLayer", "loads another SavedModel"),
        ("keras.layers", "TorchModuleWrapper", "unpickles"),
        ("keras.src.saving.serialization_lib", "SafeModeScope", "unknown class 'SafeModeScope'"),
    ],
)
def test_classes_and_functions_that_are_no_part_of_a_model_are_refused(tmp_path, module, name, says, refused):
    network().save(tmp_path / "model.keras")

    def change(configuration):
        configuration["config"]["layers"][1] |= {"module": module, "class_name": name, "registered_name": None}

    assert says in refused(rewrite(tmp_path / "model.keras", change))


@pytest.mark.parametrize(("module", "name"), [("os", "system"), ("keras.utils", "get_file"), ("builtins", "exec")])
def test_functions_by_name_are_refused(tmp_path, module, name, refused):
    network().save(tmp_path / "model.keras")

    def change(configuration):
        function = {"module": module, "class_name": "function", "config": name, "registered_name": name}
        configuration["config"]["layers"][2]["config"]["activation"] = function

    says = refused(rewrite(tmp_path / "model.keras", change))
    assert f"the layer 'out' uses the unknown function {name!r} of {module}" in says


def test_a_python_lambda_as_an_activation_is_refused(tmp_path, refused):
    network().save(tmp_path / "model.keras")

    def change(configuration):
        function = {"class_name": "__lambda__", "config": {"value": ["4wE=", None, None]}}
        configuration["config"]["layers"][2]["config"]["activation"] = function

    assert "the layer 'out' holds a Python lambda" in refused(rewrite(tmp_path / "model.keras", change))


def test_a_vocabulary_file_is_not_followed(tmp_path, refused):
    network().save(tmp_path / "model.keras")

    def change(configuration):
        lookup = {"name": "words", "vocabulary": "/etc/hostname", "max_tokens": None}
        configuration["config"]["layers"].insert(
            1, {"module": "keras.layers", "class_name": "StringLookup", "config": lookup, "registered_name": None}
        )

    assert "the layer 'words' reads the file '/etc/hostname'" in refused(rewrite(tmp_path / "model.keras", change))


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt", "assets/../../evil.txt", "..\\evil.txt", "C:\\x"])
def test_archives_whose_names_lead_out_are_refused(tmp_path, name):
    network().save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras", "a") as archive:
        archive.writestr(name, "seized")
    with pytest.raises(CnnlabError, match="leads out of the archive"):
        cnnlab.load(tmp_path / "model.keras")
    assert not list(tmp_path.parent.glob("evil*"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_with_a_name_twice_are_refused(tmp_path):
    network().save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras", "a") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(CnnlabError, match=r"'config.json' twice"):
        cnnlab.load(tmp_path / "model.keras")


@pytest.mark.parametrize("how", ["link", "external", "virtual"])
def test_weights_that_lie_in_other_files_are_refused(tmp_path, how, refused):
    path = tmp_path / "model.h5"
    network().save(path)
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["values"] = np.ones(10, np.float32)
    with h5py.File(path, "a") as file:
        if how == "link":
            file["model_weights/away"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "values")
        elif how == "external":
            file.create_dataset("away", (10,), np.float32, external=[(str(tmp_path / "secret.h5"), 0, 40)])
        else:
            layout = h5py.VirtualLayout((10,), np.float32)
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "values", (10,))
            file.create_virtual_dataset("away", layout)
    message = refused(path)
    assert "secret.h5" in message
    assert "outside it" in message
    network().save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras", "a") as archive:
        archive.write(path, "more.h5")
    assert "secret.h5" in refused(tmp_path / "model.keras")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_truncated_keras_files_are_one_sentence(tmp_path, suffix, keep):
    path = tmp_path / f"model{suffix}"
    network().save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(CnnlabError, match="cannot be read as a Keras model") as caught:
        cnnlab.load(path)
    assert "\n" not in str(caught.value)


def test_weights_alone_are_no_model(tmp_path):
    network().save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(CnnlabError, match="holds weights without a model"):
        check_keras_file(tmp_path / "a.weights.h5")


def test_a_configuration_nested_too_deep_is_one_sentence(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", "[" * 100_000 + "]" * 100_000)
    with pytest.raises(CnnlabError, match="nested too deep"):
        cnnlab.load(tmp_path / "model.keras")


# --- what a configuration may name ---


def written(path: Path, configuration, **others: bytes) -> Path:
    """A ``.keras`` file of a configuration, as somebody could write it without Keras."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(configuration))
        for name, data in others.items():
            archive.writestr(name.replace("__", "."), data)
    return path


def layer(module, name, registered=None, config=None) -> dict:
    return {"module": module, "class_name": name, "config": config or {"name": "it"}, "registered_name": registered}


def function(module, name, registered="function") -> dict:
    return {"module": module, "class_name": "function", "config": name, "registered_name": registered}


def says(tmp_path: Path, configuration) -> str:
    """What is said against a configuration; empty where it is accepted."""
    try:
        check_keras_file(written(tmp_path / "model.keras", configuration))
    except CnnlabError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keras", "Sequential"),
        ("keras.layers", "Dense"),
        ("keras.src.layers.core.dense", "Dense"),
        ("keras.src.models.functional", "Functional"),
        ("keras.src.ops.numpy", "GetItem"),
        ("keras.initializers", "GlorotUniform"),
        ("keras.optimizers.schedules", "ExponentialDecay"),
        *(("keras.quantizers", name) for name in vars(keras.quantizers) if name == "Int8QuantizationConfig"),  # of 3.13
    ],
)
def test_building_blocks_of_keras_are_known_by_module_and_name(tmp_path, module, name):
    assert says(tmp_path, layer(module, name)) == ""
    assert "unknown class" in says(tmp_path, layer("keras.utils", name))
    assert "unknown class" in says(tmp_path, layer(None, name))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        *(("keras.models", name) for name in ("load_model", "model_from_json", "clone_model", "save_model")),
        *(("keras.activations", name) for name in ("deserialize", "get", "serialize", "relu2")),
        *(
            (None, "deserialize"),
            ("builtins", "exec"),
            ("builtins", "load_model"),
            (None, None),
            ("keras.ops", "image"),
        ),
        *(("keras.saving", "load_model"), ("keras.layers", "deserialize"), ("keras.src.activations", "relu")),
        *(
            ("keras.utils", "get_file"),
            ("keras.config", "enable_unsafe_deserialization"),
            (["keras.activations"], "relu"),
        ),
    ],
)
def test_functions_that_compute_nothing_are_not_known(tmp_path, module, name):
    message = says(tmp_path, layer("keras.layers", "Dense", config={"activation": function(module, name)}))
    assert f"uses the unknown function {name!r} of {module}" in message


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "relu"),
        (None, "gelu"),
        ("keras.activations", "relu"),
        ("keras.ops", "relu"),
        ("keras.losses", "huber"),
    ],
)
def test_functions_that_compute_are_known(tmp_path, module, name):
    assert says(tmp_path, layer("keras.layers", "Dense", config={"activation": function(module, name)})) == ""


@pytest.mark.parametrize("key", ["activation", "recurrent_activation"])
def test_names_of_activations_are_keras_own(tmp_path, key):
    assert says(tmp_path, layer("keras.layers", "LSTM", config={key: "tanh"})) == ""
    for name in ("os.system", "deserialize", "nowhere", "Dense"):
        assert f"uses the unknown function {name!r}" in says(
            tmp_path, layer("keras.layers", "LSTM", config={key: name})
        )
    with keras.saving.custom_object_scope({"nowhere": keras.activations.relu}):
        assert says(tmp_path, layer("keras.layers", "LSTM", config={key: "nowhere"})) == ""


def test_no_module_is_imported_because_a_file_names_it(tmp_path, monkeypatch):
    asked = []

    class Spy:
        def find_spec(self, name, path=None, target=None):
            asked.append(name)

    check_keras_file(written(tmp_path / "first.keras", layer("keras.layers", "Dense")))  # Keras itself is imported now.
    monkeypatch.setattr("sys.meta_path", [Spy(), *sys.meta_path])
    for module in ("keras.evil", "keras.src.evil.of", "evil", "keras_hub.evil"):
        assert "unknown class" in says(tmp_path, layer(module, "Thing"))
        assert "unknown function" in says(tmp_path, layer("keras.layers", "Dense", config={"a": function(module, "f")}))
    assert not [name for name in asked if "evil" in name]


def test_a_registered_name_vouches_for_what_keras_takes_and_for_nothing_else(tmp_path):
    with keras.saving.custom_object_scope({"own>Good": Unknown, "Plain": Unknown, "own>f": keras.activations.relu}):
        assert says(tmp_path, layer("somewhere", "Anything", "own>Good")) == ""  # Keras takes the registered one.
        assert says(tmp_path, layer("somewhere", "Plain")) != ""  # registered_name is null: Keras takes the module's.
        assert "unknown class 'system' of os" in says(tmp_path, layer("os", "system", "own>Bad"))
        assert "unknown function 'system' of os" in says(tmp_path, function("os", "system", "own>f"))
        assert says(tmp_path, function("somewhere", "own>f", None)) == ""
        assert "Lambda" in says(tmp_path, layer("keras.layers", "Lambda", "own>Good"))


@pytest.mark.parametrize("key", ["compile_config", "build_config", "inbound_nodes", "shared_object_id", "dtype"])
def test_what_stands_anywhere_in_a_layer_is_looked_at(tmp_path, key):
    inner = layer("keras.layers", "Dense") | {key: [{"args": [layer("os", "system")]}]}
    assert "unknown class 'system'" in says(tmp_path, layer("keras", "Sequential", config={"layers": [inner]}))
    assert "unknown class 'system'" in says(tmp_path, {"class_name": ["Dense"], "config": {key: layer("os", "system")}})


def test_how_the_model_was_compiled_is_not_used_and_not_looked_at(tmp_path):
    assert says(tmp_path, layer("keras", "Sequential") | {"compile_config": layer("own", "Loss")}) == ""


@pytest.mark.parametrize("kind", [5, "text", None, [], {"a": 1}])
def test_a_configuration_that_is_none_is_left_to_keras_to_refuse(tmp_path, kind):
    assert says(tmp_path, kind) == ""
    with pytest.raises(CnnlabError, match="cannot be read as a Keras model"):
        cnnlab.load(tmp_path / "model.keras")


@pytest.mark.parametrize("key", ["vocabulary", "input_vocabulary", "filepath", "file_path", "filename"])
def test_files_that_a_layer_names_are_refused(tmp_path, key):
    assert "reads the file '/x'" in says(tmp_path, layer("keras.layers", "StringLookup", config={key: "/x"}))
    assert says(tmp_path, layer("keras.layers", "StringLookup", config={key: ["a", "b"]})) == ""


def test_what_keras_writes_of_many_kinds_of_parts_is_normal(tmp_path):
    image = keras.Input((8, 8, 1))
    hidden = keras.layers.Conv2D(
        4, 3, activation=keras.ops.relu, kernel_regularizer="l2", kernel_constraint="max_norm"
    )(image)
    hidden = keras.ops.mean(hidden * 2 + 1, axis=(1, 2))
    hidden = keras.ops.concatenate([hidden, hidden[:, :2]], axis=1)
    hidden = keras.layers.Dense(3, activation=keras.layers.LeakyReLU(0.1), dtype="mixed_float16")(hidden)
    hidden = keras.layers.Bidirectional(keras.layers.LSTM(2))(keras.layers.Reshape((3, 1))(hidden))
    inner = keras.Model(image, hidden)
    model = keras.Sequential([keras.Input((8, 8, 1)), inner, keras.layers.Dense(2)])
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    model.compile(keras.optimizers.Adam(schedule), loss="mse", metrics=["mae"])
    model.save(tmp_path / "model.keras")
    check_keras_file(tmp_path / "model.keras")
    quantised = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    quantised.quantize("int8")
    quantised.save(tmp_path / "quantised.keras")
    check_keras_file(tmp_path / "quantised.keras")


# --- sizes ---


def test_a_configuration_is_bounded_before_it_is_read(tmp_path, monkeypatch):
    configuration = layer("keras.layers", "Dense")
    size = len(json.dumps(configuration))
    for most, fits in ((size, True), (size - 1, False)):
        monkeypatch.setattr(keras_files, "LARGEST_CONFIGURATION", most)
        message = says(tmp_path, configuration)
        assert (message == "") == fits
        assert fits or f"'config.json' takes {size} bytes, and cnnlab reads {most} bytes" in message


@pytest.mark.parametrize("kind", [str, np.bytes_])
def test_the_configuration_of_an_h5_file_is_bounded(tmp_path, monkeypatch, kind):
    configuration = json.dumps({"class_name": "Sequential", "config": {}})
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["model_config"] = kind(configuration)
    monkeypatch.setattr(keras_files, "LARGEST_CONFIGURATION", len(configuration))
    check_keras_file(tmp_path / "model.h5")
    monkeypatch.setattr(keras_files, "LARGEST_CONFIGURATION", len(configuration) - 1)
    with pytest.raises(CnnlabError, match=f"its configuration takes {len(configuration)} bytes"):
        check_keras_file(tmp_path / "model.h5")


def test_parts_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(keras_files, "MOST_PARTS", 4)
    assert says(tmp_path, [layer("keras.layers", "Dense")] * 4) == ""
    assert "it has 5 parts, and cnnlab reads 4 at most" in says(tmp_path, [layer("keras.layers", "Dense")] * 5)


def test_depth_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(keras_files, "DEEPEST", 10)

    def nested(depth):
        return {"a": nested(depth - 1)} if depth else 0

    assert says(tmp_path, nested(10)) == ""
    assert "nested too deep" in says(tmp_path, nested(11))


def test_members_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(keras_files, "MOST_MEMBERS", 3)
    check_keras_file(written(tmp_path / "model.keras", layer("keras.layers", "Dense"), a=b"", b=b""))
    with pytest.raises(CnnlabError, match="it holds 4 files, more than 3"):
        check_keras_file(written(tmp_path / "model.keras", layer("keras.layers", "Dense"), a=b"", b=b"", c=b""))


def deflated(path: Path, sizes: list[int], suffix: str = "") -> Path:
    """An archive whose members are zeros, packed as small as they get."""
    written(path, layer("keras.layers", "Dense"))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for index, size in enumerate(sizes):
            archive.writestr(f"assets/{index}{suffix}", bytes(size))
    return path


def test_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("cnnlab.files.reading.FREE_BYTES", 1_000_000)
    path = tmp_path / "model.keras"
    check_keras_file(deflated(path, [1_000_000 - 200]))
    with pytest.raises(CnnlabError, match=r"assets/0 unpacks from .* to 1.0 MB"):
        check_keras_file(deflated(path, [1_000_001]))
    with pytest.raises(CnnlabError, match=r"model.keras unpacks from .* to 1.2 MB"):
        check_keras_file(deflated(path, [600_000, 600_000]))
    monkeypatch.setattr("cnnlab.files.reading.MOST_PACKED", 2_000)
    check_keras_file(deflated(path, [600_000, 600_000]))


def claiming(path, shape, dtype=np.float32, count=1):
    """Datasets that say how large they are, and hold nothing."""
    with h5py.File(path, "w") as file:
        for index in range(count):
            file.create_dataset(f"layer/{index}", shape, dtype, fillvalue=0, chunks=(1, 1024))
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {}})
    return path


def test_data_that_a_file_only_claims_to_hold_are_refused(tmp_path, monkeypatch):
    check_keras_file(claiming(tmp_path / "model.h5", (1024, 1024)))
    for shape in ((1_000_000, 1_000_000), (300, 1 << 20)):
        weights = claiming(tmp_path / "model.h5", shape)
        with pytest.raises(CnnlabError, match=r"model.h5 unpacks (from .* )?to"):
            check_keras_file(weights)
        archive = written(tmp_path / "model.keras", layer("keras.layers", "Dense"))
        with zipfile.ZipFile(archive, "a") as members:
            members.write(weights, "model.weights.h5")
        with pytest.raises(CnnlabError, match=r"model.keras unpacks (from .* )?to"):
            check_keras_file(archive)
    monkeypatch.setattr("cnnlab.files.reading.FREE_BYTES", 4096 * 4)
    monkeypatch.setattr("cnnlab.files.reading.MOST_PACKED", 0)
    check_keras_file(claiming(tmp_path / "model.h5", (1, 1024), count=4))
    with pytest.raises(CnnlabError, match=r"to 20 kB"):
        check_keras_file(claiming(tmp_path / "model.h5", (1, 1024), count=5))


# --- what is no file, and what is damaged ---


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_what_is_no_regular_file_is_not_opened(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    os.mkfifo(path)
    with pytest.raises(CnnlabError, match="is a pipe, where a file was expected"):
        cnnlab.load(path)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(CnnlabError, match="is a device, where a file was expected"):
        cnnlab.load(path)


def test_a_file_of_keras_2_is_named_as_such(tmp_path):
    inner = [tf_keras.layers.InputLayer(SIZE), tf_keras.layers.Flatten(), tf_keras.layers.Dense(10, "softmax")]
    tf_keras.Sequential(inner).save(tmp_path / "model.keras")
    with pytest.raises(CnnlabError, match=r"was written by Keras 2\.\d+\.\d+, and Keras 3 does not .* SavedModel"):
        cnnlab.load(tmp_path / "model.keras")
    for version, fits in (("3.0.0", True), ("2.9", False), ("20.1", True), (None, True), (2, True)):
        data = json.dumps({"keras_version": version}).encode()
        path = written(tmp_path / "other.keras", layer("keras.layers", "Dense"), metadata__json=data)
        if fits:
            check_keras_file(path)
        else:
            with pytest.raises(CnnlabError, match=r"was written by Keras 2\.9"):
                check_keras_file(path)


def repacked(path: Path, change, kind=zipfile.ZIP_STORED) -> Path:
    """Write the members of an archive anew, those of weights changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in members.items():
            archive.writestr(name, change(data) if "weights" in name else data)
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data[:100] + bytes(255 - byte for byte in data[100:2000]) + data[2000:],
        lambda data: data[:8] + bytes(len(data) - 8),
        lambda data: b"\x93NUMPY" + data,
    ],
    ids=["half", "empty", "garbled", "zeros", "other"],
)
def test_damaged_weights_are_one_sentence(tmp_path, change):
    network().save(tmp_path / "model.keras")
    with pytest.raises(CnnlabError, match=r"model\.keras cannot be read as a Keras model: ") as caught:
        cnnlab.load(repacked(tmp_path / "model.keras", change))
    assert "\n" not in str(caught.value)


def test_damaged_packing_is_one_sentence(tmp_path):
    network().save(tmp_path / "model.keras")
    path = repacked(tmp_path / "model.keras", lambda data: data, zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("model.weights.h5").header_offset
    data = bytearray(path.read_bytes())
    for index in range(place + 60, place + 90):
        data[index] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(CnnlabError, match=r"cannot be read as a Keras model: .* It is damaged or truncated"):
        check_keras_file(path)


@pytest.mark.parametrize("field", ["encrypted", "method"])
def test_packing_that_is_not_read_is_one_sentence(tmp_path, field):
    path = written(tmp_path / "model.keras", layer("keras.layers", "Dense"))
    data = bytearray(path.read_bytes())
    offset = 6 if field == "encrypted" else 8
    for start, more in ((data.index(b"PK\x03\x04"), 0), (data.index(b"PK\x01\x02"), 2)):
        data[start + offset + more] = 1 if field == "encrypted" else 99
    path.write_bytes(data)
    with pytest.raises(CnnlabError, match="cannot be read as a Keras model"):
        check_keras_file(path)
