"""The section on architecture: sizes, parameters and units of each layer."""

from __future__ import annotations

from cnnlab.drawings.tables import Table
from cnnlab.inspection.summary import Summary, summarize
from cnnlab.reports.chapter import Chapter, Conclusion, Metric
from cnnlab.reports.subject import Subject
from cnnlab.words import size

REPORTED = {"parameters": 799078, "convolutional": 9568, "dense": 789510, "ratio": 82.5, "kernel_taps": 10014}
"""What the course report counts of its network."""

MOSTLY = 0.5
"""The share of the parameters above which they lie mostly in one kind of layer."""


def write(subject: Subject) -> Chapter:
    """Tell what the model is made of."""
    found = summarize(subject.classifier)
    return Chapter(
        says="Each layer with the sizes of its input and output and its parameters. Output units are the values that a "
        "layer gives for one image: its neurons. Kernel taps are the entries of a convolution's kernel and the units "
        "of a dense layer, which reports on small networks add up as neurons.",
        tables=[layers(found)],
        metrics=metrics(found),
        conclusions=[conclusion(found)],
    )


def layers(found: Summary) -> Table:
    """Return a row for each layer."""
    heads = ("layer", "kind", "input size", "output size", "weights", "biases", "parameters", "units", "kernel taps")
    rows = [
        (
            layer.name,
            layer.kind,
            size(layer.input_size),
            size(layer.output_size),
            layer.weights,
            layer.biases,
            layer.parameters,
            layer.output_units,
            layer.kernel_taps,
        )
        for layer in found.layers
    ]
    return Table(heads, rows, title="Layers, from the image to the logits", most=60)


def metrics(found: Summary) -> list[Metric]:
    """Return the sums; of the classic network, beside the course report's."""
    reported = REPORTED if found.parameters == REPORTED["parameters"] else {}
    counts = {
        "parameters": (found.parameters, "all stored numbers"),
        "convolutional": (found.convolutional, "parameters of convolutional layers"),
        "dense": (found.dense, "parameters of dense layers"),
        "ratio": (found.dense_to_convolutional, "parameters of dense layers for each one of a convolutional layer"),
        "kernel_taps": (found.kernel_taps, "kernel entries of convolutions and units of dense layers"),
        "units": (found.output_units, "values that layers with a kernel give for one image"),
        "multiply_adds": (found.multiply_adds, "multiply-adds for one image"),
    }
    return [
        Metric(name=name.replace("_", " "), value=value, meaning=meaning, reported=reported.get(name))
        for name, (value, meaning) in counts.items()
    ]


def conclusion(found: Summary) -> Conclusion:
    """Say in which kind of layer the parameters lie."""
    rule = "The claim is the course report's: the parameters lie in the dense layers, more than half of them."
    if not found.parameters:
        return Conclusion(says="The model has no parameters that could be read.", holds=None, rule=rule)
    share = found.dense / found.parameters
    ratio = found.dense_to_convolutional
    times = "" if ratio is None else f", {ratio:.3g} times as many as the convolutions"
    return Conclusion(
        says=f"The dense layers hold {share:.1%} of the {found.parameters:,} parameters{times}.",
        holds=share > MOSTLY,
        rule=rule,
    )
