"""Whether a SavedModel can be opened safely: its graphs are read as data, and nothing in them runs.

A SavedModel is a program. TensorFlow runs a part of it while loading (initialisers, the restoring of variables) and
the rest when it is called, and its vocabulary has operations that write files and call Python. So ``saved_model.pb`` is
parsed here before TensorFlow loads it, and every node of the main graph and of every function in the library, reached
or not, must stay inside the computation:

- operations known to reach outside (files, Python, the network, code that cannot be read here) are refused by name;
- operations with state are refused unless they are known: variables, random numbers, control flow, tables, arrays;
- operations without state are accepted unless their declaration takes a file, a path, a URL or an address;
- operations that TensorFlow does not have registered are refused.

Two things are normal, and are followed rather than refused: the saver's own save and restore functions, as long as
nothing but the saver calls them and restoring reads the file that the saver is given; and tables initialised from text
files, as long as these are the model's own assets. Printing is not: whoever reads cnnlab's output must be able to
believe that cnnlab wrote it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from cnnlab.errors import CnnlabError

MOST_NAMED = 5
"""Operations that a refusal names; it counts the others."""

MAIN = "the main graph"

_SAVER = re.compile(r"(Save|Restore)(V2|Slices?)?|MergeV2Checkpoints")
_TEXT_TABLE = re.compile(r"InitializeTableFromTextFile(V2)?")
_REACHES = {
    "files": re.compile(
        r"ReadFile|WriteFile|MatchingFiles|ImmutableConst|DumpTensor|FileSystemSetConfiguration|RecordInput"
        r"|(Generate|Load).*(Remap|Checkpoint).*|.*Snapshot.*|DatasetToTFRecord|(Save|Load|Cache)Dataset(V\d+)?"
        r"|.*(Record|Line|CSV|SSTable|LMDB|Sql|Files)Dataset(V\d+)?"
        r"|.*(Record|Line|File|LMDB|Identity)Reader(V2)?|Reader[A-Z].*|(Create|Flush|Close)Summary.*|SummaryWriter"
        r"|Write.*Summary|ImportEvent|DistributedSave|DTensorRestore.*|Debug(Identity|NanCount|Numeric).*"
    ),
    "Python": re.compile(r"(Eager)?PyFunc(Stateless)?|NumpyFunction|.*PyFunc.*"),
    "network or other processes": re.compile(
        r"_?(Xla|Host|Nccl\w*)?(Send|Recv)|RemoteCall|Rpc.*|.*Grpc.*|.*Http.*|Gcs.*|BigQuery.*|Collective.*|Nccl.*"
        r"|DataService.*|RegisterDataset.*|Xla(Send|Recv).*|XlaHostCompute.*|.*DistributedTPU.*|WorkerHeartbeat"
    ),
    "datasets": re.compile(r".*Dataset(V\d+)?|.*Dataset(To|From|Reader).*"),
    "the terminal": re.compile(r"Print(V2)?"),
    "ends the process": re.compile(r"Abort"),
    "code that cannot be read here": re.compile(
        r"XlaCallModule|XlaCustomCall.*|XlaLaunch.*|Mlir.*|TRT.*|TPU.*Call|TPUCompile|TPUExecute.*|TfLite.*"
        r"|DeserializeIterator|IteratorFromStringHandle.*|LoadLibrary.*|Sh(ell)?Exec.*|_.*"
    ),
}
"""What operations reach, by their names; the whole name must match."""

_STATEFUL = re.compile(
    r"VarHandleOp|ReadVariableOp|Variable(V2)?|Assign(Add|Sub)?VariableOp|VarIsInitializedOp|VariableShape"
    r"|DestroyResourceOp|DisableCopyOnRead|TemporaryVariable|IsResourceHandleRefCounting"
    r"|Resource(Gather|Scatter|Apply|SparseApply|StridedSlice|CountUpTo)\w*"
    r"|Random\w*|Multinomial|ParameterizedTruncatedNormal|TruncatedNormal|Stateful(Random|Standard|Truncated|Uniform)\w*"
    r"|Rng(ReadAnd)?Skip|NonDeterministicInts|StatelessRandomGetAlg|SampleDistortedBoundingBox(V2)?"
    r"|(Uniform|LogUniform|LearnedUnigram|ThreadUnsafeUnigram|All)CandidateSampler|(Anonymous|Dummy)?\w*SeedGenerator"
    r"|If|While|Case|StatefulPartitionedCall|Assert|CheckNumerics(V2)?|GuaranteeConst|Timestamp"
    r"|DeviceIndex|DtypeWithDefaultOp|Empty|DeepCopy|CudnnRNN\w*|TensorArray\w*|Stack(V2)?|Stack(Close|Pop|Push)V2"
    r"|(Anonymous)?(Mutable)?(Dense)?HashTable(OfTensors)?(V2)?|LookupTable\w+V2|InitializeTableV2"
    r"|(AddMany|Add)SparseToTensorsMap|TakeManySparseFromTensorsMap"
)
"""Operations with state whose state stays in the process: no others with state are accepted."""

_HINTS = re.compile(
    r"(.*_)?(file|filenames?|filepath|path|urls?|address|dir|host|callback|library|memory_region)(_.*)?"
)
"""Arguments of an operation that speak of something outside the computation."""

_NAMES_ONLY = frozenset({"ShardedFilename", "ShardedFilespec"})
"""Operations on the names of files alone."""

_TERMINAL = frozenset({"", "stdout", "stderr", "log(info)", "log(warning)", "log(error)"})
_OPAQUE_TYPES = frozenset({"DT_RESOURCE", "DT_VARIANT"})

_RUN_BY_LOADING = frozenset({"__saved_model_init_op", "__saved_model_train_op"})
"""Signatures that are no functions of images, but what loading runs."""


@dataclass(frozen=True)
class Found:
    """An operation that is refused.

    Attributes:
        operation: Its type, with what it names where that matters.
        node: Its name.
        where: The function that it is in, or :data:`MAIN`.
        reaches: What it reaches; empty for one that TensorFlow does not know.
    """

    operation: str
    node: str
    where: str
    reaches: str

    def __str__(self) -> str:
        return f"{self.operation} ({self.reaches or 'not registered'}) in {self.where}"


def check_saved_model(path: Path) -> None:
    """Refuse a SavedModel that reaches outside the computation. Nothing of it is loaded or run.

    Args:
        path: The folder with ``saved_model.pb``.

    Raises:
        CnnlabError: It holds such operations, its assets lie outside it, or it cannot be read.
    """
    saved = read(path)
    for meta_graph in saved.meta_graphs:
        for name in asset_names(meta_graph):
            check_inside(path, f"assets/{name}")
    found = [each for meta_graph in saved.meta_graphs for each in examine(meta_graph, len(saved.meta_graphs) > 1)]
    if not found:
        return
    if all(not each.reaches for each in found):
        raise CnnlabError(
            f"the SavedModel in {path} needs operations that this TensorFlow does not have: {_list(found)}. They are "
            "custom operations of the library that the model was made with; import it in Python, and open the model "
            "with cnnlab.load(model, trust=True), or export it without them."
        )
    raise CnnlabError(
        f"the SavedModel in {path} holds operations that reach outside the computation, so nothing in it was run: "
        f"{_list(found)}. {WAY_OUT}"
    )


WAY_OUT = "If you trust where it came from, open it with `trust=True`."


def _list(found: Iterable[Found]) -> str:
    """Name the first few operations with a place of each, in the order of what they reach."""
    order = list(_REACHES)
    places: dict[str, list[str]] = {}
    for each in sorted(
        found, key=lambda each: (order.index(each.reaches) if each.reaches in order else len(order), each.operation)
    ):
        where = places.setdefault(f"{each.operation} ({each.reaches or 'not registered'})", [])
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
        CnnlabError: It is not there, damaged, truncated, or holds no graph.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString((path / "saved_model.pb").read_bytes())
    except (OSError, DecodeError) as error:
        raise CnnlabError(
            f"the SavedModel in {path} cannot be read: its saved_model.pb is damaged or truncated ({error}). Export or "
            "copy the model again."
        ) from error
    if not saved.meta_graphs:
        raise CnnlabError(
            f"the SavedModel in {path} cannot be read: its saved_model.pb holds no graph. Export or copy the model "
            "again."
        )
    return saved


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
    if not plain or not path.resolve().is_relative_to(folder.resolve()):
        raise CnnlabError(
            f"the model in {folder} names the file {name!r}, which lies outside its folder; cnnlab does not follow it. "
            f"{WAY_OUT}"
        )
    return path


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
    """Find what in a MetaGraph reaches outside the computation.

    Args:
        meta_graph: The ``MetaGraphDef``.
        several: Whether the SavedModel has others beside it, and is loaded as TensorFlow 1 would.
    """
    program = _Program(meta_graph, runs_main=several or not meta_graph.HasField("object_graph_def"))
    return [
        each
        for graph in (program.main, *program.functions.values())
        for node in graph.nodes.values()
        if (each := _judge(program, graph, node)) is not None
    ]


# --- one node ---


def _judge(program: _Program, graph: _Graph, node: Any) -> Found | None:
    """Decide on a node: None where it stays inside."""

    def found(reaches: str, detail: str = "") -> Found:
        where = graph.title if graph is program.main else f"the function {graph.title}"
        return Found(f"{node.op}{detail}", node.name, where, reaches)

    if _SAVER.fullmatch(node.op):
        return None if program.saves(graph, node) else found("files")
    if _TEXT_TABLE.fullmatch(node.op):
        return None if program.reads_asset(graph, node) else found("files", " of a file that is not the model's asset")
    if (said := _names_outside(node)) is not None:
        return found("files", f" {said}")
    for reaches, names in _REACHES.items():
        if names.fullmatch(node.op):
            return found(reaches)
    if node.op in program.functions:
        return None
    declared = _declared(node.op)
    if declared is None:
        return found("")
    if declared.is_stateful and not _STATEFUL.fullmatch(node.op):
        return found("effects that cnnlab does not know")
    if not declared.is_stateful and node.op not in _NAMES_ONLY and _hints(node.op):
        return found("takes a file or an address")
    if node.op in ("Const", "ParseTensor", "HostConst") and _opaque(node):
        return found("holds an object that cannot be read here")
    return None


def _names_outside(node: Any) -> str | None:
    """What file an operation writes to or reads, besides what its name tells; None where it is none."""
    if node.op == "PrintV2":
        stream = _text(node, "output_stream")
        return None if stream in _TERMINAL else f"to {stream}"
    if node.op in ("DecodeProtoV2", "EncodeProto"):
        source = _text(node, "descriptor_source")
        return None if source in ("", "local://") or source.startswith("bytes://") else f"with {source}"
    if node.op in ("Copy", "CopyHost") and node.attr["debug_ops_spec"].list.s:
        return "with debugging"
    return None


def _text(node: Any, attribute: str) -> str:
    value: bytes = node.attr[attribute].s
    return value.decode("utf-8", errors="replace")


def _opaque(node: Any) -> bool:
    from tensorflow.core.framework import types_pb2

    kinds = {node.attr[name].type for name in ("dtype", "out_type") if name in node.attr}
    return not {types_pb2.DataType.Name(kind) for kind in kinds}.isdisjoint(_OPAQUE_TYPES)


@functools.cache
def _declared(operation: str) -> Any:
    """TensorFlow's declaration of an operation; None where it has none."""
    from tensorflow.python.framework import op_def_registry

    return op_def_registry.get(operation)


