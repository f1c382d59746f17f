"""The sections about the model itself; those about an analysis come with its plugin."""

from __future__ import annotations

from collections.abc import Iterable

from cnnlab.pluginhost.declarations import Section
from cnnlab.pluginhost.hookspecs import hookimpl


@hookimpl
def cnnlab_report_sections() -> Iterable[Section]:
    """Tell cnnlab what this package provides."""
    here = "cnnlab.reports.sections"
    return [
        Section(
            name="training",
            summary="Loss and accuracy over the epochs, and the final figures.",
            title="Training",
            write=f"{here}.training:write",
            requires=("run",),
        ),
        Section(
            name="predictions",
            summary="What the model makes of the first images, and of those it misreads.",
            title="Predictions",
            write=f"{here}.predictions:write",
            requires=("dataset",),
        ),
        Section(
            name="architecture",
            summary="Sizes, parameters and units of each layer.",
            title="Architecture",
            write=f"{here}.architecture:write",
        ),
        Section(
            name="batch-normalisation",
            summary="A run with batch normalisation beside one without.",
            title="Batch normalisation",
            write=f"{here}.batch_normalisation:write",
            requires=("run",),
        ),
        Section(
            name="model",
            summary="Where the model comes from, what it takes and gives, and what can be asked of it.",
            title="The model",
            write=f"{here}.model:write",
        ),
        Section(
            name="health",
            summary="Whether logits, gradients and weights are as they should be.",
            title="Health",
            write=f"{here}.health:write",
        ),
        Section(
            name="accuracy",
            summary="How often each class is read correctly, and what it is taken for.",
            title="Accuracy and confusion",
            write=f"{here}.accuracy:write",
            requires=("dataset",),
        ),
        Section(
            name="calibration",
            summary="Whether the model is as often right as it is sure.",
            title="Calibration",
            write=f"{here}.calibration:write",
            requires=("dataset",),
        ),
    ]
