"""Commands: what a user waits for beside the work."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.harness import ROOT, Arrays, Race, Records, Side, Suite
from benchmarks.material import FOLDER

STEPS = """
import json, sys, time
begun = time.perf_counter()
took = {{}}

def done(what):
    global begun
    took[what], begun = time.perf_counter() - begun, time.perf_counter()

import cnnlab.cli.commands.analyze
done("import cnnlab")
import tensorflow
done("import tensorflow")
import cnnlab.analysis.host
model = cnnlab.load("{model}")
done("open the model")
result = cnnlab.analyze("occlusion", model, "examples/7.png")
done("cover the image")
result.save("{out}")
done("write figures, arrays and record")
print(json.dumps(took))
"""
"""What the command does, by library calls, one after the other."""

WORK = "cover the image"


def process(*words: str) -> Any:
    """Run a process of Python to its end; what it prints as JSON is numbers."""

    def work() -> Arrays:
        with tempfile.TemporaryDirectory() as folder:
            given = [word.format(out=f"{folder}/out", model=FOLDER / "classic.keras") for word in words]
            said = subprocess.run([sys.executable, *given], cwd=ROOT, check=True, capture_output=True).stdout
        if "-c" in words:
            return {name: np.array(value) for name, value in json.loads(said or b"{}").items()}
        assert said, "it printed nothing"
        return {}

    return work


def python(name: str, script: str) -> Side:
    return Side(name, "cnnlab", lambda: process("-c", script))


def command(words: str) -> Side:
    name = words.replace(" --model {model} --out {out}", "")
    return Side(f"`cnnlab {name}`", "cnnlab", lambda: process("-m", "cnnlab", *words.split()))


def no_more(found: Mapping[str, Arrays]) -> dict[str, float]:
    """That they ended well is all there is to compare."""
    return {}


def where_it_goes(records: Records) -> list[str]:
    """The steps of a command, and what it takes beside TensorFlow and the work, in seconds."""
    if OCCLUSION.name not in records:
        return []
    seconds, numbers = records[OCCLUSION.name]["seconds"], records[OCCLUSION.name]["numbers"][BY_STEPS.name]
    whole, alone = seconds[OCCLUSION.sides[1].name], seconds[OCCLUSION.sides[0].name]
    beside = [each - tensorflow - work for each, tensorflow, work in zip(whole, alone, numbers[WORK], strict=True)]
    rows = [("the command", whole), *numbers.items(), ("the command less `import tensorflow` and the work", beside)]
    lines = ["| step | seconds |", "| --- | --- |"]
    lines += [f"| {name} | {statistics.median(values):.2f} |" for name, values in rows]
    return [*lines, "", f"Aimed at: the last under 0.5 seconds, and to {WORK} under 0.3.", ""]


TENSORFLOW = python("`import tensorflow`", "import tensorflow")
BY_STEPS = python("its steps as library calls", STEPS)
START = Race(
    name="start",
    title="Words alone",
    sides=(
        TENSORFLOW,
        *(command(words) for words in ("--help", "analyze occlusion --help", "plugins list", "datasets")),
    ),
    agree=no_more,
    rounds=7,
    quick=3,
)
OCCLUSION = Race(
    name="occlusion",
    title="One image, from the words to the figures",
    sides=(
        TENSORFLOW,
        command("analyze occlusion --image examples/7.png --model {model} --out {out}"),
        BY_STEPS,
    ),
    agree=no_more,
    rounds=7,
    quick=2,
)

SUITE = Suite(
    name="commands",
    title="The command line",
    says="""What a user waits for beside the work: each in a process of its own, from its start to its end. Where the
time goes is measured by the same steps as library calls, one after the other, and told in seconds.""",
    races=(START, OCCLUSION),
    more=where_it_goes,
)
