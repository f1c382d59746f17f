import pytest
import tensorflow as tf

from cnnlab.devices.choice import use_devices
from cnnlab.devices.growth import grow_memory


@pytest.fixture
def asked(monkeypatch):
    """What was asked of two GPUs that are not there."""
    found = []
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [f"{kind}:0", f"{kind}:1"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, grows: found.append((gpu, grows)))
    return found


def test_all_gpus_are_asked_before_they_begin(monkeypatch, asked):
    begun = []
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: begun.append(list(asked)) or [])
    with use_devices("auto"):
        assert asked == [("GPU:0", True), ("GPU:1", True)]
    assert begun[0] == asked


def test_what_the_user_set_stays(monkeypatch, asked):
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
    grow_memory()
    assert asked == []


@pytest.mark.parametrize("error", [RuntimeError("they have begun"), ValueError("their memory was divided")])
def test_where_it_is_too_late_nothing_changes(monkeypatch, asked, error):
    def refused(gpu, grows):
        raise error

    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", refused)
    grow_memory()
