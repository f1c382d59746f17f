"""The section on filters: whether those of the first layer are edge detectors, and how alike those of the last are."""

from __future__ import annotations

import math

import numpy as np

from cnnlab.plugin import Answer, Chapter, Classifier, CnnlabError, Conclusion, Metric, Subject, known_mean, percent
from cnnlab_filters import CONVOLUTION, energy
from cnnlab_filters.run import by_filter

MOST = 32
"""Filters, and input channels, of a layer that are drawn."""

NORMAL = 1.96
"""Standard errors to either side of a mean that make its 95% interval."""

WORDS = {
    "constant": "constant part of {}",
    "edge": "edge-like part of {}",
    "higher": "finer part of {}",
    "slice_similarity": "alikeness in {}",
}
"""What the report calls the metrics of a layer."""


def write(subject: Subject) -> Chapter:
    """Show the kernels of the first and of the last convolution, and measure them against random ones."""
    first, *last = ends(subject.classifier)
    names = (first, *last)
    answer = subject.ask("filters", layer=names, most=MOST)
    kernels = {name: by_filter(subject.classifier.layer(name)) for name in names}
    found = [edges(first, kernels[first])]
    if last:
        found.append(alike(first, beyond_chance(kernels[first]), last[0], beyond_chance(kernels[last[0]])))
    return Chapter(
        says=f"The kernels of {' and of '.join(names)}: red weights are positive, blue ones negative, white is zero. "
        "The energy of a kernel, the sum of its squares, splits into a constant, a linear ramp as in an edge detector, "
        "and what is finer: lines, spots and corners. Beside each number stands what kernels of independent normal "
        "weights give on average: before training, kernels are such.",
        figures=[answer.figure(name, f"Kernels of {name}, in parts: {shown(kernels[name])}.") for name in names],
        metrics=[metric for name in names for metric in metrics(answer, name, kernels[name])],
        conclusions=found,
    )


def ends(classifier: Classifier) -> tuple[str, ...]:
    """Name the first and the last convolution whose kernels have more than one weight for a channel; they may be one.

    Raises:
        CnnlabError: There is none.
    """
    names = [layer.name for layer in CONVOLUTION.among(classifier) if math.prod(by_filter(layer).shape[:2]) > 1]
    if not names:
        raise CnnlabError("the model has no convolution with kernels larger than 1×1, and these are shown here.")
    return tuple(dict.fromkeys((names[0], names[-1])))


def shown(kernel: np.ndarray) -> str:
    """Say how many filters there are, and how many input channels they read."""
    inputs, filters = kernel.shape[2:]
    return f"{filters:,} filters of {inputs:,} input channel{'' if inputs == 1 else 's'}"


def metrics(answer: Answer, layer: str, kernel: np.ndarray) -> list[Metric]:
    """Return what was measured of a layer, each number beside what chance gives."""
    by_chance = energy.chance(kernel.shape)
    found = [(answer.metric(f"{name}/{layer}", words.format(layer)), by_chance[name]) for name, words in WORDS.items()]
    return [
        Metric(name=each.name, value=each.value, meaning=f"{each.meaning}; by chance {expected:.3f}")
        for each, expected in found
    ]


def edges(layer: str, kernel: np.ndarray) -> Conclusion:
    """Say whether the filters of a layer are more edge-like than random ones."""
    share = energy.shares(kernel)[energy.PARTS.index("edge")]
    known = np.array([known_mean(of_filter) for of_filter in share.T])
    known = known[np.isfinite(known)]
    chance = energy.chance(kernel.shape)["edge"]
    rule = (
        "The claim is the course report's: the filters of the first layer are edge detectors. They are where the 95% "
        "interval of the edge-like share of a kernel's energy, over the filters, lies above that of random kernels; "
        "where it lies below, they are less so than before training."
    )
    if len(known) < 2:
        return Conclusion(
            says=f"{layer} has too few filters to tell whether they are edge-like.", holds=None, rule=rule
        )
    mean, error = known.mean(), NORMAL * known.std(ddof=1) / math.sqrt(len(known))
    ends = f"{percent(max(0.0, mean - error))} to {percent(mean + error)}"
    told = f"{percent(mean)} of their energy ({ends}), {percent(chance)} by chance"
    if mean - error > chance:
        return Conclusion(says=f"The filters of {layer} are edge-like: {told}.", holds=True, rule=rule)
    if mean + error < chance:
        says = f"The filters of {layer} are less edge-like than random ones: {told}."
        return Conclusion(says=says, holds=False, rule=rule)
    says = f"The filters of {layer} cannot be told from random ones: {told}."
    return Conclusion(says=says, holds=None, rule=rule)


