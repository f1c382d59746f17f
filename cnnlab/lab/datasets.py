"""The datasets of a lab: those that its models were trained on, and installed ones that fit them."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.datasets import loading
from cnnlab.datasets.dataset import in_memory
from cnnlab.errors import CnnlabError
from cnnlab.inspection import choosing
from cnnlab.lab.errors import unknown
from cnnlab.lab.images import data_url, in_unit
from cnnlab.lab.kept import Kept
from cnnlab.pluginhost import registry

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.datasets import Dataset, Split
    from cnnlab.lab.models import Models

ROOM = 2 << 30
"""Bytes of images in memory of the datasets that are kept open; those that are read from the disk take none."""

CHOSEN = 64 << 20
"""Bytes of choices that are remembered: who looks through the mistakes does not classify all images for each page."""


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
        room: Bytes that their images may take in memory.
        chosen: Bytes that choices among them may take.
    """

    def __init__(self, models: Models, room: int = ROOM, chosen: int = CHOSEN) -> None:
        self._models, self._lock = models, threading.RLock()
        self._open: Kept[Dataset] = Kept(room, _bytes)
        self._chosen: Kept[np.ndarray] = Kept(chosen, lambda indices: indices.nbytes)
        self._names: list[str] = []
        self._asked = 0

    def names(self) -> list[str]:
        """Return the names of all, those that the models were trained on first; later models add theirs behind."""
        with self._lock:
            told = self._models.told()
            if len(told) > self._asked:
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
                self._names = list(dict.fromkeys([*self._names, *learned, *fitting]))
                self._asked = len(told)
            return self._names

    def _loads(self, name: str) -> bool:
        try:
            self._load(name)
        except CnnlabError:
            return False
        return True

    def _load(self, name: str) -> Dataset:
        with self._lock:
            found = self._open.find(name)
            if found is None:
                found = loading.load(name)
                self._open.put(name, found)
            self._open.weigh()  # an analysis that looks at training images has them converted
            return found

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
        part = dataset.split(split)
        chosen = self._choice(part, (name, split, class_, mistakes, least_certain))
        shown = part[chosen[offset : offset + limit]]
        pixels = shown.batch(range(len(shown)))
        value_range = dataset.value_range
        return {
            "total": len(chosen),
            "images": [
                {
                    "id": image_id(self.names().index(name), split, _index(shown.sources[place])),
                    "label": int(shown.labels[place]),
                    "source": shown.sources[place],
                    "png": data_url(in_unit(pixels[place], value_range)),
                }
                for place in range(len(shown))
            ],
        }

    def _choice(self, part: Split, asked: tuple[Any, ...]) -> np.ndarray | range:
        """The indices of the images that are as asked: no more of them is remembered, for they hold the dataset."""
        _, _, class_, mistakes, least_certain = asked
        if not (class_ or mistakes or least_certain):
            return range(len(part))
        name = json.dumps(asked)
        with self._lock:
            found = self._chosen.find(name)
            if found is None:
                sources = self._choose(part, class_, mistakes, least_certain).sources
                found = np.array([_index(source) for source in sources], np.int64)
                self._chosen.put(name, found)
            return found

    def _choose(self, part: Split, class_: str | None, mistakes: str, least_certain: str) -> Split:
        judge = self._models.find(mistakes or least_certain or self._models.first)
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


def _bytes(dataset: Dataset) -> int:
    return in_memory(dataset.train, dataset.test)


def _index(source: str) -> int:
    return int(source.rpartition(":")[2])


def image_id(dataset: int, split: str, index: int) -> str:
    """Return the id of an image of a dataset, which is kept nowhere: it says where the image is."""
    return f"d{dataset}-{split}-{index}"
