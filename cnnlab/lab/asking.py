"""A question as a browser asks it, made a Request; and the command and the line of Python that ask the same."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields as fields_of_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab import inputs
from cnnlab.analysis.command import command_of
from cnnlab.analysis.image_choice import ImageChoice
from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.analysis.request import Request, perform
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.lab.bodies import Body
from cnnlab.lab.datasets import Datasets, Place
from cnnlab.lab.errors import ParameterError, RefusedError, named
from cnnlab.lab.images import Images, in_range
from cnnlab.lab.models import Models
from cnnlab.lab.results import LabResult, Results
from cnnlab.lab.uploads import Files
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.blaming import params_of
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
        lent: What a command that repeats it cannot find by the words for it: sentences.
    """

    request: Request
    spoken: Request
    model: str
    images: tuple[str, ...]
    drawn: tuple[str, ...]
    lent: tuple[str, ...]

    def answered(self, progress: Progress) -> LabResult:
        """Perform it.

        Raises:
            CnnlabError: It could not be done.
        """
        result = perform(self.request, progress)
        notes = list(self.lent)
        if self.drawn:
            notes.append(f"Its images were drawn or uploaded here: save {', '.join(self.drawn)} first, from the page.")
        command, python = command_of(self.spoken), python_of(self.spoken)
        return LabResult(result, command, python, " ".join(notes), model=self.model, images=self.images)


@dataclass(frozen=True)
class Asking:
    """Makes questions of what browsers send.

    Attributes:
        models: The lab's models.
        datasets: Its datasets.
        images: Its images.
        files: The files that were handed over for parameters.
        results: Its results.
    """

    models: Models
    datasets: Datasets
    images: Images
    files: Files
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
        params, spoken, lent = self._params(analysis, body.inner("params"))
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
        self._settle(analysis, params, classifier)
        request.check()
        spoken_model = replace(trust, model=classifier.path or trust.model)
        words = self._spoken_images(wanted, drawn)
        told = replace(request, params=spoken, model=spoken_model, images=words)
        return Question(request, told, model, tuple(wanted), tuple(drawn.values()), lent)

    def problems(self, name: str, body: Body) -> list[dict[str, str]]:
        """Return what is wrong with a question that nobody asks yet, a sentence for each parameter that is refused.

        Args:
            name: The analysis.
            body: What :meth:`question` takes. Without ``images`` these are not missed: somebody still types.

        Raises:
            UsageError: It names no model.
            RefusedError: There is no such model.
        """
        analysis = registry.find_analysis(name)
        classifier = self.models.own(body.text("model"))
        given = body.inner("params")
        fields = {field.public: field for field in fields_of(analysis.params)}
        found = [
            {"field": each, "error": str(error)}
            for each, value in given.items()
            if each in fields and (error := self._wrong(fields[each], value, classifier)) is not None
        ]
        if found:
            return found
        try:
            if "images" in body:
                self.question(name, body)
            else:
                self._settle(analysis, self._params(analysis, given)[0], classifier)
                body.number("seed", 0, 0, MOST_SEED)
        except CnnlabError as error:
            return [{"field": getattr(error, "parameter", ""), "error": str(error)}]
        return []

    def _wrong(self, field: Field, value: Any, classifier: Classifier) -> CnnlabError | None:
        """What is wrong with a value by itself; None where nothing is."""
        try:
            if field.is_model:
                value = self.models.with_models({field.public: value}, [field.public])[field.public]
            field.settle(field.validate(self._value(field, value)), classifier)
        except CnnlabError as error:
            return error
        return None

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

    def _params(self, analysis: Analysis, given: Body) -> tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]:
        """The parameters, models opened and results as their folders; the same in words; and what words cannot say."""
        fields = {field.public: field for field in fields_of(analysis.params)}
        known = {name: fields[name] for name in given if name in fields}
        values = given | {name: self._value(field, given[name]) for name, field in known.items()}
        opened = self.models.with_models(values, [name for name, field in fields.items() if field.is_model])
        spoken: dict[str, Any] = dict(values)
        lent: list[str] = []
        for name, field in known.items():
            if field.is_model and spoken[name] is not None:
                spoken[name] = opened[name].path or spoken[name]
            elif _takes_path(field.type):
                spoken[name] = _spoken_file(given[name], values[name])
                lent += self._lent(given[name])
        return opened, spoken, tuple(lent)

    def _value(self, field: Field, value: Any) -> Any:
        """A value as a browser may give it: for a file, one that it handed over or a result, and never a path."""
        if not _takes_path(field.type) or value is None:
            return value
        if isinstance(value, list):
            return [self._value(field, each) for each in value]
        match value:
            case {"result": str(name), **more} if not more:
                return self.results.find(name).folder()
            case {"file": str(name), **more} if not more:
                return self.files.find(name)
        if isinstance(value, str) and value in field.choices:
            return value
        if isinstance(value, bool | int | float) and not _is_only_path(field.type):
            return value
        raise ParameterError(
            field.public,
            f"{field.public} takes a file, and the lab takes no path from a browser; give a result of the lab, as "
            '{"result": "ID"}, or a file that was handed over to it, as {"file": "ID"}.',
        )

    def _lent(self, value: Any) -> Iterator[str]:
        """Say of files and results that lie in folders of the lab's what somebody must do who repeats it."""
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict) and "file" in each:
                name = self.files.find(each["file"]).name
                yield f"It was given the file {name}, which was uploaded here: say where yours lies."
            elif isinstance(each, dict) and self.results.find(each["result"]).kept is None:
                yield "It was given a result that lies with this lab alone: keep that one, and name its folder."

    def _settle(self, analysis: Analysis, params: Mapping[str, Any], classifier: Classifier) -> None:
        """Refuse parameters that the host would refuse when the analysis runs.

        Raises:
            ParameterError: A parameter is not as it was declared, or the model has no such class or layer.
            UsageError: They make no sense together.
        """
        try:
            params_of(analysis, lambda: analysis.params.from_public(dict(params)).settled(classifier))
        except UsageError as error:
            raise named(error, analysis.params) from None


