"""Which images are asked about: files, arrays, or some of a dataset; and reading them for a model."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cnnlab.errors import UsageError

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.datasets import Dataset
    from cnnlab.inputs import Inputs
    from cnnlab.progress import Progress


@dataclass(frozen=True, kw_only=True)
class ImageChoice:
    """Images as they were asked for.

    Attributes:
        images: Arrays [N, H, W, C] (or [N, H, W], [H, W, C], [H, W]) in the model's value range, an image file or a
            list of them, a :class:`~cnnlab.datasets.Split`, or :class:`~cnnlab.inputs.Inputs`; None for those of the
            dataset, or for none.
        labels: The true labels of ``images``, [N]; None where unknown.
        dataset: A dataset, or its name or path: the images that are asked about are some of it, or belong to it. By
            default the one that the model was trained on.
        split: Which part of the dataset.
        indices: Images of it, each an index such as ``7`` or a range such as ``0:10``.
        limit: Only the first so many of them.
        class_: Only those of these true classes, each a name or a number.
        mistakes: Only those that the model misreads, the most certain first.
        least_certain: So many of those whose predicted class has the smallest probability.
        one_per_class: The first of each class.
        fit: How an image file of another size is brought to the model's.
        invert: Whether black and white of image files change places.
        strict: Whether image files that would have to be converted are refused.
    """

    images: Any = None
    labels: Any = None
    dataset: Any = None
    split: str = "test"
    indices: tuple[str, ...] = ()
    limit: int | None = None
    class_: tuple[str, ...] = ()
    mistakes: bool = False
    least_certain: int | None = None
    one_per_class: bool = False
    fit: Literal["stretch", "crop", "pad"] = "stretch"
    invert: bool = False
    strict: bool = False

    @property
    def some(self) -> bool:
        """Whether any images are asked about."""
        return self.images is not None or self.of_dataset

    @property
    def of_dataset(self) -> bool:
        """Whether these are some of a dataset."""
        return self.images is None and bool(self.dataset or self.indices or self.limit or self.by_meaning)

    @property
    def by_meaning(self) -> bool:
        """Whether they are chosen by what they are, or by what the model makes of them."""
        return bool(self.class_ or self.mistakes or self.least_certain or self.one_per_class)

    def check(self) -> None:
        """Refuse words that make no sense together, before anything is opened.

        Raises:
            UsageError: They do not.
        """
        if self.images is not None and (self.indices or self.limit or isinstance(self.dataset, str)):
            raise UsageError(
                "`images=` and `dataset=` (with `indices=` or `limit=`) exclude each other; give one of them."
            )
        if self.by_meaning and (self.images is not None or self.indices):
            raise UsageError(
                "`class_=`, `mistakes=`, `least_certain=` and `one_per_class=` choose from a dataset, and exclude "
                f"`{'images' if self.images is not None else 'indices'}=`."
            )
        if self.indices and self.limit:
            raise UsageError("`indices=` and `limit=` exclude each other; give one of them.")
        for text in self.indices:
            _range(text)
        if self.labels is not None and _are_files(self.images) and len(self.labels) != len(self.images):
            raise UsageError(
                f"`labels=` must be given once for each of `images=`; received {len(self.labels)} for "
                f"{len(self.images)}."
            )

    def read(self, classifier: Classifier, *, wanted: bool = True, progress: Progress | None = None) -> Inputs:
        """Read the images for a model; none where none are asked about.

        Args:
            classifier: The model.
            wanted: Whether anybody looks at images, or at those that the model was trained on.
            progress: Where to show how far one is, where the model has to classify all to choose some.

        Raises:
            UsageError: They do not fit the model, or are of a dataset that nobody named.
            CnnlabError: A file cannot be read, or no image is as it was asked for.
        """
        from cnnlab import inputs
        from cnnlab.datasets import Split

        if isinstance(self.images, inputs.Inputs):
            return self.images
        dataset = self._dataset(classifier) if wanted else None
        if isinstance(self.images, Split):
            return inputs.of_split(classifier, self.images, self.labels, dataset=dataset)
        if self.of_dataset:
            return self._some_of(dataset, classifier, progress)
        images = [self.images] if isinstance(self.images, str | os.PathLike) else self.images
        if _are_files(images):
            return inputs.from_files(
                classifier,
                images,
                self.labels,
                dataset=dataset,
                fit=self.fit,
                invert=self.invert,
                strict=self.strict,
            )
        return inputs.from_arrays(classifier, images, self.labels, dataset=dataset)

    def _dataset(self, classifier: Classifier) -> Dataset | None:
        from cnnlab.datasets import loading

        if self.dataset is None:
            return loading.trained_on(classifier)
        return loading.load(self.dataset) if isinstance(self.dataset, str | os.PathLike) else self.dataset

    def _some_of(self, dataset: Dataset | None, classifier: Classifier, progress: Progress | None) -> Inputs:
        from cnnlab import inputs

        if dataset is None:
            raise UsageError("images of a dataset need `dataset=`: the model does not say what it was trained on.")
        if self.by_meaning:
            from cnnlab.inspection import choosing

            found, note = choosing.chosen(
                classifier,
                dataset.split(self.split),
                class_=self.class_,
                mistakes=self.mistakes,
                least_certain=self.least_certain,
                one_per_class=self.one_per_class,
                limit=self.limit,
                progress=progress,
            )
            return inputs.of_split(classifier, found, notes=(note,))
        import numpy as np

        split = dataset.split(self.split)
        ranges = [_range(text) for text in self.indices]
        for indices in ranges:
            inputs.check_within(split, indices)
        ranges = ranges or [range(min(self.limit or len(split), len(split)))]
        places = np.concatenate([np.arange(indices.start, indices.stop) for indices in ranges])
        return inputs.from_split(classifier, dataset, self.split, places)


def _are_files(images: Any) -> bool:
    several = isinstance(images, Sequence) and not isinstance(images, str | os.PathLike) and bool(images)
    return several and all(isinstance(image, str | os.PathLike) for image in images)


def _range(text: str) -> range:
    """Read ``7`` or ``0:10``, which may be any size until it is held against a dataset."""
    found = re.fullmatch(r"([0-9]{1,18})(:[0-9]{1,18})?", str(text))
    first = int(found[1]) if found else 0
    stop = int(found[2][1:]) if found and found[2] else first + 1
    if found is None or stop <= first:
        raise UsageError(f"`indices=` must be an index such as 7 or a range such as 0:10; received {text}.")
    return range(first, stop)
