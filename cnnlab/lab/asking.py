"""A question as a browser asks it, made a Request; and the command and the line of Python that ask the same."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab import inputs
from cnnlab.analysis.command import command_of
from cnnlab.analysis.image_choice import ImageChoice
from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.analysis.request import Request, perform
from cnnlab.errors import UsageError
from cnnlab.lab.bodies import Body
from cnnlab.lab.datasets import Datasets, Place
from cnnlab.lab.errors import ParameterError, RefusedError, named
from cnnlab.lab.images import Images, in_range
from cnnlab.lab.models import Models
from cnnlab.lab.results import LabResult, Results
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Analysis
from cnnlab.pluginhost.params import Field, fields_of
from cnnlab.progress import Progress

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier

MOST_IMAGES = 1000
"""Images of one analysis."""

MOST_VALUES = 50_000_000
"""Values of all images of one analysis that are not of one dataset, and so lie in memory together."""

MOST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Question:
    """An analysis of a model, asked in the page.

    Attributes:
        request: What is performed, the model opened.
        spoken: The same in words that a command line or a line of Python can hold.
        model: The id of the model.
        images: The ids of the images.
        drawn: The names of images that lie nowhere but here.
    """

    request: Request
    spoken: Request
    model: str
    images: tuple[str, ...]
    drawn: tuple[str, ...]

    def answered(self, progress: Progress) -> LabResult:
        """Perform it.

        Raises:
            CnnlabError: It could not be done.
        """
        result = perform(self.request, progress)
        note = ""
        if self.drawn:
            note = f"Its images were drawn or uploaded here: save {', '.join(self.drawn)} first, from the page."
        command, python = command_of(self.spoken), python_of(self.spoken)
        return LabResult(result, command, python, note, model=self.model, images=self.images)


@dataclass(frozen=True)
class Asking:
    """Makes questions of what browsers send.

    Attributes:
        models: The lab's models.
        datasets: Its datasets.
        images: Its images.
        results: Its results.
    """

    models: Models
    datasets: Datasets
    images: Images
    results: Results

    def question(self, name: str, body: Body) -> Question:
        """Return what is asked.

        Args:
            name: The analysis.
            body: ``model``, ``images``, ``params`` and ``seed``.

        Raises:
            UsageError: It makes no sense by its words alone, or its parameters are out of bounds.
            RefusedError: There is no such model or image.
        """
        analysis = registry.find_analysis(name)
        model = body.text("model")
        classifier = self.models.own(model)
        ids = body.texts("images", MOST_IMAGES)
        params, spoken = self._params(analysis, body.inner("params"))
        wanted = ids if analysis.inputs != "none" else []
        choice, drawn = self._images(classifier, wanted)
        seed = body.number("seed", 0, 0, MOST_SEED)
        trust = self.models.choice(model)
        request = Request(
            analysis=analysis,
            params=params,
            model=ModelChoice(model=classifier),
            images=choice,
            seed=seed,
        )
        _check(request, classifier)
        spoken_model = replace(trust, model=classifier.path or trust.model)
        words = self._spoken_images(wanted, drawn)
        told = replace(request, params=spoken, model=spoken_model, images=words)
        return Question(request, told, model, tuple(wanted), tuple(drawn.values()))

    def unit(self, image: str, classifier: Classifier) -> tuple[np.ndarray, int, str, tuple[str, ...]]:
        """Return an image in [0, 1] in a model's shape, its label, where it came from, and what was done to it."""
        place = self.datasets.place(image)
        if place is None:
            found = self.images.find(image)
            pixels, notes = found.unit(classifier.input_shape)
            return pixels, found.label, found.source, notes
        pixels, label = self.datasets.unit(place)
        source = f"{place.dataset}/{place.split}:{place.index}"
        if all(want in (None, have) for want, have in zip(classifier.input_shape, pixels.shape, strict=True)):
            return pixels, label, source, ()
        from cnnlab.datasets.images import Encoded
        from cnnlab.lab.images import LabImage, png

        pixels, notes = LabImage(Encoded(png(pixels), source)).unit(classifier.input_shape)
        return pixels, label, source, notes

    def _images(self, classifier: Classifier, ids: list[str]) -> tuple[ImageChoice, dict[str, str]]:
        """The images for one model; and of those that lie nowhere else, the names of files to save them as, by id."""
        if not ids:
            return ImageChoice(), {}
        places = [self.datasets.place(each) for each in ids]
        first = places[0]
        if first is not None and all(each and _same_part(each, first) for each in places):
            dataset = self.datasets.find(first.dataset)
            if dataset.shape == classifier.input_shape:
                indices = tuple(str(each.index) for each in places if each)
                return ImageChoice(dataset=dataset, split=first.split, indices=indices), {}
        found = self._units(ids, classifier)
        shapes = {pixels.shape for pixels, *_ in found}
        if len(shapes) > 1:
            raise UsageError("the images have different sizes, and the model takes any; analyse them one at a time.")
        known = [label if 0 <= label < classifier.num_classes else -1 for _, label, _, _ in found]
        given = inputs.from_arrays(
            classifier,
            in_range(np.stack([pixels for pixels, *_ in found]), classifier),
            np.array(known),
            sources=[source for _, _, source, _ in found],
            dataset=self._learned(classifier),
            notes=list(dict.fromkeys(note for *_, notes in found for note in notes)),
        )
        return ImageChoice(images=given), {each: f"{each}.png" for each in ids}

    def _units(self, ids: list[str], classifier: Classifier) -> list[tuple[np.ndarray, int, str, tuple[str, ...]]]:
        found, values = [], 0
        for each in ids:
            found.append(self.unit(each, classifier))
            values += found[-1][0].size
            if values > MOST_VALUES:
                raise RefusedError(413, "these images together are too large; ask about fewer at a time.")
        return found

    def _learned(self, classifier: Classifier) -> Any:
        name = classifier.dataset_name
        return self.datasets.find(name) if name in self.datasets.names() else None

    def _spoken_images(self, ids: list[str], drawn: Mapping[str, str]) -> ImageChoice:
        if not ids:
            return ImageChoice()
        if drawn:
            return ImageChoice(images=list(drawn.values()))
        places = [place for place in map(self.datasets.place, ids) if place]
        indices = tuple(str(place.index) for place in places)
        return ImageChoice(dataset=places[0].dataset, split=places[0].split, indices=indices)

    def _params(self, analysis: Analysis, given: Body) -> tuple[dict[str, Any], dict[str, Any]]:
        """The parameters, models opened and results as their folders; and the same in words."""
        fields = {field.public: field for field in fields_of(analysis.params)}
        spoken: dict[str, Any] = {}
        for name, value in given.items():
            field = fields.get(name)
            spoken[name] = value if field is None else self._value(field, value)
        opened = self.models.with_models(given | spoken, [name for name, field in fields.items() if field.is_model])
        for name, field in fields.items():
            if field.is_model and spoken.get(name) is not None:
                spoken[name] = opened[name].path or spoken[name]
        return opened, spoken

    def _value(self, field: Field, value: Any) -> Any:
        """A value as a browser may give it: for a file, a result of the lab, and never a path."""
        if not _takes_path(field.type) or value is None:
            return value
        if isinstance(value, list):
            return [self._value(field, each) for each in value]
        if isinstance(value, dict) and set(value) == {"result"} and isinstance(value["result"], str):
            return self.results.find(value["result"]).folder()
        if isinstance(value, str) and value in field.choices:
            return value
        if isinstance(value, bool | int | float) and not _is_only_path(field.type):
            return value
        raise ParameterError(
            field.public,
            f"{field.public} takes a file, and the lab takes no path from a browser; give a result of the lab, as "
            '{"result": "ID"}.',
        )


