"""Which spatial frequencies a model relies on, as a cnnlab analysis."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt

from cnnlab.plugin import Analysis, Array, Doc, Params, Section, Widget, hookimpl


@dataclass(frozen=True, kw_only=True)
class FourierParams(Params):
    """How strong the noise is."""

    norm: Annotated[
        float,
        Gt(0),
        Widget("norm.js"),  # on the lab's page: a slider, and an image with noise of that strength
        Doc("L2 norm of the noise added to each channel, in units of the model's value range."),
    ] = 4.0


@hookimpl
def cnnlab_analyses() -> Iterable[Analysis]:
    """Tell cnnlab what this package provides."""
    return [
        Analysis(
            name="fourier",
            summary="Map the error rate under noise of each spatial frequency.",
            params=FourierParams,
            run="cnnlab_fourier.run:run",
            sum_up="cnnlab_fourier.run:sum_up",
            arrays={
                "misread": Array("whether the image is misread without noise", axes=("N",)),
                "misread_by_frequency": Array(
                    "whether it is misread with noise of each frequency, H rows of cycles down by W columns of cycles "
                    "across, frequency 0 first",
                    axes=("N", "H", "W"),
                ),
                "error_rate": Array(
                    "share of the images misread with noise of each frequency, frequency 0 at the centre: row "
                    "H // 2 + i, column W // 2 + j is i cycles down and j cycles across the image",
                    axes=("H", "W"),
                ),
            },
            metrics={
                "clean_error": "share of the images misread without noise",
                "mean_error": "share of the images misread, mean over all frequencies",
                "worst_error": "share of the images misread at the worst frequency",
                "low_frequency_error": "share of the images misread, mean over the frequencies below half the highest "
                "one of the shorter side",
                "high_frequency_error": "share of the images misread, mean over the frequencies from there on",
            },
            widgets={"": "spectrum.js"},  # on the lab's page: choose a frequency, and see its noise
        )
    ]


@hookimpl
def cnnlab_report_sections() -> Iterable[Section]:
    """Tell cnnlab what this package adds to a report."""
    return [
        Section(
            name="spectrum",
            summary="Whether coarse or fine noise misleads the model.",
            title="Frequencies: does it go by shape or by texture?",
            write="cnnlab_fourier.report:write",
            profiles=("audit",),
            after="robustness",
            requires=("dataset",),
        )
    ]
