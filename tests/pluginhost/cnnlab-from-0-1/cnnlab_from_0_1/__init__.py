from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

from cnnlab.plugin import Analysis, Architecture, Array, DatasetSource, Doc, Params, Section, hookimpl


@dataclass(frozen=True, kw_only=True)
class LightParams(Params):
    border: Annotated[int, Ge(0), Doc("Pixels to leave out at each edge.")] = 0


@hookimpl
def cnnlab_analyses():
    return [
        Analysis(
            name="light",
            summary="Measure how bright each image is.",
            params=LightParams,
            run="cnnlab_from_0_1.work:run",
            arrays={"mean": Array("mean of the pixels, in the model's value range", axes=("N",))},
            metrics={"mean": "mean over the images, in the model's value range"},
        )
    ]


@hookimpl
def cnnlab_datasets():
    return [
        DatasetSource(
            name="halves",
            summary="Images of which one half is bright.",
            load="cnnlab_from_0_1.work:load",
            shape=(8, 8, 1),
            class_names=("left", "right"),
            train_size=64,
            test_size=32,
            provenance="Drawn by this package.",
            licence="CC0-1.0",
        )
    ]


@hookimpl
def cnnlab_architectures():
    return [
        Architecture(
            name="one-layer",
            summary="A dense layer alone.",
            build="cnnlab_from_0_1.work:build",
            input_shape=(8, 8, 1),
            classes=2,
        )
    ]


@hookimpl
def cnnlab_report_sections():
    return [
        Section(
            name="light",
            summary="Whether bright images are read better.",
            title="Light",
            write="cnnlab_from_0_1.work:write",
            profiles=("quick",),
            requires=("dataset",),
        )
    ]
