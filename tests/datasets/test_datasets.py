"""Datasets: MNIST byte for byte, every kind of file, and what is refused."""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab import __version__, datasets
from cnnlab.datasets import Dataset, Split, dataset, idx
from cnnlab.errors import CnnlabError, FailedError, UsageError
from cnnlab.files import reading

# Of the files that MNIST is published as, uncompressed.
PUBLISHED = {
    ("train", "images"): "6bbc9ace898e44ae57da46a324031adb",
    ("train", "labels"): "a25bea736e30d166cdddb491f175f624",
    ("test", "images"): "2646ac647ad5339dbf082846283269ea",
    ("test", "labels"): "27ae3e4e09519cfbb04c329615203637",
}


@pytest.fixture(scope="module")
def mnist():
    return datasets.load("mnist")


@pytest.mark.parametrize(("split", "part"), PUBLISHED)
def test_mnist_is_what_was_published_byte_for_byte(mnist, split, part):
    """Built here from the floats that users get, not from the files in the package."""
    found = mnist.split(split)
    if part == "labels":
        array = found.labels.astype(np.uint8)
    else:
        blocks = [found.batch(range(i, min(i + 5000, len(found)))) for i in range(0, len(found), 5000)]
        array = np.concatenate([np.rint(block[..., 0] * 255).astype(np.uint8) for block in blocks])
    header = np.array([0x0800 + array.ndim, *array.shape], ">u4").tobytes()
    assert hashlib.md5(header + array.tobytes()).hexdigest() == PUBLISHED[split, part]


def test_mnist_needs_no_pixels_until_somebody_looks(monkeypatch):
    read = []
    from cnnlab_mnist import data

    original = data.read
    monkeypatch.setattr(data, "_unpacked", functools.cache(lambda name: read.append(name) or original(name)))
    mnist = datasets.load("mnist")
    assert mnist.shape == (28, 28, 1)
    assert (len(mnist.train), len(mnist.test)) == (60_000, 10_000)
    assert not [name for name in read if "images" in name]
    for again in (mnist, datasets.load("mnist")):
        again.test.batch([0])
    assert [name for name in read if "images" in name] == ["t10k-images-idx3-ubyte"], "once, whoever loads them again"


@pytest.mark.parametrize("harm", [lambda data: data[:-1], lambda data: b"nothing", None])
def test_a_damaged_package_is_noticed(monkeypatch, tmp_path, harm):
    import lzma

    from cnnlab_mnist import data

    name = "t10k-labels-idx1-ubyte"
    content = (data.FOLDER / f"{name}.xz").read_bytes()
    other = lzma.compress(bytes(reversed(lzma.decompress(content))))
    (tmp_path / f"{name}.xz").write_bytes(harm(content) if harm else other)
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    with pytest.raises(CnnlabError, match="Install cnnlab again"):
        data.read(name)


def test_a_split_gives_floats_in_range_and_any_shape():
    grey = Split(np.array([[[0, 51, 255]]], np.uint8), [0])
    assert grey.shape == (1, 3, 1)
    np.testing.assert_array_equal(grey.batch([0])[0, 0, :, 0], np.float32([0, 0.2, 1]))
    colour = Split(np.full((2, 4, 5, 3), 65535, np.uint16), [0, 1])
    assert colour.images.shape == (2, 4, 5, 3)
    assert colour.images.dtype == np.float32
    assert colour.images.min() == 1
    assert colour.nbytes == colour.images.nbytes
    assert colour.batch([]).shape == (0, 4, 5, 3)


def test_the_digest_tells_data_apart():
    pixels = np.arange(2 * 4 * 4, dtype=np.uint8).reshape(2, 4, 4)
    digest = Split(pixels, [0, 1]).digest
    assert Split(pixels.copy(), np.array([0, 1], np.uint8)).digest == digest
    assert Split(pixels, [1, 0]).digest != digest
    assert Split(pixels[::-1], [0, 1]).digest != digest
    assert Split(pixels.reshape(2, 2, 8), [0, 1]).digest != digest


