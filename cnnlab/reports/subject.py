"""The model that a report is about, and how its sections ask of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.analysis.cache import Cache, keyed
from cnnlab.analysis.command import command_of, options_of
from cnnlab.analysis.image_choice import ImageChoice
from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.analysis.request import Request, perform
from cnnlab.drawings import Drawing
from cnnlab.errors import CnnlabError
from cnnlab.inputs import from_split
from cnnlab.numerics import wilson_interval
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.sources import command
from cnnlab.progress import Progress, Silent
from cnnlab.reports.chapter import Figure, Metric
from cnnlab.results.artifacts import Attached
from cnnlab.results.meanings import meaning_of
from cnnlab.words import is_share

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.datasets import Dataset
    from cnnlab.inputs import Inputs
    from cnnlab.results.result import Result
    from cnnlab.runs import Run


NO_DATASET = "it needs labelled images: name a dataset with `dataset=`."


@dataclass(frozen=True)
class Answer:
    """What an analysis found.

    Attributes:
        result: All of it.
        command: The command that asks the same; empty where none can.

    Example:
        >>> from cnnlab.plugin import Result
        >>> meanings = {"metrics": {"fooled": "share of the images that are fooled"}, "columns": {}}
        >>> answer = Answer(Result(metrics={"fooled": 0.9}, record={"meanings": meanings}))
        >>> answer.metric("fooled", of=10).interval[0] > 0.5
        True
    """

    result: Result
    command: str = ""

    def figure(self, name: str = "", caption: str = "", drawing: Drawing | None = None) -> Figure:
        """Return one of its drawings, with everything that repeats it.

        Args:
            name: Which; by default the first.
            caption: What is seen.
            drawing: Another drawing instead, made of the result's numbers.

        Raises:
            CnnlabError: There is no such drawing.
        """
        record = self.result.record
        return Figure(
            drawing=self.result.drawing(name) if drawing is None else drawing,
            caption=caption,
            command=self.command,
            params=record.get("params", {}),
            seed=record.get("seed"),
            rows=self.result.rows,
            images=tuple(each["digest"] for each in self.result.inputs),
            attached=self.attached,
        )

    @cached_property
    def attached(self) -> tuple[Attached, ...]:
        """The files that the analysis wrote itself, read once for all of its figures."""
        return tuple(Attached.of(name, path) for name, path in self.result.artifacts.items())

    def metric(self, name: str, label: str = "", *, of: int | None = None, reported: float | None = None) -> Metric:
        """Return one of its metrics, a share with its interval.

        Args:
            name: Which; where there is none of that name, the value is None.
            label: What the report calls it; by default its name, as words.
            of: Over how many images it was measured.
            reported: What others reported, in the same unit.
        """
        value = self.result.metrics.get(name)
        claims = self.result.claims
        declared = self.result.record.get("meanings", {}).get("metrics", {})
        meaning = meaning_of(declared, name, claims.axis if claims else "")
        interval = None
        if value is not None and of and is_share(meaning):
            low, high = wilson_interval(value, of)
            interval = (float(low), float(high))
        return Metric(
            name=label or name.replace("_", " "),
            value=None if value is None else float(value),
            meaning=meaning,
            of=of,
            interval=interval,
            reported=reported,
        )


@dataclass(kw_only=True)
class Subject:
    """A model, its data, and the one way to ask an analysis of it: every answer is kept, and asked for once.

    Attributes:
        classifier: The model.
        profile: The kind of report: ``assignment``, ``audit`` or ``quick``.
        run: The folder that training left; None for other models.
        dataset: Labelled images of the model's classes; None where nobody named any.
        split: Which part of it.
        limit: How many images of it the model is evaluated on; None for all.
        choice: The model as it was asked for.
        compare: The run to compare with; None where nobody named one.
        seed: Seeds what is random.
        device: What to compute on.
        cache: Where answers are kept; None for nowhere.
        progress: Where progress is shown.

    Example:
        >>> from cnnlab.testing import FakeClassifier
        >>> subject = Subject(classifier=FakeClassifier.of_brightness(), profile="audit")
        >>> subject.run is None, subject.some_classes(10)
        (True, ['dark', 'bright'])
    """

    classifier: Classifier
    profile: str
    run: Run | None = None
    dataset: Dataset | None = None
    split: str = "test"
    limit: int | None = None
    choice: ModelChoice = field(default_factory=ModelChoice)
    compare: Run | None = None
    seed: int = 0
    device: str = "auto"
    cache: Cache | None = None
    progress: Progress = field(default_factory=Silent)

    @property
    def name(self) -> str:
        """What the model is called: the name of its folder or file."""
        return self.classifier.path.resolve().name if self.classifier.path else "a live model"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits."""
        from cnnlab.inspection.evaluation import names_of

        return names_of(self.classifier, self.dataset) if self.dataset else self.classifier.class_names

    def ask(self, analysis: str, indices: Sequence[int] = (), **params: Any) -> Answer:
        """Ask one question of the model, as ``cnnlab analyze`` does.

        Args:
            analysis: Its name.
            indices: Images of the dataset, where the analysis looks at some.
            **params: The analysis' own parameters.

        Raises:
            UsageError: There is no such analysis, or a parameter is not as expected.
            CnnlabError: The model lacks what the analysis needs, or it failed.
        """
        images = ImageChoice()
        if len(indices):
            images = ImageChoice(dataset=self._dataset, split=self.split, indices=_ranges(indices))
        request = Request(
            analysis=registry.find_analysis(analysis),
            params=params,
            model=self._model,
            images=images,
            seed=self.seed,
            device=self.device,
        )
        return Answer(perform(request, self.progress, self.cache), command_of(request))

    @cached_property
    def evaluation(self) -> Answer:
        """What ``cnnlab evaluate`` finds on the dataset; its arrays and metrics are those of that command.

        Raises:
            CnnlabError: There is no dataset, or it does not fit the model.
        """
        from cnnlab.inspection.evaluation import evaluate

        dataset = self._dataset

        def ask() -> Result:
            return evaluate(
                self.classifier,
                dataset,
                split=self.split,
                limit=self.limit,
                device=self.device,
                progress=self.progress,
            ).result()

        model = [self.classifier.digest, self.classifier.about.to_json(), self.classifier.class_names]
        data = [dataset.digest, self.split, self.limit]
        name = keyed("evaluate", model=model, data=data, device=self.device)
        found = self.cache.answered(name, ask) if self.cache else ask()
        return Answer(found, self._evaluate_command(dataset) if self.classifier.path and dataset.source else "")

    def _evaluate_command(self, dataset: Dataset) -> str:
        words = ["evaluate", *options_of(self._model), "--dataset", dataset.source or dataset.name]
        words += ["--split", self.split, *(["--limit", str(self.limit)] if self.limit else []), "--out", "evaluation"]
        return command(*words)

    @property
    def _dataset(self) -> Dataset:
        if self.dataset is None:
            raise CnnlabError(NO_DATASET)
        return self.dataset

    @property
    def _model(self) -> ModelChoice:
        return replace(self.choice, model=self.classifier)

    def inputs(self, indices: Sequence[int]) -> Inputs:
        """Return the images at ``indices`` of the dataset, as an analysis would be given them."""
        return from_split(self.classifier, self._dataset, self.split, indices)

    def one_per_class(self, most: int = 10) -> list[int]:
        """Return the index of the first image of each class, of ``most`` classes, spread over all."""
        labels = self._evaluated("label")
        first = np.unique(labels, return_index=True)[1]
        return [int(self._evaluated("index")[place]) for place in _spread(first, most)]

    def first(self, most: int) -> list[int]:
        """Return the indices of the first ``most`` images, or of all where there are fewer."""
        return [int(index) for index in self._evaluated("index")[:most]]

    def most_certain(self, count: int) -> list[int]:
        """Return the indices of the ``count`` images that the model is surest of, right or not."""
        return self._by(-self._evaluated("confidence"), count)

    def least_certain(self, count: int) -> list[int]:
        """Return the indices of the ``count`` images that it is least sure of."""
        return self._by(self._evaluated("confidence"), count)

    def mistakes(self, count: int) -> list[int]:
        """Return the indices of ``count`` images that it misreads, the most certain first; of none, none."""
        wrong = np.flatnonzero(self._evaluated("predicted") != self._evaluated("label"))
        return self._by(-self._evaluated("confidence")[wrong], count, wrong)

    def some_classes(self, most: int = 10) -> list[str]:
        """Return the names of ``most`` classes, spread over all where these are more."""
        return [str(name) for name in _spread(self.class_names, most)]

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one pass of an image through the model, of the layers that tell."""
        return sum(layer.multiply_adds or 0 for layer in self.classifier.layers)

    def affordable(self, most: int, *, least: int, work: float) -> int:
        """Return how many images to ask about: fewer of a model that computes more.

        Args:
            most: So many at most.
            least: So many at least.
            work: Multiply-adds that one pass of them all through the model may take.

        Example:
            >>> from cnnlab.testing import FakeClassifier
            >>> Subject(classifier=FakeClassifier.of_brightness(), profile="audit").affordable(100, least=16, work=2e9)
            100
        """
        return int(np.clip(work // max(self.multiply_adds, 1), least, most))

    def _evaluated(self, name: str) -> np.ndarray:
        return self.evaluation.result.arrays[name]

    def _by(self, order: np.ndarray, count: int, among: np.ndarray | None = None) -> list[int]:
        places = np.argsort(order, kind="stable")[:count]
        chosen = places if among is None else among[places]
        return [int(index) for index in self._evaluated("index")[chosen]]

    @property
    def command(self) -> str:
        """The command that writes such a report; empty where none can."""
        data = self.dataset
        if not self.classifier.path or (data is not None and not data.source):
            return ""
        _, model, *about = options_of(self._model)
        words = ["report", model, *about, "--profile", self.profile]
        if data is not None and data.source != self.classifier.dataset_name:
            words += ["--dataset", data.source]
        given: dict[str, Any] = {"split": self.split != "test" and self.split, "limit": self.limit, "seed": self.seed}
        given |= {"compare": self.compare and self.compare.path}
        words += [word for name, value in given.items() if value for word in (f"--{name}", str(value))]
        return command(*words)

    def record(self) -> Mapping[str, Any]:
        """Return what a report says of its model and its data."""
        data = self.dataset
        return {
            "model": {**self.classifier.record(), "about": self.classifier.about.to_json()},
            "dataset": None
            if data is None
            else {"name": data.name, "source": data.source or None, "split": self.split, "digest": data.digest},
            "seed": self.seed,
            "command": self.command,
        }


def _ranges(indices: Sequence[int]) -> tuple[str, ...]:
    """Write indices as the command line does, in their order: ``0:100`` where so many follow one another.

    >>> _ranges([7, 0, 1, 2, 9])
    ('7', '0:3', '9')
    """
    places = np.asarray(indices, np.int64)
    parts = np.split(places, np.flatnonzero(np.diff(places) != 1) + 1)
    return tuple(str(part[0]) if len(part) == 1 else f"{part[0]}:{part[-1] + 1}" for part in parts)


def _spread(items: Any, most: int) -> list[Any]:
    """Take so many of a sequence, at equal distances, its ends among them."""
    if len(items) <= most:
        return list(items)
    return [items[place] for place in np.linspace(0, len(items) - 1, most).round().astype(int)]