@functools.cache
def _hints(operation: str) -> bool:
    declared = _declared(operation)
    arguments = [argument.name for argument in declared.input_arg]
    arguments += [attribute.name for attribute in declared.attr if attribute.type in ("string", "list(string)")]
    return any(_HINTS.fullmatch(name) for name in arguments)


# --- the whole ---


@dataclass
class _Graph:
    """The main graph, or a function of the library.

    Attributes:
        title: Its name.
        nodes: Its nodes by name.
        arguments: The arguments of a function in order, by name.
        callers: The nodes that call it, and the graph they are in; for references that are no plain calls, None.
    """

    title: str
    nodes: dict[str, Any]
    arguments: dict[str, int] = field(default_factory=dict)
    callers: list[tuple[_Graph, Any] | None] = field(default_factory=list)


class _Program:
    """A MetaGraph with what is needed to follow names through it.

    Attributes:
        main: The main graph.
        functions: The library, by name.
        runs_main: Whether loading runs the main graph. TensorFlow 2 runs functions of the object graph alone.
    """

    def __init__(self, meta_graph: Any, runs_main: bool) -> None:
        self.meta_graph = meta_graph
        self.runs_main = runs_main
        self.main = _Graph(MAIN, {node.name: node for node in meta_graph.graph_def.node})
        self.functions: dict[str, _Graph] = {}
        for function in meta_graph.graph_def.library.function:
            arguments = {argument.name: place for place, argument in enumerate(function.signature.input_arg)}
            nodes = {node.name: node for node in function.node_def}
            self.functions[function.signature.name] = _Graph(function.signature.name, nodes, arguments)
        self.bound = meta_graph.object_graph_def.concrete_functions
        self._find_callers()
        saver = meta_graph.saver_def
        self.filename = _node_of(saver.filename_tensor_name)
        self.restoring = self._before([_node_of(saver.restore_op_name)])
        self.reached = self._before(self._roots())
        self.called = self._before(self._roots(called=True))

    def _find_callers(self) -> None:
        """Note of each function who calls it; references that are no plain calls are noted as None."""
        for graph in (self.main, *self.functions.values()):
            for node in graph.nodes.values():
                call = node.op in ("PartitionedCall", "StatefulPartitionedCall")
                names = [node.op, *_functions_of(node)]
                for callee in filter(None, map(self.functions.get, names)):
                    plain = node.op == callee.title or (call and node.attr["f"].func.name == callee.title)
                    callee.callers.append((graph, node) if plain else None)
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

    def _refer(self, *names: str) -> None:
        for name in names:
            if name in self.functions:
                self.functions[name].callers.append(None)

    def _roots(self, called: bool = False) -> Iterator[str]:
        """The nodes of the main graph that are run: signatures, initialisers, and what collections name.

        Args:
            called: Only those of signatures that are called; TensorFlow runs the others once, and gives them the
                paths of the assets.
        """
        from google.protobuf.message import DecodeError
        from tensorflow.core.framework import variable_pb2

        for key, signature in self.meta_graph.signature_def.items():
            if called and key in _RUN_BY_LOADING:
                continue
            for tensors in (signature.inputs, signature.outputs):
                for tensor in tensors.values():
                    parts = [tensor, *tensor.composite_tensor.components]
                    yield from (_node_of(part.name) for part in parts)
                    yield from (_node_of(value) for _, value in tensor.coo_sparse.ListFields())
        for collection in () if called else self.meta_graph.collection_def.values():
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
        stack = [name for name in names if name in self.main.nodes]
        while stack:
            name = stack.pop()
            if name not in seen:
                seen.add(name)
                stack += [before for each in self.main.nodes[name].input if (before := _node_of(each))]
                stack = [each for each in stack if each in self.main.nodes]
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
        return node.op.startswith("Restore") and self._is_given(graph, node.input[0], set())

    def _is_given(self, graph: _Graph, name: str, seen: set[tuple[str, str]]) -> bool:
        """Whether the name of a file is the one that the saver is given."""
        source = _node_of(name)
        if (graph.title, source) in seen:
            return False
        seen = seen | {(graph.title, source)}
        if graph is self.main and source == self.filename:
            return True
        if source in graph.arguments:
            place = graph.arguments[source]
            return bool(graph.callers) and all(
                caller is not None and self._is_given(caller[0], caller[1].input[place], seen)
                for caller in graph.callers
            )
        node = graph.nodes.get(source)
        return node is not None and node.op == "Identity" and self._is_given(graph, node.input[0], seen)

    def reads_asset(self, graph: _Graph, node: Any) -> bool:
        """Whether a table is initialised from one of the model's own assets, and from nothing else."""
        if graph is self.main and node.name in self.called:
            return False
        return len(node.input) > 1 and self._is_asset(graph, node.input[1], set())

    def _is_asset(self, graph: _Graph, name: str, seen: set[tuple[str, str]]) -> bool:
        source = _node_of(name)
        if (graph.title, source) in seen:
            return False
        seen = seen | {(graph.title, source)}
        if graph is self.main:
            if not self.runs_main:
                return True  # The object graph says what a function is given; the main graph is not run.
            if any(_node_of(asset.tensor_info.name) == source for asset in _assets(self.meta_graph)):
                return True
        if source in graph.arguments:
            return self._argument_is_asset(graph, graph.arguments[source], seen)
        node = graph.nodes.get(source)
        return node is not None and node.op == "Identity" and self._is_asset(graph, node.input[0], seen)

    def _argument_is_asset(self, graph: _Graph, place: int, seen: set[tuple[str, str]]) -> bool:
        """Whether whoever calls a function gives it an asset there: other functions, and the object graph."""
        if graph.title in self.bound:
            bound = self.bound[graph.title].bound_inputs
            captured = place - (len(graph.arguments) - len(bound))
            nodes = self.meta_graph.object_graph_def.nodes
            if captured < 0 or not 0 <= bound[captured] < len(nodes):
                return False
            if nodes[bound[captured]].WhichOneof("kind") != "asset":
                return False
        elif not graph.callers:
            return False
        return all(caller is not None and self._gives_asset(*caller, place, seen) for caller in graph.callers)

    def _gives_asset(self, graph: _Graph, node: Any, place: int, seen: set[tuple[str, str]]) -> bool:
        if graph is self.main and self.runs_main and node.name in self.called:
            return False  # Only initialisers are given the paths of assets.
        return self._is_asset(graph, node.input[place], seen)


def _node_of(name: str) -> str:
    """The node of a tensor or of a control input: ``a/b`` of ``a/b:0``, ``^a/b`` and ``a/b:output:0``."""
    return name.lstrip("^").split(":", 1)[0] if isinstance(name, str) else ""


def _functions_of(node: Any) -> list[str]:
    """The functions that a node's attributes name."""
    references = [each for value in node.attr.values() for each in (value.func, *value.list.func)]
    return [each.name for each in references if each.name]
