"""Fooling: images of noise that a network is sure about."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval

from cnnlab.plugin import ADVERSARIAL_ARRAYS, AClass, Analysis, Array, Doc, Params, Section, hookimpl


@dataclass(frozen=True, kw_only=True)
class FoolingParams(Params):
    """Which classes, how sure the network is to be, where the climb begins and how it goes."""

    confidence: Annotated[
        float, Interval(gt=0, lt=1), Doc("The climb ends when the network gives the class this probability.")
    ] = 0.99
    classes: Annotated[
        tuple[Annotated[int, AClass()], ...],
        Doc("A class to make an image for; may be given several times; all if not."),
    ] = ()
    start: Annotated[
        Literal["gaussian", "uniform"],
        Doc("The noise it begins at: Gaussian about mid grey, or every grey level alike."),
    ] = "gaussian"
    std: Annotated[
        float, Ge(0), Doc("Standard deviation of the Gaussian noise, as a share of the model's value range.")
    ] = 0.2
    seeds: Annotated[int, Ge(1), Doc("How many images to make of each class, each from noise of its own.")] = 1
    steps: Annotated[int, Ge(0), Doc("Most steps.")] = 500
    step_size: Annotated[float, Gt(0), Doc("Length of an Adam step, as a share of the model's value range.")] = 0.005
    smoothness: Annotated[
        float,
        Ge(0),
        Doc(
            "Taken off the logit: this times the sum of absolute differences between neighbouring pixels, as shares "
            "of the value range."
        ),
    ] = 0.0
    darkness: Annotated[
        float,
        Ge(0),
        Doc(
            "Taken off the logit: this times the sum of squared pixel values, as shares of the value range above "
            "its lower end."
        ),
    ] = 0.0
    eight_bit: Annotated[bool, Doc("Search among 8-bit images, which are the same after saving as a PNG.")] = False


@hookimpl
def cnnlab_analyses() -> Iterable[Analysis]:
    """Tell cnnlab what this package provides."""
    each, images, means = ("N",), ("N", "H", "W", "C"), ("K", "H", "W", "C")
    return [
        Analysis(
            name="fooling",
            summary="Turn noise into images that the network is sure about, and measure how little they resemble any.",
            params=FoolingParams,
            run="cnnlab_fooling.run:run",
            sum_up="cnnlab_fooling.run:sum_up",
            requires=("one-class",),
            inputs="optional",
            arrays={
                **ADVERSARIAL_ARRAYS,
                "seed": Array("which of the class' images it is, from 0", axes=each),
                "steps": Array("steps taken", axes=each),
                "class_confidence_before": Array("probability of the class at the noise", axes=each),
                "class_confidence": Array("probability of the class at the image made", axes=each),
                "class_confidence_8bit": Array("probability of the class once rounded to 8 bits", axes=each),
                "confidence_by_step": Array(
                    "probability of the class at the start and after every step; NaN after the climb ended",
                    axes=("N", "steps + 1"),
                ),
                "nearest": Array("index of the nearest image (least L2 distance) of the set compared with", axes=each),
                "nearest_source": Array("where that image is from", axes=each),
                "nearest_image": Array("that image", axes=images),
                "nearest_distance": Array("L2 distance to it", axes=each),
                "nearest_correlation": Array(
                    "Pearson correlation of the pixels with its; NaN where one is constant", axes=each
                ),
                "class_mean": Array("mean image of each class of that set; NaN where it has none", axes=means),
                "mean_distance": Array("L2 distance to the mean image of the class", axes=each),
                "mean_correlation": Array("Pearson correlation of the pixels with its", axes=each),
                **{
                    f"real_{name}": Array(f"for scale: {name} of images of that set to the others", axes=("sample",))
                    for name in ("nearest_distance", "nearest_correlation", "mean_distance", "mean_correlation")
                },
            },
            metrics={
                "images": "how many images were made",
                "reached": "share of them that the network reads as their class with the wanted confidence",
                "reached_8bit": "share of them that it still reads so after rounding to 8 bits",
                "confidence": "probability of its class, of the image where that is lowest",
                "confidence_8bit": "probability of its class once rounded to 8 bits, of the image where that is lowest",
                "confidence_before": "probability of its class at the noise it began at, mean over the images",
                "steps": "steps taken, mean over the images",
                "most_steps": "steps taken, by the image that needed most",
                "nearest_distance": "L2 distance to the nearest image compared with, mean over the images",
                "nearest_correlation": "correlation with the nearest image compared with, mean over the images",
                "mean_distance": "L2 distance to the class' mean image, mean over the images",
                "mean_correlation": "correlation with the class' mean image, mean over the images",
                "real_nearest_distance": "for scale: the same of real images, to the nearest other one",
                "real_nearest_correlation": "for scale: the same of real images, with the nearest other one",
                "real_mean_distance": "for scale: the same of real images, to the mean image of their class",
                "real_mean_correlation": "for scale: the same of real images, with the mean image of their class",
            },
            sometimes=(  # where there are images to compare with
                *("nearest", "nearest_source", "nearest_image", "class_mean"),
                *("nearest_distance", "nearest_correlation", "mean_distance", "mean_correlation"),
                *("real_nearest_distance", "real_nearest_correlation", "real_mean_distance", "real_mean_correlation"),
            ),
        )
    ]


@hookimpl
def cnnlab_report_sections() -> Iterable[Section]:
    """Tell cnnlab what this package adds to reports."""
    return [
        Section(
            name="fooling",
            summary="Noise that the model is sure of, and how little it looks like anything.",
            title="Fooling images",
            write="cnnlab_fooling.report:write",
        )
    ]
