"""Reading files that anybody may have made: regular files only, and nothing unpacked whose size is not known before."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import math
import os
import stat
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

from cnnlab.errors import CnnlabError
from cnnlab.words import shortened

if TYPE_CHECKING:
    import numpy as np

MEMORY_SHARE = 0.5
"""What a file holds may fill this share of the memory and no more: it is copied before anything is computed."""

FREE_BYTES = 256 * 2**20
MOST_PACKED = 100
"""What unpacks to more than :data:`FREE_BYTES` and to more than this many times the size of its file was made to fill
the memory: photographs are packed to a half, handwritten digits to a fifth."""

MOST_TEXT = 64 * 2**20
"""Bytes of the longest text, JSON or table that is read."""

_LONGEST = 300
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device", stat.S_IFBLK: "device",
}  # fmt: skip
_STORED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 0x1
_MEMBER_KINDS = "biufcSU"
_PICKLED = (
    "{} holds pickled Python objects, which can run code when they are opened; cnnlab opens arrays of numbers only. "
    "Save it again with arrays of uint8 or float32."
)


def check_regular(path: str | os.PathLike[str]) -> Path:
    """Refuse what is no file: a folder; a pipe, a socket or a device, which may never end; a link that leads nowhere.

    Args:
        path: The file.

    Returns:
        It, as a Path.

    Raises:
        CnnlabError: There is no such file, or it is of another kind.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise CnnlabError(f"there is no file {path}.") from None
    except (OSError, ValueError) as error:
        _refuse_to_read(path, error)
    if not stat.S_ISREG(mode):
        raise CnnlabError(f"{path} is a {kind_of(mode)}, where a file was expected.")
    return path


