"""How long commands take beside plugins that are slow to import: ``python -m benchmarks.plugins MODEL [ROUNDS]``.

A plugin that sleeps five seconds when it is imported, and one that imports TensorFlow, are installed into a folder of
their own. Each command runs with none of them and with both, in turn, after ``cnnlab plugins list`` has seen them once.
MODEL reads digits of 28x28: a run that ``cnnlab train`` wrote.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import ROOT

PLUGIN = """
{slow}
from cnnlab.plugin import Analysis, Params, hookimpl

def run(classifier, inputs, params, context):
    pass

@hookimpl
def cnnlab_analyses():
    return [Analysis(name="{name}", summary="Say nothing.", params=Params, run="cnnlab_{name}:run")]
"""

SLOW = {"sleepy": "import time; time.sleep(5)", "heavy": "import tensorflow"}

COMMANDS = (
    "--help",
    "analyze --help",
    "analyze occlusion --help",
    "plugins list",
    "datasets",
    "summary {model}",
    "inspect {model}",
    "evaluate --model {model} --dataset mnist --limit 100",
    "analyze occlusion --model {model} --image examples/7.png --out {out}/result --force",
    "analyze sleepy --help",
    "analyze heavy --help",
)
"""What is timed; the last two are the plugins' own."""

ROUNDS = 5


def install(site: Path) -> None:
    """Lay the two distributions down as an installer does."""
    for name, slow in SLOW.items():
        info = site / f"cnnlab_{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"cnnlab_{name}.py").write_text(PLUGIN.format(name=name, slow=slow))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: cnnlab-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[cnnlab]\n{name} = cnnlab_{name}\n")


def seconds(words: str, env: dict[str, str]) -> float:
    """Time a command in a process of its own."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "cnnlab", *words.split()], cwd=ROOT, env=env, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Print a table of medians in seconds."""
    model = Path(sys.argv[1]).resolve()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        install(site)
        without = os.environ | {"XDG_CACHE_HOME": str(Path(folder) / "cache")}
        beside = without | {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
        first = seconds("plugins list", without), seconds("plugins list", beside)
        print(f"The first command, which asks all plugins: {first[0]:.2f} s without, {first[1]:.2f} s beside the two.")
        print("\n| command | without | beside the two |\n|---|---|---|")
        for words in COMMANDS:
            told = words.format(model=model, out=folder)
            own = any(f"analyze {name}" in words for name in SLOW)
            taken = [(0.0 if own else seconds(told, without), seconds(told, beside)) for _ in range(rounds)]
            alone, together = (statistics.median(side) for side in zip(*taken, strict=True))
            shown = words.format(model="MODEL", out="out")
            print(f"| `cnnlab {shown}` | {'' if own else f'{alone:.2f} s'} | {together:.2f} s |", flush=True)


if __name__ == "__main__":
    main()
