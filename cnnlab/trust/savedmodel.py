"""Whether a SavedModel can be opened safely: its graphs are read as data, and nothing in them runs.

A SavedModel is a program. TensorFlow runs a part of it while loading (initialisers, the restoring of variables) and
the rest when it is called, and its vocabulary has operations that write files and call Python. So ``saved_model.pb`` is
parsed here before TensorFlow loads it, and every node of the main graph and of every function in the library of every
MetaGraph, reached or not, must be one of the operations that compute (:mod:`cnnlab.trust.operations`) or a call of a
function of the library. Every other is refused by its name. Printing is among these: whoever reads cnnlab's output must
be able to believe that cnnlab wrote it.

Two things that touch files are normal, and are followed: the saver's own save and restore functions, as long as
nothing but the saver calls them and restoring reads the file that the saver is given; and tables initialised from text
files, as long as these are the model's own assets.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from cnnlab.errors import CnnlabError
from cnnlab.files.reading import check_regular, in_bytes, read_bytes
from cnnlab.trust.operations import ALLOWED

MOST_NAMED = 5
"""Operations that a refusal names; it counts the others."""

LARGEST_GRAPH = 512 << 20
"""Bytes of ``saved_model.pb`` and of what describes it: weights lie in ``variables/``, and the graph of a large network
takes some 10 MB. It leaves room for one whose weights were frozen into it."""

MAIN = "the main graph"

_SAVER = re.compile(r"(Save|Restore)(V2|Slices?)?|MergeV2Checkpoints")
_TEXT_TABLE = re.compile(r"InitializeTableFromTextFile(V2)?")

_REACHES = {
    "files": r".*(File|Save|Restore|Checkpoint|Snapshot|Record|Summary|Reader|Debug|Dump|Remap|ImmutableConst).*",
    "Python": r".*PyFunc.*",
    "the network or other processes": r".*(Send|Recv|Remote|Rpc|Collective|Nccl|DataService|Register|Worker).*",
    "datasets": r".*(Dataset|Iterator).*",
    "the terminal": r"Print(V2)?",
    "ends the process": r"Abort",
    "waits for others": r".*(Queue|Barrier|Stage|Mutex|Sleep|Accumulator).*",
    "the clock": r"Timestamp",
    "code that cannot be read here": r"(Xla|Mlir|TRT|TPU|TfLite|_).*",
}
"""What operations that are not allowed are known to reach, by their names: words of a refusal, not its ground."""

_OTHER = "not known to compute and nothing else"

_FILES = ("*.pb", "assets/**/*", "debug/*", "variables/*")
"""The files of a SavedModel."""

_RUN_BY_LOADING = frozenset({"__saved_model_init_op", "__saved_model_train_op"})
"""Signatures that are no functions of images, but what loading runs."""


@dataclass(frozen=True)
class Found:
    """An operation that is refused.

    Attributes:
        operation: Its type, with what it names where that matters.
        node: Its name.
        where: The function that it is in, or :data:`MAIN`.
        why: What it reaches, or what else is known of it.
    """

    operation: str
    node: str
    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.operation} ({self.why}) in {self.where}"


UNKNOWN = "not registered"
"""Why an operation is refused that this TensorFlow does not have."""

WAY_OUT = "If you trust where it came from, open it with `trust=True`."


def check_saved_model(path: Path) -> None:
    """Refuse a SavedModel that does anything but compute. Nothing of it is loaded or run.

    Args:
        path: The folder with ``saved_model.pb``.

    Raises:
        CnnlabError: It holds operations that are not allowed, its assets lie outside it, one of its files is none, is
            larger than any should be, or is damaged.
    """
    _check_files(path)
    saved = read(path)
    for meta_graph in saved.meta_graphs:
        for name in asset_names(meta_graph):
            check_inside(path, f"assets/{name}")
    found = [each for meta_graph in saved.meta_graphs for each in examine(meta_graph, len(saved.meta_graphs) > 1)]
    if not found:
        return
    if all(each.why == UNKNOWN for each in found):
        raise CnnlabError(
            f"the SavedModel in {path} needs operations that this TensorFlow does not have: {_list(found)}. They are "
            "custom operations of the library that the model was made with; import it in Python, and open the model "
            "with cnnlab.load(model, trust=True), or export it without them."
        )
    raise CnnlabError(
        f"the SavedModel in {path} holds operations that are not among those that only compute, so nothing in it was "
        f"run: {_list(found)}. {WAY_OUT}"
    )


def _list(found: Iterable[Found]) -> str:
    """Name the first few operations with a place of each, those first of which is known what they reach."""
    order = [*_REACHES, _OTHER, UNKNOWN]
    places: dict[str, list[str]] = {}
    for each in sorted(found, key=lambda each: (order.index(each.why) if each.why in order else 0, each.operation)):
        where = places.setdefault(f"{each.operation} ({each.why})", [])
        if each.where not in where:
            where.append(each.where)
    named = [
        f"{operation} in {where[0]}" + (f" and {len(where) - 1} more" if len(where) > 1 else "")
        for operation, where in places.items()
    ]
    more = len(named) - MOST_NAMED
    return ", ".join(named[:MOST_NAMED]) + (f", and {more} more operations" if more > 0 else "")


def read(path: Path) -> Any:
    """Parse ``saved_model.pb``, and nothing else, as the protocol buffer that it is.

    Raises:
        CnnlabError: It is not there, no file, larger than :data:`LARGEST_GRAPH`, damaged, truncated, or holds no graph.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    _parse(path, "saved_model.pb", saved)
    if not saved.meta_graphs:
        raise CnnlabError(
            f"the SavedModel in {path} cannot be read: its saved_model.pb holds no graph. Export or copy the model "
            "again."
        )
    return saved


