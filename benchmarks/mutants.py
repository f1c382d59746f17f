"""Mutation testing: change the code a little, and see whether the tests of its room notice.

A random sample of the changes that cosmic-ray knows (other operators, numbers one off, conditions turned round, ...) is
made, one at a time, in a copy of the project. What changes nothing that runs is left out: annotations, docstrings,
what type checkers alone read, and that two sequences must be as long (zip's ``strict``). Each mutant is tested in a
fork of a process that has TensorFlow loaded already, against the tests of its own room, and is killed when one of them
fails, or takes a minute more than three times as long as all did before.

    make mutants
    python benchmarks/mutants.py --sample 20 --seed 1 --only attacks/minimal --out mine.json
    python benchmarks/mutants.py --again mine.json --out again.json
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PLUGINS = (
    *("activations", "fgsm-untargeted", "filters", "fooling", "noise-addition"),
    *("occlusion", "robustness", "saliency", "targeted"),
)
ROOMS: dict[str, tuple[str, ...]] = {
    "cnnlab/attacks/*.py": ("tests/attacks", "tests/classifier/test_whole_numbers.py"),
    "cnnlab/adversarial/*.py": ("tests/adversarial",),
    **{
        f"cnnlab/trust/{name}.py": ("tests/trust/test_limits.py", *(f"tests/trust/test_{each}.py" for each in tests))
        for name, tests in {
            "keras_files": ("keras_files", "keras_vulnerabilities"),
            "savedmodel": ("savedmodel", "operations"),
            "trial": ("trial",),
        }.items()
    },
    "cnnlab/classifier/*.py": ("tests/classifier", "tests/inspection/test_summary.py"),
    "cnnlab/verification/*.py": ("tests/verification",),
    "cnnlab/results/*.py": ("tests/results",),
    "cnnlab/perturbations.py": ("tests/test_perturbations.py",),
    "cnnlab/numerics.py": ("tests/test_numerics.py",),
    "cnnlab/explanations/*.py": ("tests/explanations", "plugins/saliency/tests"),
    **{f"plugins/{name}/cnnlab_*/*.py": (f"plugins/{name}/tests",) for name in PLUGINS},
}
"""What is mutated, and the tests that are to notice."""

LEFT_OUT = re.compile(r"(__init__|report.*|drawing|sheets|names|params|operations|matrix)\.py")
"""Words, lists and figures."""


@dataclass
class Mutant:
    """A change, and what became of it."""

    file: str
    operator: str
    occurrence: int
    place: tuple[int, int]
    diff: str = ""
    outcome: str = ""
    seconds: float = 0.0


def all_mutants(file: Path) -> Iterator[Mutant]:
    """List every change that cosmic-ray knows to a file and that can change what it does."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast

    source = file.read_text(encoding="utf-8")
    idle = _idle(source)
    nodes = list(ast_nodes(get_ast(source)))
    for name in plugins.operator_names():
        operator = plugins.get_operator(name)
        with contextlib.suppress(TypeError):
            positions = [position for node in nodes for position in operator().mutation_positions(node)]
            for occurrence, (start, _) in enumerate(positions):
                if not any(first <= start < last for first, last in idle):
                    yield Mutant(str(file.relative_to(ROOT)), name, occurrence, start)


