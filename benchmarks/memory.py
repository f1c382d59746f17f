"""Peak memory of commands, by how many images they are given: each in a process of its own, as users run them."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

SIZES = (1_000, 10_000)
"""Images, and what they are held against: ten times as many."""

WORDS = {
    "train": "train --epochs 1 --limit {images} --out {out}",
    "evaluate": "evaluate --model {model} --limit {images} --out {out}",
    "occlusion": "analyze occlusion --model {model} --dataset mnist --limit {images} --patch 7 --stride 7 --out {out}",
    "robustness": "analyze robustness --model {model} --dataset mnist --limit {images} --epsilon 0.1 --epsilon 0.2 "
    "--steps 10 --out {out}",
    "report": "report {model} --profile quick --limit {images} --out {out}/report.html",
}
"""The commands; of occlusion 16 positions of each image."""

OTHERS = {
    "predict": "predict --model {model} --dataset mnist --limit 100",
    "summary": "summary {model}",
    "inspect": "inspect {model}",
    "verify": "verify {model}",
    "filters": "analyze filters --model {model} --out {out}",
    **{
        f"{name} {more}".rstrip(): f"analyze {name} --model {{model}} --dataset mnist --limit 100 {more} --out {{out}}"
        for name, more in (
            ("activations", ""),
            ("saliency", ""),
            ("saliency", "--sanity"),
            ("fooling", "--seeds 10"),
            ("fgsm-untargeted", ""),
            ("targeted", "--target 3 --closest"),
            ("noise-addition", "--target 3"),
        )
    },
}
"""All others that run a model, on 100 images where they look at some."""

PAGE = """# Peak memory

What each command takes at most (resident set, `ru_maxrss`) on 1,000 and on 10,000 images of MNIST, in a process of its
own: `python benchmarks/memory.py RUN` writes this page. {machine}. TensorFlow's libraries, the compiled graph
and one batch take most of it: `cnnlab evaluate` takes {empty:,.0f} MiB on a single image. Two measurements of one
command differ by some percent, of a report by more.

| command | 1,000 images | 10,000 images | more |
|---|---:|---:|---:|
{rows}

Whatever else runs a model, on 100 images where it looks at any:

| command | peak |
|---|---:|
{others}

What grows is what a result holds of each image: of occlusion two maps and the scores at each position, of the others a
few numbers and its record. So as not to ask the model twice, an analysis also keeps what it has answered, up to 128
MiB: of robustness 75 MiB with 10,000 images. Images are read in batches, and where memory runs out batches become
smaller, with a note, before there is an error.
"""


def peak(words: str) -> float:
    """Run ``cnnlab`` with these words, and return the most memory that it took, in MiB."""
    command = [sys.executable, "-m", "cnnlab", *words.split()]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"cnnlab {words} ended with {process.returncode}:\n{said}")
    return used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def of_others(model: Path) -> Iterator[str]:
    """Measure each of the other commands once: rows of the page."""
    for name, words in OTHERS.items():
        with tempfile.TemporaryDirectory() as folder:
            found = peak(words.format(model=model, out=Path(folder) / "out"))
        print(f"{name}: {found:,.0f} MiB", flush=True)
        yield f"| {name} | {found:,.0f} MiB |"


def measured(model: Path, names: list[str]) -> Iterator[tuple[str, list[float]]]:
    """Measure each command at both sizes."""
    for name in names:
        found = []
        for images in SIZES:
            with tempfile.TemporaryDirectory() as folder:
                found.append(peak(WORDS[name].format(model=model, images=images, out=Path(folder) / "out")))
            print(f"{name}, {images:,} images: {found[-1]:,.0f} MiB", flush=True)
        yield name, found


def main() -> None:
    """Measure, and write the page where all commands were measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a run on MNIST")
    parser.add_argument("--only", action="append", choices=WORDS, help="measure these commands alone")
    asked = parser.parse_args()
    rows = [
        f"| {name} | {few:,.0f} MiB | {many:,.0f} MiB | {100 * (many / few - 1):.1f}% |"
        for name, (few, many) in measured(asked.model, asked.only or list(WORDS))
    ]
    if asked.only:
        return
    empty = peak(f"evaluate --model {asked.model} --limit 1")
    machine = f"{platform.system()} on {platform.machine()}, {os.cpu_count()} CPUs"
    page = Path(__file__).parent.parent / "docs" / "measurements" / "memory.md"
    others = "\n".join(of_others(asked.model))
    text = PAGE.format(rows="\n".join(rows), empty=empty, machine=machine, others=others)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
