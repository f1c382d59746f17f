"""Choosing images of a dataset by meaning: those of a class, the misread ones, the unsure ones, one of each class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge

from cnnlab.errors import CnnlabError
from cnnlab.inputs import of_split
from cnnlab.inspection.evaluation import part_of, tally
from cnnlab.pluginhost.of_model import AClass
from cnnlab.pluginhost.params import checked
from cnnlab.progress import Progress, Silent, shown

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.datasets import Dataset, Split


class NoneChosenError(CnnlabError):
    """No image is as it was asked for."""


def choose(
    model: Any,
    dataset: str | os.PathLike[str] | Dataset | Split | None = None,
    *,
    split: str = "test",
    class_: int | str | Sequence[int | str] = (),
    mistakes: bool = False,
    least_certain: int | None = None,
    one_per_class: bool = False,
    limit: int | None = None,
    progress: Progress | bool | None = None,
) -> Split:
    """Choose images of a dataset by what they are, and by what a model makes of them.

    Each choice is made of what the one before it left, in the order of the arguments, and of equal images the earlier
    comes first. So ``mistakes=True, one_per_class=True`` is the most confident mistake of each class.

    Args:
        model: As for :func:`cnnlab.load`.
        dataset: A dataset, or its name or path; by default the one that the run was trained on. Or a
            :class:`~cnnlab.datasets.Split`: these images, whatever `split` says.
        split: ``train`` or ``test``.
        class_: Only images of this true class, or of these: a number or a name.
        mistakes: Only images that the model misreads, those first that it is most certain of.
        least_certain: So many images, those whose predicted class has the smallest probability, the smallest first.
        one_per_class: The first image of each true class, in the order of the classes.
        limit: Only the first so many.
        progress: Whether to show a bar, or what to show it with; by default there is one on a terminal and in a
            notebook.

    Returns:
        The images, as a split that knows which of the dataset they are.

    Raises:
        UsageError: There is no such class, or the images do not fit the model.
        CnnlabError: No image is so, or the model or the dataset cannot be read.

    Example:
        >>> import numpy as np
        >>> from cnnlab.datasets import Split
        >>> from cnnlab.testing import FakeClassifier
        >>> images = Split(np.array([0, 255, 153, 102], np.uint8)[:, None, None], [0, 0, 1, 1])
        >>> model = FakeClassifier.of_brightness((1, 1, 1))
        >>> choose(model, images, mistakes=True).sources, choose(model, images, class_="bright", limit=1).sources
        (['images/test:1', 'images/test:3'], ['images/test:2'])
    """
    from cnnlab.classifier import load

    classifier = load(model)
    _, _, images = part_of(classifier, dataset, split)
    found, _ = chosen(
        classifier,
        images,
        class_=class_,
        mistakes=mistakes,
        least_certain=least_certain,
        one_per_class=one_per_class,
        limit=limit,
        progress=shown(progress),
    )
    return found


def chosen(
    classifier: Classifier,
    images: Split,
    *,
    class_: int | str | Sequence[int | str] = (),
    mistakes: bool = False,
    least_certain: int | None = None,
    one_per_class: bool = False,
    limit: int | None = None,
    progress: Progress | None = None,
) -> tuple[Split, str]:
    """The same of an opened model and a split; also say in a sentence how many of how many were chosen."""
    kept, told = np.arange(len(images)), []
    classes = [class_] if isinstance(class_, int | str) else list(class_)
    if classes:
        kept = np.flatnonzero(np.isin(images.labels, [_number(classifier, images, value) for value in classes]))
        told.append(f"{len(kept):,} of class {' or '.join(map(str, classes))}")
    if (mistakes or least_certain is not None) and len(kept):
        inputs = of_split(classifier, images[kept])
        found = tally(classifier, inputs, classifier.batch_size, progress or Silent())
        if mistakes:
            order = np.argsort(-found.confidence, kind="stable")
            order = order[found.predicted[order] != inputs.labels[order]]
            told.append(f"{len(order):,} misread, the most certain first")
        if least_certain is not None:
            count = checked("`least_certain=`", Annotated[int, Ge(1)], least_certain)
            among = np.sort(order) if mistakes else np.arange(len(kept))
            order = among[np.argsort(found.confidence[among], kind="stable")][:count]
            told.append(f"{len(order):,} of the least certain")
        kept = kept[order]
    if one_per_class:
        kept = kept[np.unique(images.labels[kept], return_index=True)[1]]
        told.append(f"{len(kept):,}, the first of each class")
    if limit is not None:
        kept = kept[: checked("`limit=`", Annotated[int, Ge(1)], limit)]
        told.append(f"the first {len(kept):,}")
    said = f"of the {len(images):,} images{f' of {images.name}' if images.name else ''}: {'; of these '.join(told)}."
    if not len(kept):
        raise NoneChosenError(f"no image is as asked; {said}")
    return images[kept], f"{len(kept):,} {'image was' if len(kept) == 1 else 'images were'} chosen; {said}"


def _number(classifier: Classifier, images: Split, value: int | str) -> int:
    """Find a class by its number, or by its name in the dataset or the model."""
    own = images.dataset.class_names if images.dataset else ()
    if len(own) == classifier.num_classes and str(value) in own:
        return own.index(str(value))
    named = str(value) in classifier.class_names or not str(value).isdecimal()
    return AClass().of(classifier, value if named else int(value), "`class_=`")
