"""What a plugin declares: an analysis, a dataset, an architecture, a recipe, a section of the report.

Declarations are cheap: they name their code as ``"module:attribute"`` and import none of it, so that listing every
plugin and printing ``--help`` costs no TensorFlow. :func:`resolve` imports the code when it is to run.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Interval, Le

from cnnlab.errors import CnnlabError
from cnnlab.pluginhost.params import Params

API_VERSION = 1
"""The version of the plugin interface that this cnnlab speaks. It changes only when old plugins would break."""


Positive = Annotated[int, Ge(1)]
"""How many there are of what is never missing."""


@dataclass(frozen=True)
class Array:
    """What an array of a result means, and what its axes are.

    Attributes:
        meaning: What it holds, with its unit and value range.
        axes: Its axes by name, ``("N", "rows", "cols")``; none for a single number. A capital letter has one length in
            all arrays of a result: N images, H, W and C of them, K classes, E strengths. Words in small letters may
            differ from array to array. ``"..."`` stands for any number of axes. An axis with a question mark, ``"E?"``,
            is there where it has more than one entry: the plugin always gives it, and the host takes it away.

    Example:
        >>> Array("score with the patch at each position", axes=("N", "rows", "cols")).shape
        '[N, rows, cols]'
        >>> Array("the label after the attack", axes=("E?", "N")).shape
        '[(E,) N]'
    """

    meaning: str
    axes: tuple[str, ...] = field(kw_only=True)

    @property
    def shape(self) -> str:
        """The axes as they are written."""
        words = [f"({axis[:-1]},)" if axis.endswith("?") else f"{axis}," for axis in self.axes]
        return f"[{' '.join(words).rstrip(',')}]"


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What every declaration has.

    Attributes:
        name: The word users type, lower case with hyphens (``"occlusion"``).
        summary: One line for listings and ``--help``, ending in a full stop.
        api: The version of the plugin interface it was written for; the first where it does not say.
    """

    noun: ClassVar[str]

    name: str
    summary: str
    api: int = 1


