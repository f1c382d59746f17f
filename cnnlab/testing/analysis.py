"""The contract of an analysis: what its users, its host and its neighbours rely on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import mock

import pytest

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Analysis
from cnnlab.pluginhost.params import fields_of
from cnnlab.testing.bounds import absent_from, invalid_values
from cnnlab.testing.contract import Guest, assert_drawn_everywhere, assert_no_framework, assert_same, run_python
from cnnlab.testing.footprint import Footprint, footprint, needed_models
from cnnlab.testing.models import FOREIGN, TinyModels

if TYPE_CHECKING:
    from cnnlab.results.result import Result


class AnalysisContract(Guest):
    """Derive from it, name the analysis, and pytest holds it to every promise.

    Attributes:
        analysis: The name of the analysis.
        params: Parameters that keep the tests quick; the defaults otherwise.
        undelivered: Declared arrays and metrics that do not appear with these parameters, so that their absence here
            is no broken promise; those that the declaration lists in ``sometimes`` unless given.

    Example:
        >>> from cnnlab.testing import AnalysisContract
        >>> class TestOcclusion(AnalysisContract):
        ...     analysis = "occlusion"
        ...     params = {"patch": 8}
        >>> TestOcclusion().declaration.name
        'occlusion'
    """

    analysis: ClassVar[str]
    params: ClassVar[Mapping[str, Any]] = {}
    undelivered: ClassVar[tuple[str, ...] | None] = None

    @cached_property
    def declaration(self) -> Analysis:
        """The analysis, as its plugin declares it."""
        return registry.find_analysis(self.analysis)

    def run(self, classifier: Any, images: Any, labels: Any = None, seed: int = 0, **params: Any) -> Result:
        """Ask it as a library user would: ``classifier``, ``images``, ``labels``, ``seed`` and ``params``."""
        from cnnlab.analysis.request import analyze

        if self.declaration.inputs == "none":
            images = labels = None
        params = {**self.given(classifier), **params}
        if "dataset" in self.declaration.requires:
            params["dataset"] = TinyModels().dataset(images.shape[1:], classifier.bounds)
        with mock.patch.dict(os.environ, CNNLAB_STRICT="1"):  # what users are spared is the author's to mend
            return analyze(self.analysis, classifier, images, labels, seed=seed, **params)

    def given(self, classifier: Any) -> dict[str, Any]:
        """The parameters, with ``classifier`` itself for each other model that must be named and is not."""
        return {**dict.fromkeys(needed_models(self.declaration.params), classifier), **self.params}

    def footprint(self) -> Footprint:
        """What it printed and changed, looking at three images in a process of its own."""
        return footprint(self.declaration, self.params)

    def test_the_plugin_imports_without_a_framework(self) -> None:
        """Importing the plugin's declaration costs no TensorFlow, so that --help stays quick."""
        module = registry.provider(self.declaration).module
        assert_no_framework(module)

    def test_help_works(self) -> None:
        """``cnnlab analyze NAME --help`` names every parameter."""
        done = run_python("from cnnlab.cli import main; main()", "analyze", self.analysis, "--help")
        assert done.returncode == 0, done.stderr
        assert not [field.option for field in fields_of(self.declaration.params) if field.option not in done.stdout]

    def test_every_parameter_is_explained(self) -> None:
        """Every parameter says what it means, as a sentence."""
        unexplained = [f.name for f in fields_of(self.declaration.params) if not f.doc.rstrip().endswith(".")]
        assert not unexplained, f"these need Doc('... .'): {unexplained}"

    def test_the_defaults_are_valid(self) -> None:
        """The defaults, where every parameter has one, are within the declared bounds."""
        needed = {field.name for field in fields_of(self.declaration.params) if field.required}
        if not needed:
            self.declaration.params()
        self.declaration.params.from_public(self.given("a model"))

    def test_bounds_are_refused_alike_in_python_and_on_the_command_line(self) -> None:
        """Just outside every declared bound, both answer with the same sentence."""
        for field in fields_of(self.declaration.params):
            for value in invalid_values(field):
                given = {**self.given("a model"), field.public: value}
                with pytest.raises(UsageError) as refused:
                    self.declaration.params.from_public(given)
                assert str(refused.value) == field.refusal(value)
                if not field.flag:  # which takes no value there
                    assert _refused_by_the_command(self.declaration, given) == str(refused.value)

    def test_classes_and_layers_are_looked_up_in_the_model(self, tiny_models: TinyModels) -> None:
        """A class or a layer that the model does not have is refused, in the host's words, before anything runs."""
        classifier = tiny_models.convolutional((8, 8, 1))
        for field in fields_of(self.declaration.params):
            if field.of_model is not None and not field.is_model:
                for absent in absent_from(classifier, field):
                    with pytest.raises(UsageError, match=str(absent)):
                        self.run(classifier, *tiny_models.images((8, 8, 1), 1), **{field.public: absent})

    def test_the_same_seed_gives_the_same_arrays(self, tiny_models: TinyModels) -> None:
        """Running twice with one seed gives the same bits, though somebody watches; what is shown then can be drawn."""
        from cnnlab.testing.fakes import Spectator

        images, labels = tiny_models.images((8, 8, 1), 3)
        first = self.run(tiny_models.convolutional((8, 8, 1)), images, labels, seed=7)
        spectator = Spectator()
        second = self.run(tiny_models.convolutional((8, 8, 1)), images, labels, seed=7, progress=spectator)
        for drawing in spectator.previews[:1]:
            assert_drawn_everywhere(drawing, "its first preview")
        assert set(first.arrays) == set(second.arrays)
        for name in first.arrays:
            assert_same(first.arrays[name], second.arrays[name], name)

    def test_devices_that_share_the_images_find_the_same(self, tiny_models: TinyModels) -> None:
        """What is gathered of blocks of the images, in two threads at once, is what one device finds."""
        from cnnlab.devices import sharing
        from cnnlab.devices.replicas import Replicas
        from cnnlab.memory import LEAST

        images, labels = tiny_models.images((8, 8, 1), 2 * LEAST)
        alone = self.run(tiny_models.convolutional((8, 8, 1)), images, labels)
        with sharing.sharing(Replicas("cpu", devices=("CPU:0", "CPU:0"))):
            shared = self.run(tiny_models.convolutional((8, 8, 1)), images, labels)
        for name in alone.arrays:
            assert_same(alone.arrays[name], shared.arrays[name], name)

    def test_what_is_kept_changes_no_number(self, tiny_models: TinyModels) -> None:
        """Where nothing of single images is kept, everything else is said as where all of it is."""
        import numpy as np

        images, labels = tiny_models.images((8, 8, 1), 3)
        whole = self.run(tiny_models.convolutional((8, 8, 1)), images, labels)
        if "keep" not in {field.public for field in fields_of(self.declaration.params)}:
            numbers = self.run(tiny_models.convolutional((8, 8, 1)), images, labels, keep="metrics")
            assert not numbers.arrays
            said, due = ((each.headline, dict(each.metrics), each.warnings) for each in (numbers, whole))
            np.testing.assert_equal(said, due)

    @pytest.mark.parametrize("count", [1, 5])
    @pytest.mark.parametrize(("shape", "bounds"), [((8, 8, 1), (0.0, 1.0)), FOREIGN], ids=str)
    def test_any_number_of_images_of_any_shape(
        self, tiny_models: TinyModels, shape: tuple[int, int, int], bounds: tuple[float, float], count: int
    ) -> None:
        """One image or several, odd and non-square, grey and colour."""
        import numpy as np

        result = self.run(tiny_models.convolutional(shape, bounds), *tiny_models.images(shape, count, bounds=bounds))
        for name, array in result.arrays.items():
            assert not np.isinf(array).any() if array.dtype.kind == "f" else True, f"{name} holds infinities"

    @pytest.mark.parametrize(("shape", "bounds"), [((8, 8, 1), (-1.0, 1.0)), FOREIGN], ids=str)
    def test_any_value_range(
        self, tiny_models: TinyModels, shape: tuple[int, int, int], bounds: tuple[float, float]
    ) -> None:
        """Images are in the model's own units, and what is made of them stays within its range."""
        images, labels = tiny_models.images(shape, 2, bounds=bounds)
        result = self.run(tiny_models.convolutional(shape, bounds), images, labels)
        made = result.arrays.get("adversarial")
        assert made is None or (bounds[0] <= made.min() and made.max() <= bounds[1])

    def test_a_model_that_takes_only_so_many_images(self, tiny_models: TinyModels) -> None:
        """A batch that the model fixes is filled up, and what fills it is in no result."""
        images, labels = tiny_models.images((8, 8, 1), 3)
        fixed = self.run(tiny_models.convolutional((8, 8, 1), fixed_batch=2), images, labels)
        usual = self.run(tiny_models.convolutional((8, 8, 1)), images, labels)
        assert {name: array.shape for name, array in fixed.arrays.items()} == {
            name: array.shape for name, array in usual.arrays.items()
        }

    def test_a_model_that_takes_images_of_any_size(self, tiny_models: TinyModels) -> None:
        """Where height and width are open, they are the images'."""
        self.run(tiny_models.of_any_size(), *tiny_models.images((9, 7, 1), 2))

    def test_images_without_labels(self, tiny_models: TinyModels) -> None:
        """An image file comes without a label."""
        images, _ = tiny_models.images((8, 8, 1), 2)
        if "labels" in self.declaration.requires:
            with pytest.raises(CnnlabError, match="needs the true labels of the images"):
                self.run(tiny_models.convolutional((8, 8, 1)), images)
        else:
            self.run(tiny_models.convolutional((8, 8, 1)), images)

    def test_a_model_that_ignores_its_input(self, tiny_models: TinyModels) -> None:
        """Nothing to find is a finding (or a clear refusal), not a crash."""
        try:
            self.run(tiny_models.constant((8, 8, 1)), *tiny_models.images((8, 8, 1), 2))
        except CnnlabError as error:
            if error.__cause__ is not None and not isinstance(error.__cause__, CnnlabError):
                raise

    def test_the_model_and_the_images_are_left_as_they_were(self, tiny_models: TinyModels) -> None:
        """Neither the model's answers nor the images change, although the plugin is given the very array."""
        from cnnlab.analysis.context import Context
        from cnnlab.pluginhost.declarations import resolve
        from cnnlab.testing.fakes import UnguardedInputs

        classifier = tiny_models.convolutional((8, 8, 1))
        images = tiny_models.images((8, 8, 1), 0 if self.declaration.inputs == "none" else 3)
        inputs = UnguardedInputs(*images, tiny_models.dataset((8, 8, 1)))
        before, copy = classifier.logits(inputs.images), inputs.images.copy()
        params = self.declaration.params.from_public(self.given(classifier)).settled(classifier)
        resolve(self.declaration.run)(classifier, inputs, params, Context())
        assert_same(inputs.images, copy, "the images")
        assert_same(classifier.logits(inputs.images), before, "the logits")

    def test_progress_comes_to_its_end(self, tiny_models: TinyModels) -> None:
        """As many steps are done as were announced, whatever ends early: time left is told by them."""
        from cnnlab.analysis.request import analyze
        from cnnlab.testing.fakes import CountedProgress

        progress = CountedProgress()
        images, labels = (None, None) if self.declaration.inputs == "none" else tiny_models.images((8, 8, 1), 3)
        classifier = tiny_models.convolutional((8, 8, 1))
        analyze(self.analysis, classifier, images, labels, progress=progress, **self.given(classifier))
        wrong = [f"{name}: {done} of {total}" for name, total, done in progress.tasks if total not in (None, done)]
        assert not wrong, f"steps done and announced: {wrong}"

    def test_the_result_survives_saving(self, tiny_models: TinyModels, tmp_path: Path) -> None:
        """What is read back is what was found, and it says how to repeat it."""
        from cnnlab.results.result import Result

        result = self.run(tiny_models.convolutional((8, 8, 1)), *tiny_models.images((8, 8, 1), 2))
        files = result.save(tmp_path / "out", format=None)  # another promise has the figures drawn
        loaded = Result.load(tmp_path / "out")
        assert set(loaded.arrays) == set(result.arrays)
        for name in result.arrays:
            assert_same(loaded.arrays[name], result.arrays[name], name)
        assert dict(loaded.metrics) == dict(result.metrics)
        told = {name: value for name, value in loaded.record["params"].items() if value is not None}
        assert self.declaration.params.from_public({**self.given("a model"), **told})
        assert all(file.stat().st_size for file in files)

    def test_the_numbers_follow_from_the_saved_arrays(
        self, tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What ``sum_up`` says of the saved arrays is what was saved; it asks the model for names alone."""
        from cnnlab.results.result import read_record
        from cnnlab.verification.numbers import numbers
        from cnnlab.verification.of_result import Saved

        if self.declaration.sum_up is None:
            pytest.skip("it declares no sum_up: `cnnlab verify` cannot check its numbers")
        classifier = tiny_models.convolutional((8, 8, 1))
        self.run(classifier, *tiny_models.images((8, 8, 1), 3)).save(tmp_path / "out", format=None)
        saved = Saved.read(tmp_path / "out", read_record(tmp_path / "out"), classifier)

        def refuse(*_: Any, **__: Any) -> None:
            raise AssertionError("sum_up asked the model about images")

        for name in ("logits", "probabilities", "predict", "activations", "input_gradient"):
            monkeypatch.setattr(classifier, name, refuse)
        wrong = [f"{found.claim}: {found.says}" for found in numbers(saved) if found.state == "fails"]
        assert not wrong, f"not what was saved: {wrong}"

    def test_every_drawing_is_drawn_everywhere(self, tiny_models: TinyModels) -> None:
        """On paper, in terminals wide and narrow and in a browser; no setting of matplotlib's changes, none is open."""
        import matplotlib
        from matplotlib import pyplot

        settings, open_before = dict(matplotlib.rcParams), pyplot.get_fignums()
        result = self.run(tiny_models.convolutional((8, 8, 1)), *tiny_models.images((8, 8, 1), 2))
        for name in result.drawings:
            assert_drawn_everywhere(result.drawing(name), name)
        assert dict(matplotlib.rcParams) == settings
        assert pyplot.get_fignums() == open_before

    def test_what_is_declared_is_delivered(self, tiny_models: TinyModels) -> None:
        """The arrays and metrics are the declared ones; the host already refuses others."""
        from cnnlab.results.meanings import declared_as

        known = {*self.declaration.arrays, *self.declaration.metrics}
        assert set(self.declaration.sometimes) <= known, "`sometimes` names what is not declared"
        absent = self.declaration.sometimes if self.undelivered is None else self.undelivered
        result = self.run(tiny_models.convolutional((8, 8, 1)), *tiny_models.images((8, 8, 1), 3))
        for declared, delivered in (
            (self.declaration.arrays, result.arrays),
            (self.declaration.metrics, result.metrics),
        ):
            assert declared or not delivered, "declare what the arrays and metrics mean"
            for name, text in declared.items():
                found = any(declared_as({name: text}, key) for key in delivered)
                assert found or name in absent, f"{name} is declared and was not delivered"


def _refused_by_the_command(analysis: Analysis, given: Mapping[str, Any]) -> str:
    """Return what the analysis' own command says to parameters, before it looks for a model."""
    import click

    from cnnlab.cli.commands.analyze import command_for

    words = []
    for field in fields_of(analysis.params):
        value = given.get(field.public)
        if field.flag:
            words += [field.option] if value else []
        elif value is not None:
            words += [f"{field.option}={each}" for each in (value if isinstance(value, (tuple, list)) else [value])]
    with pytest.raises((click.UsageError, UsageError)) as refused:
        command_for(analysis).main(words, standalone_mode=False)
    return str(refused.value)