@pytest.mark.parametrize(
    ("pixels", "labels", "message"),
    [
        (np.zeros((2, 4), np.uint8), [0, 1], "[N, H, W, C]"),
        (np.zeros((2, 4, 4), np.int32), [0, 1], "uint8, uint16 or floats"),
        (np.zeros((2, 4, 4), np.uint8), [0], "one integer for each of the 2 images"),
        (np.zeros((2, 4, 4), np.uint8), [0.0, 1.0], "one integer for each"),
        (np.zeros((2, 4, 4), np.uint8), [0, -1], "counted from 0; received -1"),
    ],
)
def test_a_split_that_does_not_fit_together_is_refused(pixels, labels, message):
    with pytest.raises(CnnlabError) as refusal:
        Split(pixels, labels)
    assert message in str(refusal.value)


def test_a_dataset_that_does_not_fit_together_is_refused():
    small, large = Split(np.zeros((1, 4, 4), np.uint8), [0]), Split(np.zeros((1, 5, 4), np.uint8), [2])
    with pytest.raises(CnnlabError, match="4x4x1 and test images of 5x4x1"):
        Dataset(name="two", train=small, test=large, class_names=("a", "b", "c"))
    with pytest.raises(CnnlabError, match="label 2, but 2 class names"):
        Dataset(name="two", train=large, test=large, class_names=("a", "b"))


COLOUR = np.random.default_rng(0).integers(0, 256, (12, 6, 9, 3), dtype=np.uint8)
GREY = COLOUR[..., 0]
LABELS = np.arange(12) % 3


def save_npz(path: Path, images: np.ndarray, **more: np.ndarray) -> Path:
    arrays = {"x_train": images[:8], "y_train": LABELS[:8], "x_test": images[8:], "y_test": LABELS[8:]} | more
    np.savez(path, **arrays)
    return path


def save_idx(folder: Path, images: np.ndarray, zipped: bool) -> Path:
    folder.mkdir()
    rank = images.ndim
    for name, array in {
        f"train-images-idx{rank}-ubyte": images[:8],
        "train-labels-idx1-ubyte": LABELS[:8].astype(np.uint8),
        f"t10k-images-idx{rank}-ubyte": images[8:],
        "t10k-labels-idx1-ubyte": LABELS[8:].astype(np.uint8),
    }.items():
        content = idx.to_bytes(array)
        (folder / f"{name}{'.gz' * zipped}").write_bytes(gzip.compress(content) if zipped else content)
    return folder


