"""What the host lends an analysis: progress, batches, warnings, the grid of 8-bit images."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

from cnnlab.analysis import host
from cnnlab.analysis.context import Context
from cnnlab.drawings import At, Picture
from cnnlab.errors import CnnlabError
from cnnlab.inputs import Inputs, from_arrays
from cnnlab.perturbations import from_8bit
from cnnlab.results.result import Result
from cnnlab.testing import FakeClassifier
from cnnlab.testing.fakes import Spectator

IMAGES = np.linspace(0, 1, 42, dtype=np.float32).reshape(7, 2, 3, 1)
INPUTS = Inputs(lambda indices: IMAGES[indices], np.arange(7) % 3, list("abcdefg"))


class Bar:
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def stage(self, description):
        return nullcontext()

    def task(self, description, total):
        self.told.append((description, total))
        return nullcontext(self.told.append)


def test_it_tracks_and_warns_once():
    bar = Bar()
    context = Context(0, bar)
    assert list(context.track([7, 8], "things")) == [7, 8]
    assert list(context.track(iter([7]), "unknown")) == [7]
    assert bar.told == [("things", 2), 1, 1, ("unknown", None), 1]
    context.warn("Once.")
    context.warn("Once.")
    context.warn("half \ud800")
    assert context.warnings == ["Once.", r"half \ud800"]
    with pytest.raises(TypeError, match=r"^a warning is a text; received int\.$"):
        context.warn(5)


@pytest.mark.parametrize(("size", "expected"), [(3, [2, 2, 3]), (7, [7]), (100, [7]), (1, [1] * 7), (None, [3, 4])])
def test_it_gathers_batch_by_batch(size, expected):
    bar, seen = Bar(), []

    def function(images, labels):
        seen.append(len(images))
        return {"mean": images.mean(axis=(1, 2, 3)), "twice": 2 * labels[:, None]}

    found = Context(0, bar, batch_size=5).gather(INPUTS, function, "digits", size)
    assert seen == expected
    assert bar.told == [("digits", 7), *expected]
    np.testing.assert_array_equal(found["mean"], IMAGES.mean(axis=(1, 2, 3)))
    np.testing.assert_array_equal(found["twice"], 2 * INPUTS.labels[:, None])


def test_the_generator_is_seeded():
    first, again, other = (Context(seed).rng.random(5) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_images_are_rounded_to_8_bits_only_where_asked_and_it_is_said():
    context = Context()
    assert context.on_grid(INPUTS, eight_bit=False) is INPUTS.images
    assert context.warnings == []
    rounded = context.on_grid(INPUTS, eight_bit=True)
    np.testing.assert_array_equal(rounded, from_8bit(np.rint(IMAGES.astype(float) * 255).astype(np.uint8), (0, 1)))
    moved = (rounded != IMAGES).any(axis=(1, 2, 3)).sum()
    assert context.warnings == [
        f"{moved} of 7 images were no 8-bit images: with `eight_bit=True` they were rounded first."
    ]


def picture() -> Picture:
    return Picture(values=np.ones((2, 3)), title="so far")


def test_where_nobody_looks_no_preview_is_made():
    Context(0, Bar()).preview(lambda: pytest.fail("it was made"))


def test_somebody_who_looks_sees_previews_and_hears_warnings_once():
    spectator = Spectator()
    context = Context(0, spectator)
    context.preview(picture)
    context.preview(picture())
    assert [(each.title, each.values.tolist()) for each in spectator.previews] == [
        ("so far", np.ones((2, 3)).tolist())
    ] * 2
    context.warn("Once.")
    context.warn("Once.")
    context.warn_of(0, 8, "were cut.")
    context.warn_of(3, 8, "were cut.")
    assert spectator.notes == ["Once.", "3 of 8 images were cut."] == context.warnings


def test_the_last_preview_of_a_task_is_seen_though_it_came_soon():
    class Slow(Spectator):
        """Somebody who sees the first, and what is the last."""

        def preview(self, make, last):
            if last or not self.previews:
                super().preview(make, last)

    spectator = Slow()
    context = Context(0, spectator)
    for number in context.track(range(5), "steps"):
        context.preview(lambda number=number: Picture(values=np.ones((2, 2)), title=f"{number}"))
    with context.progress("other steps", 1):
        pass
    assert [each.title for each in spectator.previews] == ["0", "4"]


def fail() -> Picture:
    raise ZeroDivisionError("oh")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (fail, "ZeroDivisionError: oh"),
        (lambda: "a text", "the drawing '' is str, no drawing"),
        (Picture(values=At("map")), "refers to the array 'map', and there is none of that name"),
    ],
)
def test_a_preview_that_cannot_be_drawn_costs_itself_alone_and_names_the_plugin(analysis, monkeypatch, wrong, why):
    def mathematics(classifier, inputs, params, context):
        context.preview(picture)
        for _ in range(3):
            context.preview(wrong)
        context.warn("Beware.")
        return Result(headline="Done.")

    declared, model = analysis(mathematics), FakeClassifier.of_brightness((2, 3, 1))
    spectator = Spectator()

    def run():
        return host.run(declared, model, from_arrays(model, IMAGES, None), declared.params(), progress=spectator)

    result = run()
    assert (len(spectator.previews), result.headline) == (1, "Done.")
    lost, other = result.warnings
    assert lost.startswith("the analysis 'one' of cnnlab-one 3.1 gave a preview that cannot be drawn: ")
    assert why in lost
    assert other == "Beware."
    assert spectator.notes == [lost, other]
    monkeypatch.setenv("CNNLAB_STRICT", "1")
    with pytest.raises(CnnlabError, match="gave a preview that cannot be drawn"):
        run()


def test_of_images_that_are_looked_at_some_at_a_time_the_first_are_seen():
    spectator = Spectator()
    whole = Context(0, spectator)
    first, second = (whole.part(number, Bar()) for number in (0, 4))
    for part in (second, first):
        part.preview(picture)
        part.warn_of(1, 4, "were cut.")
    assert (len(spectator.previews), spectator.notes) == (1, [])
    for part in (first, second):
        whole.take(part.said())
    assert whole.warnings == ["2 of 8 images were cut."]
