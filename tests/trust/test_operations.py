"""The list of allowed operations: held against all that TensorFlow has, and against what real models are made of."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tensorflow.core.framework import op_def_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.client import pywrap_tf_session

from cnnlab.trust.operations import ALLOWED
from cnnlab.trust.savedmodel import check_saved_model, examine

REGISTERED = {
    each.name: each
    for each in op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList())).op
}
TABLES = {"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"}
"""Allowed where they read an asset; a main graph that is not run gives them nothing else."""

SAVERS = {"Save", "SaveV2", "SaveSlices", "Restore", "RestoreV2", "RestoreSlice", "MergeV2Checkpoints"}
"""Allowed to the saver alone, which an unconnected node of the main graph can be of."""

OUTSIDE = re.compile(
    r"(.*_)?(file|files|filename|filenames|filepath|path|prefix|dir|logdir|directory|url|urls?|address|host|port|pattern"
    r"|callback|token|library|module|python|memory_region|descriptor_source|output_stream)(_.*)?"
)


def test_every_operation_of_tensorflow_is_allowed_by_name_or_refused_by_name():
    assert len(REGISTERED) > 1500
    program = saved_model_pb2.SavedModel().meta_graphs.add()
    program.object_graph_def.SetInParent()
    for name in REGISTERED:
        program.graph_def.node.add(name=name, op=name)
    refused = {each.operation.partition(" ")[0]: each for each in examine(program)}
    assert set(REGISTERED) - set(refused) == (ALLOWED | SAVERS | TABLES) & set(REGISTERED)
    for name, found in refused.items():
        assert name in str(found)
        assert found.why
    assert len(ALLOWED - set(REGISTERED)) < 20, "names that this TensorFlow does not have: a slip?"


def test_no_allowed_operation_declares_a_file_an_address_or_python():
    speaks = {}
    for name in ALLOWED & set(REGISTERED):
        declared = REGISTERED[name]
        said = [each.name for each in declared.input_arg]
        said += [each.name for each in declared.attr if each.type in ("string", "list(string)")]
        if found := [each for each in said if OUTSIDE.fullmatch(each)]:
            speaks[name] = found
    texts = {"StaticRegexFullMatch", "StaticRegexReplace", "RegexFullMatch", "RegexReplace"}  # a pattern of letters
    memory = {"CudnnRNNBackpropV2", "CudnnRNNBackpropV3"}  # host_reserved: a tensor that lies in the host's memory
    assert set(speaks) == texts | memory


@pytest.mark.parametrize(
    "words",
    [
        "Abort Print PrintV2 Timestamp PyFunc EagerPyFunc PyFuncStateless ReadFile WriteFile MatchingFiles SleepOp",
        "DumpTensor ImmutableConst FileSystemSetConfiguration DecodeProtoV2 EncodeProto CalibrationStatisticsSaver",
        "FixedUnigramCandidateSampler LoadAndRemapMatrix GenerateVocabRemapping InitializeTableFromDataset",
        "Send Recv _Send _HostRecv RemoteCall RpcCall RpcServerStart CollectiveReduceV3 NcclAllReduce WorkerHeartbeat",
        "Iterator IteratorV2 OneShotIterator MakeIterator DeserializeIterator GeneratorDataset TextLineDataset",
        "FIFOQueueV2 QueueDequeueV2 Barrier MutexLock MapStage Stage ConditionalAccumulator BatchFunction MapDefun",
        "XlaCallModule XlaCustomCallV2 XlaLaunchV2 MlirPassthroughOp TPUPartitionedCall GetSessionTensor ParseTensor",
        "DebugIdentityV2 DebugIdentityV3 DebugNanCount Copy CopyHost SummaryWriter CreateSummaryFileWriter",
    ],
)
def test_operations_known_to_reach_outside_are_not_among_them(words):
    for name in words.split():
        assert name in REGISTERED, name
        assert name not in ALLOWED


# --- real models ---

SIZE = (16, 16, 3)


def operations(concrete) -> set[str]:
    """What a traced function is made of, at any depth."""
    graph = concrete.graph.as_graph_def()
    own = {function.signature.name for function in graph.library.function}
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return {node.op for node in nodes} - own


def layers():
    yield keras.layers.Rescaling(2.0)
    yield keras.layers.Resizing(12, 12)
    yield keras.layers.Normalization(mean=[0.0] * 3, variance=[1.0] * 3)
    yield keras.layers.RandomRotation(0.1)
    yield keras.layers.RandomZoom(0.1)
    yield keras.layers.RandomContrast(0.1)
    yield keras.layers.Conv2D(4, 3, activation="swish", padding="same")
    yield keras.layers.BatchNormalization()
    yield keras.layers.SeparableConv2D(4, 3, activation="gelu")
    yield keras.layers.GroupNormalization(2)
    yield keras.layers.Conv2DTranspose(4, 3, activation="selu")
    yield keras.layers.MaxPool2D()
    yield keras.layers.SpatialDropout2D(0.2)
    yield keras.layers.UpSampling2D(interpolation="bilinear")
    yield keras.layers.ZeroPadding2D()
    yield keras.layers.PReLU()
    yield keras.layers.Reshape((14, 56))
    yield keras.layers.LSTM(4, return_sequences=True)
    yield keras.layers.Bidirectional(keras.layers.GRU(3, return_sequences=True))
    yield keras.layers.LayerNormalization()
    yield keras.layers.Conv1D(3, 2)
    yield keras.layers.GlobalAveragePooling1D()
    yield keras.layers.Dense(10, "softmax")


def test_what_keras_3_makes_of_its_layers_is_allowed_with_its_gradients():
    model = keras.Sequential([keras.Input(SIZE), *layers()])

    @tf.function(input_signature=[tf.TensorSpec((None, *SIZE))], autograph=False)
    def step(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(images, training=True))
        return tape.gradient(loss, model.trainable_variables), model(images)

    found = operations(step.get_concrete_function())
    assert {"Conv2D", "Conv2DBackpropFilter", "While", "ImageProjectiveTransformV3"} <= found
    assert found <= ALLOWED


def test_what_keras_3_makes_of_texts_and_attention_is_allowed():
    words = keras.layers.TextVectorization(vocabulary=["a", "b"], ngrams=2, output_mode="int")
    letters = keras.layers.StringLookup(vocabulary=["a", "b"], invert=True)
    attention = keras.layers.MultiHeadAttention(2, 2)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
    def call(texts):
        numbers = words(texts)
        values = tf.one_hot(numbers, 4)
        return letters(numbers % 3), attention(values, values)

    assert operations(call.get_concrete_function()) <= ALLOWED


def test_what_keras_2_keeps_of_an_adapted_layer_is_normal(tmp_path):
    images = np.random.default_rng(0).random((4, *SIZE), dtype=np.float32)
    normal = tf_keras.layers.Normalization()
    normal.adapt(images)
    chain = [normal, tf_keras.layers.Resizing(8, 8), tf_keras.layers.RandomZoom(0.1), tf_keras.layers.Reshape((8, 24))]
    chain += [tf_keras.layers.LSTM(3), tf_keras.layers.Dense(10, "softmax")]
    tf_keras.Sequential([tf_keras.layers.InputLayer(SIZE), *chain]).save(tmp_path / "model")
    check_saved_model(tmp_path / "model")


@pytest.mark.full
@pytest.mark.parametrize("name", ["EfficientNetB0", "MobileNetV3Small", "ConvNeXtTiny", "NASNetMobile", "DenseNet121"])
def test_what_known_networks_are_made_of_is_allowed(name):
    model = getattr(keras.applications, name)(weights=None)
    call = tf.function(lambda images: model(images)).get_concrete_function(tf.TensorSpec((None, 224, 224, 3)))
    assert operations(call) <= ALLOWED


def test_quantised_layers_are_allowed():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(2)])
    model.quantize("int8")
    call = tf.function(lambda rows: tf.quantization.fake_quant_with_min_max_vars(model(rows), -6.0, 6.0))
    found = operations(call.get_concrete_function(tf.TensorSpec((None, 8))))
    assert "FakeQuantWithMinMaxVars" in found
    assert found <= ALLOWED
