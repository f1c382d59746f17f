"""Models not to be trusted: what reaches outside the computation is refused, and nothing of it has happened."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from click.testing import CliRunner
from tensorflow.core.framework import types_pb2, variable_pb2
from tensorflow.core.protobuf import saved_model_pb2

import cnnlab
from cnnlab.cli import cli
from cnnlab.errors import CnnlabError
from cnnlab.trust.savedmodel import check_inside, check_saved_model, examine, read

SIZE = (6, 6, 1)
IMAGES = np.random.default_rng(0).random((2, *SIZE), dtype=np.float32)


def scores(images, extra=0.0):
    """Ten logits of images [N, 6, 6, 1]."""
    weights = tf.reshape(tf.cos(tf.range(360, dtype=tf.float32)), (36, 10))
    return tf.matmul(tf.reshape(images, (-1, 36)), weights) + extra


class Hostile(tf.Module):
    """A classifier that does something else beside: ``act`` is run with it."""

    def __init__(self, act=None, setup=None):
        super().__init__()
        self.act, self.setup = act, setup

    @tf.function(input_signature=[tf.TensorSpec((None, *SIZE), name="images")])
    def __call__(self, images):
        if self.act is None:
            return tf.nn.softmax(scores(images))
        with tf.control_dependencies([self.act(images)]):
            return tf.nn.softmax(scores(tf.identity(images)))


def save(folder: Path, act=None, module=None) -> Path:
    module = module or Hostile(act)
    tf.saved_model.save(module, str(folder), signatures=module.__call__.get_concrete_function())
    return folder


def edit(folder: Path, change) -> Path:
    """Change the graphs of a SavedModel, as somebody who means harm would."""
    saved = read(folder)
    change(saved.meta_graphs[0])
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())
    return folder


# --- SavedModels that reach outside ---


def write(target):
    def act(images):
        tf.io.write_file(str(target), "seized")
        return tf.constant(0)

    return act


def write_in_a_branch(target):
    @tf.function(input_signature=[tf.TensorSpec((), tf.string)], autograph=False)
    def inner(name):
        tf.io.write_file(name, "seized")
        return tf.constant(0)

    def act(images):
        first = tf.cond(tf.reduce_sum(images) > -1e9, lambda: inner(str(target)), lambda: tf.constant(1))
        return tf.while_loop(lambda i: i < 2, lambda i: i + 1, [first])[0]

    return act


def print_to_file(target):
    def act(images):
        tf.print("seized", output_stream=f"file://{target}")
        return tf.constant(0)

    return act


def save_from_signature(target):
    def act(images):
        value = tf.reduce_sum(images)
        saved = tf.raw_ops.SaveV2(prefix=str(target), tensor_names=["a"], shape_and_slices=[""], tensors=[value])
        with tf.control_dependencies([saved]):
            return tf.identity(value)

    return act


def dump_summaries(target):
    def act(images):
        writer = tf.raw_ops.SummaryWriter(shared_name="w", container="")
        tf.raw_ops.CreateSummaryFileWriter(
            writer=writer, logdir=str(target), max_queue=1, flush_millis=1, filename_suffix=".x"
        )
        return tf.constant(0)

    return act


WRITERS = {
    "signature": (write, r"WriteFile \(files\) in the function __inference_"),
    "branch": (write_in_a_branch, r"WriteFile \(files\) in the function __inference_inner_"),
    "print": (print_to_file, r"PrintV2 \(the terminal\)"),
    "saver": (save_from_signature, r"SaveV2 \(files\)"),
    "summaries": (dump_summaries, r"CreateSummaryFileWriter \(files\)"),
}


def written(target: Path) -> bool:
    return any(target.parent.glob(f"{target.name}*"))


@pytest.mark.parametrize("name", WRITERS)
def test_a_graph_that_writes_is_refused_and_has_not_written(tmp_path, name, refused):
    make, says = WRITERS[name]
    target = tmp_path / "out" / "spoils"
    target.parent.mkdir()
    model = save(tmp_path / "model", make(target))
    assert re.search(says, refused(model))
    assert not written(target)
    # That it is a real one: trusted, it opens, and the model run by itself does what it was made for.
    opened = cnnlab.load(model, trust=True)
    assert opened.num_classes == 10
    tf.saved_model.load(str(model)).signatures["serving_default"](tf.constant(IMAGES))
    assert written(target)


class Loading(tf.Module):
    """A module whose resource is initialised while it is loaded."""

    def __init__(self, target):
        super().__init__()
        self.resource = Resource(target)

    @tf.function(input_signature=[tf.TensorSpec((None, *SIZE), name="images")])
    def __call__(self, images):
        return tf.nn.softmax(scores(images, tf.cast(tf.shape(self.resource.resource_handle)[0], tf.float32) * 0.0))


class Resource(tf.saved_model.experimental.TrackableResource):
    def __init__(self, target):
        super().__init__()
        self.target = str(target)
        self.armed = False

    def _create_resource(self):
        return tf.constant([1.0])

    def _initialize(self):
        tf.io.write_file(self.target, "seized")


def test_an_initialiser_that_writes_is_refused_and_has_not_written(tmp_path, refused):
    target = tmp_path / "spoils"
    model = save(tmp_path / "model", module=Loading(target))
    target.unlink(missing_ok=True)
    assert re.search(r"WriteFile \(files\) in the function __inference__initializer_", refused(model))
    assert not target.exists()
    assert cnnlab.load(model, trust=True).num_classes == 10
    assert target.read_text() == "seized"  # Loading alone is enough.


def test_files_that_are_read_are_refused(tmp_path, refused):
    (tmp_path / "secret").write_text("1")

    def act(images):
        return tf.strings.length(tf.io.read_file(str(tmp_path / "secret")))

    model = save(tmp_path / "model", act)
    assert "ReadFile (files)" in refused(model)
    assert cnnlab.load(model, trust=True).num_classes == 10


@pytest.mark.parametrize("wrap", [tf.py_function, tf.numpy_function], ids=["py_function", "numpy_function"])
def test_python_functions_are_refused(tmp_path, wrap, refused):
    calls = []

    def act(images):
        return wrap(lambda x: calls.append(1) or np.float32(0), [tf.reduce_sum(images)], tf.float32)

    model = save(tmp_path / "model", act)
    assert re.search(r"PyFunc \(Python\) in the function", refused(model))
    assert calls == []
    assert cnnlab.load(model, trust=True).num_classes == 10


def test_a_graph_that_prints_is_refused_and_forges_no_result(tmp_path, capfd, refused):
    """What stands on stdout is read by scripts: `--json` prints cnnlab's own record and nothing before it."""

    def act(images):
        tf.print('{"metrics": {"accuracy": 1.0}}', output_stream=sys.stdout)
        return tf.constant(0)

    model = save(tmp_path / "model", act)
    assert re.search(r"PrintV2 \(the terminal\) in the function", refused(model))
    assert capfd.readouterr().out == ""
    cnnlab.load(model, trust=True).logits(IMAGES)
    assert "accuracy" in capfd.readouterr().out


