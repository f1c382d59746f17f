"""What the layers of a graph are called: from the names of operations to the names that authors gave."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

# Scopes that a framework opens inside a layer, with what it puts into them: an author may give a layer such a name too,
# and then other things are in it. And the scopes of function calls around the whole model.
_BY_WAY_OF_THE_BATCH = r"SpaceToBatchND|BatchToSpaceND"
_INNER = {
    "batchnorm": r"add|sub|mul|Rsqrt|Cast",
    "moments": r"mean|variance|StopGradient|SquaredDifference|Squeeze|Cast|sub|add|mul|Square",
    "dropout": r"Mul|Shape|Cast|GreaterEqual|SelectV2|random_uniform|truediv|Floor|Const",
    "convolution": _BY_WAY_OF_THE_BATCH,
    "Conv2D": _BY_WAY_OF_THE_BATCH,
    "depthwise": _BY_WAY_OF_THE_BATCH,
    "separable_conv2d": rf"depthwise|{_BY_WAY_OF_THE_BATCH}",
    "resize": r"Resize\w+|Cast",
    "clip_by_value": r"Minimum|Maximum",
    "Gelu": r"mul|Neg|Erfc|Erf|add|truediv|Pow|Tanh|Sqrt|Cast",
    "Tensordot": r"MatMul|Reshape|transpose|concat|stack|Shape|GatherV2|Prod",
}
_CALLS = re.compile(r"((Stateful)?PartitionedCall|Func|serving_default)(_\d+)?")
_NUMBERED = re.compile(r"(.+)_(\d+)")
_KERAS_2 = re.compile(r"/(Conv2D|MatMul|depthwise_conv2d|FusedBatchNormV3)/ReadVariableOp")


def layer_scope(operation: str) -> str:
    """Return the scope of the layer that an operation belongs to; empty where its name has none.

    >>> layer_scope("StatefulPartitionedCall/sequential_1/bn1_1/batchnorm/mul_1")
    'sequential_1/bn1_1'
    >>> layer_scope("sequential_1/batchnorm_1/Relu")
    'sequential_1/batchnorm_1'
    >>> layer_scope("Conv2D")
    ''
    """
    *parts, content = [part for part in operation.split("/") if part and not _CALLS.fullmatch(part)] or [""]
    while parts and _is_inner(parts[-1], content):
        content = parts.pop()
    return "/".join(parts)


def _is_inner(scope: str, content: str) -> bool:
    """Whether a framework opened a scope inside a layer, as what is in it shows."""
    usual = _INNER.get(re.sub(r"_\d+$", "", scope))
    return usual is not None and re.fullmatch(rf"({usual})(_\d+)?", content) is not None


def is_of_keras_2(operations: Iterable[str]) -> bool:
    """Whether operations have names that Keras 2 gives: it reads a kernel inside the operation that takes it."""
    return any(_KERAS_2.search(name) for name in operations)


def author_names(scopes: Sequence[str], *, exact: bool = False) -> dict[str, str]:
    """Give each scope the name its author gave the layer.

    Keras 3 enters each name twice when it calls a layer, so that TensorFlow numbers it: ``conv`` becomes ``conv_1``,
    ``conv2d_1`` after a ``conv2d`` becomes ``conv2d_1_2``, and a layer called twice ``conv_1`` and ``conv_3``. The
    numbers are taken off; the second call of ``conv`` is ``conv_2``. Then the scopes that all layers share
    (``sequential/``) are dropped; one that is itself shared by all has no name left.

    Args:
        scopes: The scopes, without repetition.
        exact: Whether the names are known to have no such numbers.

    >>> author_names(["sequential_1/conv2d_1", "sequential_1/conv2d_1_2", "sequential_1/fc1_1"])
    {'sequential_1/conv2d_1': 'conv2d', 'sequential_1/conv2d_1_2': 'conv2d_1', 'sequential_1/fc1_1': 'fc1'}
    """
    split = {scope: scope.split("/") for scope in scopes}
    plain = split if exact else _without_numbers(split)
    if len({"/".join(parts) for parts in plain.values()}) < len(plain):
        plain = split
    shared = 0
    inmost = [parts for scope, parts in plain.items() if not any(other.startswith(f"{scope}/") for other in scopes)]
    while inmost and all(len(parts) > shared + 1 and parts[shared] == inmost[0][shared] for parts in inmost):
        shared += 1
    return {scope: "/".join(parts[shared:]) for scope, parts in plain.items()}


def _without_numbers(split: dict[str, list[str]]) -> dict[str, list[str]]:
    """Take the numbers of Keras 3 off; where they are not as it gives them, leave all names as they are."""
    numbered: dict[tuple[str, ...], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for parts in split.values():
        for depth, part in enumerate(parts):
            found = _NUMBERED.fullmatch(part)
            if found is None:
                return split
            numbers = numbered[tuple(parts[:depth])][found[1]]
            if int(found[2]) not in numbers:
                numbers.append(int(found[2]))
    names: dict[tuple[str, ...], str] = {}
    for parent, bases in numbered.items():
        for base, numbers in bases.items():
            numbers.sort()
            if numbers[0] > 2 or any(after - before < 2 for before, after in itertools.pairwise(numbers)):
                return split
            for call, number in enumerate(numbers, start=1):
                names[(*parent, f"{base}_{number}")] = called(base, call, bases)
    return {scope: [names[tuple(parts[: depth + 1])] for depth in range(len(parts))] for scope, parts in split.items()}


def called(name: str, call: int, taken: Iterable[str]) -> str:
    """Name a call of a layer: the second of ``conv`` is ``conv_2``, or ``conv_call_2`` where another has that name."""
    if call == 1:
        return name
    return f"{name}_{call}" if f"{name}_{call}" not in taken else f"{name}_call_{call}"
