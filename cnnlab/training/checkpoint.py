"""The checkpoint: one file with everything that the next step depends on, replaced whole."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge

from cnnlab.errors import CnnlabError
from cnnlab.files.reading import read_npz
from cnnlab.files.writing import write_beside
from cnnlab.runs.history import check_rows


@dataclass
class Position:
    """How far a training run has come. The order of the images follows from the seed and the epoch.

    Attributes:
        epochs_done: Finished epochs.
        step: Steps done of the next one.
        seconds: What those steps took, in seconds.
        history: The rows of the finished epochs.
    """

    epochs_done: Annotated[int, Ge(0)] = 0
    step: Annotated[int, Ge(0)] = 0
    seconds: Annotated[float, Ge(0)] = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)


def save(path: Path, variables: Sequence[Any], position: Position) -> None:
    """Write the values of ``variables`` and the position.

    Raises:
        CnnlabError: The disk is full, or a value is not finite; the checkpoint before is still there.
    """
    for variable in variables:
        if not np.isfinite(np.asarray(variable)).all():
            steps = f" and {position.step} steps of the next" if position.step else ""
            kept = f" What was saved before is kept in {path.parent.parent}." if path.exists() else ""
            raise CnnlabError(
                f"training diverged after {position.epochs_done} epochs{steps}: {variable.path} is no longer finite "
                f"(NaN or infinity). Try a lower learning rate.{kept}"
            )
    arrays: dict[str, Any] = {f"variable_{index:04d}": np.asarray(variable) for index, variable in enumerate(variables)}
    with write_beside(path) as beside, beside.open("wb") as handle:
        np.savez(handle, position=np.array(json.dumps(asdict(position))), **arrays)


def restore(path: Path, variables: Sequence[Any], *, epochs: int, steps: int) -> Position:
    """Give ``variables`` the values of a checkpoint. No file stands for the very beginning: nothing changes.

    Args:
        path: The file.
        variables: What the next step depends on, as :func:`save` was given them.
        epochs: How many epochs the run has.
        steps: How many steps an epoch has.

    Raises:
        CnnlabError: The file is damaged, or belongs to another network; nothing has changed.
    """
    if not os.path.lexists(path):
        return Position()
    try:
        arrays = read_npz(path, needed=["position"])
        position = _position(arrays.pop("position"), epochs, steps)
    except (CnnlabError, ValueError) as error:
        raise CnnlabError(
            f"the checkpoint {path} is damaged ({str(error).rstrip('.')}). Delete its run folder and train anew."
        ) from error
    values = [arrays[name] for name in sorted(arrays)]
    expected = [(tuple(variable.shape), np.asarray(variable).dtype) for variable in variables]
    if expected != [(value.shape, value.dtype) for value in values]:
        raise CnnlabError(
            f"the checkpoint {path} belongs to another network, or was written with other versions of Keras: it holds "
            f"{len(values)} variables that do not match the network's {len(expected)}. Train anew in another folder."
        )
    broken = [name for name in sorted(arrays) if not np.isfinite(arrays[name]).all()]
    if broken:
        raise CnnlabError(
            f"the checkpoint {path} is damaged ({broken[0]} holds NaN or infinity). Delete its run folder and train "
            "anew."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return position


def _position(stored: np.ndarray, epochs: int, steps: int) -> Position:
    """Read a position, and hold it against what the run can have come to.

    Raises:
        ValueError: It is none.
    """
    from pydantic import TypeAdapter, ValidationError

    if stored.ndim or stored.dtype.kind != "U":
        raise ValueError(f"position is {stored.dtype} {list(stored.shape)}, expected one text")
    try:
        position: Position = TypeAdapter(Position).validate_json(stored.item(), strict=True)
        check_rows(position.history)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        raise ValueError(f"position: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from None
    except KeyError as error:
        raise ValueError(f"position: a row of the history has no {error}") from None
    done = position.epochs_done
    if done != len(position.history) or done > epochs or position.step > (steps if done < epochs else 0):
        raise ValueError(
            f"position: {done} epochs with {len(position.history)} rows and {position.step} steps, of {epochs} epochs "
            f"of {steps} steps"
        )
    return position
