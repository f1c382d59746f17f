"""An analysis as it was asked for, by a command, a report, a page or a library call; and the one way to answer it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from cnnlab.analysis.image_choice import ImageChoice
from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.errors import UsageError
from cnnlab.files import places
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.blaming import params_of
from cnnlab.pluginhost.declarations import Analysis
from cnnlab.pluginhost.params import Params, checked, fields_of
from cnnlab.progress import Progress, Silent, shown
from cnnlab.results.keeping import Keep, kept_of

if TYPE_CHECKING:
    from cnnlab.analysis.cache import Cache
    from cnnlab.results.result import Result


@dataclass(frozen=True, kw_only=True)
class Request:
    """An analysis, its parameters, the model and the images.

    Attributes:
        analysis: Which question.
        params: Its own parameters, by their public names; whatever is missing has its default.
        model: Which model.
        images: Which images.
        seed: Seeds everything random in the analysis.
        device: What to compute on: ``auto``, ``cpu`` or ``gpu:0``; or several that share the images: ``all`` GPUs, or
            ``cpu:N``.
        keep: What is kept of the result: ``arrays`` for all of it, ``metrics`` for nothing of single images.
    """

    analysis: Analysis
    params: Mapping[str, Any] = field(default_factory=dict)
    model: ModelChoice = field(default_factory=ModelChoice)
    images: ImageChoice = field(default_factory=ImageChoice)
    seed: int = 0
    device: str = "auto"
    keep: Keep = "arrays"

    def built(self) -> Params:
        """Return the parameters, built.

        Raises:
            UsageError: A value is out of bounds, or they make no sense together.
            FailedError: The plugin that checks them failed.
        """
        return params_of(self.analysis, lambda: self.analysis.params.from_public(dict(self.params)))

    def check(self) -> None:
        """Refuse what can be refused by the words alone, before anything heavy is imported.

        Raises:
            UsageError: The words make no sense together, or a value is out of bounds.
            CnnlabError: No model was named, and there is no run.
        """
        self.built()
        self.images.check()
        if self.analysis.inputs == "required" and not self.images.some:
            raise UsageError(
                f"{self.analysis.name} needs images: name files with `images=`, or a dataset with `dataset=` and "
                "`indices=` or `limit=`."
            )
        checked("seed", Annotated[int, Ge(0)], self.seed)
        checked("keep", Keep, self.keep)
        _ = self.model.source


def perform(request: Request, progress: Progress | None = None, cache: Cache | None = None) -> Result:
    """Answer a request: open the model, read the images, run the analysis in its guard, and complete its Result.

    Args:
        request: What is asked.
        progress: Where to show progress; nowhere by default.
        cache: Where results are kept: one that lies there is not asked for again. Nothing is kept by default.

    Raises:
        UsageError: The words make no sense together, a value is out of bounds, or does not fit the model.
        CnnlabError: The model or an image cannot be read, the model lacks what is needed, or the plugin failed.
    """
    request.check()
    progress = progress or Silent()

    from cnnlab.analysis.cache import name_of
    from cnnlab.devices.choice import use_devices

    with use_devices(request.device, progress):
        with progress.stage("Opening the model"):
            from cnnlab.analysis import host

            classifier = request.model.open()
        inputs = request.images.read(classifier, wanted=request.analysis.inputs != "none", progress=progress)
        params = request.built()
        if params.models():
            with progress.stage("Opening the other model"):
                params = params_of(request.analysis, functools.partial(params.opened, request.model.another))
        ask = functools.partial(host.run, request.analysis, classifier, inputs, params, seed=int(request.seed))
        if cache is None:
            return kept_of(ask(progress=progress, keep=request.keep), request.keep)
        found = cache.answered(
            name_of(request.analysis, classifier, inputs, params, request.seed, request.device),
            lambda: ask(progress=progress),
        )
        return kept_of(found, request.keep)


def analyze(
    name: str,
    model: Any,
    images: Any = None,
    labels: Any = None,
    *,
    seed: int = 0,
    dataset: Any = None,
    progress: Progress | bool | None = None,
    **params: Any,
) -> Result:
    """Ask one question of one model: the same as ``cnnlab analyze NAME``, as a function.

    Args:
        name: The analysis, as ``cnnlab plugins list`` names it.
        model: A path to a run folder, a SavedModel or a ``.keras`` file, a :class:`~cnnlab.runs.Run`, a live
            ``keras.Model``, or an opened :class:`~cnnlab.classifier.Classifier` (opening once and asking often saves
            time).
        images: Arrays [N, H, W, C] (or [N, H, W], [H, W, C], [H, W]) in the model's value range, a path to an image
            file or a list of them, a :class:`~cnnlab.datasets.Split` such as ``dataset.test[:10]``, whose labels come
            along, or :class:`~cnnlab.inputs.Inputs`. Analyses that look at the model alone take none.
        labels: The true labels, int [N]; None or -1 where unknown.
        seed: Seeds everything random in the analysis.
        dataset: A :class:`~cnnlab.datasets.Dataset` that the images belong to, for analyses that look at training
            images; by default the one the model was trained on, where it can be loaded.
        progress: Whether to show a bar, or what to show it with; by default there is one on a terminal and in a
            notebook.
        **params: The analysis' own parameters. And, of an analysis that has none of that name, ``keep``: with
            ``"metrics"`` arrays, rows, tables and image files are left out.

    Returns:
        The Result, with its record filled in; ``result.save(DIR)`` writes what the command writes.

    Raises:
        UsageError: An unknown analysis or parameter, a value out of bounds, images that do not fit the model.
        CnnlabError: The model or an image cannot be read, or the analysis failed.

    Example:
        >>> import cnnlab
        >>> import keras
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
        >>> result = cnnlab.analyze("occlusion", model, np.ones((3, 8, 8, 1), np.float32), patch=4, stride=2)
        >>> result.arrays["score"].shape
        (3, 3, 3)
    """
    analysis = registry.find_analysis(name)
    own = {field.public for field in fields_of(analysis.params)}
    keep: Any = "arrays" if "keep" in own else params.pop("keep", "arrays")
    request = Request(
        analysis=analysis,
        params=params,
        model=ModelChoice(model=model),
        images=ImageChoice(images=images, labels=labels, dataset=dataset),
        seed=seed,
        keep=keep,
    )
    return perform(request, shown(progress))


def default_parent(model: Any) -> Path:
    """Return where results of a model go by default: into the run, or under results/ for other models."""
    from cnnlab.runs import Run
    from cnnlab.runs.folder import is_run

    path = model.path if isinstance(model, Run) else model
    return Path(path) / "analyses" if isinstance(path, str | Path) and is_run(Path(path)) else Path("results")


def new_folder(result: Result) -> AbstractContextManager[Path]:
    """Claim a new folder for a result, called after its analysis; earlier results are left."""
    model = result.record["model"]
    parent = default_parent(model["path"] if model["kind"] == "run" else None)
    return places.new_folder(parent, result.record["analysis"])