def save_folder(folder: Path, images: np.ndarray, parts: bool) -> Path:
    for index, (image, label) in enumerate(zip(images, LABELS, strict=True)):
        inner = folder / ("train" if index < 8 else "test") if parts else folder
        (inner / "abc"[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(inner / "abc"[label] / f"{index:02}.png")
    return folder


@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("kind", ["npz", "idx", "idx.gz", "folder"])
def test_every_kind_of_file_gives_the_same_images(tmp_path, images, kind):
    match kind:
        case "npz":
            path = save_npz(tmp_path / "some.npz", images)
        case "folder":
            path = save_folder(tmp_path / "some", images, parts=True)
        case _:
            path = save_idx(tmp_path / "some", images, zipped=kind == "idx.gz")
    data = datasets.load(str(path))
    assert data.name == "some"
    assert data.shape == (6, 9, 3 if images.ndim == 4 else 1)
    for split, expected, labels in ((data.train, images[:8], LABELS[:8]), (data.test, images[8:], LABELS[8:])):
        turns = [int((labels[:index] == label).sum()) for index, label in enumerate(labels)]
        order = np.arange(len(labels)) if kind != "folder" else np.lexsort((labels, turns))
        np.testing.assert_array_equal(split.labels, labels[order])
        pixels = expected[order].reshape(len(labels), *data.shape).astype(np.float32) / np.float32(255)
        np.testing.assert_array_equal(split.batch(range(len(split))), pixels)
    assert data.class_names == (("a", "b", "c") if kind == "folder" else ("0", "1", "2"))


def test_a_folder_without_parts_is_all_training_images(tmp_path):
    data = datasets.load(save_folder(tmp_path / "plain", GREY, parts=False))
    assert (len(data.train), len(data.test)) == (12, 0)


def test_the_first_images_of_a_folder_are_of_every_class(tmp_path):
    for name, count in (("a", 5), ("b", 1), ("c", 3)):
        (tmp_path / "turns" / name).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(np.full((2, 3), 10 * index, np.uint8)).save(tmp_path / "turns" / name / f"{index}.png")
    data = datasets.load(tmp_path / "turns").train
    assert data.labels.tolist() == [0, 1, 2, 0, 2, 0, 2, 0, 0]
    np.testing.assert_allclose(data.images[:, 0, 0, 0] * 25.5, [0, 0, 0, 1, 1, 2, 2, 3, 4], atol=1e-5)


def test_class_folders_that_are_numbers_are_sorted_as_numbers(tmp_path):
    for name in ("10", "9", "0"):
        (tmp_path / "n" / name).mkdir(parents=True)
        Image.fromarray(GREY[0]).save(tmp_path / "n" / name / "x.png")
    assert datasets.load(tmp_path / "n").class_names == ("0", "9", "10")


def test_npz_takes_what_keras_stores(tmp_path):
    floats = (GREY / 255).astype(np.float64)
    path = save_npz(tmp_path / "d.npz", floats, y_train=LABELS[:8, None], class_names=np.array(["x", "y", "z"]))
    data = datasets.load(path)
    assert data.class_names == ("x", "y", "z")
    np.testing.assert_array_equal(data.train.batch([0])[0, ..., 0], floats[0].astype(np.float32))


def objects(path: Path) -> Path:
    wrapped = np.array([{}], dtype=object)
    np.savez(path / "o.npz", x_train=wrapped, y_train=wrapped, x_test=wrapped, y_test=wrapped)
    return path / "o.npz"


def cut_idx(path: Path) -> Path:
    folder = save_idx(path / "cut", GREY, zipped=False)
    file = folder / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-5])
    return folder


def no_labels(path: Path) -> Path:
    folder = save_idx(path / "half", GREY, zipped=False)
    (folder / "t10k-labels-idx1-ubyte").unlink()
    return folder


def other_size(path: Path) -> Path:
    folder = save_folder(path / "mixed", GREY, parts=False)
    Image.fromarray(COLOUR[0, :3]).save(folder / "a" / "small.png")
    return folder


def unknown_class(path: Path) -> Path:
    folder = save_folder(path / "extra", GREY, parts=True)
    (folder / "test" / "d").mkdir()
    Image.fromarray(GREY[0]).save(folder / "test" / "d" / "x.png")
    return folder


def written(name: str, content: bytes):
    def make(path: Path) -> Path:
        (path / name).write_bytes(content)
        return path / name

    return make


BAD = [
    (objects, "pickled"),
    (lambda path: save_npz(path / "n.npz", GREY / np.nan), "NaN or infinity"),
    (lambda path: save_npz(path / "n.npz", GREY.astype(np.float32)), "must lie in [0, 1]; received"),
    (lambda path: save_npz(path / "n.npz", GREY, y_train=LABELS[:7]), "8 images"),
    (lambda path: save_npz(path / "n.npz", GREY, y_train=LABELS[:8] - 1), "counted from 0"),
    (lambda path: save_npz(path / "n.npz", GREY, y_train=LABELS[:8] + 10**9), "labels are out of range"),
    (lambda path: save_npz(path / "n.npz", GREY, class_names=np.array(["x"])), "label 2, but 1 class names"),
    (lambda path: save_npz(path / "n.npz", GREY[:0], y_train=LABELS[:0], y_test=LABELS[:0]), "empty"),
    (written("x.npz", b"no zip"), "cannot be read"),
    (written("x.npz", b""), "cannot be read"),
    (written("x.txt", b"text"), "is no dataset"),
    (cut_idx, "is damaged: expected"),
    (no_labels, "no t10k-labels"),
    (other_size, "of one size"),
    (unknown_class, "class without training images"),
    (lambda path: path / "nowhere.npz", "no file or folder"),
    (lambda path: path, "is empty, or no dataset"),
]


