"""Streams: their order, their batches against those in memory, and training on TFRecord files."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

import cnnlab
from cnnlab import datasets
from cnnlab.datasets import Split
from cnnlab.devices.cluster import Cluster
from cnnlab.devices.replicas import Replicas
from cnnlab.errors import CnnlabError
from cnnlab.training import Interrupted, Reporter, artifacts, data, export, session
from cnnlab.training.data import MemoryFeed, StreamFeed, buffered, make_feed, moved

SHAPE = (6, 5, 3)
RNG = np.random.default_rng(11)
IMAGES = RNG.integers(0, 200, (50, *SHAPE), np.uint8)
LABELS = np.arange(50) % 3
IMAGES[np.arange(50), LABELS] += 55


def write_records(folder, images=IMAGES, labels=LABELS, shards=(("train", 4), ("test", 1))):
    """The first 38 images to train on and the others to test with, in so many files each."""
    folder.mkdir()
    for (name, count), part in zip(shards, (slice(38), slice(38, None)), strict=True):
        for shard in range(count):
            with tf.io.TFRecordWriter(str(folder / f"{name}-{shard:05}-of-{count:05}.tfrecord")) as writer:
                chosen = np.array_split(np.arange(50)[part], count)[shard]
                for image, label in zip(images[chosen], labels[chosen], strict=True):
                    made = tf.train.Example()
                    made.features.feature["image"].bytes_list.value.append(tf.io.encode_png(image).numpy())
                    made.features.feature["label"].int64_list.value.append(label)
                    writer.write(made.SerializeToString())
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_records(tmp_path_factory.mktemp("records") / "bands")


@pytest.mark.parametrize(("lengths", "buffer"), [((400,), 64), ((1, 300, 99), 40), ((100,) * 5, 500), ((7,) * 60, 16)])
def test_a_buffered_order_keeps_neighbours_near(lengths, buffer):
    files = np.repeat(np.arange(len(lengths)), lengths)
    count = len(files)
    orders = [buffered(files, buffer, *key) for key in ((0, 1), (0, 1), (0, 2), (1, 1))]
    assert all(sorted(order) == list(range(count)) for order in orders)
    np.testing.assert_array_equal(orders[0], orders[1])
    assert len({tuple(order) for order in orders}) == 3
    # All images of a piece come within two lengths of the buffer.
    piece = max(1, buffer // 16)
    within = np.arange(count) - np.searchsorted(files, files)
    pieces = np.unique(np.stack([files, within // piece]), axis=1, return_inverse=True)[1].ravel()
    first = {one: np.flatnonzero(pieces[orders[0]] == one).min() for one in set(pieces)}
    last = {one: np.flatnonzero(pieces[orders[0]] == one).max() for one in set(pieces)}
    assert all(last[one] - first[one] < 2 * buffer + piece for one in first)
    assert not np.array_equal(np.sort(orders[0][:20]), orders[0][:20])


def test_no_more_than_the_buffer_is_drawn_from():
    files = np.zeros(1000, int)
    generator = np.random.default_rng([0, 3, 1])  # one file in one piece: the sequence is that of the file
    generator.permutation(1)
    order = buffered(files, 16 * 1000, 3, 1)
    assert np.abs(np.argsort(order) - np.arange(1000)).max() > 500
    near = buffered(np.arange(1000), 1, 3, 1)
    np.testing.assert_array_equal(near, np.random.default_rng([0, 3, 1]).permutation(1000))


def test_records_sorted_by_class_are_mixed():
    """One file, all of a class behind each other, of which the buffer holds a fifth."""
    labels = np.repeat(np.arange(10), 1000)
    order = buffered(np.zeros(10_000, int), 2000, 0, 1)
    batches = labels[order].reshape(-1, 100)
    assert np.mean([len(set(batch)) for batch in batches]) > 7
    assert abs(np.corrcoef(np.arange(10_000), order)[0, 1]) < 0.5


@pytest.mark.parametrize("moves", [0, 2])
@pytest.mark.parametrize("first", [0, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_stream_gives_the_batches_of_memory(dtype, first, moves):
    values = IMAGES if dtype == np.uint8 else IMAGES.astype(dtype) * (257 if dtype == np.uint16 else 1 / 255)
    split, chosen = Split(values, LABELS), np.arange(2, 49)
    order, by = RNG.permutation(47), moved(47, moves, 0, 1)
    streamed, held = StreamFeed(split, chosen), make_feed(split, chosen)
    assert isinstance(held, MemoryFeed)
    np.testing.assert_array_equal(held.order(4, 2), streamed.order(4, 2))
    ours, theirs = (feed.batches(order, 8, first, by) for feed in (streamed, held))
    for _ in range(first, 6):
        (images, labels), (expected, known) = next(ours), next(theirs)
        np.testing.assert_array_equal(
            images.numpy().astype(np.float32) / np.float32(streamed.scale),
            expected.numpy().astype(np.float32) / np.float32(held.scale),
        )
        np.testing.assert_array_equal(labels, known)
    with pytest.raises(StopIteration):
        next(ours)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_process_reads_its_part_of_a_batch(index):
    """Of batches of fewer images than there are processes each computes all, and so reads them."""
    replicas = Replicas("cpu", SimpleNamespace(num_replicas_in_sync=3), Cluster(("a:1", "b:2", "c:3"), index))
    feed = StreamFeed(Split(IMAGES, LABELS), np.arange(42), replicas)
    batches = feed.batches(np.arange(42), 8)
    for start in range(0, 40, 8):
        images, labels = next(batches)
        own = slice(8 * index // 3, 8 * (index + 1) // 3)
        expected = np.zeros_like(images)
        expected[own] = feed._split.stored(np.arange(start, start + 8))[own]
        np.testing.assert_array_equal(images, expected)
        np.testing.assert_array_equal(labels, LABELS[start : start + 8])
    np.testing.assert_array_equal(next(batches)[0], feed._split.stored(np.arange(40, 42)))


def test_images_of_8_bits_are_streamed_as_they_are(folder):
    found = datasets.load(folder)
    feed = StreamFeed(found.train, np.arange(38))
    assert feed.scale == 255
    images, labels = next(feed.batches(np.arange(38), 38))
    assert images.dtype == tf.uint8
    np.testing.assert_array_equal(images, IMAGES[:38])
    np.testing.assert_array_equal(labels, LABELS[:38])


def test_a_part_of_records_keeps_its_files(folder, monkeypatch):
    split = datasets.load(folder).train
    assert split.files.tolist() == [0] * 10 + [1] * 10 + [2] * 9 + [3] * 9
    assert split[8:12][1:].files.tolist() == [0, 1, 1]
    monkeypatch.setattr(data, "IN_MEMORY_BYTES", 4 * 90)
    feed = make_feed(split, np.arange(38))
    np.testing.assert_array_equal(feed.order(5, 2), buffered(split.files, 4, 5, 2))
    assert Split(IMAGES, LABELS).files is None


QUICK = {"epochs": 2, "batch_size": 8, "recipe": "best", "precision": "float32"}


class Stop(Reporter):
    def progress(self, progress):
        if (progress.epoch, progress.step) == (2, 2):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def quick(monkeypatch):
    """One step a call; without figures and the SavedModel, which take most of the time."""
    monkeypatch.setattr(artifacts, "_drawings", lambda *_: {})
    monkeypatch.setattr(export, "save_savedmodel", lambda *_: None)
    monkeypatch.setattr(session, "CALL_SECONDS", 0.0)


def test_streamed_records_train_and_resume_to_the_bit(folder, tmp_path, quick, monkeypatch):
    """As an uninterrupted run on arrays in memory in the same order."""
    monkeypatch.setattr(data, "IN_MEMORY_BYTES", 16 * 90)
    found = datasets.load(folder)
    with pytest.raises(Interrupted):
        cnnlab.train(str(folder), **QUICK, out=tmp_path / "run", reporter=Stop())
    run = cnnlab.train(str(folder), **QUICK, out=tmp_path / "run", resume=True)
    monkeypatch.undo()
    for module, name, value in (
        (artifacts, "_drawings", lambda *_: {}),
        (export, "save_savedmodel", lambda *_: None),
        (MemoryFeed, "order", lambda self, seed, epoch: buffered(found.train.files, 16, seed, epoch)),
    ):
        monkeypatch.setattr(module, name, value)
    held = datasets.Dataset(
        name="bands", train=Split(IMAGES[:38], LABELS[:38]), test=Split(IMAGES[38:], LABELS[38:]), class_names="abc"
    )
    whole = cnnlab.train(held, **QUICK, out=tmp_path / "held")
    assert [row["val_loss"] for row in run.history] == [row["val_loss"] for row in whole.history]
    trained = [keras.models.load_model(each.keras_path).get_weights() for each in (run, whole)]
    for one, other in zip(*trained, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("where", ["train", "test"])
def test_a_file_that_goes_while_it_is_streamed_is_told_in_its_own_words(where, tmp_path, quick, monkeypatch):
    monkeypatch.setattr(data, "IN_MEMORY_BYTES", 16 * 90)
    folder = write_records(tmp_path / "going")

    class Remove(Reporter):
        def started(self, *_):
            for file in folder.glob(f"{where}-*"):
                file.unlink()

    with pytest.raises(CnnlabError, match=rf"^there is no file .*{where}-0000\d-of-0000\d.tfrecord"):
        cnnlab.train(datasets.load(folder), **QUICK, out=tmp_path / "run", reporter=Remove())
