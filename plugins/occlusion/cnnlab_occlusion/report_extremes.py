"""The section on extremes: occlusion of what a model is surest of, least sure of, and sure and wrong about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cnnlab.plugin import Answer, Chapter, Conclusion, Inputs, Metric, Picture, Subject, Tiles, percent
from cnnlab_occlusion.report import affordable, explained, patch
from cnnlab_occlusion.standing_out import compare

SHOWN = 3
"""Images of each group that are drawn."""

GROUPS = {"surest": "surest", "unsure": "least sure", "mistakes": "surest mistakes"}
"""The groups, and what stands beside their rows."""


def write(subject: Subject) -> Chapter:
    """Cover the images that a model is surest of, least sure of, and sure and wrong about."""
    count = affordable(subject)
    groups = {
        "surest": subject.most_certain(count),
        "unsure": subject.least_certain(count),
        "mistakes": subject.mistakes(count),
    }
    indices, places = laid_out(groups)
    answer, inputs = subject.ask("occlusion", indices, **patch(subject)), subject.inputs(indices)
    found = {name: by_group(answer, inputs, places[name]) for name in groups}
    indices, places = laid_out({name: group[:SHOWN] for name, group in groups.items()})
    shown = subject.ask("occlusion", indices, **patch(subject, fine=True))
    drawing = pictures(shown, subject.inputs(indices), titles(subject, indices), places)
    return Chapter(
        says=[
            f"The {len(groups['surest'])} images that the model is surest of, as many that it is least sure of, and "
            f"its {len(groups['mistakes'])} surest mistakes, with the place that each reading rests on: whether a "
            "model is right for good reasons is seen where it is sure, and why it errs where it is sure and wrong.",
            *explained(answer),
        ],
        figures=[
            shown.figure(
                drawing=drawing,
                caption="Each image beside the fall of the margin of its true class where it is covered. Blue places "
                "speak against that class: with them covered, the image is nearer to being read so.",
            )
        ],
        metrics=metrics(found),
        conclusions=conclusions(found),
    )


def laid_out(groups: Mapping[str, Sequence[int]]) -> tuple[list[int], dict[str, np.ndarray]]:
    """Put the images of groups one after the other; return them, and the places of each group among them."""
    indices = [index for group in groups.values() for index in group]
    member = np.repeat(list(groups), [len(group) for group in groups.values()])
    return indices, {name: np.flatnonzero(member == name) for name in groups}


def by_group(answer: Answer, inputs: Inputs, places: np.ndarray) -> dict[str, np.ndarray]:
    """Say of each image of a group what a patch does to it.

    Args:
        answer: What was found of all images.
        inputs: All images.
        places: Which of them the group is.

    Returns:
        ``steady`` bool [n], whether the reading is the same under every patch; ``cured``, whether some patch makes the
        label be read; and of the images with a plain ground ``object`` bool, whether a patch moves the margin more, up
        or down, on what stands out than beside it.
    """
    arrays = answer.result.arrays
    flipped = np.array([answer.result.rows[place]["flipped"] for place in places], float)
    labelled = arrays["predicted"][places] == inputs.labels[places][:, None, None]
    of_images = ("margin_baseline", "margin", "predicted", "target")
    part = {**{name: arrays[name][places] for name in of_images}, "rows": arrays["rows"], "cols": arrays["cols"]}
    moved = compare(part, inputs.images[places], inputs.bounds, answer.result.record["params"]["patch"])
    return {
        "steady": flipped == 0,
        "cured": labelled.any(axis=(1, 2)),
        "object": moved["moved_on"] > moved["moved_beside"],
    }


def titles(subject: Subject, indices: Sequence[int]) -> list[str]:
    """Say of each image what it is read as, and what it is where that is another class."""
    arrays, names = subject.evaluation.result.arrays, subject.class_names
    place_of = {int(index): place for place, index in enumerate(arrays["index"])}

    def title(place: int) -> str:
        read, label = arrays["predicted"][place], arrays["label"][place]
        sure = f"read as {names[read]} ({percent(arrays['confidence'][place])})"
        return sure if read == label else f"{sure}\nlabelled {names[label]}"

    return [title(place_of[index]) for index in indices]


def pictures(answer: Answer, inputs: Inputs, titles: Sequence[str], places: Mapping[str, np.ndarray]) -> Tiles:
    """Lay the images of each group out in a row, each beside its map, all maps on one scale."""
    maps = answer.result.arrays["margin_heatmap"]
    largest = float(np.abs(maps).max(initial=1e-6))

    def pair(place: int) -> list[Picture]:
        image = Picture.of_image(inputs.images[place], inputs.bounds, titles[place], image=place)
        fall = Picture(
            values=maps[place],
            title="fall of the margin",
            scale="diverging",
            limits=(-largest, largest),
            unit="logits",
            outline=inputs.unit_image(place),
            image=place,
        )
        return [image, fall]

    rows = {
        name: [tile for place in group for tile in pair(int(place))] for name, group in places.items() if len(group)
    }
    tiles = [tile for row in rows.values() for tile in [*row, *[None] * (2 * SHOWN - len(row))]]
    return Tiles(tiles=tuple(tiles), columns=2 * SHOWN, rows=tuple(GROUPS[name] for name in rows), size=1.5)


def metrics(found: Mapping[str, Mapping[str, np.ndarray]]) -> list[Metric]:
    """Return what was counted in each group."""

    def share(group: str, what: str, name: str, meaning: str) -> Metric:
        holds = found[group][what]
        return Metric.share(f"{GROUPS[group]}: {name}", int(holds.sum()), len(holds), f"share of the images {meaning}")

    on_object = "with a plain ground whose margin a patch moves more on what stands out than beside it"
    return [
        *(share(group, "steady", "steady", "whose reading no patch changes") for group in GROUPS),
        share("mistakes", "cured", "cured", "that some patch makes be read as what they are labelled"),
        *(share(group, "object", "resting on the object", on_object) for group in GROUPS),
    ]


def conclusions(found: Mapping[str, Mapping[str, np.ndarray]]) -> list[Conclusion]:
    """Say whether sure readings rest on the object and stand, and whether mistakes do, or hinge on a spot.

    Args:
        found: Of :func:`by_group`, by the name of the group.
    """
    surest, mistakes = found["surest"], found["mistakes"]
    on_object = "moved more by a patch on what stands out than by one beside it"
    rule = (
        "A reading rests on the object where covering parts of it moves the margin more than covering the ground does."
    )
    return [
        Conclusion.on_most(
            surest["steady"],
            "read the same wherever the patch lies",
            "What a model is surest of is not to hang on any one spot.",
            nouns="images that it is surest of",
        ),
        Conclusion.on_most(surest["object"], on_object, rule, nouns="images with a plain ground that it is surest of"),
        Conclusion.on_most(
            mistakes["cured"],
            "read right with some spot covered",
            "A mistake that hinges on a spot has its evidence in one place, and can be explained by it; one that no "
            "patch cures has it all over the image.",
            nouns="mistakes looked at",
        ),
        Conclusion.on_most(
            mistakes["object"],
            on_object,
            f"Mistakes, too, are to rest on the object. {rule}",
            nouns="mistakes with a plain ground",
        ),
    ]