def _parse(path: Path, name: str, message: Any) -> None:
    from google.protobuf.message import DecodeError

    try:
        message.ParseFromString(read_bytes(path / name, LARGEST_GRAPH))
    except DecodeError as error:
        raise CnnlabError(
            f"the SavedModel in {path} cannot be read: its {name} is damaged or truncated ({error}). Export or copy "
            "the model again."
        ) from error


def _check_files(path: Path) -> None:
    """Refuse pipes and devices among the files that TensorFlow opens, and what is larger or else than it should be."""
    from tensorflow.core.protobuf import fingerprint_pb2

    for file in path.rglob("*"):
        if file.is_symlink() and file.is_dir():
            raise CnnlabError(
                f"{file} is a symbolic link to a folder, where a SavedModel has its own. Copy the model with what its "
                "links lead to."
            )
    for pattern in _FILES:
        for file in path.glob(pattern):
            if not file.is_dir() and check_regular(file).suffix == ".pb" and file.stat().st_size > LARGEST_GRAPH:
                raise CnnlabError(
                    f"{file} is larger than the {in_bytes(LARGEST_GRAPH)} that cnnlab reads of such a file."
                )
    if (path / "fingerprint.pb").exists():  # TensorFlow shows a traceback of its own where it is damaged.
        _parse(path, "fingerprint.pb", fingerprint_pb2.FingerprintDef())


def check_inside(folder: Path, name: str) -> Path:
    """Return the path of a file that a model's metadata names, and refuse it outside the model's folder.

    Args:
        folder: The model's folder.
        name: The file's name as the metadata has it, relative to the folder.

    Raises:
        CnnlabError: The name is absolute, climbs with ``..``, is a URL, or a symbolic link leads out.
    """
    path = folder / name
    parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
    plain = ".." not in parts and not PureWindowsPath(name).is_absolute() and not name.startswith("/")
    plain = plain and "//" not in name and "\0" not in name
    if not plain or not _leads_into(path, folder):
        raise CnnlabError(
            f"the model in {folder} names the file {name!r}, which lies outside its folder; cnnlab does not follow it. "
            f"{WAY_OUT}"
        )
    return path