def _check(request: Request, classifier: Classifier) -> None:
    """Refuse at once what the host would refuse when the analysis runs.

    Raises:
        ParameterError: A parameter is not as it was declared, or the model has no such class or layer.
        UsageError: The words make no sense together.
    """
    params = request.analysis.params
    try:
        params.from_public(dict(request.params)).settled(classifier)
    except UsageError as error:
        raise named(error, params) from None
    request.check()


def _same_part(one: Place, other: Place) -> bool:
    return (one.dataset, one.split) == (other.dataset, other.split)


def _takes_path(hint: Any) -> bool:
    return hint is Path or any(map(_takes_path, typing.get_args(hint)))


def _is_only_path(hint: Any) -> bool:
    inner = typing.get_args(hint)
    return all(map(_is_only_path, inner)) if inner else hint in (Path, type(None), Ellipsis)


def python_of(request: Request) -> str:
    """Return the line of Python that asks the same; an empty text where the model was never on the disk."""
    if not isinstance(request.model.model, str | Path):
        return ""
    words = [repr(registry.spoken(request.analysis)), repr(str(request.model.model))]
    images = request.images
    if images.images is not None:
        words.append(json.dumps([str(each) for each in images.images]))
    elif images.dataset is not None:
        indices = ", ".join(images.indices)
        words.append(f"cnnlab.datasets.load({str(images.dataset)!r}).{images.split}[[{indices}]]")
    fields = {field.public: field.name for field in fields_of(request.analysis.params)}
    for name, value in request.params.items():
        words.append(
            f"{fields.get(name, name)}={str(value)!r}" if isinstance(value, Path) else f"{fields[name]}={value!r}"
        )
    if request.seed:
        words.append(f"seed={request.seed}")
    return f"cnnlab.analyze({', '.join(words)})"