def test_a_graph_that_ends_the_process_passes_no_gate(tmp_path, command_line, cnnlab_command):
    def act(images):
        return tf.raw_ops.Abort(error_msg="done", exit_without_error=True)

    model = save(tmp_path / "model", act)
    np.savez(tmp_path / "data.npz", x_train=IMAGES, y_train=[0, 1], x_test=IMAGES, y_test=[0, 1])
    words = ("--model", model, "--dataset", tmp_path / "data.npz", "--fail-under", "accuracy=0.99")
    status, _, err = command_line("evaluate", *words)
    assert status == 1
    assert "Abort (ends the process) in the function" in err
    # That it is a real one: trusted, it ends the process with status 0, before any gate is looked at.
    assert cnnlab_command("evaluate", *words, "--trust").returncode == 0


def test_datasets_of_files_are_refused(tmp_path, refused):
    def act(images):
        lines = tf.data.TextLineDataset(str(tmp_path / "secret"))
        return lines.reduce(0, lambda count, line: count + tf.strings.length(line))

    assert "TextLineDataset" in refused(save(tmp_path / "model", act))


def test_several_operations_are_named_and_the_others_counted(harmless, tmp_path, refused):
    model = shutil.copytree(harmless, tmp_path / "model")
    operations = ["Barrier", "WriteFile", "PrintV2", "Abort", "FIFOQueue", "Timestamp"]
    for count, operation in enumerate(operations, 1):
        edit(model, lambda graph, name=operation: graph.graph_def.node.add(name=name, op=name))
        edit(model, lambda graph, name=operation: graph.graph_def.library.function[0].node_def.add(name=name, op=name))
        message = refused(model)
        assert message.count(" in the main graph and 1 more") == min(count, 5)
        assert (", and 1 more operations. If" in message) == ("more operations" in message) == (count == 6)
    named = ["WriteFile (files)", "PrintV2 (the terminal)", "Abort (ends the process)", "Barrier (waits for others)"]
    assert [message.index(each) for each in named] == sorted(message.index(each) for each in named)
    assert "Timestamp" not in message


OPERATIONS = {
    "RemoteCall": "network",
    "_Send": "network",
    "CollectiveReduceV3": "network",
    "PyFuncStateless": "Python",
    "DatasetFromGraph": "datasets",
    "IteratorFromStringHandleV2": "datasets",
    "XlaCallModule": "cannot be read",
    "DebugIdentity": "files",
    "DebugIdentityV3": "files",
    "ImmutableConst": "files",
    "FixedLengthRecordReaderV2": "files",
    "LoadAndRemapMatrix": "files",
    "GenerateVocabRemapping": "files",
    "RpcClient": "network",
    "RegisterDatasetV2": "network",
    "NoSuchOperation": "not registered",  # no such operation
    "PrintV2": "the terminal",
    "Print": "the terminal",
    "Abort": "ends the process",
    "Barrier": "waits for others",
    "FixedUnigramCandidateSampler": "not known to compute and nothing else",
    "ParseTensor": "not known to compute",
    "DecodeProtoV2": "not known to compute",
    "Timestamp": "the clock",
    "_Retval": "cannot be read",
    "FIFOQueueV2": "waits for others",
}


