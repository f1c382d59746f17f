"""Reports that are made by hand, so that pages and files are tested without a network."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlab.drawings import Curves, Line, Picture, Scrub, Tiles
from cnnlab.drawings.tables import Table
from cnnlab.reports.chapter import Chapter, Conclusion, Figure, Metric
from cnnlab.reports.profiles import PROFILES
from cnnlab.reports.report import Report, Written

IMAGE = np.arange(64, dtype=np.float32).reshape(8, 8) / 63


def chapter(word: str = "seven") -> Chapter:
    """A chapter with everything that one can have; ``word`` stands wherever somebody else's text may."""
    scrub = Scrub(axis="epsilon", stops=("0.1", "0.2"), frames=((Picture(values=IMAGE, title=word, image=0),),) * 2)
    pictures = Tiles(
        tiles=(Picture(values=IMAGE, title=word, image=0), Picture(values=IMAGE.T, title="map", image=0), scrub),
        columns=3,
    )
    curve = Curves(lines=(Line(name=word, x=(0.0, 1.0), y=(0.2, 0.8)),), x_label="epsilon", y_label="accuracy")
    rows = [{"image": word, "score": 0.5}, {"image": "other", "score": 0.25, "at": 3}]
    return Chapter(
        says=[f"What {word} is.", "And how to read it."],
        figures=[
            Figure(
                drawing=pictures,
                caption=f"Pictures of {word}.",
                command=f"cnnlab analyze occlusion --image '{word}'",
                params={"patch": 4, "layer": None, "epsilon": [0.1, 0.2], "word": word},
                seed=7,
                rows=rows,
                images=["abc"],
            ),
            Figure(drawing=curve, caption="A curve.", images=["abc"]),
        ],
        metrics=[
            Metric.share("fooled", 9, 10, f"share of the images of {word} that are fooled", reported=0.8),
            Metric(name="steps", value=12.0, meaning="steps taken"),
        ],
        tables=[Table(("layer", "weights"), [(word, 288), ("fc1", None)], title="Layers")],
        conclusions=[
            Conclusion(says=f"{word} is fooled.", holds=True, rule="More than half."),
            Conclusion(says="It is not robust.", holds=False, rule="Less than half."),
            Conclusion(says="Too few to tell.", holds=None, rule="Fewer than ten."),
        ],
    )


def report_of(*sections: Written, title: str = "A report") -> Report:
    """A report of sections."""
    return Report(
        profile=PROFILES["audit"],
        title=title,
        sections=sections,
        record={
            "model": {"path": "runs/a", "kind": "run", "digest": "d" * 64, "about": {}},
            "dataset": {"name": "mnist", "source": "mnist", "split": "test", "digest": "e" * 64},
            "seed": 0,
            "command": "cnnlab report runs/a",
            "profile": "audit",
            "created": "2026-01-02T03:04:05+00:00",
            "versions": {"cnnlab": "0.1.0"},
            "device": "cpu",
            "seconds": 1.5,
        },
    )


@pytest.fixture
def made():
    """A report of two chapters and one that is left out; ``made("<b>")`` has that word wherever it can be."""

    def make(word: str = "seven") -> Report:
        return report_of(
            Written(name="first", title=f"First of {word}", chapter=chapter(word), seconds=0.5),
            Written(name="second", title="Second", chapter=chapter("six"), seconds=0.25),
            Written(name="third", title="Third", reason=f"it needs {word}: name a dataset with `dataset=`."),
            title=f"About {word}",
        )

    return make