@pytest.mark.parametrize(("make", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_data_gets_one_sentence(tmp_path, make, message):
    with pytest.raises(CnnlabError) as refusal:
        datasets.load(make(tmp_path))
    assert message in str(refusal.value)


def test_opening_pickled_objects_runs_none_of_their_code(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    np.savez(tmp_path / "trap.npz", x_train=np.array([Trap()], dtype=object), y_train=np.zeros(1, int))
    with pytest.raises(CnnlabError, match="pickled"):
        datasets.load(tmp_path / "trap.npz")
    assert not (tmp_path / "sprung").exists()


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UsageError, match="'mnist'"):
        datasets.load("mnits")
    with pytest.raises(UsageError, match="fashion_mnist"):
        datasets.load("keras:fashion_mnsit")


def test_a_dataset_that_keras_cannot_fetch_says_so(monkeypatch, tmp_path):
    import keras.datasets.fashion_mnist as module

    def unreachable():
        raise Exception("URL fetch failure on train-labels: None -- no route to host")

    monkeypatch.setattr(module, "load_data", unreachable)
    with pytest.raises(CnnlabError, match=r"keras:fashion_mnist could not be fetched: URL fetch failure.*network"):
        datasets.load("keras:fashion_mnist")


@pytest.mark.parametrize(("name", "shape"), [("fashion_mnist", (28, 28)), ("cifar10", (32, 32, 3))])
def test_keras_datasets_are_taken_as_keras_gives_them(monkeypatch, capsys, name, shape):
    import importlib

    module = importlib.import_module(f"keras.datasets.{name}")
    images = np.zeros((4, *shape), np.uint8)

    def fetched():
        print("Downloading data")
        return (images, np.array([[0], [9], [1], [2]])), (images[:1], np.array([[3]]))

    monkeypatch.setattr(module, "load_data", fetched)
    data = datasets.load(f"keras:{name}")
    assert data.train.labels.tolist() == [0, 9, 1, 2]
    assert data.shape[:2] == shape[:2]
    assert len(data.class_names) == 10
    assert capsys.readouterr().out == "", "stdout is for results"


@pytest.mark.parametrize("kind", ["<u1", "<i2", "<i4", "<f4", "<f8"])
def test_idx_bytes_and_back(tmp_path, kind):
    array = np.arange(24).reshape(2, 3, 4).astype(kind)
    (tmp_path / "a").write_bytes(idx.to_bytes(array))
    back = idx.read_array(tmp_path / "a")
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_the_command_lists_what_is_installed(command_line):
    status, out, _ = command_line("datasets")
    assert status == 0
    for words in ("mnist", "60,000", "10,000", "28x28x1", "LeCun", "CC BY-SA 3.0"):
        assert words in out
    (record,) = [r for r in json.loads(command_line("datasets", "--json")[1]) if r["name"] == "mnist"]
    assert record["class_names"] == list("0123456789")


def test_an_exported_image_is_the_image(command_line, tmp_path, mnist, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = command_line("datasets", "export", "mnist", "--index", "test:0", "7.png")
    assert status == 0, err
    assert "7.png" in out
    expected = np.rint(mnist.test.batch([0])[0, ..., 0] * 255)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "7.png")), expected)
    np.testing.assert_array_equal(np.asarray(Image.open(Path(__file__).parents[2] / "examples/7.png")), expected)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["mnist", "--index", "test:10000", "7.png"], 2, "0 to 9999"),
        (["mnist", "--index", "5", "7.png"], 2, "SPLIT:I"),
        (["mnist", "--index", "test:0", "7.xyz"], 2, "must end in"),
        (["minst", "--index", "test:0", "7.png"], 2, "'mnist'"),
    ],
)
def test_a_bad_export_is_refused(command_line, tmp_path, monkeypatch, words, status, message):
    monkeypatch.chdir(tmp_path)
    found, out, err = command_line("datasets", "export", *words)
    assert (found, out) == (status, "")
    assert message in err
    assert not list(tmp_path.iterdir())


# Parts of a split


