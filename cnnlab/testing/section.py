"""The contract of a section of the report."""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from cnnlab.errors import CnnlabError, FailedError
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Section, resolve
from cnnlab.testing.contract import Contract, assert_drawn_everywhere, assert_no_framework
from cnnlab.testing.footprint import watched
from cnnlab.testing.models import FOREIGN

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.reports.chapter import Chapter
    from cnnlab.reports.subject import Subject
    from cnnlab.testing.models import TinyModels

COUNT = 16
_WRITTEN: dict[Any, Chapter] = {}
OF_IMAGES = re.compile(r"share of (the )?(\w+ )?images\b")


class SectionContract(Contract):
    """Derive from it, name the section, and pytest holds it to what a report and its readers rely on.

    A section that is about a run is skipped: :meth:`subject` may be overridden to give it one.

    Attributes:
        section: The name of the section.

    Example:
        >>> from cnnlab.testing import SectionContract
        >>> class TestFilters(SectionContract):
        ...     section = "filters"
        >>> TestFilters().declaration.name
        'filters'
    """

    section: ClassVar[str]

    @cached_property
    def declaration(self) -> Section:
        """The section, as its plugin declares it."""
        return registry.find_section(self.section)

    def subject(self, classifier: Classifier, wrong: int = 4) -> Subject:
        """Return a model with 16 images to write about.

        Args:
            classifier: The model.
            wrong: How many of the images are labelled as another class than the one that the model reads.
        """
        import numpy as np

        from cnnlab.datasets import Dataset, Split
        from cnnlab.reports.subject import Subject

        if "run" in self.declaration.requires:
            pytest.skip("the section is about a run, and these models are none")
        shape = tuple(side or 8 for side in classifier.input_shape)
        pixels = np.random.default_rng(0).integers(0, 256, (COUNT, *shape), np.uint8)
        low, high = classifier.bounds
        read = classifier.predict((low + (high - low) * pixels / 255).astype(np.float32))
        labels = (read + (np.arange(COUNT) < wrong)) % classifier.num_classes
        split = Split(pixels, labels)
        dataset = Dataset(name="own", train=split, test=split, class_names=classifier.class_names)
        return Subject(classifier=classifier, profile="audit", dataset=dataset)

    def write(self, classifier: Classifier, wrong: int = 4) -> Chapter:
        """Write the section about ``classifier`` as a report does; ``wrong`` of its images are misread."""
        from cnnlab.reports.chapter import Chapter

        written = resolve(self.declaration.write)(self.subject(classifier, wrong))
        assert isinstance(written, Chapter), f"a Chapter was expected; received {type(written).__name__}"
        return written

    def _written(self, tiny_models: TinyModels, anew: bool = False) -> Chapter:
        """The section about the usual model, as it was written for another promise unless it is to be written anew."""
        key = (type(self), resolve(self.declaration.write))
        if anew or key not in _WRITTEN:
            _WRITTEN[key] = self.write(tiny_models.convolutional((8, 8, 1)))
        return _WRITTEN[key]

    def test_the_plugin_imports_without_a_framework(self) -> None:
        """Importing the plugin's declaration costs no TensorFlow, so that --help stays quick."""
        assert_no_framework(registry.provider(self.declaration).module)

    def test_it_says_what_is_shown_and_prints_nothing(
        self, tiny_models: TinyModels, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """There is a paragraph for readers at least, and what it says reaches the report alone."""
        written = self._written(tiny_models, anew=True)
        assert written.paragraphs
        assert all(words.strip() for words in written.paragraphs)
        assert capfd.readouterr().out == ""

    def test_what_a_process_shares_is_left_as_it_was(self, tiny_models: TinyModels) -> None:
        """Random state, ``np.seterr``, eager mode, precision, threads, environment and working directory are shared."""
        tiny_models.convolutional((8, 8, 1))
        with watched() as changed:
            self._written(tiny_models, anew=True)
        told = [sentence for sentences in changed.values() for sentence in sentences]
        assert not told, "; ".join(told)

    def test_every_conclusion_has_a_rule(self, tiny_models: TinyModels) -> None:
        """Each is a sentence, says by which thresholds it was decided, and holds, does not, or is undecided."""
        for found in self._written(tiny_models).conclusions:
            assert found.says.rstrip().endswith("."), found.says
            assert found.rule.strip(), f"by which rule? {found.says}"
            assert found.holds is None or isinstance(found.holds, bool), f"{found.says} holds: {found.holds!r}"

    def test_every_share_has_its_sample(self, tiny_models: TinyModels) -> None:
        """A "share of the images" says of how many and lies from 0 to 1; every value lies within its interval."""
        for metric in self._written(tiny_models).metrics:
            if metric.value is None:
                continue
            if OF_IMAGES.match(metric.meaning):
                assert metric.of, f"{metric.name}: a share of how many images?"
                assert 0 <= metric.value <= 1, f"{metric.name} is no share: {metric.value}"
            low, high = metric.interval or (metric.value, metric.value)
            assert low <= metric.value <= high, f"{metric.name} lies outside its interval"

    def test_every_figure_is_drawn_everywhere(self, tiny_models: TinyModels) -> None:
        """As a matplotlib figure, in terminals wide and narrow and on a page; each has a caption."""
        for figure in self._written(tiny_models).figures:
            assert figure.caption.strip(), "a caption says what is seen"
            assert hasattr(figure.drawing, "kind"), f"a Drawing was expected; received {type(figure.drawing).__name__}"
            assert_drawn_everywhere(figure.drawing, figure.caption)

    def test_writing_twice_says_the_same(self, tiny_models: TinyModels) -> None:
        """A report that is made again says what it said: what is random is seeded with the subject's seed."""
        before = self._written(tiny_models)
        assert _told(self._written(tiny_models, anew=True)) == _told(before)

    @pytest.mark.parametrize("wrong", [0, COUNT])
    def test_whatever_is_misread(self, tiny_models: TinyModels, wrong: int) -> None:
        """No image or every one: there is a chapter, or a sentence on why there is none."""
        self._write_or_refuse(tiny_models.convolutional((8, 8, 1)), wrong)

    def test_images_of_any_shape(self, tiny_models: TinyModels) -> None:
        """Odd, not square, in colour, and from 0 to 255."""
        self._write_or_refuse(tiny_models.convolutional(*FOREIGN))

    def test_a_model_that_ignores_its_input(self, tiny_models: TinyModels) -> None:
        """One class for every image: there is a chapter, or a sentence on why there is none."""
        self._write_or_refuse(tiny_models.constant((8, 8, 1)))

    def _write_or_refuse(self, classifier: Classifier, wrong: int = 4) -> None:
        try:
            self.write(classifier, wrong)
        except FailedError:
            raise
        except CnnlabError:
            pass


def _told(chapter: Chapter) -> Any:
    facts = [*(each.to_json() for each in chapter.metrics), *(each.to_json() for each in chapter.conclusions)]
    tables = [[list(table.heads), [list(row) for row in table.rows]] for table in chapter.tables]
    return json.loads(json.dumps([chapter.paragraphs, facts, tables], default=str))