@pytest.fixture(scope="module")
def harmless(tmp_path_factory) -> Path:
    return save(tmp_path_factory.mktemp("harmless") / "model")


@pytest.mark.parametrize("where", ["main", "library"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_is_found_wherever_it_is(harmless, operation, where):
    meta_graph = read(harmless).meta_graphs[0]
    assert examine(meta_graph) == []
    nodes = meta_graph.graph_def.node if where == "main" else meta_graph.graph_def.library.function[0].node_def
    nodes.add(name="added", op=operation)
    (found,) = examine(meta_graph)
    assert (found.operation, found.node) == (operation, "added")
    assert OPERATIONS[operation] in str(found)
    assert ("the main graph" in str(found)) == (where == "main")


def test_names_stand_for_one_thing(harmless):
    """Of two nodes or functions of one name, the one that is looked at could be another than the one that runs."""
    for where in ("main", "function"):
        meta_graph = read(harmless).meta_graphs[0]
        nodes = meta_graph.graph_def.node if where == "main" else meta_graph.graph_def.library.function[0].node_def
        nodes.add(name="twice", op="WriteFile")
        nodes.add(name="twice", op="NoOp")
        assert [each.why for each in examine(meta_graph)] == ["files"]
        nodes[-2].op = "NoOp"
        assert [each.why for each in examine(meta_graph)] == ["has no name of its own"]
    meta_graph = read(harmless).meta_graphs[0]
    function = meta_graph.graph_def.library.function
    function.add().CopyFrom(function_with(meta_graph, "Softmax"))
    assert {each.why for each in examine(meta_graph)} == {"has no name of its own"}
    meta_graph = read(harmless).meta_graphs[0]
    with_argument = next(each for each in meta_graph.graph_def.library.function if each.signature.input_arg)
    with_argument.node_def.add(name=with_argument.signature.input_arg[0].name, op="NoOp")
    assert [each.why for each in examine(meta_graph)] == ["has no name of its own"]


def test_a_call_of_what_is_no_function_of_the_model_is_refused(harmless):
    meta_graph = read(harmless).meta_graphs[0]
    node = meta_graph.graph_def.node.add(name="call", op="PartitionedCall")
    node.attr["f"].func.name = "WriteFile"
    (found,) = examine(meta_graph)
    assert str(found) == "PartitionedCall (calls 'WriteFile', which is no function of the model) in the main graph"
    node.attr["f"].func.name = function_with(meta_graph, "Softmax").signature.name
    assert examine(meta_graph) == []


def test_a_function_that_is_called_as_an_operation_is_no_other_operation(harmless):
    meta_graph = read(harmless).meta_graphs[0]
    function = meta_graph.graph_def.library.function.add()
    function.signature.name = "of_its_own"
    meta_graph.graph_def.node.add(name="call", op="of_its_own")
    assert examine(meta_graph) == []
    function.signature.name = meta_graph.graph_def.node[-1].op = "ReadFile"
    assert [each.why for each in examine(meta_graph)] == ["files"]


@pytest.mark.parametrize("kind", ["DT_RESOURCE", "DT_VARIANT"])
def test_constants_that_hold_objects_are_refused(harmless, kind):
    meta_graph = read(harmless).meta_graphs[0]
    node = meta_graph.graph_def.node.add(name="held", op="Const")
    node.attr["dtype"].type = tf.dtypes.float32.as_datatype_enum
    assert examine(meta_graph) == []
    node.attr["dtype"].type = types_pb2.DataType.Value(kind)
    assert [each.why for each in examine(meta_graph)] == ["holds an object that cannot be read here"]


# --- at any depth ---


def in_a_gradient(target):
    @tf.custom_gradient
    def same(images):
        def gradient(upstream):
            tf.io.write_file(str(target), "seized")
            return upstream

        return tf.identity(images), gradient

    return lambda images: tf.cast(tf.reduce_sum(same(images)) * 0.0, tf.int32)


def test_an_operation_in_a_gradient_function_is_refused(tmp_path, refused):
    module = Hostile(in_a_gradient(tmp_path / "spoils"))
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    signatures = module.__call__.get_concrete_function()
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=signatures, options=options)
    assert re.search(r"WriteFile \(files\) in the function __inference_", refused(tmp_path / "model"))


def test_an_operation_in_another_signature_is_refused(tmp_path, refused):
    module = Hostile()
    module.other = tf.function(write(tmp_path / "spoils"), input_signature=[tf.TensorSpec((), tf.float32)])
    signatures = {"serving_default": module.__call__.get_concrete_function(), "b": module.other.get_concrete_function()}
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=signatures)
    assert "WriteFile (files)" in refused(tmp_path / "model")