def by_index(count: int = 20) -> Dataset:
    """A dataset whose pixels and labels say which image is which."""
    pixels = np.arange(count, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    train = Split(pixels, np.arange(count) % 4)
    return Dataset(name="count", train=train, test=train, class_names=tuple("abcd"))


@pytest.mark.parametrize(
    ("key", "wanted", "name"),
    [
        (slice(None, 5), range(5), "count/test[:5]"),
        (slice(5, 10), range(5, 10), "count/test[5:10]"),
        (slice(None, None, 6), [0, 6, 12, 18], "count/test[:19:6]"),
        (slice(30, 40), [], "count/test[:0]"),
        (7, [7], "count/test[7]"),
        (-1, [19], "count/test[19]"),
        (np.int64(3), [3], "count/test[3]"),
        (slice(np.int32(2), np.int64(4)), [2, 3], "count/test[2:4]"),
        ([18, 0], [18, 0], "count/test[18, 0]"),
        ([], [], "count/test[:0]"),
        (np.arange(20) % 4 == 1, [1, 5, 9, 13, 17], "count/test[1:18:4]"),
    ],
)
def test_a_part_of_a_split_is_a_split(key, wanted, name):
    part = by_index().test[key]
    assert (len(part), part.name) == (len(wanted), name)
    np.testing.assert_array_equal(np.rint(part.images[:, 0, 0, 0] * 255), list(wanted))
    assert part.labels.tolist() == [index % 4 for index in wanted]
    assert part.sources == [f"count/test:{index}" for index in wanted]
    assert not part.labels.flags.writeable


def test_a_part_of_a_part_knows_where_it_began():
    part = by_index().train[5:15][[2, 4]]
    assert part.sources == ["count/train:7", "count/train:9"]
    assert repr(part) == "Split(count/train[7, 9], 2 images of 2x2x1)"
    assert part.digest == Split(np.array([7, 9], np.uint8)[:, None, None] * np.ones((2, 2), np.uint8), [3, 1]).digest
    whole = Dataset(name="two", train=part, test=part, class_names=tuple("abcd"))
    assert whole.test.sources == ["two/test:0", "two/test:1"]


def test_a_part_reads_only_its_own_images():
    asked = []

    class Stored:
        shape, dtype = (1000, 2, 2), np.dtype(np.uint8)

        def __getitem__(self, indices):
            asked.extend(np.asarray(indices).tolist())
            return np.zeros((len(indices), 2, 2), np.uint8)

    part = Split(Stored(), np.zeros(1000, int))[500:600]
    assert asked == []
    part.batch(range(3))
    assert asked == [500, 501, 502]
    assert (part.name, part.sources[:2]) == ("", ["array:500", "array:501"])


@pytest.mark.parametrize("key", [20, -21, [3, 20]])
def test_an_image_that_is_not_there_is_an_index_error(key):
    with pytest.raises(IndexError, match=r"there is no image -?2[01] in Split\(count/test, 20 images of 2x2x1\); it"):
        by_index().test[key]
    assert len(list(by_index().test)) == 20, "a sequence ends with an IndexError"


@pytest.mark.parametrize("key", ["a", 1.5, True, None, [[1]], [True, False]])
def test_what_is_no_index_is_refused(key):
    with pytest.raises(UsageError, match="a split takes an index, a slice, a list of indices, or a mask of its 20"):
        by_index().test[key]


def test_a_split_is_an_array_to_numpy():
    assert np.asarray(by_index().test[:3]).shape == (3, 2, 2, 1)


def test_a_dataset_is_told_in_one_line(mnist):
    assert repr(mnist) == "Dataset(mnist, 60,000 training and 10,000 test images of 28x28x1, 10 classes)"
    assert repr(mnist.test[:1]) == "Split(mnist/test[0], 1 image of 28x28x1)"


def test_what_there_is_is_listed():
    assert dir(datasets) == ["Dataset", "DatasetSource", "Split", "load"]


# What would break


def saved(**arrays: np.ndarray):
    def make(path: Path) -> Path:
        return save_npz(path / "d.npz", GREY, **arrays)

    return make


def idx_of(name: str, content: bytes, zipped: bool = False):
    """A folder of good IDX files but for one."""

    def make(path: Path) -> Path:
        folder = save_idx(path / "bad", GREY, zipped)
        (folder / f"{name}{'.gz' * zipped}").write_bytes(gzip.compress(content) if zipped else content)
        return folder

    return make


def pipe_idx(path: Path) -> Path:
    folder = save_idx(path / "pipe", GREY, zipped=False)
    file = folder / "train-images-idx3-ubyte"
    file.unlink()
    os.mkfifo(file)
    return folder


def pipe_image(path: Path) -> Path:
    folder = save_folder(path / "pipe", GREY, parts=False)
    os.mkfifo(folder / "a" / "a.png")
    return folder


def header(kind: int, *sides: int) -> bytes:
    return bytes((0, 0, kind, len(sides))) + np.array(sides, ">u4").tobytes()


IMAGES, TEST_LABELS = "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (saved(x_train=np.array(7)), "received an array []"),
        (saved(y_train=np.array(7)), "one integer for each of the 8 images; received int64 []"),
        (saved(class_names=np.array("abc")), "class_names must be texts [K]; received <U3 []"),
        (saved(class_names=np.arange(3)), "class_names must be texts [K]; received int64 [3]"),
        (saved(class_names=np.array([b"\xff"])), "class_names must be texts in UTF-8"),
        (saved(y_train=np.full(8, 2**63, np.uint64)), "labels are numbers of classes; received 9223372036854775808"),
        (idx_of(IMAGES, header(8)), "it has 0 axes"),
        (idx_of(IMAGES, header(8, *[1] * 40)), "it has 40 axes"),
        (idx_of(IMAGES, header(8, 1, 2)[:-1]), "ends within its header"),
        (idx_of(IMAGES, header(8, 2**32 - 1, 2**32 - 1)), "unpacks to"),
        (idx_of(IMAGES, header(8, 8, 6, 9), zipped=True), "expected 432 bytes for [8, 6, 9], found 0"),
        (idx_of(IMAGES, header(8, 8, 6, 9) + b"\0" * 433), "expected 432 bytes for [8, 6, 9], found more"),
        (idx_of(IMAGES, header(8, 8, 6, 9) + b"\0" * 433, zipped=True), "found more"),
        (idx_of(IMAGES, idx.to_bytes(np.full((8, 6, 9), np.nan, np.float32))), "NaN or infinity"),
        (idx_of(TEST_LABELS, idx.to_bytes(np.zeros(4, np.float32))), "received float32 [4]"),
        (pipe_idx, "no train-images-idx3-ubyte"),
        (pipe_image, "a.png is a pipe"),
    ],
)
def test_what_would_break_a_reader_gets_one_sentence(tmp_path, make, message):
    with pytest.raises(CnnlabError) as refusal:
        datasets.load(str(make(tmp_path)))
    assert message in str(refusal.value)