def _leads_into(path: Path, folder: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle, a name that is too long
        return False


def asset_names(meta_graph: Any) -> list[str]:
    """The names of the files in ``assets`` that a MetaGraph has TensorFlow open."""
    return [asset.filename for asset in _assets(meta_graph)]


def _assets(meta_graph: Any) -> list[Any]:
    from tensorflow.core.protobuf import meta_graph_pb2

    assets = list(meta_graph.asset_file_def)
    if assets:
        return assets  # TensorFlow looks into the collection only where these are none.
    for packed in meta_graph.collection_def["saved_model_assets"].any_list.value:
        asset = meta_graph_pb2.AssetFileDef()
        if packed.Unpack(asset):
            assets.append(asset)
    return assets


def examine(meta_graph: Any, several: bool = False) -> list[Found]:
    """Find what in a MetaGraph is not among the operations that compute.

    Args:
        meta_graph: The ``MetaGraphDef``.
        several: Whether the SavedModel has others beside it, and is loaded as TensorFlow 1 would.
    """
    program = _Program(meta_graph, runs_main=several or not meta_graph.HasField("object_graph_def"))
    return [
        each for graph in program.graphs for node in graph.every if (each := _judge(program, graph, node)) is not None
    ]


# --- one node ---


def _judge(program: _Program, graph: _Graph, node: Any) -> Found | None:
    """Decide on a node: None where it is allowed."""

    def found(why: str, detail: str = "") -> Found:
        where = graph.title if graph is program.main else f"the function {graph.title}"
        return Found(f"{node.op}{detail}", node.name, where, why)

    if _SAVER.fullmatch(node.op):
        return None if program.saves(graph, node) else found("files")
    if _TEXT_TABLE.fullmatch(node.op):
        return None if program.reads_asset(graph, node) else found("files", " of a file that is not the model's asset")
    if node.op not in ALLOWED and (node.op not in program.functions or _declared(node.op)):
        return found(_why(node.op))
    if not program.is_only_one(graph, node):
        return found("has no name of its own")
    for name in _functions_of(node):
        if name not in program.functions:
            return found(f"calls {name!r}, which is no function of the model")
    if node.op == "Const" and _opaque(node):
        return found("holds an object that cannot be read here")
    return None


def _why(operation: str) -> str:
    if not _declared(operation):
        return UNKNOWN
    return next((what for what, names in _REACHES.items() if re.fullmatch(names, operation)), _OTHER)


def _opaque(node: Any) -> bool:
    from tensorflow.core.framework import types_pb2

    return node.attr["dtype"].type in (types_pb2.DT_RESOURCE, types_pb2.DT_VARIANT)


@functools.cache
def _declared(operation: str) -> bool:
    """Whether this TensorFlow has an operation."""
    from tensorflow.python.framework import op_def_registry

    return op_def_registry.get(operation) is not None


# --- the whole ---


@dataclass(eq=False)
class _Graph:
    """The main graph, or a function of the library.

    Attributes:
        title: Its name.
        every: Its nodes.
        nodes: Its nodes by name.
        arguments: The arguments of a function in order, by name.
        callers: The nodes that call it, and the graph they are in; for references that are no plain calls, None.
    """

    title: str
    every: list[Any]
    arguments: dict[str, int] = field(default_factory=dict)
    callers: list[tuple[_Graph, Any] | None] = field(default_factory=list)
    nodes: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.nodes = {node.name: node for node in self.every}


class _Program:
    """A MetaGraph with what is needed to follow names through it.

    Attributes:
        main: The main graph.
        functions: The library, by name.
        graphs: All of these.
        runs_main: Whether loading runs the main graph. TensorFlow 2 runs functions of the object graph alone.
    """

    def __init__(self, meta_graph: Any, runs_main: bool) -> None:
        self.meta_graph = meta_graph
        self.runs_main = runs_main
        self.main = _Graph(MAIN, list(meta_graph.graph_def.node))
        library = [
            _Graph(
                function.signature.name,
                list(function.node_def),
                {argument.name: place for place, argument in enumerate(function.signature.input_arg)},
            )
            for function in meta_graph.graph_def.library.function
        ]
        self.functions = {graph.title: graph for graph in library}
        self.graphs = [self.main, *library]
        self.bound = meta_graph.object_graph_def.concrete_functions
        self._find_callers()
        saver = meta_graph.saver_def
        self.filename = _node_of(saver.filename_tensor_name)
        self.assets = {_node_of(asset.tensor_info.name) for asset in _assets(meta_graph)}
        self.restoring = self._before([_node_of(saver.restore_op_name)])
        self.reached = self._before(self._roots())
        # What runs without being given the paths of the assets, so that any could be in their place.
        self.unfed = self.restoring | self._before(self._roots(fed=False))

    def _find_callers(self) -> None:
        """Note of each function who calls it; references that are no plain calls are noted as None."""
        for graph in self.graphs:
            for node in graph.every:
                call = node.op in ("PartitionedCall", "StatefulPartitionedCall")
                names = [node.op, *_functions_of(node)]
                for callee in filter(None, map(self.functions.get, names)):
                    plain = node.op == callee.title or (call and node.attr["f"].func.name == callee.title)
                    callee.callers.append((graph, node) if plain else None)
        for node in self.meta_graph.object_graph_def.nodes:
            self._refer(*(name for name in _functions_of_object(node) if name not in self.bound))
        library = self.meta_graph.graph_def.library
        for gradient in library.gradient:
            self._refer(gradient.function_name, gradient.gradient_func)
        for registered in library.registered_gradients:
            self._refer(registered.gradient_func)
        for function in library.function:
            for attribute in ("forward_function_name", "backward_function_name"):
                self._refer(function.attr[attribute].s.decode("utf-8", errors="replace"))
            if "api_implements" in function.attr:  # one that TensorFlow may call in the place of another
                self._refer(function.signature.name)

    def is_only_one(self, graph: _Graph, node: Any) -> bool:
        """Whether a name stands for one node or function alone, so that what is said of it is said of what runs."""
        unique = bool(node.name) and graph.nodes[node.name] is node and node.name not in graph.arguments
        return unique and (graph is self.main or self.functions[graph.title] is graph)

    def _refer(self, *names: str) -> None:
        for name in names:
            if name in self.functions:
                self.functions[name].callers.append(None)

    def _roots(self, fed: bool = True) -> Iterator[str]:
        """The nodes of the main graph that are run: signatures, initialisers, and what collections name.

        Args:
            fed: Also initialisers, which TensorFlow gives the paths of the assets.
        """
        from google.protobuf.message import DecodeError
        from tensorflow.core.framework import variable_pb2

        for key, signature in self.meta_graph.signature_def.items():
            if not fed and key in _RUN_BY_LOADING:
                continue
            for tensors in (signature.inputs, signature.outputs):
                for tensor in tensors.values():
                    parts = [tensor, *tensor.composite_tensor.components]
                    yield from (_node_of(part.name) for part in parts)
                    yield from (_node_of(value) for _, value in tensor.coo_sparse.ListFields())
        for collection in self.meta_graph.collection_def.values():
            if fed:
                yield from map(_node_of, collection.node_list.value)
            for packed in collection.bytes_list.value:
                variable = variable_pb2.VariableDef()
                try:
                    variable.ParseFromString(packed)
                except DecodeError:  # Bytes of something else, which names no node.
                    continue
                yield from map(_node_of, (variable.variable_name, variable.initial_value_name))
                yield from map(_node_of, (variable.initializer_name, variable.snapshot_name))

    def _before(self, names: Iterable[str]) -> set[str]:
        """The nodes of the main graph that these depend on, themselves included."""
        seen: set[str] = set()
        stack = list(names)
        while stack:
            name = stack.pop()
            if name in self.main.nodes and name not in seen:
                seen.add(name)
                stack += map(_node_of, self.main.nodes[name].input)
        return seen

    def saves(self, graph: _Graph, node: Any) -> bool:
        """Whether a node that saves or restores belongs to the saver, and touches no file but the saver's."""
        if graph is self.main:
            if node.name in self.reached:
                return False
            return node.name not in self.restoring or self._restores(graph, node)
        if not graph.callers or graph.title in self.bound:
            return False
        for caller in graph.callers:
            if caller is None or caller[0] is not self.main or caller[1].name in self.reached:
                return False
            if caller[1].name in self.restoring and not self._restores(graph, node):
                return False
        return True

    def _restores(self, graph: _Graph, node: Any) -> bool:
        given = self._origins(graph, _input(node, 0))
        return node.op.startswith("Restore") and given == {(self.main, self.filename)}

    def reads_asset(self, graph: _Graph, node: Any) -> bool:
        """Whether a table is initialised from the model's own assets, and from nothing else."""
        if graph is self.main and node.name in self.unfed:
            return False
        origins = self._origins(graph, _input(node, 1))
        # Where the main graph is not run, the object graph says what a function of it is given.
        return bool(origins) and all(
            origin == _ASSET or (origin[0] is self.main and (not self.runs_main or origin[1] in self.assets))
            for origin in origins
        )

    def _origins(self, graph: _Graph, name: str) -> set[tuple[_Graph | None, str]]:
        """Where the name of a file comes from, followed back through Identity, and through calls to who makes them.

        Returns:
            Graphs and nodes; :data:`_ASSET` for what the object graph binds to an asset, and :data:`_UNKNOWN` for what
            cannot be followed.
        """
        found: set[tuple[_Graph | None, str]] = set()
        named, seen = {self.filename, *self.assets}, set()
        stack: list[tuple[_Graph, str]] = [(graph, _node_of(name))]
        while stack:
            graph, source = at = stack.pop()
            if at in seen:
                continue
            seen.add(at)
            node = graph.nodes.get(source)
            if source in graph.arguments:
                for origin in self._given(graph, graph.arguments[source]):
                    stack.append(origin) if isinstance(origin[0], _Graph) else found.add(origin)
            elif node is not None and node.op == "Identity" and not (graph is self.main and source in named):
                stack.append((graph, _node_of(_input(node, 0))))
            else:
                found.add(at)
        return found

    def _given(self, graph: _Graph, place: int) -> Iterator[Any]:
        """What a function is given for an argument: by the object graph, and by all who call it."""
        if graph.title in self.bound:
            yield self._bound_to(graph, place)
        elif not graph.callers:
            yield _UNKNOWN
        for caller in graph.callers:
            given = caller and (caller[0], _node_of(_input(caller[1], place)))
            unfed = caller and caller[0] is self.main and self.runs_main and caller[1].name in self.unfed
            # The one file that is named where no assets are is the saver's.
            yield _UNKNOWN if given is None or (unfed and given != (self.main, self.filename)) else given

    def _bound_to(self, graph: _Graph, place: int) -> tuple[None, str]:
        bound = self.bound[graph.title].bound_inputs
        captured = place - (len(graph.arguments) - len(bound))
        nodes = self.meta_graph.object_graph_def.nodes
        if captured < 0 or not 0 <= bound[captured] < len(nodes):
            return _UNKNOWN
        given = nodes[bound[captured]]
        # A registered name is what TensorFlow goes by where there is one, whatever kind the object says it is.
        return _ASSET if given.WhichOneof("kind") == "asset" and not given.registered_name else _UNKNOWN


_ASSET: tuple[None, str] = (None, "an asset")
_UNKNOWN: tuple[None, str] = (None, "unknown")


def _input(node: Any, place: int) -> str:
    """The name of what a node is given at a place; empty where it is given less."""
    return str(node.input[place]) if place < len(node.input) else ""


def _node_of(name: str) -> str:
    """The node of a tensor or of a control input: ``a/b`` of ``a/b:0``, ``^a/b`` and ``a/b:output:0``."""
    return name.lstrip("^").split(":", 1)[0] if isinstance(name, str) else ""


def _functions_of_object(node: Any) -> list[str]:
    """The functions of the library that an object of the object graph names."""
    captured, bare = node.captured_tensor.concrete_function, node.bare_concrete_function.concrete_function_name
    return [*node.function.concrete_functions, *filter(None, (captured, bare))]


def _functions_of(node: Any) -> list[str]:
    """The functions that a node's attributes name."""
    references = [each for value in node.attr.values() for each in (value.func, *value.list.func)]
    return [each.name for each in references if each.name]
