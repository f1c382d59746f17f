"""Results that are kept, so that the same request of the same model is answered once."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab.devices.choice import current_device
from cnnlab.errors import CnnlabError
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.blaming import params_of
from cnnlab.results.lists import digest_of
from cnnlab.results.result import Result
from cnnlab.versions import versions

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.inputs import Inputs
    from cnnlab.pluginhost.declarations import Analysis
    from cnnlab.pluginhost.params import Params

HOST = "cnnlab"


@dataclass(frozen=True)
class Cache:
    """A folder of results, each in a folder of its own that is called by everything it depends on.

    Attributes:
        folder: Where they lie.
    """

    folder: Path

    def answered(self, name: str, ask: Callable[[], Result]) -> Result:
        """Return the result that was kept under a name; where there is none, or it is damaged, ask and keep.

        It is kept without its figures, which can be drawn again. What is damaged is left as it is, for nothing proves
        it to be cnnlab's own, and asked for each time.

        Raises:
            CnnlabError: It cannot be written; and whatever ``ask`` raises.
        """
        try:
            return Result.load(self.folder / name)
        except CnnlabError:
            found = ask()
        if not (self.folder / name).exists():
            found.save(self.folder / name, format=None)
        return found


def name_of(
    analysis: Analysis, classifier: Classifier, inputs: Inputs, params: Params, seed: int, device: str = "auto"
) -> str:
    """Name a result by what it depends on: the question, the model, the images, and the code that answers.

    Args:
        analysis: The question.
        classifier: The model.
        inputs: The images.
        params: The analysis' parameters.
        seed: What seeds it.
        device: What was asked to compute on.
    """
    plugin = registry.provider(analysis)
    settled = params_of(analysis, functools.partial(params.settled, classifier))
    return keyed(
        analysis.name,
        plugin=[plugin.distribution, plugin.version, code_digest(analysis.run.partition(".")[0].partition(":")[0])],
        params=settled.to_json(),
        models={name: [model.digest, model.about.to_json()] for name, model in settled.models().items()},
        model=[classifier.digest, classifier.about.to_json(), classifier.class_names],
        inputs=digest_of(inputs.records()),
        dataset=inputs.dataset.digest if inputs.dataset else None,
        seed=seed,
        device=[device, current_device()],
    )


def keyed(word: str, **facts: Any) -> str:
    """Return a name of a word and a digest of facts, of cnnlab's code and of what it computes with."""
    told = json.dumps([facts, versions(), code_digest(HOST)], sort_keys=True, default=str)
    return f"{word}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"


@functools.cache
def code_digest(package: str) -> str:
    """Digest the source files of a package, which is not imported for that; an empty text where there are none.

    A version alone does not tell: whoever writes a plugin runs it many times under one version.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return ""
    origin = Path(spec.origin)
    files = sorted(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]
    found = hashlib.sha256()
    for file in files:
        found.update(str(file.relative_to(origin.parent)).encode())
        found.update(file.read_bytes())
    return found.hexdigest()