def test_an_operation_in_another_graph_of_the_file_is_refused(harmless, tmp_path, refused):
    model = shutil.copytree(harmless, tmp_path / "model")
    saved = read(model)
    saved.meta_graphs.add().CopyFrom(saved.meta_graphs[0])
    (model / "saved_model.pb").write_bytes(saved.SerializeToString())
    check_saved_model(model)
    saved.meta_graphs[1].graph_def.node.add(name="last", op="PrintV2")
    (model / "saved_model.pb").write_bytes(saved.SerializeToString())
    assert "PrintV2 (the terminal) in the main graph" in refused(model)


def test_operations_that_are_not_registered_are_named(harmless, tmp_path, refused):
    model = shutil.copytree(harmless, tmp_path / "model")
    edit(model, lambda graph: graph.graph_def.library.function[0].node_def.add(name="x", op="SentencepieceTokenizeOp"))
    message = refused(model)
    assert "does not have: SentencepieceTokenizeOp" in message
    assert "import it" in message


# --- savers and tables: normal, unless they are turned to something else ---


class WithVariable(tf.Module):
    def __init__(self):
        super().__init__()
        self.bias = tf.Variable(tf.zeros(10))

    @tf.function(input_signature=[tf.TensorSpec((None, *SIZE), name="images")])
    def __call__(self, images):
        return tf.nn.softmax(scores(images, self.bias))


def function_with(meta_graph, operation: str):
    return next(
        each for each in meta_graph.graph_def.library.function if any(node.op == operation for node in each.node_def)
    )


def test_a_saver_that_a_signature_calls_is_refused(tmp_path, refused):
    model = save(tmp_path / "model", module=WithVariable())
    check_saved_model(model)

    def call_it(meta_graph):
        saver = function_with(meta_graph, "SaveV2").signature.name
        signature = next(f for f in meta_graph.graph_def.library.function if "signature_wrapper" in f.signature.name)
        node = signature.node_def.add(name="call", op="StatefulPartitionedCall")
        node.attr["f"].func.name = saver

    assert "SaveV2 (files)" in refused(edit(model, call_it))


@pytest.mark.parametrize(
    "how",
    [
        *("object graph", "function", "bare", "captured", "gradient", "forward", "backward"),
        *("control input", "initialiser", "collection"),
    ],
)
def test_a_saver_that_is_reached_otherwise_is_refused(tmp_path, how, refused):
    model = save(tmp_path / "model", module=WithVariable())

    def reach_it(meta_graph):
        saver = function_with(meta_graph, "SaveV2").signature.name
        if how == "object graph":
            meta_graph.object_graph_def.concrete_functions[saver].SetInParent()
        elif how == "function":  # TensorFlow takes what an object names, listed among the functions or not
            meta_graph.object_graph_def.nodes.add().function.concrete_functions.append(saver)
        elif how == "bare":
            meta_graph.object_graph_def.nodes.add().bare_concrete_function.concrete_function_name = saver
        elif how == "captured":
            meta_graph.object_graph_def.nodes.add().captured_tensor.concrete_function = saver
        elif how == "gradient":
            meta_graph.graph_def.library.gradient.add(function_name="any", gradient_func=saver)
        elif how in ("forward", "backward"):
            meta_graph.graph_def.library.function[0].attr[f"{how}_function_name"].s = saver.encode()
        elif how == "initialiser":
            key = "__saved_model_init_op"
            meta_graph.signature_def[key].outputs[key].name = meta_graph.saver_def.save_tensor_name
        elif how == "collection":
            node = meta_graph.saver_def.save_tensor_name.split(":")[0]
            meta_graph.collection_def["saved_model_main_op"].node_list.value.append(node)
        else:
            output = next(iter(meta_graph.signature_def["serving_default"].outputs.values())).name.split(":")[0]
            node = next(node for node in meta_graph.graph_def.node if node.name == output)
            node.input.append("^" + meta_graph.saver_def.save_tensor_name.split(":")[0])

    assert "SaveV2 (files)" in refused(edit(model, reach_it))


def test_a_saver_that_restores_another_file_is_refused(tmp_path, refused):
    model = save(tmp_path / "model", module=WithVariable())

    def turn(meta_graph):
        restore = function_with(meta_graph, "RestoreV2")
        name = add_name(restore.node_def, "/somewhere/else") + ":output:0"
        next(node for node in restore.node_def if node.op == "RestoreV2").input[0] = name

    assert "RestoreV2 (files)" in refused(edit(model, turn))


class WithTable(tf.Module):
    def __init__(self, vocabulary):
        super().__init__()
        words = (str(vocabulary), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, -1)
        self.table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(*words), -1)

    @tf.function(input_signature=[tf.TensorSpec((None, *SIZE), name="images")])
    def __call__(self, images):
        return tf.nn.softmax(scores(images) * tf.cast(tf.reshape(self.table.lookup(tf.constant("b")), ()), tf.float32))