def _spoken_file(given: Any, value: Any) -> Any:
    """What stands for a value in a command: of a file that was handed over its name."""
    if isinstance(given, list):
        return [_spoken_file(*each) for each in zip(given, value, strict=True)]
    return Path(value.name) if isinstance(given, dict) and "file" in given else value


def _same_part(one: Place, other: Place) -> bool:
    return (one.dataset, one.split) == (other.dataset, other.split)


def _takes_path(hint: Any) -> bool:
    return hint is Path or any(map(_takes_path, typing.get_args(hint)))


def _is_only_path(hint: Any) -> bool:
    inner = typing.get_args(hint)
    return all(map(_is_only_path, inner)) if inner else hint in (Path, type(None), Ellipsis)


def python_of(request: Request) -> str:
    """Return the line of Python that asks the same.

    It is an empty text where the model was never on the disk, or its classes' names lie in a file, of which Python is
    given what it says.
    """
    model = request.model
    if not isinstance(model.model, str | Path) or model.class_names is not None:
        return ""
    words = [repr(registry.spoken(request.analysis)), _opened(model)]
    images = request.images
    if images.images is not None:
        words.append(json.dumps([str(each) for each in images.images]))
    elif images.dataset is not None:
        indices = ", ".join(images.indices)
        words.append(f"cnnlab.datasets.load({str(images.dataset)!r}).{images.split}[[{indices}]]")
    fields = {field.public: field.name for field in fields_of(request.analysis.params)}
    for name, value in request.params.items():
        words.append(f"{fields[name]}={_as_typed(value)!r}")
    if request.seed:
        words.append(f"seed={request.seed}")
    return f"cnnlab.analyze({', '.join(words)})"


def _opened(model: ModelChoice) -> str:
    """A model as Python names it: by its path alone, or with what was said of it."""
    path = repr(str(model.model))
    told = {field.name: getattr(model, field.name) for field in fields_of_dataclass(model) if field.name != "model"}
    said = [f"{name}={value!r}" for name, value in told.items() if value not in (None, False)]
    return f"cnnlab.load({', '.join([path, *said])})" if said else path


def _as_typed(value: Any) -> Any:
    """A value with texts for its paths."""
    if isinstance(value, list):
        return [_as_typed(each) for each in value]
    return str(value) if isinstance(value, Path) else value
