"""What the test of a map gives, by name: declarations that plugins spread into their own. Cheap to import.

``Analysis(arrays={..., **MAP_TEST_ARRAYS}, metrics={..., **MAP_TEST_METRICS}, sometimes=(*MAP_TEST_ARRAYS,
*MAP_TEST_METRICS))`` declares what :func:`cnnlab.explanations.sanity.run_map_test` gives.
"""

from __future__ import annotations

from cnnlab.pluginhost.declarations import Array

MAP_TEST_ARRAYS: dict[str, Array] = {
    "sanity_map/<layer>": Array(
        "the map once the weights of that layer and of all above it are shuffled", axes=("N", "H", "W")
    ),
    "sanity_layers": Array("the layers in the order in which they are shuffled, the top one first", axes=("L",)),
    "sanity_similarity": Array(
        "Spearman rank correlation of each of these maps with the model's own; NaN where the model's own map is flat",
        axes=("L", "N"),
    ),
    "fraction": Array("which part of the pixels is deleted or inserted at each step", axes=("S",)),
    "deletion": Array(
        "score of the target class with that part of the pixels deleted, the most important first", axes=("N", "S")
    ),
    "insertion": Array(
        "score of the target class with that part inserted into the blurred image, the most important first",
        axes=("N", "S"),
    ),
    "deletion_random": Array("the same as deletion, in a random order", axes=("N", "S")),
    "insertion_random": Array("the same as insertion, in a random order", axes=("N", "S")),
}
"""The arrays that :func:`~cnnlab.plugin.run_map_test` gives, for ``Analysis.arrays``; L layers, S steps and both ends.

They are there only where the user asks for the test: name them in ``Analysis.sometimes``.

Example:
    >>> from cnnlab.plugin import Array
    >>> arrays = {"map": Array("size of the gradient at each pixel", axes=("N", "H", "W")), **MAP_TEST_ARRAYS}
    >>> arrays["deletion"].shape
    '[N, S]'
"""

MAP_TEST_METRICS: dict[str, str] = {
    "sanity/<layer>": "Spearman rank correlation with the model's own map once that layer and all above it are "
    "shuffled, mean over the images: 1 is the same order of pixels, 0 an unrelated one",
    "sanity_all": "the same with every layer shuffled; near 1, the map does not show what was learned",
    "deletion_area": "area under the deletion curve over the part deleted, mean over the images; small is good",
    "insertion_area": "area under the insertion curve over the part inserted, mean over the images; large is good",
    "deletion_random_area": "area under the deletion curve of a random order, to compare with",
    "insertion_random_area": "area under the insertion curve of a random order, to compare with",
}
"""The metrics that :func:`~cnnlab.plugin.run_map_test` gives, for ``Analysis.metrics``.

Example:
    >>> from cnnlab.plugin import MAP_TEST_ARRAYS
    >>> sometimes = (*MAP_TEST_ARRAYS, *MAP_TEST_METRICS)
    >>> sometimes[-1]
    'insertion_random_area'
"""
