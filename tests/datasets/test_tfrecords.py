"""TFRecord files: which are of a dataset, what is in a record, and what is damaged."""

from __future__ import annotations

import io
import os
import struct
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cnnlab import datasets
from cnnlab.datasets import images, records, tfrecords
from cnnlab.errors import CnnlabError

RNG = np.random.default_rng(5)
GREY = RNG.integers(0, 256, (11, 6, 9), np.uint8)
COLOUR = RNG.integers(0, 256, (11, 6, 9, 3), np.uint8)
LABELS = np.arange(11) % 3


def encoded(image: np.ndarray, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, kind)
    return content.getvalue()


def example(**values: object) -> bytes:
    """An Example; two underscores stand for a slash."""
    import tensorflow as tf

    made = tf.train.Example()
    for name, value in values.items():
        feature = made.features.feature[name.replace("__", "/")]
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, bytes):
                feature.bytes_list.value.append(each)
            elif isinstance(each, float):
                feature.float_list.value.append(each)
            else:
                feature.int64_list.value.append(int(each))
    return made.SerializeToString()


def write(path: Path, contents: list[bytes], compressed: str = "") -> Path:
    import tensorflow as tf

    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), compressed) as writer:
        for content in contents:
            writer.write(content)
    return path


def labelled(pixels: np.ndarray = GREY, chosen: slice = slice(None)) -> list[bytes]:
    return [
        example(image=encoded(image), label=label) for image, label in zip(pixels[chosen], LABELS[chosen], strict=True)
    ]


def stored(image: np.ndarray, label: int, layout: str) -> bytes:
    height, width, depth = (*image.shape, 1)[:3]
    match layout:
        case "tfds":
            return example(image=encoded(image), label=label)
        case "slim":
            more = {"image__height": height, "image__width": width, "image__format": b"png"}
            return example(image__encoded=encoded(image), image__class__label=label, **more)
        case _:
            return example(height=height, width=width, depth=depth, image_raw=image.tobytes(), label=label)