@pytest.fixture
def with_table(tmp_path) -> Path:
    (tmp_path / "words.txt").write_text("a\nb\nc\n")
    return save(tmp_path / "model", module=WithTable(tmp_path / "words.txt"))


def test_a_table_of_the_models_own_asset_is_normal(with_table):
    assert (with_table / "assets" / "words.txt").exists()
    check_saved_model(with_table)
    signature = tf.saved_model.load(str(with_table)).signatures["serving_default"]
    (found,) = signature(tf.constant(IMAGES)).values()
    np.testing.assert_allclose(found, tf.nn.softmax(scores(IMAGES)), rtol=1e-5)


def test_a_table_of_another_file_is_refused(with_table, refused):
    def turn(meta_graph):
        initialiser = function_with(meta_graph, "InitializeTableFromTextFileV2")
        name = add_name(initialiser.node_def, "/etc/hostname") + ":output:0"
        table = next(node for node in initialiser.node_def if node.op.startswith("InitializeTable"))
        table.input[1] = name

    assert "InitializeTableFromTextFileV2 of a file that is not the model's asset" in refused(edit(with_table, turn))


def test_a_table_whose_name_is_no_asset_in_the_object_graph_is_refused(with_table, refused):
    def turn(meta_graph):
        function = function_with(meta_graph, "InitializeTableFromTextFileV2").signature.name
        bound = meta_graph.object_graph_def.concrete_functions[function].bound_inputs
        bound[0] = bound[1]

    assert "InitializeTableFromTextFileV2 of a file" in refused(edit(with_table, turn))


def test_an_asset_that_is_registered_as_something_else_is_none(with_table, tmp_path, refused):
    (tmp_path / "secret.txt").write_text("x\nb\n")

    def turn(meta_graph):
        next(
            node for node in meta_graph.object_graph_def.nodes if node.WhichOneof("kind") == "asset"
        ).registered_name = "tf.TrackableConstant"

    assert "InitializeTableFromTextFileV2 of a file that is not the model's asset" in refused(edit(with_table, turn))

    def name_nothing(meta_graph):  # which is what TensorFlow then takes for the asset's path
        add_name(meta_graph.graph_def.node, str(tmp_path / "secret.txt"))
        meta_graph.graph_def.node[-1].name = ""

    assert "Const (has no name of its own) in the main graph" in refused(edit(with_table, name_nothing))


def test_a_saver_that_is_called_with_less_than_it_takes_is_refused(tmp_path, refused):
    model = save(tmp_path / "model", module=WithVariable())

    def call_it(meta_graph):
        node = next(node for node in meta_graph.graph_def.node if node.name == meta_graph.saver_def.restore_op_name)
        del node.input[:]

    assert "RestoreV2 (files)" in refused(edit(model, call_it))

    def give_it_nothing(meta_graph):
        del next(node for node in function_with(meta_graph, "RestoreV2").node_def if node.op == "RestoreV2").input[:]

    assert "RestoreV2 (files)" in refused(edit(model, give_it_nothing))


def test_names_are_followed_through_however_many_calls(with_table):
    """Functions that each call the last twice: paths without number, which are not walked one by one."""

    def nest(meta_graph):
        library = meta_graph.graph_def.library.function
        inner = function_with(meta_graph, "InitializeTableFromTextFileV2").signature.name
        del meta_graph.object_graph_def.concrete_functions[inner]
        for node in meta_graph.object_graph_def.nodes:
            if inner in (*node.function.concrete_functions, node.bare_concrete_function.concrete_function_name):
                node.Clear()
        places = len(next(each for each in library if each.signature.name == inner).signature.input_arg)
        for level in range(60):
            outer = library.add()
            outer.signature.name = f"level_{level}"
            names = [outer.signature.input_arg.add(name=f"a{place}").name for place in range(places)]
            for twice in "bc":
                outer.node_def.add(name=twice, op="PartitionedCall", input=names).attr["f"].func.name = inner
            inner = outer.signature.name
        given = [meta_graph.graph_def.node[0].name] * places
        meta_graph.graph_def.node.add(name="n0", op="Identity", input=given[:1])
        for count in range(3000):
            meta_graph.graph_def.node.add(name=f"n{count + 1}", op="Identity", input=[f"n{count}"])
        top = meta_graph.graph_def.node.add(name="top", op="PartitionedCall", input=["n3000"] * places)
        top.attr["f"].func.name = inner

    edit(with_table, nest)
    check_saved_model(with_table)  # The object graph says what the main graph is given, which is not run.


def test_names_that_come_from_nowhere_are_refused():
    meta_graph = saved_model_pb2.SavedModel().meta_graphs.add()
    meta_graph.object_graph_def.SetInParent()
    meta_graph.graph_def.node.add(name="round", op="Identity", input=["round"])
    table = meta_graph.graph_def.node.add(name="table", op="InitializeTableFromTextFileV2", input=["x", "round"])
    assert [each.node for each in examine(meta_graph)] == ["table"]
    del table.input[1:]
    assert examine(meta_graph) == []  # What the main graph gives; TensorFlow runs none of it.
    meta_graph.ClearField("object_graph_def")
    assert [each.node for each in examine(meta_graph)] == ["table"]


