"""Which processes work together: read from TF_CONFIG as people and Kubeflow write it, and from what SLURM tells."""

from __future__ import annotations

import itertools
import json

import pytest

from cnnlab.devices.cluster import PORT, Cluster, from_environment
from cnnlab.devices.replicas import Replicas
from cnnlab.errors import UsageError

WORKERS = ["a:1", "b:2", "c:3"]


def config(cluster, kind="worker", index=0):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


def test_workers_are_read_and_written_alike():
    found = from_environment(config({"worker": WORKERS}, index=2))
    assert found == Cluster(("a:1", "b:2", "c:3"), 2)
    assert from_environment({"TF_CONFIG": found.tf_config()}) == found


def test_a_chief_is_the_first_worker():
    jobs = {"chief": ["z:9"], "worker": WORKERS}
    assert from_environment(config(jobs, "chief")) == Cluster(("z:9", "a:1", "b:2", "c:3"), 0)
    assert from_environment(config(jobs, "worker", 1)) == Cluster(("z:9", "a:1", "b:2", "c:3"), 2)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"TF_CONFIG": ""},
        {"TF_CONFIG": "{}"},
        config({"worker": ["a:1"]}),
        {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
        {"SLURM_STEP_NUM_TASKS": "4"},
    ],
)
def test_a_process_may_work_alone(environment):
    assert from_environment(environment) is None


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"TF_CONFIG": "{"}, "describes no cluster"),
        ({"TF_CONFIG": "[]"}, "describes no cluster"),
        ({"TF_CONFIG": json.dumps({"cluster": {"worker": WORKERS}})}, r"describes no cluster \(KeyError: 'task'\)"),
        (config({"worker": "a:1"}), "received 'a:1'"),
        (config({"worker": ["a", "b"]}), r"host:port, received \['a', 'b'\]"),
        (config({"worker": WORKERS}, index=3), "worker 3 of 3"),
        (config({"worker": WORKERS}, index=-1), "worker -1 of 3"),
        (config({"worker": WORKERS, "ps": ["p:1"]}), "has the job 'ps'"),
        (config({"worker": WORKERS}, "evaluator"), "has the job 'evaluator'"),
        ({"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0"}, "no job step .KeyError: 'SLURM_STEP_NODELIST'"),
        (
            {
                "SLURM_STEP_NUM_TASKS": "2",
                "SLURM_PROCID": "x",
                "SLURM_STEP_NODELIST": "a",
                "SLURM_STEP_TASKS_PER_NODE": "2",
            },
            "no job step .ValueError",
        ),
    ],
)
def test_what_describes_no_cluster_is_said(environment, said):
    with pytest.raises(UsageError, match=said):
        from_environment(environment)


def test_slurm_numbers_its_tasks_node_by_node():
    environment = {
        "SLURM_STEP_NUM_TASKS": "5",
        "SLURM_PROCID": "3",
        "SLURM_STEP_NODELIST": "gpu[01-02],big",
        "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
    }
    places = ("gpu01", 0), ("gpu01", 1), ("gpu02", 0), ("gpu02", 1), ("big", 0)
    expected = tuple(f"{node}:{PORT + task}" for node, task in places)
    assert from_environment(environment) == Cluster(expected, 3)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 10])
def test_each_thing_is_in_one_share(count):
    things, found = list(range(count)), []
    for index in range(3):
        replicas = Replicas("cpu", cluster=Cluster(tuple(WORKERS), index))
        found.append(things[replicas.share(count)])
        assert replicas.is_chief == (index == 0)
    assert list(itertools.chain(*found)) == things
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_a_process_alone_has_everything():
    alone = Replicas("cpu")
    assert (alone.workers, alone.count, alone.is_chief, alone.share(5)) == (1, 1, True, slice(0, 5))
    assert alone.summed([1, 2]).tolist() == alone.of_chief([1, 2]).tolist() == [1.0, 2.0]
