"""The section on predictions: what the model makes of the first images, and which mistakes it is surest of."""

from __future__ import annotations

import numpy as np

from cnnlab.reports.chapter import Chapter, Conclusion, Figure, Metric
from cnnlab.reports.subject import Subject
from cnnlab.training.drawings import choose_predictions, predictions
from cnnlab.words import percent

SURE = 0.9
"""The probability from which a model is called sure."""


def write(subject: Subject) -> Chapter:
    """Show predicted labels."""
    answer = subject.evaluation
    arrays = answer.result.arrays
    labels, predicted, confidence = arrays["label"], arrays["predicted"], arrays["confidence"]
    first, wrong = choose_predictions(labels, predicted, confidence)
    shown = np.concatenate([first, wrong])
    inputs = subject.inputs([int(index) for index in arrays["index"][shown]])
    total, mistakes = len(labels), int((labels != predicted).sum())
    drawing = predictions(
        inputs.images,
        labels[shown],
        predicted[shown],
        confidence[shown],
        subject.class_names,
        first=len(first),
        wrong=mistakes,
        total=total,
        limits=inputs.bounds,
    )
    names = subject.class_names
    rows = [
        {
            "image": source,
            "label": names[labels[place]],
            "predicted": names[predicted[place]],
            "confidence": float(confidence[place]),
        }
        for source, place in zip(inputs.sources, shown, strict=True)
    ]
    sure = confidence >= SURE
    return Chapter(
        says=f"The predicted class of {len(first)} images, the first of the dataset, with its probability; then the "
        "mistakes that the model is surest of, with the true class below.",
        figures=[
            Figure(
                drawing=drawing,
                caption="Predicted class and its probability. Mistakes are framed.",
                command=answer.command,
                rows=rows,
                images=[record["digest"] for record in inputs.records()],
            )
        ],
        metrics=[
            Metric.share("accuracy", total - mistakes, total, "share of the images that are read correctly"),
            Metric.share(
                "sure and wrong",
                int((sure & (labels != predicted)).sum()),
                int(sure.sum()),
                f"share of the images read with a probability of {percent(SURE, 0)} or more that are misread",
            ),
        ],
        conclusions=[conclusion(int((sure & (labels != predicted)).sum()), int(sure.sum()))],
    )


def conclusion(wrong: int, sure: int) -> Conclusion:
    """Say whether a sure prediction can be relied on: whether it is wrong as seldom as its probability says.

    Args:
        wrong: How many of the sure predictions are wrong.
        sure: How many predictions are sure.
    """
    found = Metric.share("", wrong, sure, "share")
    rule = (
        f"Sure is a probability of {percent(SURE, 0)} or more. Such predictions are relied on where the 95% interval "
        f"of their error lies below {percent(1 - SURE, 0)}, and not where it lies above."
    )
    if found.interval is None:
        return Conclusion(says="The model is sure of no image.", holds=None, rule=rule)
    low, high = found.interval
    words = f"{wrong:,} of {sure:,} sure predictions are wrong ({percent(low, 2)} to {percent(high, 2)})"
    if high < 1 - SURE:
        return Conclusion(says=f"Sure predictions can be relied on: {words}.", holds=True, rule=rule)
    if low > 1 - SURE:
        return Conclusion(says=f"Sure predictions cannot be relied on: {words}.", holds=False, rule=rule)
    return Conclusion(says=f"Too few to tell: {words}.", holds=None, rule=rule)
