"""Choosing what to compute on: what cannot be is said."""

from __future__ import annotations

import pytest
import tensorflow as tf

from cnnlab.devices.choice import use_strategy
from cnnlab.devices.cluster import Cluster
from cnnlab.errors import CnnlabError, UsageError

TWO = Cluster(("127.0.0.1:1", "127.0.0.1:2"), 1).tf_config()


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)


def used(name):
    with use_strategy(name) as replicas:
        return replicas.name, replicas.count


@pytest.mark.parametrize("name", ["cpu", "CPU ", "cpu:1"])
def test_one_device(name):
    assert used(name) == ("cpu", 1)


@pytest.mark.parametrize("name", ["", "tpu", "cpu:", "cpu:x", "gpu:x", "all:2"])
def test_other_words_are_refused(name):
    with pytest.raises(UsageError, match=f"device must be .*; received {name}"):
        used(name)


@pytest.mark.parametrize("name", ["cpu:0", "cpu:65"])
def test_so_many_devices_are_refused(name):
    with pytest.raises(UsageError, match=rf"device must be cpu:1 to cpu:64 .* received {name}"):
        used(name)


def test_the_cpu_is_not_split_when_tensorflow_has_begun():
    tf.constant(1)
    with pytest.raises(CnnlabError, match="cannot become 9 devices any more: TensorFlow has begun in this process"):
        used("cpu:9")


def test_in_a_cluster_a_process_has_its_own_devices(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", TWO)
    with pytest.raises(UsageError, match="where several processes work together; received cpu:2"):
        used("cpu:2")
    with pytest.raises(UsageError, match="device must be auto, all, cpu, cpu:2 or gpu:0"):
        used("tpu")
    if not tf.config.list_physical_devices("GPU"):
        with pytest.raises(CnnlabError, match="TensorFlow sees 0 GPUs"):
            used("gpu:1")
