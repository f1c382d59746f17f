"""The checkpoint: one file with everything that the next step depends on, replaced whole."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.errors import CnnlabError
from cnnlab.files import write_beside


@dataclass
class Position:
    """How far a training run has come. The order of the images follows from the seed and the epoch.

    Attributes:
        epochs_done: Finished epochs.
        step: Steps done of the next one.
        seconds: What those steps took, in seconds.
        history: The rows of the finished epochs.
    """

    epochs_done: int = 0
    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)


def save(path: Path, variables: Sequence[Any], position: Position) -> None:
    """Write the values of ``variables`` and the position.

    Raises:
        CnnlabError: The disk is full; the checkpoint before is still there.
    """
    arrays = {f"variable_{index:04d}": np.asarray(variable) for index, variable in enumerate(variables)}
    with write_beside(path) as beside, beside.open("wb") as handle:
        np.savez(handle, allow_pickle=False, position=np.array(json.dumps(asdict(position))), **arrays)


def restore(path: Path, variables: Sequence[Any]) -> Position:
    """Give ``variables`` the values of a checkpoint. No file stands for the very beginning: nothing changes.

    Raises:
        CnnlabError: The file is damaged, or belongs to another network.
    """
    if not path.exists():
        return Position()
    try:
        with np.load(path, allow_pickle=False) as stored:
            position = Position(**json.loads(stored["position"].item()))
            arrays = [stored[name] for name in sorted(stored.files) if name != "position"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise CnnlabError(
            f"the checkpoint {path} is damaged ({error}). Delete its run folder and train anew."
        ) from error
    expected, found = [tuple(variable.shape) for variable in variables], [array.shape for array in arrays]
    if expected != found:
        raise CnnlabError(
            f"the checkpoint {path} belongs to another network, or was written with other versions of Keras: it holds "
            f"{len(found)} variables that do not match the network's {len(expected)}. Train anew in another folder."
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    return position