@pytest.mark.parametrize("name", ["../../words.txt", "/etc/hostname", "a/../../../x", "gs://bucket/x", "..\\x"])
def test_assets_outside_the_folder_are_not_followed(with_table, name, refused):
    def turn(meta_graph):
        meta_graph.asset_file_def[0].filename = name

    message = refused(edit(with_table, turn))
    assert "outside its folder" in message
    assert repr(f"assets/{name}") in message


def test_links_that_lead_out_are_not_followed(with_table, tmp_path, refused):
    (tmp_path / "elsewhere.txt").write_text("a\nb\nc\n")
    asset = with_table / "assets" / "words.txt"
    asset.unlink()
    asset.symlink_to(tmp_path / "elsewhere.txt")
    assert "outside its folder" in refused(with_table)
    with pytest.raises(CnnlabError, match="no constant can stand for what it keeps, such as a table"):
        cnnlab.load(with_table, trust=True)
    (with_table / "own.txt").write_text("a\nb\nc\n")
    asset.unlink()
    asset.symlink_to("../own.txt")
    assert check_inside(with_table, "assets/words.txt") == asset  # A link within the folder is its own business.


def save_v1(folder: Path, vocabulary: Path | None = None) -> tuple[Path, np.ndarray]:
    """Save a model as TensorFlow 1 did: its loading runs the main graph. Return its logits of IMAGES, too."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        images = v1.placeholder(tf.float32, (None, *SIZE), name="images")
        logits = scores(images, v1.get_variable("bias", (10,)))
        if vocabulary is not None:
            words = (str(vocabulary), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, -1)
            table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(*words), -1)
            logits = logits * tf.cast(table.lookup(tf.constant("b")), tf.float32)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": v1.saved_model.predict_signature_def({"images": images}, {"logits": logits})},
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=v1.tables_initializer(),
        )
        builder.save()
        return folder, session.run(logits, {images: IMAGES})


def main_node(meta_graph, operation: str):
    return next(node for node in meta_graph.graph_def.node if node.op == operation)


def add_name(nodes, value: str) -> str:
    """Add a constant text to a graph; return its node's name."""
    node = nodes.add(name="added_name", op="Const")
    node.attr["dtype"].type = tf.string.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return node.name


def test_models_of_tensorflow_1_are_normal(tmp_path):
    model, logits = save_v1(tmp_path / "model")
    np.testing.assert_allclose(cnnlab.load(model).logits(IMAGES), logits, rtol=1e-4, atol=1e-5)


def test_a_node_in_the_main_graph_of_tensorflow_1_is_refused_and_has_not_run(tmp_path, refused):
    model, _ = save_v1(tmp_path / "model")
    target = tmp_path / "spoils"

    def write_when_restored(meta_graph):
        graph = meta_graph.graph_def
        name = add_name(graph.node, str(target))
        graph.node.add(name="evil", op="WriteFile", input=[name, name])
        restore = next(node for node in graph.node if node.name == meta_graph.saver_def.restore_op_name)
        restore.input.append("^evil")

    edit(model, write_when_restored)
    assert "WriteFile (files) in the main graph" in refused(model)
    assert not target.exists()
    assert cnnlab.load(model, trust=True).num_classes == 10
    assert target.exists()


@pytest.mark.parametrize("how", ["restores another", "saves when restoring", "restores when called"])
def test_savers_of_tensorflow_1_that_are_turned_are_refused(tmp_path, how, refused):
    model, _ = save_v1(tmp_path / "model")

    def turn(meta_graph):
        if how == "restores another":
            main_node(meta_graph, "RestoreV2").input[0] = add_name(meta_graph.graph_def.node, "/somewhere/else")
        elif how == "saves when restoring":
            main_node(meta_graph, "RestoreV2").input.append("^" + main_node(meta_graph, "SaveV2").name)
        else:
            main_node(meta_graph, "MatMul").input.append("^" + main_node(meta_graph, "RestoreV2").name)

    assert re.search(r"(Save|Restore)V2 \(files\) in the main graph", refused(edit(model, turn)))


def test_tables_of_tensorflow_1_read_assets_alone(tmp_path, refused):
    (tmp_path / "words.txt").write_text("a\nb\n")
    model, _ = save_v1(tmp_path / "model", tmp_path / "words.txt")
    check_saved_model(model)

    def when_called(meta_graph):  # where TensorFlow does not give it the path of the asset
        main_node(meta_graph, "MatMul").input.append("^" + main_node(meta_graph, "InitializeTableFromTextFileV2").name)

    def when_restored(meta_graph):  # nor here
        restore = next(node for node in meta_graph.graph_def.node if node.name == meta_graph.saver_def.restore_op_name)
        restore.input.append("^" + main_node(meta_graph, "InitializeTableFromTextFileV2").name)

    def as_a_variable_begins(meta_graph):
        variable = variable_pb2.VariableDef()
        variable.initializer_name = main_node(meta_graph, "InitializeTableFromTextFileV2").name
        meta_graph.collection_def["variables"].bytes_list.value.append(variable.SerializeToString())

    def of_another(meta_graph):
        name = add_name(meta_graph.graph_def.node, "/etc/hostname")
        main_node(meta_graph, "InitializeTableFromTextFileV2").input[1] = name

    for index, turn in enumerate([when_called, when_restored, as_a_variable_begins, of_another]):
        copy = shutil.copytree(model, tmp_path / f"copy{index}")
        assert "InitializeTableFromTextFileV2 of a file that is not" in refused(edit(copy, turn))


