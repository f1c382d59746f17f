"""What ``cnnlab analyze NAME`` does once its words are understood: open, run, save, show, judge."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cnnlab.analysis.result import check_folder
from cnnlab.cli import gates
from cnnlab.cli.model import ModelChoice
from cnnlab.errors import UsageError
from cnnlab.plugins.declarations import Analysis

if TYPE_CHECKING:
    from cnnlab.analysis.inputs import Inputs
    from cnnlab.analysis.result import Result
    from cnnlab.classifier import Classifier


@dataclass(frozen=True, kw_only=True)
class Request:
    """An analysis as it was asked for on the command line."""

    analysis: Analysis
    params: Mapping[str, Any]
    choice: ModelChoice
    images: tuple[Path, ...] = ()
    labels: tuple[int, ...] = ()
    dataset: str | None = None
    split: str = "test"
    indices: tuple[str, ...] = ()
    limit: int | None = None
    fit: Literal["stretch", "crop", "pad"] = "stretch"
    invert: bool = False
    strict: bool = False
    out: Path | None = None
    seed: int = 0
    device: str = "auto"
    gates: tuple[str, ...] = field(default=())
    as_json: bool = False


def run(request: Request) -> None:
    """Do what was asked, from checking the words to judging the gates.

    What can be refused by its words alone is refused before anything heavy is imported.

    Raises:
        UsageError: The words make no sense together, or a value is out of bounds.
        CnnlabError: It could not be done.
        GateError: It was done and saved, and a gate was not met.
    """
    params = request.analysis.params.from_public(dict(request.params))
    wanted = gates.parse(request.gates, request.analysis.metrics, request.analysis.name)
    _check_words(request)
    _ = request.choice.path
    if request.out is not None:
        check_folder(request.out)

    from cnnlab.analysis import host
    from cnnlab.classifier.device import use_device
    from cnnlab.cli.progress import RichProgress, status

    with use_device(request.device):
        with status("Opening the model"):
            classifier = request.choice.open()
            inputs = _read_inputs(request, classifier)
        result = host.run(request.analysis, classifier, inputs, params, seed=request.seed, progress=RichProgress())
    out = request.out or _default_out(request.analysis.name, classifier)
    with status("Drawing and saving"):
        files = result.save(out)
    _show(request, result, files)
    gates.judge(wanted, result.metrics)


def _check_words(request: Request) -> None:
    if request.images and (request.dataset or request.indices or request.limit):
        raise UsageError("--image and --dataset (with --index or --limit) exclude each other; give one of them.")
    if request.indices and request.limit:
        raise UsageError("--index and --limit exclude each other; give one of them.")
    if request.labels and len(request.labels) != len(request.images):
        raise UsageError(
            f"--label must be given once for each --image; received {len(request.labels)} for {len(request.images)}."
        )
    wanted = request.images or request.dataset or request.indices or request.limit
    if request.analysis.inputs == "required" and not wanted:
        raise UsageError(
            f"{request.analysis.name} needs images: name files with --image, or a dataset with --dataset and "
            "--index or --limit."
        )


def _read_inputs(request: Request, classifier: Classifier) -> Inputs:
    from cnnlab.analysis import host, inputs

    dataset = _dataset(request, classifier)
    if request.images:
        return inputs.from_files(
            classifier,
            request.images,
            request.labels or None,
            dataset=dataset,
            fit=request.fit,
            invert=request.invert,
            strict=request.strict,
        )
    if not (request.dataset or request.indices or request.limit):
        return host.read_inputs(classifier, None, dataset=dataset)
    if dataset is None:
        raise UsageError("--index and --limit need --dataset: the model does not say what it was trained on.")
    length = len(getattr(dataset, request.split))
    chosen = list(range(min(request.limit or length, length)))
    if request.indices:
        chosen = [index for text in request.indices for index in _indices(text)]
    return inputs.from_split(classifier, dataset, request.split, chosen)


def _dataset(request: Request, classifier: Classifier) -> Any:
    from cnnlab import datasets
    from cnnlab.analysis import host

    if request.dataset:
        return datasets.load(request.dataset)
    return host.training_dataset(classifier) if request.analysis.inputs != "none" else None


def _indices(text: str) -> range:
    """Read ``7`` or ``0:10``."""
    start, colon, stop = text.partition(":")
    try:
        first = int(start)
        indices = range(first, int(stop) if colon else first + 1)
    except ValueError:
        indices = range(0)
    if not indices or indices[0] < 0:
        raise UsageError(f"--index must be an index such as 7 or a range such as 0:10; received {text}.")
    return indices


def _default_out(name: str, classifier: Classifier) -> Path:
    """A new folder in the run, or under results/ for other models; earlier results are left where they are."""
    parent = Path("results")
    if classifier.kind == "run" and classifier.path is not None:
        parent = classifier.path / "analyses"
    candidate, count = parent / name, 1
    while candidate.exists():
        count += 1
        candidate = parent / f"{name}-{count}"
    return candidate


def _show(request: Request, result: Result, files: list[Path]) -> None:
    if request.as_json:
        from cnnlab.analysis.result import RECORD

        record = next(file for file in files if file.name == RECORD)
        sys.stdout.write(record.read_text(encoding="utf-8"))
        return
    from cnnlab.cli import show

    show.result(result, files)