@pytest.mark.parametrize("layout", ["tfds", "slim", "raw"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_the_usual_layouts_give_the_images_that_were_written(layout, pixels, tmp_path):
    made = [stored(image, label, layout) for image, label in zip(pixels, LABELS, strict=True)]
    write(tmp_path / "set" / "train-00000-of-00002.tfrecord", made[:4])
    write(tmp_path / "set" / "train-00001-of-00002.tfrecord", made[4:8])
    write(tmp_path / "set" / "test-00000-of-00001.tfrecord", made[8:])
    found = datasets.load(tmp_path / "set")
    assert (found.name, found.class_names, found.shape) == ("set", ("0", "1", "2"), (6, 9, pixels[..., None].shape[3]))
    for split, part in ((found.train, slice(8)), (found.test, slice(8, None))):
        np.testing.assert_array_equal(split.labels, LABELS[part])
        expected = pixels[part].reshape(-1, *found.shape).astype(np.float32) / np.float32(255)
        np.testing.assert_array_equal(split.images, expected)
        backwards = [1, -1, 0, 1]
        np.testing.assert_array_equal(split[backwards].batch(range(4)), expected[backwards])
    assert found.train[[6]].sources[0] == "set/train:6"
    assert (
        found.digest
        == datasets.Dataset(
            name="set",
            train=datasets.Split(pixels[:8].reshape(-1, *found.shape), LABELS[:8]),
            test=datasets.Split(pixels[8:].reshape(-1, *found.shape), LABELS[8:]),
            class_names=found.class_names,
        ).digest
    )


def test_grey_records_among_those_in_colour_are_read_in_colour(tmp_path):
    mixed = [example(image=encoded(COLOUR[0]), label=0), example(image=encoded(GREY[0]), label=1)]
    found = datasets.load(write(tmp_path / "mixed.tfrecord", mixed)).train
    read = np.rint(found.images * 255).astype(np.uint8)
    np.testing.assert_array_equal(read[0], COLOUR[0])
    np.testing.assert_array_equal(read[1], np.repeat(GREY[0][..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["a.tfrecord", "b.tfrecords", "c.tfrec"], {"train": [0, 1, 2]}),
        (["mnist-train.tfrecord-00000-of-00001", "mnist-test.tfrecord-00000-of-00001"], {"train": [0], "test": [1]}),
        (["train-00001-of-00002", "validation-00000-of-00001"], {"train": [0], "validation": [1]}),
        (["train/a.tfrecord", "val/a.tfrecord", "test/b.tfrecord"], {"train": [0], "validation": [1], "test": [2]}),
        (["notes.txt", "train-1.txt", "trained.tfrecordings", "other/a.tfrecord"], {}),
    ],
)
def test_what_files_are_for_is_told_by_their_names(names, parts, tmp_path):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert tfrecords.found(tmp_path) == {part: [tmp_path / names[i] for i in each] for part, each in parts.items()}


def test_files_to_validate_with_are_tested_with_where_no_others_are(tmp_path):
    write(tmp_path / "train.tfrecord", labelled(chosen=slice(6)))
    write(tmp_path / "validation.tfrecord", labelled(chosen=slice(6, None)))
    assert [len(split) for split in (datasets.load(tmp_path).train, datasets.load(tmp_path).test)] == [6, 5]
    write(tmp_path / "test.tfrecord", labelled(chosen=slice(2)))
    assert len(datasets.load(tmp_path).test) == 2
    write(tmp_path / "more.tfrecord", labelled())
    with pytest.raises(CnnlabError, match=r"more.tfrecord does not say what it is for"):
        datasets.load(tmp_path)


def test_a_file_is_a_dataset_by_itself(tmp_path):
    write(tmp_path / "test-00000-of-00001.tfrecord", labelled())
    (tmp_path / "label.labels.txt").write_text("ant\nbee\ncat\n")
    found = datasets.load(tmp_path / "test-00000-of-00001.tfrecord")
    assert (len(found.train), len(found.test), found.class_names) == (0, 11, ("ant", "bee", "cat"))


@pytest.mark.parametrize("text", ["ant\nbee\ncat", "0:ant\n1: bee\n2:cat\n"])
def test_class_names_lie_beside_the_records(text, tmp_path):
    write(tmp_path / "train.tfrecord", labelled())
    (tmp_path / "labels.txt").write_text(text)
    assert datasets.load(tmp_path).class_names == ("ant", "bee", "cat")
    (tmp_path / "labels.txt").write_text("ant\nbee\n")
    with pytest.raises(CnnlabError, match="has the label 2, but 2 class names"):
        datasets.load(tmp_path)


def test_a_version_is_no_name(tmp_path):
    write(tmp_path / "pets" / "1.0.0" / "pets-train.tfrecord-00000-of-00001", labelled())
    assert datasets.load(tmp_path / "pets" / "1.0.0").name == "pets"


IMAGE = encoded(GREY[0])


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ([], "there is no record in "),
        ([b"\xff\xffno message"], "record 0 of .* is no tf.train.Example"),
        (
            [example(picture=IMAGE, label=1)],
            "record 0 of .* lacks `image/encoded` or .*received the keys `label`, `p",
        ),
        ([example(image=IMAGE)], "lacks `image/class/label` or `label`"),
        ([example()], "received the keys none"),
        ([*labelled(), example(image=IMAGE)], "record 11 of .* has nothing under `label`; expected one whole number"),
        ([*labelled(), example(label=1)], "record 11 of .* has nothing under `image`; expected the bytes of one image"),
        ([example(image=IMAGE, label=1.0)], "has float_list of 1 under `label`; expected one whole number"),
        ([example(image=IMAGE, label=[1, 2])], "has int64_list of 2 under `label`"),
        ([example(image=[IMAGE, IMAGE], label=1)], "has bytes_list of 2 under `image`"),
        ([example(image=7, label=1)], "has int64_list of 1 under `image`"),
        ([example(image=b"words", label=1)], "record 0 of .* is not an image that can be read"),
        ([example(image=IMAGE[:20], label=1)], "record 0 of .* is (damaged|not an image)"),
        ([example(image=IMAGE, label=-1)], "record 0 of .* has the label -1 (.label.); labels are counted from 0"),
        ([example(image=IMAGE, label=2**40)], "labels are out of range"),
        (
            [*labelled(), example(image=encoded(GREY[0, :5]), label=1)],
            "record 11 of .* is 9x5 pixels and record 0 of .* is 9x6; the images of a dataset must be of one size",
        ),
        (
            [stored(GREY[0], 1, "raw"), example(height=6, width=9, image_raw=bytes(53), label=1)],
            "record 1 of .* has 53 bytes of pixels .`image_raw`.; expected 6 x 9 x 1",
        ),
    ],
)
def test_what_is_no_labelled_image_is_refused_in_a_sentence(contents, message, tmp_path):
    with pytest.raises(CnnlabError, match=message.replace("(.label.)", r"\(`label`\)")) as refusal:
        datasets.load(write(tmp_path / "train.tfrecord", contents))
    assert str(refusal.value).count("\n") == 0


