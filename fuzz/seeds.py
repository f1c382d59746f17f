"""Good files of every kind, built by code in a folder, and built once: what the mutated ones begin with."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

SHAPE = (8, 8, 1)
CLASSES = 4


class Seeds:
    """The good files.

    Args:
        folder: Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def copy(self, name: str, to: Path) -> Path:
        """Copy a good file or folder."""
        kept = self.kept(name)
        return Path(shutil.copytree(kept, to) if kept.is_dir() else shutil.copy(kept, to))

    def kept(self, name: str) -> Path:
        """Return where a good file or folder is kept; the first time, make it."""
        kept = self._folder / name
        if not kept.exists():
            beside = self._folder / f"making-{name}"
            if beside.exists():
                shutil.rmtree(beside) if beside.is_dir() else beside.unlink()
            MAKERS[name](beside, self)
            beside.rename(kept)
        return kept


def pixels(count: int = 12, channels: int = 1) -> np.ndarray:
    """Images uint8 [count, 8, 8] or [count, 8, 8, 3] that say which class they are of."""
    drawn = np.random.default_rng(0).integers(0, 60, (count, 8, 8, channels), dtype=np.uint8)
    for index in range(count):
        drawn[index, 2 * (index % CLASSES) : 2 * (index % CLASSES) + 2] += 180
    return drawn[..., 0] if channels == 1 else drawn


def labels(count: int = 12) -> np.ndarray:
    """The classes of these."""
    return (np.arange(count) % CLASSES).astype(np.uint8)


def arrays() -> dict[str, np.ndarray]:
    """A dataset in Keras' layout."""
    return {
        "x_train": pixels(), "y_train": labels(), "x_test": pixels(8), "y_test": labels(8),
        "class_names": np.array(["a", "b", "c", "d"]),
    }  # fmt: skip


def noise() -> dict[str, np.ndarray]:
    """A saved noise."""
    drawn = np.random.default_rng(1).normal(0, 0.1, SHAPE).astype(np.float32)
    return {"noise": drawn, "noise_target": np.int64(2), "noise_bounds": np.array([0.0, 1.0])}


