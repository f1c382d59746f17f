"""The kinds of input, and how one of each is made: what is asked, in a folder of its own, and what it may write."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from fuzz import mutators, seeds
from fuzz.judge import Ask
from fuzz.seeds import Seeds

OUT = "out"
"""Where a command may write."""


@dataclass(frozen=True)
class Input:
    """One input.

    Attributes:
        ask: What is run.
        writes: What that may write, relative to the input's folder.
    """

    ask: Ask
    writes: tuple[str, ...] = (OUT,)


@dataclass(frozen=True)
class Target:
    """A kind of input.

    Attributes:
        make: Makes one in a folder.
        share: How many of ten thousand are of this kind.
        heavy: Whether it needs TensorFlow.
    """

    make: Callable[[random.Random, Path, Seeds], Input]
    share: int
    heavy: bool = False


def make(kind: str, number: int, seed: int, place: Path, good: Seeds) -> Input:
    """Make the input of that number in a new folder.

    Args:
        kind: Which of :data:`TARGETS`.
        number: Which input of that kind.
        seed: Another seed gives other inputs.
        place: The folder, which is emptied.
        good: What it is made from.
    """
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return TARGETS[kind].make(random.Random(f"{seed} {kind} {number}"), place, good)


def numbered(count: int) -> Iterator[tuple[str, int]]:
    """The kinds and numbers of so many inputs, what needs no TensorFlow first."""
    for kind, target in sorted(TARGETS.items(), key=lambda each: each[1].heavy):
        yield from ((kind, number) for number in range(max(1, round(count * target.share / 10_000))))


def _exported(source: Path, rng: random.Random) -> Input:
    """Ask for one image of a dataset, which reads it whole."""
    index = f"{rng.choice(('train', 'test'))}:{rng.choice((0, 0, 0, 1, 7, 11))}"
    return Input(["datasets", "export", str(source), "--index", index, "out.png"], ("out.png",))


def _image(rng: random.Random, place: Path, good: Seeds) -> Input:
    """A folder of images with a class each, one of them changed."""
    files = seeds.images()
    name, other = rng.choice(sorted(files)), rng.choice(sorted(files))
    content = files[name]
    for number, each in enumerate("ab"):
        (place / "images" / each).mkdir(parents=True)
        (place / "images" / each / f"{number}{Path(other).suffix}").write_bytes(files[other])
    strange = rng.choice((name, name, name, "line\nbreak.png", "\x1b[31m.png", "-x.jpg", "no\udcff.png"))
    changed = place / "images" / "a" / strange
    changed.write_bytes(mutators.of_bytes(rng, content))
    if rng.random() < 0.05:
        mutators.of_file(rng, changed)
    if rng.random() < 0.5:
        return _exported(place / "images", rng)

    def read() -> object:
        from cnnlab.datasets.images import read_image

        return read_image(changed, (8, 8, rng.choice((1, 3))))

    return Input(read)


def _npy(rng: random.Random, place: Path, good: Seeds) -> Input:
    """An image as an array, its header or its bytes changed."""
    (place / "x.npy").write_bytes(mutators.of_bytes(rng, seeds.npy()))

    def read() -> object:
        from cnnlab.datasets.images import read_image

        return read_image(place / "x.npy", (8, 8, 1))

    return Input(read)


def _npz(rng: random.Random, place: Path, good: Seeds) -> Input:
    """A dataset in one file."""
    path = place / rng.choice(("data.npz", "data.npz", "\x1b[31m.npz", "line\nbreak.npz"))
    path.write_bytes(mutators.of_npz(rng, seeds.arrays()))
    return _exported(path, rng)


def _idx(rng: random.Random, place: Path, good: Seeds) -> Input:
    """A dataset of IDX files."""
    import gzip

    folder = good.copy("idx", place / "idx")
    path = rng.choice(sorted(folder.iterdir()))
    if path.suffix == ".gz" and rng.random() < 0.7:
        path.write_bytes(gzip.compress(mutators.of_bytes(rng, gzip.decompress(path.read_bytes()))))
    else:
        mutators.of_folder(rng, folder, {})
    return _exported(folder, rng)


def _records(rng: random.Random, place: Path, good: Seeds) -> Input:
    """TFRecord files: the bytes of one changed, or a record in it, whose checksum holds."""
    import tensorflow as tf

    folder = good.copy("records", place / "records")
    path = rng.choice(sorted(folder.iterdir()))
    if rng.random() < 0.4:
        path.write_bytes(mutators.of_bytes(rng, path.read_bytes()))
        return _exported(folder, rng)
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    at = rng.randrange(len(records))
    if rng.random() < 0.5:
        records[at] = mutators.of_bytes(rng, records[at])
    else:
        example = tf.train.Example.FromString(records[at])
        mutators.of_message(rng, example)
        records[at] = example.SerializeToString()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return _exported(folder, rng)


def _run(rng: random.Random, place: Path, good: Seeds) -> Input:
    """Two runs, one of them changed: listed, and compared."""
    for name in ("one", "two"):
        for file in ("run.json", "history.csv", "checkpoint/settings.json"):
            (place / "runs" / name / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(good.kept("run") / file, place / "runs" / name / file)
    if rng.random() < 0.3:
        (place / "runs" / "one" / "run.json").unlink()
    mutators.of_folder(rng, place / "runs" / "one", {})
    compared = ["compare", "one", "two", "--out", "out.png"]
    resumed = ["train", "--resume", "--out", "runs/one", "--device", "gpu:7"]
    asks = (["runs"], ["runs", "--json"], compared, [*compared, "--json"], resumed)
    return Input(rng.choice(asks), ("out.png",))


def _result(rng: random.Random, place: Path, good: Seeds) -> Input:
    """A saved result, changed: read, drawn and compared."""
    good.copy("result", place / "result")
    good.copy("result", place / "other")
    mutators.of_folder(rng, place / "result", {"arrays.npz": _change_arrays})

    def read() -> object:
        from cnnlab.results import result

        loaded = result.Result.load(place / "result")
        return [loaded.figure(name) for name in loaded.drawings]

    return Input(rng.choice((read, ["compare", "result", "other", "--out", "out.png", "--json"])), ("out.png",))


def _verified(rng: random.Random, place: Path, good: Seeds) -> Input:
    """A saved result, changed, and verified."""
    good.copy("result", place / "result")
    good.copy("model.keras", place / "model.keras")
    mutators.of_folder(rng, place / "result", {"arrays.npz": _change_arrays})
    return Input(["verify", "result", "--model", "model.keras", *rng.choice(([], ["--json"]))])


def _change_arrays(rng: random.Random, path: Path) -> None:
    with np.load(path) as stored:
        arrays = dict(stored)
    path.write_bytes(mutators.of_npz(rng, arrays))


def _hints(rng: random.Random, place: Path, good: Seeds) -> Input:
    """What is remembered of a model, or the names of its classes."""
    said = (
        b'{"signature": "s", "output": "o", "input_range": [0, 255], "class_names": ["a"], "layout": "channels_last"}'
    )
    path = place / rng.choice(("cnnlab.json", "names.json", "names.txt"))
    content = {"names.json": b'["a", "b", "c"]', "names.txt": b"a\nb\nc\n"}.get(path.name, said)
    change = mutators.of_bytes if path.suffix == ".txt" else mutators.of_json_bytes
    path.write_bytes(change(rng, content))
    if rng.random() < 0.1:
        mutators.of_file(rng, path)

    def read() -> object:
        from cnnlab.classifier import hints

        return hints.recall(place) if path.name == "cnnlab.json" else hints.read_class_names(path)

    return Input(read)


def _noise(rng: random.Random, place: Path, good: Seeds) -> Input:
    """A saved noise."""
    path = place / "noise.npz"
    path.write_bytes(mutators.of_npz(rng, seeds.noise()))
    if rng.random() < 0.05:
        mutators.of_file(rng, path)

    def read() -> object:
        import importlib

        return importlib.import_module("cnnlab_noise_addition.apply").read(path, seeds.SHAPE)

    return Input(read)


def _applied(rng: random.Random, place: Path, good: Seeds) -> Input:
    """A saved noise, applied by the command."""
    good.copy("model.keras", place / "model.keras")
    good.copy("data.npz", place / "data.npz")
    (place / "noise.npz").write_bytes(mutators.of_npz(rng, seeds.noise()))
    return Input(
        ["analyze", "noise-addition", "--model", "model.keras", "--dataset", "data.npz", "--limit", "4", "--apply",
         "noise.npz", "--out", OUT]
    )  # fmt: skip


class _Variable:
    """As much of a variable as a checkpoint asks for."""

    def __init__(self, value: Any) -> None:
        self.value, self.shape = np.asarray(value), np.shape(value)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self.value, dtype)

    def assign(self, value: np.ndarray) -> None:
        self.value = value


def _checkpoint(rng: random.Random, place: Path, good: Seeds) -> Input:
    """What training goes on from, with variables in the place of a network's."""
    from cnnlab.training import checkpoint

    path, fresh = place / "state.npz", [_Variable(np.ones((2, 3), np.float32)), _Variable(np.int64(7))]
    row = {"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5, "seconds": 2.0}
    checkpoint.save(path, fresh, checkpoint.Position(epochs_done=1, step=2, seconds=0.5, history=[row]))
    with np.load(path) as stored:
        arrays = dict(stored)
    if rng.random() < 0.5:
        said = mutators.of_json_bytes(rng, arrays["position"].item().encode()).decode("utf-8", "replace")
        arrays["position"] = np.array(said)
        np.savez(path, **arrays)
    else:
        path.write_bytes(mutators.of_npz(rng, arrays))
    return Input(lambda: checkpoint.restore(path, fresh, epochs=3, steps=10))


def _resumed(rng: random.Random, place: Path, good: Seeds) -> Input:
    """An unfinished run, changed, and gone on with."""
    good.copy("unfinished", place / "run")
    mutators.of_folder(rng, place / "run", {"state.npz": _change_arrays})
    return Input(["train", "--resume", "--out", "run"], ("run",))


def _asked(rng: random.Random, model: str) -> list[str]:
    return rng.choice(
        (
            ["inspect", model], ["inspect", model, "--json"], ["summary", model],
            ["predict", "--model", model, "--image", "x.png", "--json"],
            ["evaluate", "--model", model, "--dataset", "data.npz", "--json"],
            ["analyze", "fgsm-untargeted", "--model", model, "--image", "x.png", "--out", OUT],
        )
    )  # fmt: skip


def _with_images(place: Path, good: Seeds) -> None:
    good.copy("data.npz", place / "data.npz")
    (place / "x.png").write_bytes(seeds.image("PNG", channels=1))


def _keras(rng: random.Random, place: Path, good: Seeds) -> Input:
    """A ``.keras`` file: its bytes, its members, or its configuration."""
    path = good.copy("model.keras", place / "m.keras")
    _with_images(place, good)
    path.write_bytes(mutators.of_zip(rng, path.read_bytes()))
    if rng.random() < 0.03:
        mutators.of_file(rng, path)
    return Input(_asked(rng, "m.keras"))


def _h5(rng: random.Random, place: Path, good: Seeds) -> Input:
    """An HDF5 file: its bytes, or the configuration in it."""
    import h5py

    path = good.copy("model.h5", place / "m.h5")
    _with_images(place, good)
    if rng.random() < 0.5:
        path.write_bytes(mutators.of_bytes(rng, path.read_bytes()))
    else:
        with h5py.File(path, "r+") as file:
            said = mutators.of_json_bytes(rng, file.attrs["model_config"].encode())
            file.attrs["model_config"] = np.bytes_(said.replace(b"\0", b"")[:60_000])
    return Input(_asked(rng, "m.h5"))


def _savedmodel(rng: random.Random, place: Path, good: Seeds) -> Input:
    """A SavedModel: a file of it, or a field of its graph."""
    good.copy("savedmodel", place / "m")
    _with_images(place, good)
    mutators.of_folder(rng, place / "m", {"saved_model.pb": _change_graph})
    return Input(_asked(rng, "m"))


def _change_graph(rng: random.Random, path: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for _ in range(rng.choice((1, 1, 2, 4))):
        mutators.of_message(rng, message)
    path.write_bytes(message.SerializeToString())


def _words(rng: random.Random, place: Path, good: Seeds) -> Input:
    """A command line of real options with values good and bad, that names files that are not there."""
    from cnnlab.cli import cli

    command, words = _command(rng, cli)
    options = [each for each in command.params if isinstance(each, click.Option)]
    for option in rng.sample(options, min(len(options), rng.choice((0, 1, 1, 2, 3, 6)))):
        words.append(rng.choice(option.opts + option.secondary_opts))
        if not option.is_flag or rng.random() < 0.03:
            words.append(_value(rng, option))
    if words[0] == "train":  # never a night of training
        words += ["--dataset", "nowhere", "--epochs", "1", "--limit", "8"]
    elif any("--model" in option.opts for option in options):
        words += ["--model", "nowhere"]
    words += [_value(rng, None) for each in command.params if isinstance(each, click.Argument) and rng.random() < 0.9]
    if rng.random() < 0.15:
        words.insert(rng.randrange(len(words) + 1), _value(rng, None))
    if words[:2] == ["plugins", "new"]:  # which writes where it is, and into it
        words += ["--out", OUT]
    return Input(words, (OUT, "out.png", "compare.png"))


def _command(rng: random.Random, group: click.Command) -> tuple[click.Command, list[str]]:
    words: list[str] = []
    context = click.Context(group)
    while isinstance(group, click.Group) and (names := group.list_commands(context)):
        words.append(
            rng.choice([name for name in names if name != "check"])
        )  # which runs tests, for as long as they take
        found = group.get_command(context, words[-1])
        if found is None:
            break
        group = found
    return group, words


def _value(rng: random.Random, option: click.Option | None) -> str:
    kind = option.type if option else None
    if isinstance(kind, click.Choice) and rng.random() < 0.7:
        return str(rng.choice(list(kind.choices)))
    if kind is not None and kind.name in ("integer", "float", "integer range", "float range") and rng.random() < 0.7:
        return str(rng.choice((1, 2, 0.5, 0, -1, 1e300, 10**30, "nan", "inf", "1e-400", "0x10", "1_000", "٣")))
    return str(
        rng.choice(
            ("mnist", "nowhere", "out", "", " ", "a\nb", "\x1b[31m", "é" * 100, "x" * 300, "..", "/dev/zero", "0:10",
             "all", "a=1", "accuracy=x", "--help", "-1", "1,2", "0,255", "imagenet", "%s", "\udcff", "test:0",
             "keras:none", "conv1", "min", "null", "[]", "1e999", "9" * 5000, "512M", "9999999999999999999G")
        )
    )  # fmt: skip


TARGETS = {
    "command lines": Target(_words, 1900),
    "images": Target(_image, 1500),
    "arrays": Target(_npy, 400),
    "npz": Target(_npz, 900),
    "idx": Target(_idx, 700),
    "runs": Target(_run, 1100),
    "results": Target(_result, 700),
    "hints": Target(_hints, 500),
    "records": Target(_records, 300, heavy=True),
    "noises": Target(_noise, 500, heavy=True),
    "checkpoints": Target(_checkpoint, 400),
    "verified": Target(_verified, 150, heavy=True),
    "applied": Target(_applied, 50, heavy=True),
    "resumed": Target(_resumed, 50, heavy=True),
    "keras": Target(_keras, 350, heavy=True),
    "h5": Target(_h5, 200, heavy=True),
    "savedmodels": Target(_savedmodel, 300, heavy=True),
}
"""The kinds of input; their shares come to ten thousand."""
