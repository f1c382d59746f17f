"""What there is to compute on, and why there is no GPU: each reason, and the table."""

from __future__ import annotations

import json

import pytest
import tensorflow as tf
from click.testing import CliRunner

from cnnlab.cli import cli
from cnnlab.devices import listing

BUILT = {"is_cuda_build": True, "cuda_version": "12.5.1", "cudnn_version": "9"}
LIBRARIES = ("libcudart.so.12", "libcublas.so.12", "libcudnn.so.9")


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Say what a machine has; by default all but a GPU."""

    def has(built=BUILT, driver="NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15\n", libraries=LIBRARIES):
        monkeypatch.setattr(tf.sysconfig, "get_build_info", lambda: built)
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
        monkeypatch.setattr(listing, "DRIVER", tmp_path / "version")
        if driver:
            (tmp_path / "version").write_text(driver)
        monkeypatch.setattr(listing, "_loads", lambda library: library in libraries)
        monkeypatch.setattr(listing, "find_spec", lambda name: None)
        return listing.listing()

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return has


def test_a_build_without_cuda(machine):
    found = machine(built={"is_cuda_build": False})
    assert "built without CUDA" in found.why
    assert found.tensorflow == f"{tf.__version__}, without CUDA"


@pytest.mark.parametrize("value", ["", "-1"])
def test_hidden_gpus(machine, monkeypatch, value):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert f"CUDA_VISIBLE_DEVICES is set to {value!r}" in machine().why


def test_no_driver(machine):
    found = machine(driver="")
    assert (found.driver, "no NVIDIA driver" in found.why) == ("", True)
    assert machine(driver="", libraries=(*LIBRARIES, "libcuda.so.1")).driver == "found, its version unknown"


def test_no_libraries(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    found = machine(libraries=LIBRARIES[:2])
    assert (found.driver, found.missing) == ("550.54.15", ("libcudnn.so.9",))
    assert found.why.startswith("the libraries libcudnn.so.9 cannot be loaded")


def test_nothing_that_could_be_seen_is_missing(machine):
    found = machine()
    assert (found.driver, found.missing) == ("550.54.15", ())
    assert "TF_CPP_MIN_LOG_LEVEL=0" in found.why


def test_a_gpu(machine, monkeypatch):
    machine()
    gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [gpu])
    details = {"device_name": "Some GPU", "compute_capability": (9, 0)}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: details)
    found = listing.listing()
    assert (found.devices["gpu:0"], found.why) == ("Some GPU, compute capability 9.0", "")


def test_the_command_tells_it_in_one_table(machine):
    machine(driver="")
    done = CliRunner().invoke(cli, ["devices"], env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    for words in ("cpu", "none: there is no NVIDIA driver", "built for CUDA 12.5.1", "CUDA libraries"):
        assert words in " ".join(done.output.split())
    said = json.loads(CliRunner().invoke(cli, ["devices", "--json"]).output)
    assert said["devices"]["cpu"]
    assert said["driver"] == ""
