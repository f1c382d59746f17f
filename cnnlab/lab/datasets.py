"""The datasets of a lab: those that its models were trained on, and installed ones that fit them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.datasets import loading
from cnnlab.errors import CnnlabError
from cnnlab.inspection import choosing
from cnnlab.lab.errors import unknown
from cnnlab.lab.images import data_url, in_unit
from cnnlab.pluginhost import registry

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.datasets import Dataset, Split
    from cnnlab.lab.models import Models

KEPT = 4
"""Datasets that are kept open."""

CHOICES = 32
"""Choices of images that are remembered: who looks through the mistakes does not classify all images for each page."""


@dataclass(frozen=True)
class Place:
    """One image of a dataset: which, of which part."""

    dataset: str
    split: str
    index: int


class Datasets:
    """Datasets by name, loaded once and kept.

    Args:
        models: The models that they are for.
    """

    def __init__(self, models: Models) -> None:
        self._models, self._lock = models, threading.RLock()
        self._open: OrderedDict[str, Dataset] = OrderedDict()
        self._chosen: OrderedDict[tuple[Any, ...], Split] = OrderedDict()
        self._names: list[str] | None = None

    def names(self) -> list[str]:
        """Return the names of all, those that the models were trained on first."""
        with self._lock:
            if self._names is None:
                told = self._models.told()
                learned = [model["dataset"] for model in told if model["dataset"] and self._loads(model["dataset"])]
                fitting = [
                    name
                    for name, offer in sorted(registry.listed("dataset").items())
                    if any(
                        list(getattr(offer, "shape", ())) == model["shape"]
                        and len(getattr(offer, "class_names", ())) == len(model["classes"])
                        for model in told
                    )
                ]
                self._names = list(dict.fromkeys([*learned, *fitting]))
            return self._names

    def _loads(self, name: str) -> bool:
        try:
            self._load(name)
        except CnnlabError:
            return False
        return True

    def _load(self, name: str) -> Dataset:
        with self._lock:
            if name not in self._open:
                self._open[name] = loading.load(name)
                while len(self._open) > KEPT:
                    self._open.popitem(last=False)
            self._open.move_to_end(name)
            return self._open[name]

    def find(self, name: str) -> Dataset:
        """Return a dataset of the lab.

        Raises:
            RefusedError: There is none of that name.
        """
        if name not in self.names():
            raise unknown("dataset", name)
        return self._load(name)

    def told(self) -> list[dict[str, Any]]:
        """Describe all, as ``GET /api/datasets`` does."""
        found = []
        for name in self.names():
            dataset = self.find(name)
            counts = {"train": len(dataset.train), "test": len(dataset.test)}
            found.append({"name": name, "classes": list(dataset.class_names), **counts})
        return found

    def some(
        self, name: str, split: str, offset: int, limit: int, class_: str | None, mistakes: str, least_certain: str
    ) -> dict[str, Any]:
        """Show some images, as ``GET /api/datasets/NAME/images`` does.

        Args:
            name: The dataset.
            split: ``train`` or ``test``.
            offset: The first of those that were chosen.
            limit: How many.
            class_: Of this true class alone, a number or a name; None for all.
            mistakes: A model: of those that it misreads, the most certain first; or nothing.
            least_certain: A model: those first whose predicted class has the smallest probability; or nothing.

        Raises:
            UsageError: There is no such class or part.
        """
        dataset = self.find(name)
        part = self._choice(dataset.split(split), (name, split, class_, mistakes, least_certain))
        shown = part[offset : offset + limit]
        pixels = shown.batch(range(len(shown)))
        value_range = dataset.value_range
        return {
            "total": len(part),
            "images": [
                {
                    "id": image_id(self.names().index(name), split, int(shown.sources[place].rpartition(":")[2])),
                    "label": int(shown.labels[place]),
                    "source": shown.sources[place],
                    "png": data_url(in_unit(pixels[place], value_range)),
                }
                for place in range(len(shown))
            ],
        }

    def _choice(self, part: Split, key: tuple[Any, ...]) -> Split:
        _, _, class_, mistakes, least_certain = key
        if not (class_ or mistakes or least_certain):
            return part
        with self._lock:
            if key not in self._chosen:
                self._chosen[key] = self._choose(part, class_, mistakes, least_certain)
                while len(self._chosen) > CHOICES:
                    self._chosen.popitem(last=False)
            self._chosen.move_to_end(key)
            return self._chosen[key]

    def _choose(self, part: Split, class_: str | None, mistakes: str, least_certain: str) -> Split:
        judge = self._models.find(mistakes or least_certain or next(iter(self._models)))
        wanted: Any = () if not class_ else (int(class_) if class_.isdecimal() and len(class_) < 10 else class_)
        try:
            found, _ = choosing.chosen(judge, part, class_=wanted, mistakes=bool(mistakes))
            if least_certain:
                other: Classifier = self._models.find(least_certain)
                found, _ = choosing.chosen(other, found, least_certain=len(found))
        except choosing.NoneChosenError:
            return part[:0]
        return found

    def place(self, name: str) -> Place | None:
        """Return which image of a dataset an id stands for; None where it is the id of another image.

        Raises:
            RefusedError: There is no such dataset or image.
        """
        words = name.split("-")
        if not (len(words) == 3 and words[0][:1] == "d" and words[1] in ("train", "test")):
            return None
        if not all(word.isascii() and word.isdigit() and len(word) < 10 for word in (words[0][1:], words[2])):
            raise unknown("image", name)
        number, index = int(words[0][1:]), int(words[2])
        if number >= len(self.names()) or index >= len(self.find(self.names()[number]).split(words[1])):
            raise unknown("image", name)
        return Place(self.names()[number], words[1], index)

    def unit(self, place: Place) -> tuple[np.ndarray, int]:
        """Return an image float32 [H, W, C] in [0, 1], and its label."""
        dataset = self.find(place.dataset)
        part = dataset.split(place.split)
        image = part.batch([place.index])[0]
        return in_unit(image, dataset.value_range), int(part.labels[place.index])


def image_id(dataset: int, split: str, index: int) -> str:
    """Return the id of an image of a dataset, which is kept nowhere: it says where the image is."""
    return f"d{dataset}-{split}-{index}"
