"""The models of a lab: those named at the start and those trained since, opened once and kept while there is room."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.lab.errors import RefusedError, unknown
from cnnlab.pluginhost.requirements import check_requirements

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.pluginhost.declarations import Analysis

MEMORY = 2 << 30
"""Bytes of parameters that are kept open; of more, the models that were asked least lately leave."""

COPIES = 3
"""How often a model's parameters lie in memory: in its graph, in TensorFlow's copy of it, and in compiled functions."""


class Models:
    """Models by the ids that a browser knows them by; their paths stay here.

    Args:
        choices: The models as they were asked for.
        memory: Bytes of parameters that are kept open.
        more: How those are opened that are trained later.
    """

    def __init__(self, choices: Sequence[ModelChoice], memory: int = MEMORY, more: ModelChoice | None = None) -> None:
        self._choices = {f"m{number}": choice for number, choice in enumerate(choices)}
        self._memory, self._more, self._lock = memory, more or ModelChoice(), threading.RLock()
        self._open: OrderedDict[str, Classifier] = OrderedDict()
        self._told: dict[str, dict[str, Any]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter([*self._choices])  # as they now are: another may join meanwhile

    @property
    def first(self) -> str:
        """The first of them.

        Raises:
            RefusedError: There is none yet.
        """
        for name in self:
            return name
        raise RefusedError(404, "there is no model in this lab yet; train one first.")

    def add(self, path: Path) -> str:
        """Take in a run that was trained here, and return its id.

        Args:
            path: Its folder.

        Raises:
            CnnlabError: It cannot be opened.
        """
        choice = replace(
            self._more, model=path, signature=None, output=None, input_range=None, class_names=None, layout=None
        )
        classifier = choice.open()
        with self._lock:
            name = f"m{len(self._choices)}"
            self._told[name] = _described(name, classifier, choice)
            self._open[name] = classifier
            self._choices[name] = choice  # last: who sees it among them finds it open
            self._make_room()
        return name

    def choice(self, name: str) -> ModelChoice:
        """Return how a model was asked for.

        Raises:
            RefusedError: There is no such model.
        """
        if name not in self._choices:
            _ = self.first  # where there is none at all, that is what is said
            raise unknown("model", name)
        return self._choices[name]

    def find(self, name: str) -> Classifier:
        """Return a model, opened; what is opened is kept, and the least used leaves where there is no more room.

        Raises:
            RefusedError: There is no such model.
            CnnlabError: It cannot be opened.
        """
        choice = self.choice(name)
        with self._lock:
            if name not in self._open:
                self._open[name] = choice.open()
                self._make_room()
            self._open.move_to_end(name)
            return self._open[name]

    def own(self, name: str) -> Classifier:
        """Return the same for one job: what it notes and remembers meanwhile is its own, what is compiled is shared."""
        return copy.copy(self.find(name))

    def _make_room(self) -> None:
        while len(self._open) > 1 and sum(map(_bytes, self._open.values())) > self._memory:
            self._open.popitem(last=False)

    def told(self) -> list[dict[str, Any]]:
        """Describe all models, as ``GET /api/models`` does."""
        for name in self:
            if name not in self._told:
                self._told[name] = _described(name, self.find(name), self._choices[name])
        return [self._told[name] for name in self]

    def obstacles(self, analysis: Analysis) -> dict[str, str]:
        """Return why an analysis cannot run, by the models on which it cannot."""
        found = {}
        for name in self:
            classifier = self.find(name)
            try:
                classifier.check_weights()
                check_requirements(analysis, classifier)
            except CnnlabError as error:
                found[name] = str(error)
        return found

    def with_models(self, params: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
        """Return parameters with other models opened, which a browser names by their ids.

        Args:
            params: The parameters.
            names: Which of them are models.

        Raises:
            UsageError: It is no id.
            RefusedError: There is no such model.
        """
        found = dict(params)
        for name in names:
            if found.get(name) is not None:
                if not isinstance(found[name], str):
                    raise UsageError(f"{name} must be the id of one of the lab's models.")
                found[name] = self.own(found[name])
        return found


def _bytes(classifier: Classifier) -> int:
    return COPIES * 4 * sum(layer.parameters for layer in classifier.layers)


def _described(name: str, classifier: Classifier, choice: ModelChoice) -> dict[str, Any]:
    path = classifier.path or choice.model
    return {
        "id": name,
        "name": Path(path).name if isinstance(path, str | Path) else "a live model",
        "kind": classifier.kind,
        "digest": classifier.digest,
        "classes": list(classifier.class_names),
        "shape": list(classifier.input_shape),
        "bounds": [float(bound) for bound in classifier.bounds],
        "dataset": classifier.dataset_name,
        "exclusive": classifier.exclusive,
        "notes": list(classifier.notes),
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "shape": list(layer.output_shape),
                "spatial": len(layer.output_shape) == 3,
                "convolutional": layer.convolutional,
            }
            for layer in classifier.layers
        ],
    }