def test_an_idx_file_is_unpacked_as_far_as_its_header_speaks(tmp_path, monkeypatch):
    folder = save_idx(tmp_path / "bomb", GREY, zipped=True)
    with gzip.open(folder / f"{IMAGES}.gz", "wb") as bomb:
        bomb.write(header(8, 1000, 100, 100) + b"\0" * 10_000_000)
    monkeypatch.setattr(reading, "FREE_BYTES", 1_000_000)
    with pytest.raises(CnnlabError, match=r"unpacks from [0-9.]+ kB to 10 MB, more than 100 times its size"):
        datasets.load(folder)
    with gzip.open(folder / f"{IMAGES}.gz", "wb") as bomb:
        bomb.write(header(8, 1, 1, 1) + b"\0" * 10_000_000)
    monkeypatch.setattr(idx, "_as_array", lambda content, *rest: pytest.fail(f"{len(content)} bytes"))
    with pytest.raises(pytest.fail.Exception, match="2 bytes"):
        datasets.load(folder)


def test_large_images_are_digested_a_few_at_a_time(monkeypatch):
    asked = []

    class Stored:
        shape, dtype = (10, 50, 50), np.dtype(np.uint8)

        def __getitem__(self, indices):
            asked.append(len(indices))
            return np.zeros((len(indices), 50, 50), np.uint8)

    split = Split(Stored(), np.zeros(10, int))
    monkeypatch.setattr(dataset, "BLOCK_BYTES", 4 * 50 * 50 * 4)
    digest = split.digest
    assert asked == [4, 4, 2]
    assert digest == Split(np.zeros((10, 50, 50), np.uint8), np.zeros(10, int)).digest