@dataclass(frozen=True, kw_only=True)
class Analysis(Declaration):
    """A named question to a classifier: parameters in, a Result out.

    Attributes:
        params: A frozen keyword-only dataclass derived from :class:`~cnnlab.plugin.Params`.
        run: Where the mathematics is, ``"package.module:function"``; called as
            ``run(classifier, inputs, params, context)`` and returning a :class:`~cnnlab.plugin.Result`.
        inputs: Whether images are ``"required"``, ``"optional"`` or of no use (``"none"``).
        requires: What there must be: of the model ``"gradients"``, ``"convolutions"`` and ``"one-class"`` (that an
            image has exactly one class), of the images ``"labels"`` (all are known) and ``"dataset"`` (the one that
            they, or those that the model learned, are of). The host checks these before it runs and says which is
            missing.
        arrays: What each array that a Result may hold means, and its axes, by name. A name may hold placeholders:
            ``"kernel/<layer>"`` stands for ``kernel/conv1`` and so on.
        metrics: What each metric means, by name. What ``success`` means, ``success@0.1`` means at that strength.
            A number from 0 to 1 whose meaning begins with "share" or "probability" is shown in percent.
        sometimes: The names among them that a Result holds only with some parameters, for some images or models; all
            others come with the defaults, and the contract tests see to it.
        sum_up: Where the arrays are summed up, ``"package.module:function"``; called as
            ``sum_up(classifier, result, params)`` with what ``run`` gave, which then holds arrays and no metrics, and
            returning a :class:`~cnnlab.plugin.Result` of headline, metrics and columns. ``cnnlab verify`` calls it with
            the saved arrays and holds the saved numbers against what it says: so it looks at arrays, claims and
            parameters, and asks the model for the names of its classes and layers alone. None where ``run`` gives the
            metrics itself, which nobody can verify.
        independent: Whether what is said of an image depends on this image and the seed alone. ``run`` is then called
            with some of the images at a time, on each of the devices and in each of the processes that share them;
            the host joins the arrays along their axis N, and takes from the first images an array that has none, the
            claims and what is shown. So ``run`` gives arrays, claims, ``show`` and ``title`` alone, and draws nothing
            from ``context.rng``; and ``sum_up``, which must be there, does without the arrays that have axes H and W:
            with ``--keep metrics`` they are dropped as soon as they were verified.
        widgets: Of drawings, by name, the JavaScript module of the package by which the lab's page answers in a way of
            its own: ``{"": "spectrum.js"}``. None needs one.

    Example:
        >>> from cnnlab.plugin import Array, Params
        >>> analysis = Analysis(
        ...     name="brightness",
        ...     summary="Measure how bright each image is.",
        ...     params=Params,
        ...     run="cnnlab_brightness.run:run",
        ...     arrays={"mean": Array("mean of the pixels, in the model's value range", axes=("N",))},
        ... )
        >>> analysis.inputs, analysis.arrays["mean"].shape
        ('required', '[N]')
    """

    noun: ClassVar[str] = "analysis"

    params: type[Params]
    run: str
    inputs: Literal["required", "optional", "none"] = "required"
    requires: tuple[Literal["gradients", "convolutions", "one-class", "labels", "dataset"], ...] = ()
    arrays: Mapping[str, Array] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)
    sometimes: tuple[str, ...] = ()
    sum_up: str | None = None
    independent: bool = False
    widgets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DatasetSource(Declaration):
    """A named dataset that can be loaded.

    Attributes:
        load: Where the reader is, ``"package.module:function"``; called without arguments and returning a
            :class:`~cnnlab.plugin.Dataset`.
        shape: Height, width and channels of one image.
        class_names: The classes, in the order of their labels.
        train_size: How many training images there are.
        test_size: How many test images there are.
        provenance: Who made it and where it is described.
        licence: The licence of the data.

    Example:
        >>> shapes = DatasetSource(
        ...     name="shapes",
        ...     summary="Squares and bars at random places.",
        ...     load="cnnlab_shapes.data:load",
        ...     shape=(16, 16, 1),
        ...     class_names=("square", "bar"),
        ...     train_size=600,
        ...     test_size=150,
        ...     provenance="Drawn by this package.",
        ...     licence="CC0-1.0",
        ... )
        >>> shapes.api
        1
    """

    noun: ClassVar[str] = "dataset"

    load: str
    shape: tuple[Positive, Positive, Positive]
    class_names: tuple[str, ...]
    train_size: Annotated[int, Ge(0)]
    test_size: Annotated[int, Ge(0)]
    provenance: str
    licence: str


@dataclass(frozen=True, kw_only=True)
class Architecture(Declaration):
    """A function that builds a Keras model from an input shape and a class count.

    Attributes:
        build: Where the builder is, ``"package.module:function"``; called as ``build(input_shape, classes)``, with
            ``batch_norm=True`` added where the user asks for it and :attr:`batch_norm` allows it. It returns an
            unbuilt or built ``keras.Model`` from images [N, H, W, C] to **logits** [N, classes].
        input_shape: The shape (H, W, C) it was made for, for listings and summaries.
        classes: The class count it was made for.
        batch_norm: Whether the builder takes ``batch_norm=True``.

    Example:
        >>> small = Architecture(
        ...     name="small-cnn",
        ...     summary="Two convolutions and a dense layer.",
        ...     build="cnnlab_small_cnn.network:build",
        ...     input_shape=(32, 32, 3),
        ... )
        >>> small.classes, small.batch_norm
        (10, False)
    """

    noun: ClassVar[str] = "architecture"

    build: str
    input_shape: tuple[Positive, Positive, Positive] = (28, 28, 1)
    classes: Positive = 10
    batch_norm: bool = False


Precision = Literal["auto", "float32", "bfloat16", "float16"]
"""What to compute in while training; ``auto`` is bfloat16 where the device in use is faster in it, else float32."""

Share = Annotated[float, Interval(ge=0, le=1)]
"""A part of a whole."""

Kept = Annotated[float, Interval(ge=0, lt=1)]
"""A part that is never the whole."""


