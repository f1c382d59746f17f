"""Changes to good input, each drawn from a seeded generator: the same seed and number make the same input."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

NUMBERS = (0, 1, -1, 2, 7, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 10**30)
VALUES: tuple[Any, ...] = (
    *(None, True, False, "", "x", "0", [], {}, [[]], {"": None}, 0.5, -0.0, 1e308, 1e-320, float("nan"), float("inf")),
    *NUMBERS,
    *("\x1b[31mred\x1b[0m", "line\nbreak", "\u202eright", "\ud800", "\0", "é" * 50, "x" * 5000, "../../up"),
    *("/etc/passwd", "<script>alert(1)</script>", "%s%n{}", "nan", "[]", [1, "two", None], {"name": "x"}, [0] * 300),
)  # fmt: skip


def of_bytes(rng: random.Random, content: bytes) -> bytes:
    """Flip, cut, double, insert or overwrite, once to a few times."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        _change(rng, data)
    return bytes(data)


def _change(rng: random.Random, data: bytearray) -> None:
    place = rng.randrange(len(data) + 1)
    end = min(len(data), place + rng.choice((1, 2, 4, 8, 64, 1024)))
    match rng.randrange(7):
        case 0 if place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        case 1 if place < len(data):
            data[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        case 2:
            del data[place:end]
        case 3:
            data[place:place] = data[place:end]
        case 4:
            data[place:place] = rng.randbytes(rng.choice((1, 4, 100)))
        case 5:
            number = rng.choice(NUMBERS) & 0xFFFFFFFF
            data[place : place + 4] = struct.pack(rng.choice(("<I", ">I")), number)
        case 6 if rng.random() < 0.5:
            del data[place:]


def of_json_bytes(rng: random.Random, content: bytes) -> bytes:
    """Change values, keys and types anywhere in a JSON tree; now and then its bytes, or its depth."""
    chance = rng.random()
    if chance < 0.1:
        return of_bytes(rng, content)
    if chance < 0.12:
        return b"[" * 100_000
    tree = json.loads(content)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        tree = _changed(rng, tree)
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def _changed(rng: random.Random, tree: Any) -> Any:
    every = list(_places(tree))
    if not every or rng.random() < 0.02:
        return rng.choice(VALUES)
    holder, key = rng.choice(every)
    value = holder[key]
    match rng.randrange(5):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[str(rng.choice(VALUES))] = holder.pop(key)
        case 2 if isinstance(value, int | float) and not isinstance(value, bool):
            holder[key] = rng.choice((-value, value + 1, value * 10**6, float(value), str(value), rng.choice(NUMBERS)))
        case 3:
            holder[key] = rng.choice(([value], {"x": value}, [value] * 3))
        case _:
            holder[key] = rng.choice(VALUES)
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every value within a tree, as what holds it and under which key."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from _places(tree[key])


def of_array(rng: random.Random, array: np.ndarray) -> np.ndarray:
    """Change its type, shape or values."""
    match rng.randrange(8):
        case 0:
            kinds = ("u1", "i8", "u8", "f2", "f4", "f8", "c8", "U3", "S2", "?", "M8[s]", "i4,f4", "f16", ">f4", ">u2")
            with np.errstate(all="ignore"):
                try:
                    return array.astype(rng.choice(kinds))
                except (ValueError, TypeError):
                    return array
        case 1:
            return array[..., None]
        case 2:
            return array.reshape(-1)[: rng.choice((0, 1, 2))]
        case 3:
            return np.array(rng.choice([value for value in VALUES if not isinstance(value, list | dict)]))
        case 4 if array.size and array.dtype.kind == "f":
            changed = array.copy()
            changed.reshape(-1)[rng.randrange(array.size)] = rng.choice((np.nan, np.inf, -1e30, 1e38, -0.0))
            return changed
        case 5 if array.size and array.dtype.kind in "iu":
            changed = array.copy()
            changed.reshape(-1)[rng.randrange(array.size)] = rng.choice((0, 1, 100, np.iinfo(array.dtype).max))
            return changed
        case 6:
            return np.array([{"an": "object"}], object)
        case _:
            return array.T if array.ndim > 1 else array.reshape(1, -1)


def of_npz(rng: random.Random, arrays: dict[str, np.ndarray]) -> bytes:
    """An ``.npz`` file of which an array, its header, its name or the archive is not as it should be."""
    arrays = dict(arrays)
    buffer = io.BytesIO()
    if rng.random() < 0.6:
        name = rng.choice(sorted(arrays))
        match rng.randrange(4):
            case 0:
                del arrays[name]
            case 1:
                arrays[rng.choice(sorted(arrays))] = arrays[name]
            case _:
                arrays[name] = of_array(rng, arrays[name])
        if rng.random() < 0.7:
            (np.savez_compressed if rng.random() < 0.5 else np.savez)(buffer, **arrays)
            return buffer.getvalue()
    np.savez(buffer, **arrays)
    return of_zip(rng, buffer.getvalue())


def of_zip(rng: random.Random, content: bytes) -> bytes:
    """An archive with a member changed, missing, renamed, twice there, packed otherwise; or its bytes changed."""
    if rng.random() < 0.3:
        return of_bytes(rng, content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(each.filename, archive.read(each)) for each in archive.infolist()]
    index = rng.randrange(len(members))
    name, data = members[index]
    match rng.randrange(8):
        case 0:
            del members[index]
        case 1:
            members[index] = (rng.choice(("../up", "/abs", "a/b/c", "x" * 300, "\n", "", f"{name}/")), data)
        case 2:
            members.append((name, of_bytes(rng, data)))
        case 3:
            members[index] = (name, b"")
        case _:
            change = of_json_bytes if name.endswith(".json") else of_bytes
            members[index] = (name, change(rng, data))
    buffer = io.BytesIO()
    packing = rng.choice((zipfile.ZIP_STORED, *[zipfile.ZIP_DEFLATED] * 3, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(buffer, "w", packing) as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two members of one name
        for each, inside in members:
            made.writestr(each or "x", inside)
    return buffer.getvalue()


def of_file(rng: random.Random, path: Path) -> None:
    """Take a file away, or put in its place what is none, or is no longer whole."""
    content = path.read_bytes()
    path.unlink()
    match rng.randrange(8):
        case 0:
            path.mkdir()
        case 1:
            os.mkfifo(path)
        case 2:
            path.symlink_to(path.name)
        case 3:
            path.symlink_to("/dev/zero")
        case 4:
            path.touch()
        case 5:
            path.write_bytes(content[: rng.randrange(len(content) + 1)])
        case 6:
            path.symlink_to("nowhere")
        case _:
            pass


def of_folder(rng: random.Random, folder: Path, special: dict[str, Callable[[random.Random, Path], None]]) -> None:
    """Change one file of a folder: by its name where ``special`` knows it, else its bytes; or :func:`of_file`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = rng.choice(files)
    if rng.random() < 0.12:
        of_file(rng, path)
        return
    change = special.get(path.name)
    if change is not None and rng.random() < 0.7:
        change(rng, path)
    elif path.suffix == ".json":
        path.write_bytes(of_json_bytes(rng, path.read_bytes()))
    else:
        path.write_bytes(of_bytes(rng, path.read_bytes()))


def of_message(rng: random.Random, message: Any) -> None:
    """Change a field somewhere in a protobuf message."""
    holders = [message]
    for _ in range(rng.randrange(1, 12)):
        inner = [value for field, value in holders[-1].ListFields() if _is_message(field)]
        if not inner:
            break
        chosen = rng.choice(inner)
        within = [chosen] if hasattr(chosen, "ListFields") else chosen.values() if hasattr(chosen, "values") else chosen
        items = [item for item in within if hasattr(item, "ListFields")]
        if not items:
            break
        holders.append(rng.choice(items))
    fields = holders[-1].ListFields()
    if not fields:
        return
    field, value = rng.choice(fields)
    holder = holders[-1]
    if isinstance(value, str | bytes | bool | int | float):
        setattr(holder, field.name, _scalar(rng, value))
    elif _is_message(field):
        holder.ClearField(field.name)
    elif len(value):
        index = rng.randrange(len(value))
        if rng.random() < 0.3:
            del value[index]
        else:
            value[index] = _scalar(rng, value[index])


def _is_message(field: Any) -> bool:
    return field.message_type is not None


def _scalar(rng: random.Random, value: Any) -> Any:
    if isinstance(value, bytes):
        return of_bytes(rng, value)
    if isinstance(value, str):
        return rng.choice((value + "x", "", "\x1b[31m", "line\nbreak", "WriteFile", "../up", value[::-1]))
    if isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return rng.choice((0.0, -1.0, 1e30, float("nan")))
    return rng.choice((0, 1, 2, 3, 7, 19, 100, 2**31 - 1)) if value >= 0 else 0