# What lies beside the images


def test_files_and_hidden_and_empty_folders_beside_the_classes_are_none(tmp_path):
    folder = save_folder(tmp_path / "some", GREY, parts=False)
    (folder / "notes.txt").write_text("mine")
    for name in (".thumbnails", "empty"):
        (folder / name).mkdir()
    Image.fromarray(GREY[0]).save(folder / ".thumbnails" / "x.png")
    (folder / "empty" / "x.txt").write_text("no image")
    found = datasets.load(folder)
    assert not {".thumbnails", "empty"} & set(found.class_names)
    assert len(found.train) == len(GREY)


def test_grey_files_among_those_in_colour_are_read_in_colour(tmp_path):
    colour = np.stack([GREY[0], GREY[1], GREY[2]], axis=-1)
    for name, pixels in (("a", GREY[0]), ("b", colour)):
        (tmp_path / "mixed" / name).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "mixed" / name / "x.png")
    found = datasets.load(tmp_path / "mixed").train
    read = np.rint(found.batch(range(2)) * 255).astype(np.uint8)
    np.testing.assert_array_equal(read[0], np.repeat(GREY[0][..., None], 3, axis=-1))
    np.testing.assert_array_equal(read[1], colour)


def test_idx_files_to_test_with_alone_are_no_dataset(tmp_path):
    folder = save_idx(tmp_path / "idx", GREY, zipped=False)
    for file in folder.glob("train-*"):
        file.unlink()
    with pytest.raises(CnnlabError, match=r"has no train-images-idx3-ubyte \(or \.gz\)"):
        idx.read(folder)


def test_idx_files_to_learn_from_alone_are_a_dataset(tmp_path):
    folder = save_idx(tmp_path / "idx", GREY, zipped=False)
    for file in folder.glob("t10k-*"):
        file.unlink()
    found = datasets.load(folder)
    assert (len(found.train) > 0, len(found.test)) == (True, 0)
    assert "<img" not in found.test._repr_html_()
    assert "<img" in found.train._repr_html_()


def missing():
    raise KeyError("boom")


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (lambda: [1, 2], "returned list where a cnnlab.plugin.Dataset was expected."),
        (missing, "failed: KeyError: 'boom'."),
        (lambda: sys.exit(3), "failed: SystemExit: 3."),
    ],
    ids=["another thing", "error", "leaves"],
)
def test_a_plugin_whose_dataset_cannot_be_loaded_is_named_with_its_version(monkeypatch, load, said):
    from cnnlab.datasets import loading

    monkeypatch.setattr(loading, "resolve", lambda reference: load)
    with pytest.raises(FailedError) as failure:
        datasets.load("mnist")
    assert str(failure.value).startswith(f"the dataset 'mnist' of cnnlab {__version__} {said} Please report it ")


def test_a_model_is_opened_though_what_it_learned_from_is_gone(tmp_path):
    from cnnlab.datasets.loading import trained_on
    from cnnlab.testing import FakeClassifier

    model = FakeClassifier.of_brightness()
    assert trained_on(model) is None
    model.dataset_name = str(tmp_path / "gone.npz")
    assert trained_on(model) is None
    model.dataset_name = str(save_npz(tmp_path / "there.npz", GREY))
    assert trained_on(model).name == "there"


def test_no_object_is_kept_for_a_file_of_a_folder(tmp_path):
    """In a process of its own, in which nothing else is made meanwhile."""
    for index in range(4000):
        (tmp_path / "ab"[index % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[index % 2] / f"{index:08}.png").touch()
    script = """
import gc, sys, tracemalloc
from cnnlab import datasets
from cnnlab.datasets import images

images.stored_shape = lambda file: (2, 3, 1)
datasets.load(sys.argv[1])
tracemalloc.start()
found = datasets.load(sys.argv[1])
gc.collect()
print(len(found.train), tracemalloc.get_traced_memory()[0])
"""
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True)
    count, kept = map(int, done.stdout.split())
    assert count == 4000
    assert kept / count < 80, "bytes: a path takes several hundred"
