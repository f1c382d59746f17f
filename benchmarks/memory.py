"""Peak memory of commands, by how many images they are given: each in a process of its own, as users run them."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

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

MANY = (6_000, 60_000)
"""The images of the commands that are to be flat: the second number is all that MNIST has to learn from."""

FLAT = {
    "evaluate": "evaluate --model {model} --split train --limit {images} --out {out}",
    "predict": "predict --model {model} --dataset mnist --split train --limit {images}",
    "predict --csv": "predict --model {model} --dataset mnist --split train --limit {images} --csv",
    "robustness --steps 2": "analyze robustness --model {model} --dataset mnist --split train --limit {images} "
    "--epsilon 0.1 --steps 2 --out {out}",
}
"""Commands that keep numbers of each image alone. One that gives images or maps back holds them all."""

MADE = (60_000, 1_000_000)
"""Images that are made of their numbers, one batch after the other."""

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

On 6,000 and on 60,000 images of MNIST:

| command | 6,000 images | 60,000 images | more |
|---|---:|---:|---:|
{flat}

`cnnlab.evaluate(...).result().save(DIR)` of images that are made of their numbers when they are read, so that no set of
them lies anywhere:

| images | peak | more |
|---|---:|---:|
{made}

Of each image an evaluation holds its label, its place and six numbers; no text, no digest and no row of it is an object
of Python's. (Of robustness up to 128 MiB are answers that are kept so as not to ask twice.) Where an analysis is given
more than 10,000 images, result.json holds their number and the digest of their list, which is written to `inputs.csv`
line by line, as rows are to `rows.csv` or `rows.parquet`.

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
    return _peak([sys.executable, "-m", "cnnlab", *words.split()])


def _peak(command: Sequence[str]) -> float:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    return used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def of_others(model: Path) -> Iterator[str]:
    """Measure each of the other commands once: rows of the page."""
    for name, words in OTHERS.items():
        with tempfile.TemporaryDirectory() as folder:
            found = peak(words.format(model=model, out=Path(folder) / "out"))
        print(f"{name}: {found:,.0f} MiB", flush=True)
        yield f"| {name} | {found:,.0f} MiB |"


def measured(model: Path, words: Mapping[str, str], sizes: Sequence[int]) -> Iterator[str]:
    """Measure each command at both sizes: rows of the page."""
    for name, each in words.items():
        found = []
        for images in sizes:
            with tempfile.TemporaryDirectory() as folder:
                found.append(peak(each.format(model=model, images=images, out=Path(folder) / "out")))
            print(f"{name}, {images:,} images: {found[-1]:,.0f} MiB", flush=True)
        few, many = found
        yield f"| {name} | {few:,.0f} MiB | {many:,.0f} MiB | {100 * (many / few - 1):.1f}% |"


class Made:
    """Images of 28x28 that are made of their numbers by a few multiplications: each another one, of noise."""

    dtype = np.dtype(np.uint8)

    def __init__(self, count: int) -> None:
        self.shape = (count, 28, 28)

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        mixed = np.asarray(indices, np.uint32)[:, None] * np.uint32(2_654_435_761)
        mixed = mixed + np.arange(784, dtype=np.uint32) * np.uint32(40_503)
        mixed = (mixed ^ mixed >> 15) * np.uint32(2_246_822_519)
        return (mixed >> 24).astype(np.uint8).reshape(-1, 28, 28)


def evaluate_made(model: Path, count: int) -> None:
    """Evaluate a model on so many images that are made, and save the result."""
    import cnnlab
    from cnnlab.datasets import Dataset, Split

    split = Split(Made(count), np.arange(count) % 10)
    data = Dataset(name="made", train=split[:0], test=split, class_names=tuple("0123456789"))
    with tempfile.TemporaryDirectory() as folder:
        cnnlab.evaluate(model, data).result().save(folder)


def of_made(model: Path) -> Iterator[str]:
    """Measure that in processes of their own: rows of the page."""
    first = 0.0
    for count in MADE:
        found = _peak([sys.executable, __file__, str(model), "--made", str(count)])
        first = first or found
        print(f"{count:,} images that are made: {found:,.0f} MiB", flush=True)
        yield f"| {count:,} | {found:,.0f} MiB | {100 * (found / first - 1):.1f}% |"


def main() -> None:
    """Measure, and write the page where all commands were measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a run on MNIST")
    parser.add_argument("--only", action="append", choices=WORDS, help="measure these commands alone")
    parser.add_argument("--made", type=int, help="evaluate so many images that are made, and measure nothing")
    asked = parser.parse_args()
    if asked.made:
        evaluate_made(asked.model, asked.made)
        return
    rows = list(measured(asked.model, {name: WORDS[name] for name in asked.only or WORDS}, SIZES))
    if asked.only:
        return
    flat, made = "\n".join(measured(asked.model, FLAT, MANY)), "\n".join(of_made(asked.model))
    empty = peak(f"evaluate --model {asked.model} --limit 1")
    machine = f"{platform.system()} on {platform.machine()}, {os.cpu_count()} CPUs"
    page = Path(__file__).parent.parent / "docs" / "measurements" / "memory.md"
    others = "\n".join(of_others(asked.model))
    text = PAGE.format(rows="\n".join(rows), flat=flat, made=made, empty=empty, machine=machine, others=others)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