def image(format: str, **options: object) -> bytes:
    """An image file, grey or in colour, of 8 or 16 bits, with transparency or a palette."""
    channels = options.pop("channels", 3)
    picture = Image.fromarray(pixels(1, 1 if channels == 1 else 3)[0])
    if options.pop("transparent", False):
        picture = picture.convert("RGBA")
        picture.putalpha(Image.fromarray(pixels(1)[0]))
    if options.pop("palette", False):
        picture = picture.quantize(8)
    if options.pop("deep", False):
        picture = Image.fromarray(pixels(1)[0].astype(np.uint16) * 257)
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def images() -> dict[str, bytes]:
    """Image files of every kind that is read, by their names."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "grey.png": image("PNG", channels=1), "colour.png": image("PNG"), "clear.png": image("PNG", transparent=True),
        "deep.png": image("PNG", deep=True), "palette.png": image("PNG", palette=True),
        "turned.png": image("PNG", exif=exif),
        "photo.jpg": image("JPEG", exif=exif), "progressive.jpg": image("JPEG", progressive=True),
        "plain.bmp": image("BMP"), "plain.tif": image("TIFF"), "packed.tif": image("TIFF", compression="tiff_lzw"),
        "zip.tif": image("TIFF", compression="tiff_adobe_deflate"), "deep.tif": image("TIFF", deep=True),
        "jpeg.tif": image("TIFF", compression="jpeg"), "lossy.webp": image("WEBP"),
        "lossless.webp": image("WEBP", lossless=True, transparent=True), "palette.gif": image("GIF", palette=True),
    }  # fmt: skip


def npy() -> bytes:
    """An image as an array."""
    buffer = io.BytesIO()
    np.save(buffer, pixels(1)[0])
    return buffer.getvalue()


def _npz(path: Path, seeds: Seeds) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays())


def _idx(path: Path, seeds: Seeds) -> None:
    from cnnlab.datasets.idx import to_bytes

    path.mkdir()
    for name, array in {
        "train-images-idx3-ubyte": pixels(), "train-labels-idx1-ubyte": labels(),
        "t10k-images-idx3-ubyte": pixels(8), "t10k-labels-idx1-ubyte": labels(8),
    }.items():  # fmt: skip
        content = to_bytes(array)
        if "t10k" in name:
            (path / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (path / name).write_bytes(content)


def _records(path: Path, seeds: Seeds) -> None:
    import tensorflow as tf

    path.mkdir()
    for name, count in (("train", 12), ("test", 8)):
        with tf.io.TFRecordWriter(str(path / f"{name}-00000-of-00001.tfrecord")) as writer:
            for image, label in zip(pixels(count), labels(count), strict=True):
                held = {"image": tf.io.encode_png(image[..., None]).numpy()} if name == "train" else {
                    "image_raw": image.tobytes(), "height": 8, "width": 8,
                }  # fmt: skip
                made = tf.train.Example()
                for key, value in {**held, "label": int(label)}.items():
                    feature = made.features.feature[key]
                    (feature.bytes_list if isinstance(value, bytes) else feature.int64_list).value.append(value)
                writer.write(made.SerializeToString())


def _noise(path: Path, seeds: Seeds) -> None:
    with path.open("wb") as file:
        np.savez(file, **noise())


def _run(path: Path, seeds: Seeds) -> None:
    """A network trained for two epochs, by the library."""
    import cnnlab
    from cnnlab import datasets

    digits = datasets.load("mnist")
    small = datasets.Dataset(
        name="small", train=digits.train[:64], test=digits.test[:32], class_names=digits.class_names, source="mnist"
    )
    cnnlab.train(small, epochs=2, batch_size=32, out=path)
    record = json.loads((path / "run.json").read_text())
    record["dataset"]["source"] = "mnist"
    (path / "run.json").write_text(json.dumps(record))


def _unfinished(path: Path, seeds: Seeds) -> None:
    """A run on digits beside it, whose last epoch is done and whose files are not written."""
    import cnnlab
    from cnnlab.training import Interrupted, Reporter

    class Stopping(Reporter):
        def stage(self, name: str) -> None:
            if name == "Drawing and saving":
                raise Interrupted("stopped")

    home = path.parent / "home"
    home.mkdir(exist_ok=True)
    with (home / "digits.npz").open("wb") as file:
        wide = np.kron(pixels(), np.ones((4, 4), np.uint8))[:, :28, :28]
        np.savez(file, x_train=wide, y_train=labels(), x_test=wide[:8], y_test=labels(8))
    before = os.getcwd()
    os.chdir(home)
    try:
        cnnlab.train("digits.npz", epochs=1, batch_size=4, out=path, reporter=Stopping())
    except BaseException:  # an Interrupted is a KeyboardInterrupt
        if not (path / "checkpoint" / "state.npz").exists():
            raise
    finally:
        os.chdir(before)


def _model():
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(2, 3, activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(CLASSES, activation="softmax", name="scores"),
        ]
    )


def _keras(path: Path, seeds: Seeds) -> None:
    beside = path.with_suffix(".made.keras")
    _model().save(beside)
    beside.rename(path)


def _h5(path: Path, seeds: Seeds) -> None:
    beside = path.with_suffix(".made.h5")
    _model().save(beside)
    beside.rename(path)


def _savedmodel(path: Path, seeds: Seeds) -> None:
    _model().export(path, verbose=False)


def _result(path: Path, seeds: Seeds) -> None:
    """A result of an attack, so that there are claims and images."""
    import cnnlab

    model = seeds.copy("model.keras", path.parent / "for-result.keras")
    values = pixels(3)[..., None].astype(np.float32) / 255
    cnnlab.analyze("fgsm-untargeted", model=model, images=values, labels=labels(3).astype(int), epsilon=[0.1]).save(
        path
    )


MAKERS: dict[str, Callable[[Path, Seeds], None]] = {
    "data.npz": _npz, "idx": _idx, "records": _records, "noise.npz": _noise, "run": _run, "unfinished": _unfinished,
    "model.keras": _keras, "model.h5": _h5, "savedmodel": _savedmodel, "result": _result,
}  # fmt: skip