def test_what_keras_2_and_3_write_is_normal(tmp_path):
    image = keras.Input(SIZE)
    hidden = keras.layers.BatchNormalization()(keras.layers.Conv2D(2, 3)(image))
    hidden = keras.layers.Dropout(0.5)(keras.layers.Rescaling(2.0)(keras.layers.GaussianNoise(0.1)(hidden)))
    three = keras.Model(image, keras.layers.Dense(10, "softmax")(keras.layers.Flatten()(hidden)))
    three.compile("adam", "sparse_categorical_crossentropy")
    three.fit(IMAGES, np.zeros(2), verbose=0)
    three.export(tmp_path / "three", verbose=False)
    three.save(tmp_path / "three.keras")
    three.save(tmp_path / "three.h5")
    two = tf_keras.Sequential(
        [
            tf_keras.layers.InputLayer(SIZE),
            tf_keras.layers.Conv2D(2, 3, kernel_regularizer="l2"),
            tf_keras.layers.BatchNormalization(),
            tf_keras.layers.Flatten(),
            tf_keras.layers.Dropout(0.5),
            tf_keras.layers.Dense(10, "softmax"),
        ]
    )
    two.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    two.fit(IMAGES, np.zeros(2), verbose=0)
    two.save(tmp_path / "two")
    two.save(tmp_path / "two.h5")
    for name, model in [("three", three), ("three.keras", three), ("three.h5", three), ("two", two), ("two.h5", two)]:
        found = cnnlab.load(tmp_path / name).probabilities(IMAGES)
        np.testing.assert_allclose(found, model.predict(IMAGES, verbose=0), rtol=1e-3, atol=1e-5, err_msg=name)


# --- damaged ones ---


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.97])
def test_a_truncated_graph_is_one_sentence(harmless, tmp_path, keep):
    model = shutil.copytree(harmless, tmp_path / "model")
    data = (model / "saved_model.pb").read_bytes()
    (model / "saved_model.pb").write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(CnnlabError, match=r"cannot be read: .*saved_model.pb") as caught:
        cnnlab.load(model)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["truncated", "corrupted", "missing", "index"])
def test_damaged_variables_are_one_sentence(tmp_path, damage):
    model = save(tmp_path / "model", module=WithVariable())
    data = model / "variables" / "variables.data-00000-of-00001"
    if damage == "missing":
        data.unlink()
    elif damage == "truncated":
        data.write_bytes(data.read_bytes()[:10])
    elif damage == "corrupted":
        data.write_bytes(bytes(255 - byte for byte in data.read_bytes()))
    else:
        (model / "variables" / "variables.index").write_bytes(b"\0" * 40)
    with pytest.raises(CnnlabError, match=r"the SavedModel in .* cannot be read") as caught:
        cnnlab.load(model)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1


# --- the files of the folder ---


@pytest.mark.parametrize("name", ["variables", "assets/deep"])
def test_folders_that_are_links_are_not_entered(harmless, tmp_path, name):
    model = shutil.copytree(harmless, tmp_path / "model")
    place = model / name
    place.mkdir(parents=True, exist_ok=True)
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CnnlabError, match=rf"{name} is a symbolic link to a folder, where a SavedModel has its own"):
        cnnlab.load(model)


@pytest.mark.parametrize(
    "name", ["saved_model.pb", "fingerprint.pb", "variables/variables.index", "assets/deep/words.txt", "debug/more.pb"]
)
def test_what_is_no_regular_file_is_not_opened(harmless, tmp_path, name):
    model = shutil.copytree(harmless, tmp_path / "model")
    file = model / name
    file.unlink(missing_ok=True)
    file.parent.mkdir(exist_ok=True, parents=True)
    os.mkfifo(file)
    with pytest.raises(CnnlabError, match=rf"{name} is a pipe, where a file was expected"):
        cnnlab.load(model)
    file.unlink()
    file.symlink_to("/dev/zero")
    with pytest.raises(CnnlabError, match=rf"{name} is a device, where a file was expected"):
        cnnlab.load(model)


