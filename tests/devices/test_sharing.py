"""Sharing out images: whoever computes which of them, all get what one alone would."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import cnnlab
from cnnlab.devices import sharing
from cnnlab.devices.cluster import Cluster
from cnnlab.devices.replicas import Replicas
from cnnlab.errors import CnnlabError

KINDS = ["<f4", "<f8", "<i8", "|b1", "|u1"]


class Together(Replicas):
    """A process among some that are threads here, and exchange what they hand in over a table."""

    def __init__(self, index, count, table):
        super().__init__("cpu", cluster=Cluster(tuple(f"w:{each}" for each in range(count)), index))
        object.__setattr__(self, "_table", table)

    def told(self, words):
        return self._table.exchange(self.index, words)

    def filled(self, values):
        stored = [np.frombuffer(each, np.uint8) for each in self._table.exchange(self.index, values.tobytes())]
        return np.bitwise_or.reduce(stored).view(values.dtype).reshape(values.shape)


class Table:
    def __init__(self, count):
        self.barrier, self.slots = threading.Barrier(count, timeout=20), [None] * count

    def exchange(self, index, what):
        self.slots[index] = what
        self.barrier.wait()
        found = list(self.slots)
        self.barrier.wait()
        return found


def in_threads(count, work):
    """Do the work in so many processes; return what each gives or raises."""
    table = Table(count)

    def one(index):
        with sharing.sharing(Together(index, count, table)):
            try:
                return work(index)
            except Exception as error:
                return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def of_numbers(start, stop):
    numbers = np.arange(start, stop)
    return {
        **{kind: (numbers[:, None] % 7 - 3 * (kind[1] in "if")).astype(kind) for kind in KINDS},
        "name": np.array([f"image {'x' * number}" for number in numbers], np.str_),
        "signed zero": np.where(numbers % 2, -0.0, np.nan),
    }


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == values.dtype, name
        assert found[name].tobytes() == values.tobytes(), name


@pytest.mark.parametrize("size", [1, 7, 16, 100])
@pytest.mark.parametrize("count", [1, 16, 40])
def test_blocks_are_joined_in_order(count, size):
    same(sharing.gather(count, size, of_numbers), of_numbers(0, count))


def test_of_no_images_the_shapes_are_known():
    assert sharing.gather(0, 5, of_numbers)["<f4"].shape == (0, 1)


@pytest.mark.parametrize("count", [1, 16, 17, 50])
def test_processes_get_what_one_finds(count):
    """Of few images some processes have no block, and learn from the others what arrays there are."""
    seen = [[] for _ in range(3)]

    def work(index):
        return sharing.gather(count, 20, lambda *block: seen[index].append(block) or of_numbers(*block))

    for found in in_threads(3, work):
        same(found, of_numbers(0, count))
    computed = sorted(block for each in seen for block in each)
    assert [number for start, stop in computed for number in range(start, stop)] == list(range(count))
    assert len([each for each in seen if each]) == min(3, max(1, count // 16))


def test_the_axis_of_the_images_may_be_any():
    def work(index=0):
        return sharing.gather(40, 8, lambda start, stop: {"at": np.arange(start, stop) + np.zeros((2, 1))}, axis=-1)

    expected = np.stack([np.arange(40.0)] * 2)
    for found in (work(), *in_threads(2, work)):
        np.testing.assert_array_equal(found["at"], expected)


def test_blocks_that_may_not_be_divided_begin_where_they_do_alone():
    blocks = []

    def compute(start, stop):
        blocks.append((start, stop))
        return {"at": np.arange(start, stop)}

    in_threads(2, lambda index: sharing.gather(100, 64, compute, divisible=False))
    assert sorted(blocks) == [(0, 64), (64, 100)]


@pytest.mark.parametrize(("error", "kind"), [(CnnlabError("no 33"), CnnlabError), (MemoryError("full"), MemoryError)])
def test_what_goes_wrong_in_one_process_is_said_in_all(error, kind):
    def work(index):
        def compute(start, stop):
            if start <= 33 < stop:
                raise error
            return of_numbers(start, stop)

        return sharing.gather(64, 16, compute)

    for found in in_threads(3, work):
        assert isinstance(found, kind)
        assert str(found) == str(error)


def test_inside_a_block_nothing_is_shared_out_further():
    def compute(start, stop):
        assert sharing.chosen().workers == 1
        return sharing.gather(stop - start, 1, lambda first, last: {"at": np.arange(start + first, start + last)})

    for found in in_threads(2, lambda index: sharing.gather(40, 40, compute)):
        np.testing.assert_array_equal(found["at"], np.arange(40))


def test_words_of_all_processes_are_known_to_all():
    assert in_threads(2, lambda index: sharing.all_of([f"of {index}"])) == [["of 0", "of 1"]] * 2
    assert sharing.all_of(["alone"]) == ["alone"]


def test_devices_compute_in_threads_and_the_first_error_is_raised():
    two = Replicas("cpu:2", devices=("CPU:0", "CPU:0"))
    threads, barrier = set(), threading.Barrier(2, timeout=20)

    def compute(start, stop):
        threads.add(threading.get_ident())
        if stop <= 32:
            barrier.wait()
        if start >= 32:
            raise CnnlabError(f"no {start}")
        return of_numbers(start, stop)

    with sharing.sharing(two):
        same(sharing.gather(32, 16, compute), of_numbers(0, 32))
        assert len(threads) == 2
        with pytest.raises(CnnlabError, match=r"no (32|48)"):
            sharing.gather(64, 16, compute)


def test_analyses_are_the_same_in_two_processes(tmp_path, together, model):
    """Of 40 images each process takes some."""
    drawn = np.random.default_rng(1).integers(0, 256, (40, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "noise.npz", x_train=drawn, y_train=np.arange(40) % 4, x_test=drawn, y_test=np.arange(40) % 4)
    words = ["analyze", "occlusion,fgsm-untargeted", "--model", model, "--trust", "--dataset", tmp_path / "noise.npz"]
    for done in together(2, "cnnlab", *words, "--out", tmp_path):
        assert done.returncode == 0, done.stderr
    for name in ("occlusion", "fgsm-untargeted"):
        alone = cnnlab.analyze(name, model, cnnlab.datasets.load(tmp_path / "noise.npz").test)
        same(cnnlab.Result.load(tmp_path / name).arrays, dict(alone.arrays))