def _idle(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The parts of a source that do nothing when it runs: annotations, imports for type checkers, and the like."""
    found: list[ast.AST] = []
    for node in ast.walk(ast.parse(source)):
        for field in ("annotation", "returns"):
            if isinstance(annotation := getattr(node, field, None), ast.AST):
                found.append(annotation)
        if isinstance(node, ast.keyword) and node.arg == "strict":
            found.append(node.value)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            found.append(node)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found += [each for each in node.decorator_list if "dataclass" in ast.unparse(each)]
    return [((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)) for node in found]  # type: ignore


def try_mutant(mutant: Mutant, tree: Path, tests: tuple[str, ...], most: float) -> None:
    """Make a change in the copy, run the tests, undo it."""
    file = tree / mutant.file
    source = file.read_text(encoding="utf-8")
    changed, mutant.diff = _changed(source, mutant)
    started = time.monotonic()
    if changed == source:
        mutant.outcome = "none"
        return
    file.write_text(changed, encoding="utf-8")
    try:
        # The tests named after the file come first: most mutants end there.
        own = [str(found.relative_to(tree)) for room in tests for found in tree.glob(f"{room}/test_{file.stem}*.py")]
        mutant.outcome = {0: "survived", None: "killed (time)"}.get(run_tests(tree, [*own, *tests], most), "killed")
    finally:
        file.write_text(source, encoding="utf-8")
    mutant.seconds = round(time.monotonic() - started, 1)


def _changed(source: str, mutant: Mutant) -> tuple[str, str]:
    """Make a change; return the source then, and the lines that differ."""
    from cosmic_ray import plugins
    from cosmic_ray.mutating import mutate_code

    changed = mutate_code(source, plugins.get_operator(mutant.operator)(), mutant.occurrence) or source
    lines = difflib.unified_diff(source.splitlines(), changed.splitlines(), lineterm="", n=0)
    return changed, "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def run_tests(tree: Path, tests: Iterable[str], most: float) -> int | None:
    """Run tests in a fork, in the copy; return their status, or None where they took too long."""
    child = os.fork()
    if not child:
        _test(tree, [name for name in tests if (tree / name).exists()])
    deadline = time.monotonic() + most
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _test(tree: Path, tests: list[str]) -> None:
    """Be the fork."""
    status = 1
    try:
        os.setsid()
        os.chdir(tree)
        said = os.open(tree / "said.log", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(said, 1), os.dup2(said, 2)
        sys.dont_write_bytecode = True
        sys.path[:0] = [str(tree), *map(str, tree.glob("plugins/*"))]
        os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[: 1 + len(list(tree.glob("plugins/*")))])
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        import pytest

        status = int(pytest.main(["-x", "-q", "-m", "not full", "-p", "no:cacheprovider", *tests]))
    finally:
        os._exit(status)


def sample(files: Iterable[Path], count: int, seed: int) -> list[Mutant]:
    """Draw places, and one of the changes at each: a sum can become eleven other operations, and is worth no more."""
    places: dict[tuple[str, tuple[int, int]], list[Mutant]] = {}
    for file in files:
        for mutant in all_mutants(file):
            places.setdefault((mutant.file, mutant.place), []).append(mutant)
    draw = random.Random(seed)
    chosen = [draw.choice(places[place]) for place in draw.sample(sorted(places), min(count, len(places)))]
    print(f"{len(chosen)} mutants, of {len(places)} places")
    return sorted(chosen, key=lambda mutant: (mutant.file, mutant.place))


def survivors(results: Path) -> list[Mutant]:
    """Find the mutants that survived in the sources as they are now; lines may have moved, or be gone."""
    found = [Mutant(**each) for each in json.loads(results.read_text()) if each["outcome"] == "survived"]
    there: list[Mutant] = []
    for file in sorted({mutant.file for mutant in found}):
        source = (ROOT / file).read_text(encoding="utf-8")
        wanted = {(mutant.operator, mutant.diff) for mutant in found if mutant.file == file}
        operators = {operator for operator, _ in wanted}
        for mutant in (each for each in all_mutants(ROOT / file) if each.operator in operators):
            key = (mutant.operator, _changed(source, mutant)[1])
            if key in wanted:
                wanted.remove(key)
                there.append(mutant)
    return there


def main() -> None:
    """Sample, try, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", type=Path, help="try again what survived, by the file that it was written to")
    parser.add_argument("--only", default="", help="only files whose path holds this text")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "mutants.json")
    asked = parser.parse_args()

    rooms = {
        file: tests
        for pattern, tests in ROOMS.items()
        for file in sorted(ROOT.glob(pattern))
        if not LEFT_OUT.fullmatch(file.name) and asked.only in str(file)
    }
    chosen = survivors(asked.again) if asked.again else sample(list(rooms), asked.sample, asked.seed)

    import keras  # noqa: F401 - what every fork has loaded already

    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".git", ".venv", "build", "dist", "__pycache__"))
        usual: dict[tuple[str, ...], float] = {}
        for mutant in chosen:
            tests = rooms[ROOT / mutant.file]
            if tests not in usual:
                started = time.monotonic()
                if run_tests(tree, tests, 1200):
                    sys.exit(
                        f"the tests {' '.join(tests)} fail as they are:\n{(tree / 'said.log').read_text()[-3000:]}"
                    )
                usual[tests] = time.monotonic() - started
            try_mutant(mutant, tree, tests, 60 + 3 * usual[tests])
            print(
                f"{mutant.outcome:14}{mutant.seconds:6.1f} s  {mutant.file}:{mutant.place[0]} {mutant.operator}",
                flush=True,
            )
            asked.out.write_text(json.dumps([asdict(each) for each in chosen if each.outcome], indent=1) + "\n")
    tried = [mutant for mutant in chosen if mutant.outcome != "none"]
    killed = sum(mutant.outcome.startswith("killed") for mutant in tried)
    print(f"{killed} of {len(tried)} killed ({killed / max(1, len(tried)):.1%})")


if __name__ == "__main__":
    main()