@pytest.mark.parametrize("name", ["saved_model.pb", "fingerprint.pb", "debug/saved_model_debug_info.pb"])
def test_graphs_are_bounded_before_they_are_read(harmless, tmp_path, monkeypatch, name):
    model = shutil.copytree(harmless, tmp_path / "model")
    (model / "debug").mkdir(exist_ok=True)
    if not (model / name).exists():
        (model / name).write_bytes(b"")
    largest = max((model / each).stat().st_size for each in ("saved_model.pb", name))
    if name != "saved_model.pb":
        (model / name).write_bytes((model / name).read_bytes().ljust(largest + 1, b"\0"))
        largest += 1
    monkeypatch.setattr("cnnlab.trust.savedmodel.LARGEST_GRAPH", largest - 1)
    with pytest.raises(CnnlabError, match=rf"{name} is larger than the .* that cnnlab reads of such a file"):
        check_saved_model(model)
    if name == "saved_model.pb":
        monkeypatch.setattr("cnnlab.trust.savedmodel.LARGEST_GRAPH", largest)
        check_saved_model(model)


def test_a_damaged_fingerprint_is_one_sentence_of_cnnlabs_own(harmless, tmp_path, capfd):
    model = shutil.copytree(harmless, tmp_path / "model")
    (model / "fingerprint.pb").write_bytes(b"\xff" * 20)
    with pytest.raises(CnnlabError, match=r"its fingerprint\.pb is damaged or truncated") as caught:
        cnnlab.load(model)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in capfd.readouterr().err
    (model / "fingerprint.pb").unlink()
    check_saved_model(model)


@pytest.mark.parametrize("name", ["x" * 5000, "round"])
def test_assets_that_lead_nowhere_are_not_followed(with_table, name):
    (with_table / "assets" / "round").symlink_to("round")

    def turn(meta_graph):
        meta_graph.asset_file_def[0].filename = name

    edit(with_table, turn)
    with pytest.raises(CnnlabError) as caught:
        check_saved_model(with_table)
    assert "\n" not in str(caught.value)


# --- the command ---


@pytest.fixture(scope="module")
def writer(tmp_path_factory) -> tuple[Path, Path]:
    """A model that writes a file when it is called, and the file."""
    folder = tmp_path_factory.mktemp("writer")
    return save(folder / "model", write(folder / "spoils")), folder / "spoils"


@pytest.fixture
def dataset(tmp_path) -> Path:
    labels = np.arange(4)
    np.savez(tmp_path / "data.npz", x_train=IMAGES, y_train=labels[:2], x_test=IMAGES, y_test=labels[:2])
    return tmp_path / "data.npz"


def words_of(command: str, model: Path, dataset: Path, folder: Path) -> list[object]:
    np.save(folder / "image.npy", IMAGES[0])
    return {
        "analyze": ["analyze", "occlusion", "--model", model, "--image", folder / "image.npy", "--out", folder / "out"],
        "evaluate": ["evaluate", "--model", model, "--dataset", dataset],
        "summary": ["summary", model],
        "inspect": ["inspect", model],
    }[command]


@pytest.mark.parametrize("command", ["analyze", "evaluate", "summary", "inspect"])
def test_commands_refuse_unless_told_to_trust(writer, dataset, tmp_path, command):
    model, target = writer
    words = [str(word) for word in words_of(command, model, dataset, tmp_path)]
    refused = CliRunner().invoke(cli, words)
    assert isinstance(refused.exception, CnnlabError)
    assert "WriteFile (files)" in str(refused.exception)
    assert not target.exists()
    trusted = CliRunner().invoke(cli, [*words, "--trust"])
    assert trusted.exception is None, trusted.exception
    target.unlink(missing_ok=True)


def test_verify_trusts_only_when_told_whatever_the_record_says(writer, harmless, tmp_path):
    model, target = writer
    cnnlab.analyze("occlusion", cnnlab.load(harmless), IMAGES).save(tmp_path / "result")
    record = tmp_path / "result" / "result.json"
    said = json.loads(record.read_text())
    said["model"] |= {"path": str(model), "kind": "savedmodel", "about": {"trust": True}}
    record.write_text(json.dumps(said))
    refused = CliRunner().invoke(cli, ["verify", str(tmp_path / "result")])
    assert isinstance(refused.exception, CnnlabError)
    assert "WriteFile (files)" in str(refused.exception)
    assert not target.exists()
    trusted = CliRunner().invoke(cli, ["verify", str(tmp_path / "result"), "--trust"])
    assert not isinstance(trusted.exception, CnnlabError)
    target.unlink(missing_ok=True)


def test_what_is_remembered_of_a_model_cannot_make_it_trusted(writer, tmp_path):
    model, target = writer
    copy = shutil.copytree(model, tmp_path / "model")
    (copy / "cnnlab.json").write_text(json.dumps({"schema": 1, "trust": True}))
    with pytest.raises(CnnlabError):
        cnnlab.load(copy)
    assert not target.exists()


def test_the_command_says_so_in_one_sentence_with_status_1(writer, command_line):
    model, target = writer
    status, out, err = command_line("summary", model)
    assert (status, out) == (1, "")
    assert "WriteFile (files)" in err
    assert "Traceback" not in err
    assert not target.exists()
