"""Parameters whose values depend on the model: a class, a layer, another model to hold it against.

They are declared beside a type, and checked when the model is open.
"""

from __future__ import annotations

import os
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


@dataclass(frozen=True)
class AModel:
    """Another model, for ``Annotated[Classifier, AModel()]`` or ``Annotated[Classifier | None, AModel()] = None``.

    On the command line it is the path of one (``--other PATH``); in Python also a run, a live Keras model or an opened
    classifier. The host opens it as it opens the model that is asked about, trusts it where that is trusted, and
    records its path, kind and digest.

    Attributes:
        same_images: Whether it must take the same images: height, width, channels and value range.
        same_classes: Whether it must have as many classes.

    Example:
        >>> from dataclasses import dataclass
        >>> from typing import Annotated
        >>> from cnnlab.plugin import Classifier, Doc, Params
        >>> from cnnlab.testing import FakeClassifier
        >>> @dataclass(frozen=True, kw_only=True)
        ... class AgreementParams(Params):
        ...     other: Annotated[Classifier, AModel(), Doc("The model to compare with.")]
        >>> AgreementParams(other="runs/second").to_json()
        {'other': 'runs/second'}
        >>> bright = FakeClassifier.of_brightness()
        >>> AgreementParams(other=bright).settled(bright).other is bright
        True
    """

    same_images: bool = True
    same_classes: bool = True

    def of(self, classifier: Classifier, value: Any, name: str, otherwise: str = "") -> Classifier:
        """Return the other model, opened.

        Args:
            classifier: The model that is asked about.
            value: A path, a run, a live Keras model or an opened classifier.
            name: The parameter's, for messages.
            otherwise: What else it takes, for messages.

        Raises:
            CnnlabError: It cannot be opened.
            UsageError: It takes other images, or has other classes.
        """
        from cnnlab.classifier import load

        other: Classifier = value if is_opened(value) else load(value)
        for what, theirs, ours, matters in (
            ("images of shape", list(other.input_shape), list(classifier.input_shape), self.same_images),
            ("values", list(other.bounds), list(classifier.bounds), self.same_images),
            ("classes:", other.num_classes, classifier.num_classes, self.same_classes),
        ):
            if matters and theirs != ours:
                raise UsageError(
                    f"{name} must be a model for the same images and classes{otherwise}; it has {what} {theirs}, and "
                    f"the model that is asked about has {ours}."
                )
        return other


def is_model(value: Any) -> bool:
    """Whether a value is a model, or says where one is: without importing what makes them."""
    return isinstance(value, (str, os.PathLike)) or is_opened(value) or hasattr(value, "path") or callable(value)


def is_opened(value: Any) -> bool:
    """Whether a value is an opened classifier."""
    return hasattr(value, "logits") and hasattr(value, "bounds")


def recorded(value: Any) -> str | None:
    """Return where a model is, as ``result.json`` says it; None of one that lives in memory alone."""
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    path = getattr(value, "path", None)
    return None if path is None else os.fspath(path)


OfModel = AClass | ALayer | AModel
"""What is settled when the model is open."""