def test_a_damaged_image_is_told_with_its_record_when_it_is_read(tmp_path):
    found = datasets.load(write(tmp_path / "train.tfrecord", [*labelled(), example(image=IMAGE[:60], label=1)])).train
    found.batch(range(11))
    with pytest.raises(CnnlabError, match=r"^record 11 of .*train.tfrecord is damaged"):
        found.batch([3, 11])


def cut(content: bytes) -> bytes:
    return content[:-7]


def changed(content: bytes) -> bytes:
    return content[:-30] + bytes([content[-30] ^ 1]) + content[-29:]


@pytest.mark.parametrize("harm", [cut, changed, lambda content: content + b"\x01"])
@pytest.mark.parametrize("at_once", [3, 32])
def test_a_damaged_file_is_told_with_its_record(harm, at_once, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "_AT_ONCE", at_once)
    file = write(tmp_path / "train.tfrecord", labelled())
    file.write_bytes(harm(file.read_bytes()))
    last = 11 if harm not in (cut, changed) else 10
    with pytest.raises(CnnlabError, match=f"^record {last} of .*train.tfrecord is damaged or cut off"):
        datasets.load(tmp_path)


def test_what_is_no_tfrecord_file_is_refused(tmp_path):
    (tmp_path / "train.tfrecord").write_bytes(b"nothing of the kind, but longer than a header")
    with pytest.raises(CnnlabError, match=r"record 0 of .* is damaged"):
        datasets.load(tmp_path)
    write(tmp_path / "train.tfrecord", labelled(), "GZIP")
    with pytest.raises(CnnlabError, match=r"is compressed.*gunzip"):
        datasets.load(tmp_path)


def claiming(length: int) -> bytes:
    """The header of a record that says it has so many bytes, with a checksum that holds (CRC-32C, masked)."""
    crc, header = 0xFFFFFFFF, struct.pack("<Q", length)
    for byte in header:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return header + struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


@pytest.mark.parametrize("length", [20, 2**40, 2**64 - 9])
def test_a_record_that_claims_more_than_there_is_takes_no_memory(length, tmp_path):
    file = write(tmp_path / "train.tfrecord", labelled())
    before = len(file.read_bytes())
    written = write(tmp_path / "other.tfrecord", [bytes(20)]).read_bytes()
    assert claiming(20) == written[:12]
    (tmp_path / "other.tfrecord").unlink()
    with file.open("ab") as opened:
        opened.write(claiming(length) + bytes(23))
    with pytest.raises(CnnlabError, match=r"^record 11 of .* is damaged or cut off: it is longer than what is left"):
        datasets.load(tmp_path)
    os.truncate(file, before)
    assert len(datasets.load(tmp_path).train) == 11


def test_a_record_larger_than_memory_should_hold_is_refused(tmp_path, monkeypatch):
    write(tmp_path / "train.tfrecord", labelled())
    monkeypatch.setattr(records, "MOST", 60)
    with pytest.raises(CnnlabError, match=r"record 0 of .* bytes, more than the 60 that are read"):
        datasets.load(tmp_path)


def test_a_file_that_changes_after_it_was_opened_is_noticed(tmp_path):
    file = write(tmp_path / "train.tfrecord", labelled())
    split, content = datasets.load(tmp_path).train, file.read_bytes()
    file.write_bytes(content[:-40])
    with pytest.raises(CnnlabError, match=r"record 10 of .* is cut off: the file has changed"):
        split.batch(range(11))
    write(file, [stored(GREY[0], 0, "raw")])
    split = datasets.load(tmp_path).train
    write(file, [stored(GREY[0].T, 0, "raw")])
    with pytest.raises(CnnlabError, match=r"record 0 of .* has changed since it was opened"):
        split.batch([0])
    write(file, [stored(np.zeros((8, 5), np.uint8), 0, "tfds")])
    split = datasets.load(tmp_path).train
    write(file, [stored(np.zeros((5, 8), np.uint8), 0, "tfds")])
    with pytest.raises(CnnlabError, match=r"record 0 of .* has changed: it was 5x8 pixels in grey and is 8x5"):
        split.batch([0])
    file.unlink()
    with pytest.raises(CnnlabError, match="there is no file"):
        split.batch([0])