def slices_alike(kernel: np.ndarray) -> np.ndarray:
    """Return, for each filter, the mean |cosine| of its slices with those of others that read the same channel.

    Args:
        kernel: [h, w, in, out].

    Returns:
        float64 [out]; NaN for a filter of zeros, and where there is one filter alone.
    """
    filters = kernel.shape[-1]
    by_channel = kernel.transpose(2, 3, 0, 1).reshape(kernel.shape[2], filters, -1)
    others = ~np.eye(filters, dtype=bool)
    total, counted = np.zeros(filters), np.zeros(filters)
    for slices in by_channel:
        cosine = np.where(others, np.abs(energy.cosines(slices)), np.nan)
        total += np.nansum(cosine, axis=1)
        counted += np.isfinite(cosine).sum(axis=1)
    return np.divide(total, counted, out=np.full(filters, np.nan), where=counted > 0)


def beyond_chance(kernel: np.ndarray) -> np.ndarray:
    """Return :func:`slices_alike` less what random kernels of that size have: small ones are more alike by chance."""
    return slices_alike(kernel) - energy.chance(kernel.shape)["slice_similarity"]


def alike(first: str, of_first: np.ndarray, last: str, of_last: np.ndarray) -> Conclusion:
    """Say whether the filters of the last layer are more alike than those of the first.

    Args:
        first: The first layer.
        of_first: How alike each of its filters is to the others, beyond chance.
        last: The last layer.
        of_last: The same.
    """
    (mean_first, error_first), (mean_last, error_last) = mean_and_error(of_first), mean_and_error(of_last)
    gap, error = mean_last - mean_first, NORMAL * math.hypot(error_first, error_last)
    rule = (
        "The claim is the course report's: the values in a kernel of a deeper layer are very similar, in contrast to "
        "the first. Kernels that read one input channel are compared by |cosine|, less what random ones of their size "
        "have; the interval of the difference takes each filter for one observation in pairs with all others "
        "(Hoeffding, 1948). It holds where the interval lies above 0, and not where it lies below."
    )
    if not math.isfinite(gap + error):
        return Conclusion(says="There are too few filters to tell how alike they are.", holds=None, rule=rule)
    ends = f"{gap - error:+.2f} to {gap + error:+.2f}"
    told = f"|cosine| {mean_last:+.2f} beyond chance, in {first} {mean_first:+.2f}, a difference of {gap:+.2f} ({ends})"
    if gap - error > 0:
        return Conclusion(says=f"The kernels of {last} are more alike: {told}.", holds=True, rule=rule)
    if gap + error < 0:
        return Conclusion(says=f"The kernels of {last} are less alike: {told}.", holds=False, rule=rule)
    return Conclusion(says=f"The kernels of {last} are as alike as those of {first}: {told}.", holds=None, rule=rule)


def mean_and_error(of_filter: np.ndarray) -> tuple[float, float]:
    """Return the mean over pairs of filters, and its standard error as a U-statistic of pairs: 2 s / sqrt(n)."""
    known = of_filter[np.isfinite(of_filter)]
    if len(known) < 2:
        return math.nan, math.nan
    return float(known.mean()), 2 * float(known.std(ddof=1)) / math.sqrt(len(known))
