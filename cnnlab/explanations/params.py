"""Parameters of whatever makes a map and has it tested, declared once: plugins derive theirs from these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from cnnlab.pluginhost.params import Doc, Params


@dataclass(frozen=True, kw_only=True)
class MapTestParams(Params):
    """How a map is put to the test, and what it means to hide a pixel and to score an image.

    Example:
        >>> from dataclasses import dataclass
        >>> from typing import Annotated
        >>> from cnnlab.plugin import Doc
        >>> @dataclass(frozen=True, kw_only=True)
        ... class InkParams(MapTestParams):
        ...     signed: Annotated[bool, Doc("Whether dark pixels speak against a class.")] = False
        >>> InkParams(sanity=True, fill="mean").steps
        28
    """

    fill: Annotated[
        Literal["min", "mean", "max"] | float,
        Doc(
            "What hidden pixels become: min or max of the model's value range, mean (of each channel of the image), or "
            "a value in the range."
        ),
    ] = "min"
    score: Annotated[Literal["probability", "logit"], Doc("Which score of the class is watched.")] = "probability"
    sanity: Annotated[
        bool,
        Doc("Put the map to the test: shuffle the weights layer by layer, delete and insert pixels in its order."),
    ] = False
    steps: Annotated[int, Ge(1), Doc("Steps of the deletion and insertion curves.")] = 28
    blur: Annotated[
        float, Gt(0), Le(1000), Doc("Standard deviation, in pixels, of the blur that insertion starts from.")
    ] = 5.0
