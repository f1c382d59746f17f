"""The script and the manifest of docs/scaling.md: well-formed, and what they set is what cnnlab reads and takes."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import textwrap
from pathlib import Path, PurePosixPath

import pytest
import yaml

from cnnlab.cli.commands.train import train
from cnnlab.devices.cluster import PORT, Cluster, from_environment

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "scaling.md").read_text(encoding="utf-8")


def blocks(kind):
    return [textwrap.dedent(block) for block in re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)]


@pytest.fixture(scope="module")
def job():
    (text,) = blocks("yaml")
    return yaml.safe_load(text)


def options(words):
    """The values of the options of a `cnnlab train` command."""
    assert words[:2] == ["cnnlab", "train"]
    return train.make_context("train", list(words[2:])).params


def tf_config(job, index):
    """What Kubeflow's training operator gives to a pod of a TFJob that has several."""
    name, specs = job["metadata"]["name"], job["spec"]["tfReplicaSpecs"]
    (container,) = specs["Worker"]["template"]["spec"]["containers"]
    (port,) = [each["containerPort"] for each in container["ports"] if each["name"] == "tfjob-port"]
    cluster = {
        kind.lower(): [f"{name}-{kind.lower()}-{each}.default.svc:{port}" for each in range(spec["replicas"])]
        for kind, spec in specs.items()
    }
    return json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}, "environment": "cloud"})


def test_each_pod_of_the_manifest_finds_the_others(job):
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "TFJob")
    workers = tuple(f"cnnlab-worker-{index}.default.svc:2222" for index in range(4))
    for index in range(4):
        assert from_environment({"TF_CONFIG": tf_config(job, index)}) == Cluster(workers, index)


def test_the_pods_begin_or_go_on_in_a_folder_that_all_of_them_mount(job):
    pod = job["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["name"] == "tensorflow"  # as the operator wants it
    asked = options(container["command"])
    assert asked["resume"]
    mounted = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    claimed = {each["name"] for each in pod["volumes"] if "persistentVolumeClaim" in each}
    assert [name for name, path in mounted.items() if PurePosixPath(path) in PurePosixPath(asked["out"]).parents] == [
        *claimed
    ]


def test_the_script_is_one_and_its_tasks_find_each_other():
    (script,) = [block for block in blocks("bash") if block.startswith("#!/bin/bash")]
    assert subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True).stderr == ""
    wanted = dict(re.findall(r"(?m)^#SBATCH --([\w-]+)=(\S+)$", script))
    nodes, tasks = int(wanted["nodes"]), int(wanted["ntasks-per-node"])
    found = from_environment(
        {
            "SLURM_STEP_NUM_TASKS": str(nodes * tasks),
            "SLURM_STEP_NODELIST": f"node[1-{nodes}]",
            "SLURM_STEP_TASKS_PER_NODE": f"{tasks}(x{nodes})",
            "SLURM_PROCID": "3",
        }
    )
    assert found == Cluster(tuple(f"node{index}:{PORT}" for index in range(1, 5)), 3)
    (line,) = re.findall(r"(?m)^srun --kill-on-bad-exit=1 (.*)$", script)
    assert options(shlex.split(line))["resume"]


def test_what_is_typed_on_a_machine_in_the_cloud_is_taken():
    (line,) = [block for block in blocks("bash") if not block.startswith("#!/bin/bash")]
    asked = options(shlex.split(line))
    assert (asked["resume"], asked["device"]) == (True, "all")
