"""Parameters whose values depend on the model, a class or a layer: declared beside a type, checked when it is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnnlab.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier, Layer


@dataclass(frozen=True)
class AClass:
    """A class of the model, for ``Annotated[int, AClass()]``: its number, or its name, which becomes its number.

    Where classes have numbers for names, a number is taken for a name only where there are not so many classes.

    Example:
        >>> from dataclasses import dataclass
        >>> from typing import Annotated
        >>> from cnnlab.plugin import Doc, Params
        >>> from cnnlab.testing import FakeClassifier
        >>> @dataclass(frozen=True, kw_only=True)
        ... class PeakParams(Params):
        ...     class_: Annotated[int | None, AClass(), Doc("The class to look for.")] = None
        >>> PeakParams(class_="bright").settled(FakeClassifier.of_brightness()).class_
        1
    """

    def of(self, classifier: Classifier, value: Any, name: str, otherwise: str = "") -> int:
        """Return the number of a class.

        Args:
            classifier: The model.
            value: A number or a name.
            name: The parameter's, for messages.
            otherwise: What else it takes, for messages: ``, or all``.

        Raises:
            UsageError: The model has no such class.
        """
        count, names = classifier.num_classes, classifier.class_names
        if isinstance(value, int) and 0 <= value < count:
            return value
        if str(value) in names:
            return names.index(str(value))
        known = (
            "" if names == tuple(map(str, range(count))) or not isinstance(value, str) else did_you_mean(value, names)
        )
        raise UsageError(
            f"{name} must be one of the model's {count} classes, 0 to {count - 1}{otherwise}; received {value}."
            f"{f' {known}' if known else ''}"
        )


@dataclass(frozen=True)
class ALayer:
    """A layer of the model, by name, for ``Annotated[str, ALayer()]``.

    Attributes:
        spatial: Whether its output must be feature maps [h, w, channels].
        convolutional: Whether it must have kernels [h, w, in, out].

    Example:
        >>> from dataclasses import dataclass
        >>> from typing import Annotated
        >>> from cnnlab.plugin import Doc, Params
        >>> @dataclass(frozen=True, kw_only=True)
        ... class KernelParams(Params):
        ...     layer: Annotated[tuple[Annotated[str, ALayer(convolutional=True)], ...], Doc("The layers.")] = ()
        >>> KernelParams(layer="conv1").layer
        ('conv1',)
    """

    spatial: bool = False
    convolutional: bool = False

    def of(self, classifier: Classifier, value: str, name: str, otherwise: str = "") -> str:
        """Return the layer's name.

        Args:
            classifier: The model.
            value: A name.
            name: The parameter's, for messages.
            otherwise: What else it takes, for messages: ``, or all``.

        Raises:
            UsageError: There is no such layer, or it is not as it must be; the nearest that are, are named.
        """
        layer = classifier.layer(value)
        fitting = self.among(classifier)
        if layer in fitting:
            return value
        what = (
            f"convolutional; {value} is {layer.kind} and has no kernels [h, w, in, out]"
            if self.convolutional
            else f"one that gives maps [h, w, channels]; {value} gives {list(layer.output_shape)} for an image"
        )
        raise UsageError(f"{name} must be {what}. {did_you_mean(value, [each.name for each in fitting])}")

    def among(self, classifier: Classifier) -> list[Layer]:
        """List the layers of ``classifier`` that are as they must be, from the image to the logits."""
        return [
            layer
            for layer in classifier.layers
            if not (self.spatial and len(layer.output_shape) != 3)
            and not (self.convolutional and not layer.convolutional)
        ]


OfModel = AClass | ALayer
"""What is settled when the model is open."""