@dataclass(frozen=True, kw_only=True)
class Recipe(Declaration):
    """How a network is trained, where nothing else was asked for. The optimizer is Adam (Kingma and Ba, 2015).

    Attributes:
        epochs: How often to go through the training images; 1 at least.
        batch_size: Images per step; from 1 to a million.
        learning_rate: The largest learning rate, that of the first step where there is no warm-up; above 0, and a
            million at most.
        precision: What to compute in: ``"float32"``, ``"bfloat16"``, ``"float16"``, or ``"auto"``, which is bfloat16
            where the device in use is faster in it.
        warm_up: The fraction of all steps, the first ones, over which the learning rate rises linearly to it; 0 to 1.
        decay: The fraction of all steps, the last ones, over which the learning rate falls linearly to zero; 0 to 1.
        beta_1: How much of the mean gradient Adam keeps at each step; from 0 to below 1.
        beta_2: How much of the mean squared gradient Adam keeps at each step; from 0 to below 1.
        label_smoothing: The probability that is taken from the label and spread evenly over all classes
            (Szegedy et al., 2016); from 0 to below 1.
        shift: By how many whole pixels, at most, images are moved in both directions, anew in every epoch; up to
            10,000. What comes in at the border is the lowest value that the dataset's images may have.
        he_normal: Draw the kernels of all layers but the last from normal distributions (He et al., 2015), whatever the
            architecture drew them from.

    Example:
        >>> patient = Recipe(
        ...     name="patient",
        ...     summary="30 epochs of batch 128, the learning rate falling from the first step on.",
        ...     epochs=30,
        ...     batch_size=128,
        ...     decay=1.0,
        ... )
        >>> patient.learning_rate, patient.precision
        (0.001, 'float32')
    """

    noun: ClassVar[str] = "recipe"

    epochs: Positive = 10
    batch_size: Annotated[int, Ge(1), Le(1_000_000)] = 64
    learning_rate: Annotated[float, Gt(0), Le(1_000_000)] = 1e-3
    precision: Precision = "float32"
    warm_up: Share = 0.0
    decay: Share = 0.0
    beta_1: Kept = 0.9
    beta_2: Kept = 0.999
    label_smoothing: Kept = 0.0
    shift: Annotated[int, Ge(0), Le(10_000)] = 0
    he_normal: bool = False


ProfileName = Literal["assignment", "audit", "quick"]
"""The kinds of report: see :data:`cnnlab.reports.profiles.PROFILES`."""

RequiredName = Literal["run", "dataset"]
"""What a section may need."""


@dataclass(frozen=True, kw_only=True)
class Section(Declaration):
    """A chapter of ``cnnlab report``.

    Attributes:
        title: Its heading.
        write: Where it is written, ``"package.module:function"``; called with a :class:`~cnnlab.plugin.Subject` and
            returning a :class:`~cnnlab.plugin.Chapter`. Where it raises a :class:`~cnnlab.plugin.CnnlabError`, the
            report says in one line why the section is left out.
        profiles: The kinds of report that it joins, of ``"assignment"``, ``"audit"`` and ``"quick"``.
        after: The section behind which it stands there; by default it comes last.
        requires: What there must be, of ``"run"`` (a folder that ``cnnlab train`` wrote) and ``"dataset"`` (labelled
            images): else the report says in a line which is missing. What an analysis needs of a model is its own
            affair, and checked when the section asks it.

    Example:
        >>> section = Section(
        ...     name="spectrum",
        ...     summary="Which frequencies the model rests on.",
        ...     title="Frequencies",
        ...     write="cnnlab_fourier.report:write",
        ...     profiles=("audit",),
        ...     after="robustness",
        ...     requires=("dataset",),
        ... )
        >>> section.profiles
        ('audit',)
    """

    noun: ClassVar[str] = "section"

    title: str
    write: str
    profiles: tuple[ProfileName, ...] = ()
    after: str | None = None
    requires: tuple[RequiredName, ...] = ()


def resolve(reference: str) -> Any:
    """Import what ``"package.module:attribute"`` names.

    Raises:
        CnnlabError: The reference is malformed, or the module has no such attribute. An exception that the module
            itself raises while it is imported is passed on.
    """
    module, colon, attribute = reference.partition(":")
    if not (module and colon and attribute):
        raise CnnlabError(f"{reference!r} is no reference to code: expected 'package.module:attribute'.")
    found = importlib.import_module(module)
    try:
        return getattr(found, attribute)
    except AttributeError:
        raise CnnlabError(f"the module {module!r} has no {attribute!r}.") from None
