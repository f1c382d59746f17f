"""Which model is asked about, and what the model does not say of itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """A model as it was asked for.

    Attributes:
        model: A path, a run, a live Keras model or an opened classifier; None for the newest run.
        signature: Which signature of a SavedModel.
        output: Which of several outputs.
        input_range: The values of the model's images, ``0,255``, ``imagenet`` or ``caffe``.
        class_names: A file with the classes' names.
        layout: How the model's images lie in memory.
        memory: Bytes that a pass through the model may take.
        trust: Whether it is opened also when that can run code or reach files.
        limit_seconds: What opening and running it for the first time may take in time.
        limit_memory: Bytes that this may take.
    """

    model: Any = None
    signature: str | None = None
    output: str | None = None
    input_range: str | None = None
    class_names: Path | None = None
    layout: str | None = None
    memory: int | None = None
    trust: bool = False
    limit_seconds: float | None = None
    limit_memory: int | None = None

    @property
    def source(self) -> Any:
        """The model, or where it is.

        Raises:
            CnnlabError: None was named, and there is no complete run.
        """
        from cnnlab import runs

        return self.model if self.model is not None else runs.find(None).path

    def another(self, model: Any) -> Classifier:
        """Open another model as this one is opened: with its trust and its limits.

        What this one does not say of itself holds for the other, too, unless that is a run, which says all of itself.

        Args:
            model: A path, a run or a live Keras model.

        Raises:
            CnnlabError: It cannot be opened.
        """
        from cnnlab.runs.folder import is_run

        other = replace(self, model=model, signature=None, output=None)
        if not isinstance(model, str | Path) or is_run(Path(model)):
            other = replace(other, input_range=None, class_names=None, layout=None)
        return other.open()

    def open(self) -> Classifier:
        """Open it.

        Raises:
            UsageError: What was said of it does not fit.
            CnnlabError: It cannot be opened.
        """
        from cnnlab.classifier import load
        from cnnlab.classifier.hints import read_class_names

        return load(
            self.source,
            signature=self.signature,
            output=self.output,
            input_range=self.input_range,
            class_names=None if self.class_names is None else read_class_names(self.class_names),
            layout=self.layout,
            memory=self.memory,
            trust=self.trust,
            limit_seconds=self.limit_seconds,
            limit_memory=self.limit_memory,
        )