@pytest.mark.parametrize("large", [0, 10**9])
def test_threads_decode_what_one_thread_does(large, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "LARGE", large)
    monkeypatch.setattr(images.os, "cpu_count", lambda: 3)
    found = datasets.load(write(tmp_path / "train.tfrecord", labelled(COLOUR)))
    np.testing.assert_array_equal(np.rint(found.train.images * 255).astype(np.uint8), COLOUR)
    broken = datasets.load(write(tmp_path / "b.tfrecord", labelled()))
    (tmp_path / "b.tfrecord").write_bytes(b"")
    with pytest.raises(CnnlabError, match="cut off"):
        broken.train.batch(range(11))


# TensorFlow Datasets


class Features:
    """No dictionary, though it looks like one."""

    def __init__(self, held: dict[str, object]) -> None:
        self._held = held

    def __getitem__(self, key: str) -> object:
        return self._held[key]

    def __iter__(self):
        return iter(self._held)


class Builder:
    """What of a tfds builder is asked for; it writes when it is told to prepare."""

    def __init__(self, folder: Path, **changed: object) -> None:
        self._folder = folder
        label = SimpleNamespace(names=["ant", "bee", "cat"])
        splits = {
            name: SimpleNamespace(filepaths=[str(folder / f"pets-{name}.tfrecord-00000-of-00001")])
            for name in ("train", "test")
        }
        facts = {
            "supervised_keys": ("photo", "kind"),
            "features": Features({"photo": object(), "kind": label}),
            "splits": splits,
            "full_name": "pets/1.0.0",
            "file_format": SimpleNamespace(value="tfrecord"),
        }
        self.info = SimpleNamespace(**(facts | changed))

    def download_and_prepare(self) -> None:
        print("Downloading")
        for name, split in self.info.splits.items():
            chosen = slice(8) if name == "train" else slice(8, None)
            made = [example(photo=encoded(i), kind=k) for i, k in zip(GREY[chosen], LABELS[chosen], strict=True)]
            write(Path(split.filepaths[0]), made)


@pytest.fixture
def tfds(monkeypatch):
    module = ModuleType("tensorflow_datasets")
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    return module


def test_a_dataset_of_tensorflow_datasets_is_read_from_its_files(tfds, tmp_path, capsys):
    asked = []
    tfds.builder = lambda name: asked.append(name) or Builder(tmp_path)
    found = datasets.load("tfds:pets/small:1.0.0")
    assert asked == ["pets/small:1.0.0"]
    assert (found.name, found.source) == ("tfds:pets/small:1.0.0", "tfds:pets/small:1.0.0")
    assert (found.class_names, len(found.train), len(found.test)) == (("ant", "bee", "cat"), 8, 3)
    np.testing.assert_array_equal(np.rint(found.test.images[..., 0] * 255).astype(np.uint8), GREY[8:])
    assert capsys.readouterr().out == ""


def test_without_the_package_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(CnnlabError, match=r"tfds:mnist needs .*pip install 'cnnlab\[tfds\]'"):
        datasets.load("tfds:mnist")


def test_what_cannot_be_fetched_is_told_in_a_sentence(tfds, tmp_path):
    def builder(name: str) -> None:
        raise ConnectionError("Failed to get url https://example.org.\nmany more lines")

    tfds.builder = builder
    with pytest.raises(CnnlabError, match=r"^tfds:pets cannot be had: Failed to get url .*network\?"):
        datasets.load("tfds:pets")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"supervised_keys": None}, "no dataset of images with one class each; it has kind, photo"),
        ({"features": Features({"photo": object(), "kind": object()})}, "no dataset of images with one class each"),
        ({"file_format": SimpleNamespace(value="array_record")}, "written as array_record; expected TFRecord files"),
    ],
)
def test_what_holds_no_labelled_images_is_refused(changed, message, tfds, tmp_path):
    tfds.builder = lambda name: Builder(tmp_path, **changed)
    with pytest.raises(CnnlabError, match=message):
        datasets.load("tfds:pets")