@contextlib.contextmanager
def open_regular(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a regular file for reading.

    Args:
        path: The file.

    Raises:
        CnnlabError: There is no such file, it is of another kind, or it may not be read.
    """
    path = check_regular(path)
    try:
        file = path.open("rb")
    except OSError as error:
        _refuse_to_read(path, error)
    with file:
        yield file


def read_bytes(path: str | os.PathLike[str], most: int = MOST_TEXT) -> bytes:
    """Read a regular file whole.

    Args:
        path: The file.
        most: How many bytes it may have.

    Raises:
        CnnlabError: It cannot be read, or is longer.
    """
    with open_regular(path) as file:
        try:
            content = file.read(most + 1)
        except OSError as error:
            _refuse_to_read(Path(path), error)
    if len(content) > most:
        raise CnnlabError(f"{path} is larger than the {in_bytes(most)} that cnnlab reads of such a file.")
    return content


def read_text(path: str | os.PathLike[str], most: int = MOST_TEXT) -> str:
    """Read a regular file of UTF-8.

    Args:
        path: The file.
        most: How many bytes it may have.

    Raises:
        CnnlabError: It cannot be read, is longer, or is no UTF-8.
    """
    try:
        return read_bytes(path, most).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CnnlabError(f"{path} is no text in UTF-8: {error.reason} at byte {error.start}.") from None


def read_json(path: str | os.PathLike[str], most: int = MOST_TEXT) -> Any:
    """Read a regular file of JSON.

    Args:
        path: The file.
        most: How many bytes it may have.

    Raises:
        CnnlabError: It cannot be read, is longer, is no JSON, or holds what no JSON holds (NaN, half a character).
    """
    text = read_text(path, most)
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise CnnlabError(f"{path} is no JSON: it holds half of a character (a lone surrogate).") from None
    except RecursionError:
        raise CnnlabError(f"{path} is no JSON that cnnlab reads: it is nested too deeply.") from None
    except ValueError as error:
        raise CnnlabError(f"{path} is no JSON: {error}.") from None
    return value


def read_npz(
    path: str | os.PathLike[str], names: Sequence[str] | None = None, *, needed: Sequence[str] = (), expected: str = ""
) -> dict[str, np.ndarray]:
    """Read arrays of an ``.npz`` file. Nothing in it is ever unpickled, and nothing unpacked that fills the memory.

    Args:
        path: The file.
        names: What is read, where the file holds it; other arrays are not looked at. None for all.
        needed: Those among them without which the file is of no use.
        expected: What the file should hold, for the message that one of these is missing; by default their names.

    Raises:
        CnnlabError: There is no such file, it is damaged, an array of these names holds Python objects (which could
            run code), one that is needed is missing, or they are too large: together more than half of the memory, or
            more than 256 MB and 100 times the size of the file.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(Path(folder) / "data.npz", x=np.zeros(3), y=np.ones(3))
        ...     read_npz(Path(folder) / "data.npz", ["x"], needed=["x"])["x"].tolist()
        [0.0, 0.0, 0.0]
    """
    path = Path(path)
    with open_regular(path) as file:
        if not zipfile.is_zipfile(file):
            raise CnnlabError(f"{path} cannot be read as an .npz file: it is no zip archive, or it is damaged.")
        packed = os.fstat(file.fileno()).st_size
        try:
            with zipfile.ZipFile(file) as archive:
                members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
                chosen = {name: members[name] for name in (members if names is None else names) if name in members}
                check_unpacked(path, sum(member.file_size for member in chosen.values()), packed)
                arrays = {name: _read_member(archive, member, path) for name, member in chosen.items()}
        except CnnlabError:
            raise
        except Exception as error:  # zipfile and zlib raise what they run into
            raise CnnlabError(f"{path} cannot be read as an .npz file: {_said(error)}.") from error
    for name in needed:
        if name not in arrays:
            expected = expected or ", ".join(needed)
            found = ", ".join(sorted(members)) or "nothing"
            raise CnnlabError(f"{path} has no {name}: expected {expected}, found {found}.")
    return arrays


def read_npy(path: str | os.PathLike[str]) -> np.ndarray:
    """Read the array of an ``.npy`` file. Nothing in it is ever unpickled.

    Args:
        path: The file.

    Raises:
        CnnlabError: There is no such file, it is damaged, holds Python objects, or is too large for the memory.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        check_unpacked(Path(path), size, size)
        try:
            return _read_array(io.BytesIO(file.read(size)), size, Path(path), "it")
        except CnnlabError:
            raise
        except Exception as error:  # NumPy raises what its parser of headers runs into
            raise CnnlabError(f"{path} cannot be read as an array: {_said(error)}.") from error


def check_unpacked(path: Path, unpacked: int, packed: int) -> None:
    """Refuse a file that would fill the memory, before it is unpacked.

    Args:
        path: The file.
        unpacked: Bytes that it unpacks to.
        packed: Bytes of the file itself.

    Raises:
        CnnlabError: It unpacks to more than half of the memory, or to more than 256 MB and 100 times its size.
    """
    most = int(memory() * MEMORY_SHARE)
    if unpacked > most:
        raise CnnlabError(
            f"{path} unpacks to {in_bytes(unpacked)}, and cnnlab reads at most half of this machine's memory, "
            f"{in_bytes(most)}. Split it into smaller files, or use a machine with more memory."
        )
    if unpacked > max(FREE_BYTES, MOST_PACKED * packed):
        raise CnnlabError(
            f"{path} unpacks from {in_bytes(packed)} to {in_bytes(unpacked)}, more than {MOST_PACKED} times its size, "
            "as a file does that was made to fill the memory. If it is your own, store it uncompressed."
        )


@functools.cache
def memory() -> int:
    """Return the bytes of memory that this process may use: the machine's, or the limit of its control group."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # no POSIX system: as much as a small machine has
        found = 8 * 2**30
    for limit in map(Path, _LIMITS):
        with contextlib.suppress(OSError, ValueError):
            found = min(found, int(limit.read_text()))
    return found


def in_bytes(count: int) -> str:
    """Write a number of bytes.

    >>> in_bytes(812), in_bytes(1_500_000), in_bytes(8 * 10**21)
    ('812 bytes', '1.5 MB', '8,000,000,000 TB')
    """
    if count < 1000:
        return f"{count} bytes"
    unit = next((power for power in (1, 2, 3) if count < 1000 ** (power + 1)), 4)
    value = count / 1000**unit
    return f"{value:.1f} {'kMGT'[unit - 1]}B" if value < 10 else f"{value:,.0f} {'kMGT'[unit - 1]}B"


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> np.ndarray:
    if member.flag_bits & _ENCRYPTED:
        raise ValueError(f"{member.filename} is encrypted")
    if member.compress_type not in _STORED:
        raise ValueError(f"{member.filename} is packed in another way than NumPy packs arrays")
    with archive.open(member) as file:
        return _read_array(file, member.file_size, path, member.filename)


def _read_array(file: IO[bytes], size: int, path: Path, name: str) -> np.ndarray:
    """Read what ``numpy.save`` wrote, once its header is seen to speak of as many bytes as there are."""
    import numpy as np

    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"{name} is of version {version[0]}.{version[1]} of NumPy's format; expected 1.0 or 2.0")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, _, dtype = readers[version](file)
    except Exception as error:  # the header is Python's, and so are its errors
        raise ValueError(f"{name} has a header that NumPy cannot have written") from error
    if dtype.hasobject:
        raise CnnlabError(_PICKLED.format(path))
    if dtype.kind not in _MEMBER_KINDS or not dtype.itemsize or min(shape, default=0) < 0:
        raise ValueError(f"{name} is an array of {dtype} {list(shape)}; expected numbers or texts")
    claimed, held = math.prod(shape) * dtype.itemsize, size - file.tell()
    if claimed != held:
        raise ValueError(
            f"{name} says that it is {list(shape)} of {dtype}, which is {in_bytes(claimed)}, and holds {in_bytes(held)}"
        )
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def _refuse_to_read(path: Path, error: Exception) -> NoReturn:
    raise CnnlabError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON's")


def check_typed(record: Any, kind: type, path: str | os.PathLike[str], remedy: str) -> dict[str, Any]:
    """Hold what was read of a JSON file against a dataclass: each key is there, and of its type.

    Args:
        record: What :func:`read_json` gave.
        kind: The dataclass.
        path: The file, for the message.
        remedy: What to do, for the message.

    Returns:
        The record as it is.

    Raises:
        CnnlabError: Something in it is missing or of another type.
    """
    from pydantic import ValidationError

    try:
        _adapter(kind).validate_json(json.dumps(record))  # strict, and yet an object is a dataclass
    except ValidationError as error:
        raise CnnlabError(f"{path} is damaged: {_first_wrong(error)}. {remedy}") from None
    known: dict[str, Any] = record
    return known


def kind_of(mode: int) -> str:
    """Say what kind of thing a path leads to: ``file``, ``folder``, ``pipe``; of its ``st_mode``."""
    return _KINDS.get(stat.S_IFMT(mode), "special file")


@functools.cache
def _adapter(kind: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _first_wrong(error: Any) -> str:
    """Say the first thing that is wrong with a record: which key, what was expected, and what stands there.

    Args:
        error: A pydantic ``ValidationError``.
    """
    wrong = error.errors(include_url=False)[0]
    key = shortened(repr(".".join(map(str, wrong["loc"])))[1:-1], 60)
    if wrong["type"] == "missing":
        return f"it has no {key}"
    expected = wrong["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{key or 'it'} is {shortened(repr(wrong['input']), 60)}, expected {expected}"


def _said(error: Exception) -> str:
    """What a library says of a damaged file, as the end of a sentence."""
    lines = str(error).strip().splitlines()
    return shortened(lines[0].rstrip("."), _LONGEST) if lines else type(error).__name__
