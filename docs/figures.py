"""Draw every picture of the docs anew, each by its command: ``make docs-figures``.

``python docs/figures.py [NAME ...]`` draws those whose names begin so. The runs are trained first, in ``build/docs``,
and kept there: about ten minutes on two cores the first time, and five from then on.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
WORK = ROOT / "build" / "docs"
PICTURES = DOCS / "pictures"

RUNS = {
    "runs/classic": "train --out runs/classic",
    "runs/bn": "train --batch-norm --out runs/bn",
}

OF_RUNS = {
    "curves": "runs/classic/curves.png",
    "predictions": "runs/classic/predictions.png",
    "confusion": "runs/classic/confusion.png",
}
"""Pictures that training itself leaves."""

COMMANDS: dict[str, dict[str, str]] = {
    "compare runs/classic runs/bn --out compare.png": {"compare": "compare.png"},
    "analyze occlusion --image examples/7.png": {"occlusion": "figure"},
    "analyze occlusion --dataset mnist --index 18 --patch 6": {"occlusion-hesitant": "figure"},
    "analyze filters": {"filters": "figure-conv1"},
    "analyze filters --layer conv2 --maximize --most 8 --steps 100": {"filters-maximized": "figure-conv2-maximized"},
    "analyze activations --image examples/7.png": {
        "activations": "figure-conv1",
        "activations-conv2": "figure-conv2",
    },
    "analyze saliency --image examples/7.png --method gradcam++ --layer conv2 --sanity": {
        "saliency-sanity": "figure-sanity-maps"
    },
    "analyze fooling": {"fooling": "figure-likeness", "fooling-confidence": "figure-confidence"},
    "analyze fgsm-untargeted --dataset mnist --limit 3": {"fgsm-untargeted": "figure"},
    "analyze targeted --dataset mnist --index 18 --index 4 --index 0 --target 9 --closest": {"targeted": "figure"},
    "analyze targeted --dataset mnist --limit 100 --closest": {"targeted-matrix": "figure-matrix"},
    "analyze targeted --dataset mnist --limit 100 --target 9 "
    "--beta 0.03 --beta 0.1 --beta 0.3 --beta 1 --beta 3 --beta 10 --beta 30 --beta 100 --beta 300": {
        "targeted-trade-off": "figure-trade-off"
    },
    "analyze noise-addition --dataset mnist --limit 1000": {
        "noise-addition": "figure",
        "noise-addition-noise": "figure-noise",
    },
    "analyze noise-addition --dataset mnist --limit 1000 --target all": {"noise-addition-matrix": "figure-matrix"},
    "analyze robustness --dataset mnist --limit 1000 --minimal": {
        "robustness": "figure",
        "robustness-smallest": "figure-smallest",
    },
}
"""What each command draws: a picture of the docs, by the file that it leaves."""

COLOURFUL = {
    "analyze occlusion --model colourful --image seven.png --image seven-in-the-colour-of-two.png --label 7 --label 7 "
    "--patch 7": {"bring-your-own-occlusion": "figure"},
    "analyze filters --model colourful --layer colours": {"bring-your-own-filters": "figure-colours"},
}
"""The same of the model that ``examples/bring_your_own.py`` makes."""


def main(wanted: list[str]) -> None:
    """Draw the pictures whose names begin with one of ``wanted``; all by default."""
    WORK.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "examples", WORK / "examples", dirs_exist_ok=True)
    for folder, command in RUNS.items():
        if not (WORK / folder / "run.json").exists():
            cnnlab(command)
    for name, source in OF_RUNS.items():
        if is_wanted(name, wanted):
            shutil.copy(WORK / source, PICTURES / f"{name}.png")
    for commands in (COMMANDS, COLOURFUL):
        for command, pictures in commands.items():
            if any(is_wanted(name, wanted) for name in pictures):
                draw(command, pictures)
    if is_wanted("saliency", wanted):
        draw_methods()


def is_wanted(name: str, wanted: list[str]) -> bool:
    """Whether a picture is among those asked for."""
    return not wanted or any(name.startswith(begin) for begin in wanted)


def cnnlab(command: str) -> None:
    """Run a command where the runs are."""
    print(f"$ cnnlab {command}", flush=True)
    words = [sys.executable, "-m", "cnnlab", *shlex.split(command)]
    subprocess.run(words, cwd=WORK, check=True, stdout=subprocess.DEVNULL)


def draw(command: str, pictures: dict[str, str]) -> None:
    """Run a command, and keep what it draws under the names of the docs."""
    if command.startswith("compare"):
        cnnlab(command)
    else:
        shutil.rmtree(WORK / "out", ignore_errors=True)
        own = " --model runs/classic" if "--model" not in command else ""
        if "colourful" in command and not (WORK / "colourful").exists():
            subprocess.run([sys.executable, "examples/bring_your_own.py"], cwd=WORK, check=True)
            cnnlab("inspect colourful --class-names names.txt --remember")
        cnnlab(f"{command}{own} --out out")
    for name, source in pictures.items():
        file = WORK / source if source.endswith(".png") else WORK / "out" / f"{source}.png"
        shutil.copy(file, PICTURES / f"{name}.png")


def draw_methods() -> None:
    """Draw what the five methods of saliency make of three digits, side by side."""
    import cnnlab as lab
    from cnnlab.plugin import Tiles
    from cnnlab.render import save

    split = lab.datasets.load("mnist").test
    classifier, chosen = lab.load(WORK / "runs" / "classic"), [0, 4, 18]
    methods = ("vanilla", "smoothgrad", "gradcam", "gradcam++", "scorecam")
    columns = []
    for method in methods:
        found = lab.analyze("saliency", classifier, split.batch(chosen), split.labels[chosen], method=method).drawing()
        assert isinstance(found, Tiles)
        columns.append([tile for tile in found.tiles if tile is not None])
    tiles = [tile for row in range(3) for tile in (columns[0][2 * row], *(own[2 * row + 1] for own in columns))]
    drawing = Tiles(tiles=tuple(tiles), columns=6, heads=("image", *methods))
    save(drawing, PICTURES / "saliency.png")


if __name__ == "__main__":
    os.environ["COLUMNS"] = "100"
    main(sys.argv[1:])
