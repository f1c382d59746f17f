"""The host: everything that every analysis needs, so that a plugin is its mathematics and nothing else.

It checks the parameters and what the model offers, seeds, times, runs the plugin in a guard, holds what came back
against what was declared, makes it data, and writes down everything needed to repeat it.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cnnlab.adversarial import judge
from cnnlab.adversarial.judge import Finding, numbers
from cnnlab.analysis.blocks import BATCHES, Asked, in_blocks
from cnnlab.analysis.completion import Lose, check_answer, complete, sums_of, with_sums
from cnnlab.analysis.context import Context
from cnnlab.classifier.finite import NotFiniteError, among
from cnnlab.devices.choice import current_device
from cnnlab.devices.sharing import all_of
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.inspection.gradients import preflight
from cnnlab.memory import NOT_EVEN_ONE, out_of_memory
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.blaming import answer_of, blame, guarded, owner, params_of
from cnnlab.pluginhost.declarations import Analysis, resolve
from cnnlab.pluginhost.params import Params
from cnnlab.pluginhost.prints import speaking
from cnnlab.pluginhost.requirements import check_images, check_requirements
from cnnlab.progress import Progress
from cnnlab.results.artifacts import Artifacts
from cnnlab.results.claims import Claims
from cnnlab.results.keeping import Keep
from cnnlab.results.lists import told_of_inputs, told_of_rows
from cnnlab.results.meanings import declared_as, meanings_of, settled
from cnnlab.results.record import lists_beside, schema_of
from cnnlab.results.result import Result
from cnnlab.results.rows import plain
from cnnlab.versions import versions

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier
    from cnnlab.inputs import Inputs


def run(
    analysis: Analysis,
    classifier: Classifier,
    inputs: Inputs,
    params: Params,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    keep: Keep = "arrays",
) -> Result:
    """Run one analysis on an opened model and prepared inputs, and complete its Result.

    Where memory runs out in a plugin's own code, it begins again with half the batch.

    Raises:
        UsageError: The analysis needs images and got none, or the model has no such class or layer.
        CnnlabError: The model lacks what the analysis needs, its weights or logits are not finite, memory ran out with
            a single image, the plugin failed, or it broke its own declaration.
    """
    while True:
        try:
            with classifier.recalling():
                return _run(analysis, classifier, inputs, params, Context(seed, progress, classifier.batch_size), keep)
        except Exception as error:
            if not out_of_memory(error):
                raise
            if classifier.batch_size == 1:
                raise CnnlabError(NOT_EVEN_ONE) from error
            classifier.shrink(classifier.batch_size // 2)


def _run(
    analysis: Analysis, classifier: Classifier, inputs: Inputs, params: Params, context: Context, keep: Keep
) -> Result:
    context.losing(functools.partial(_lost, analysis, context))
    if analysis.inputs == "required" and not len(inputs):
        raise UsageError(f"{analysis.name} needs images, and there is none among those that were given.")
    check_requirements(analysis, classifier)
    check_images(analysis, inputs.labels, inputs.dataset)
    classifier.check_weights()
    params = params_of(analysis, functools.partial(params.settled, classifier))
    for note in (*classifier.notes, *inputs.notes):
        context.warn(note)
    looked = _looked_at(analysis, classifier, inputs, context)
    started = time.perf_counter()
    with speaking(registry.provider(analysis).source.owner):
        asked = _asked(analysis, classifier, inputs, params, context, keep)
        seconds = time.perf_counter() - started
        result = _completed(analysis, classifier, inputs, params, context, asked)
    for note in classifier.notes:  # one may have come while it ran
        context.warn(note)
    for said_there in all_of([context.said()]):
        context.take(said_there)
    given = inputs.records()
    record = {
        **_record(analysis, classifier, inputs, params, context, result, told_of_inputs(given)),
        "seconds": round(seconds, 3),
        **_of_attack(classifier, result, asked),
        "preflight": looked,
        **({"left_out": [f"arrays.{name}" for name in asked.dropped]} if asked.dropped else {}),
    }
    listing = given if "inputs" in lists_beside(record) else None
    return replace(result, metrics=record["metrics"], listing=listing, record=record)


def _asked(
    analysis: Analysis, classifier: Classifier, inputs: Inputs, params: Params, context: Context, keep: Keep
) -> Asked:
    """Run the plugin, on all images or on some at a time, and hold what it answers against the model."""
    lose = functools.partial(_lost, analysis, context)

    def ask(some: Inputs, part: Context) -> Asked:
        def work() -> Any:
            return resolve(analysis.run)(classifier, some, params, part)

        before = len(part.warnings)
        result = answer_of(analysis, work, Result, "cnnlab.plugin.Result")
        idle = not len(some) or len(part.warnings) > before
        with _held_to_its_word(analysis):
            check_answer(analysis, result, lose, idle=idle)
        return _verified(analysis, classifier, some, result)

    if analysis.independent and len(inputs):
        return in_blocks(analysis, ask, inputs, context, keep, lose)
    return ask(inputs, context)


def _completed(
    analysis: Analysis, classifier: Classifier, inputs: Inputs, params: Params, context: Context, asked: Asked
) -> Result:
    """Sum up what was answered, and make all of it data."""
    lose, result = functools.partial(_lost, analysis, context), asked.result
    with _held_to_its_word(analysis):
        if analysis.sum_up is not None:
            result = with_sums(result, sums_of(analysis, classifier, result, params))
        result = complete(analysis, result, inputs.sources, lose)
    if asked.readings:
        _check(analysis, numbers(result, asked.readings), context)
    else:
        result = replace(result, claims=None)
    return replace(result, artifacts=_artifacts(context, lose))


def _looked_at(analysis: Analysis, classifier: Classifier, inputs: Inputs, context: Context) -> dict[str, Any] | None:
    """Look at the logits of each image before a model is asked anything, and at the gradients where they will be used.

    Returns:
        What was found of the gradients; None where nobody uses them, or there are no images.

    Raises:
        CnnlabError: Some logits are not finite, or there are no gradients.
    """
    from cnnlab.attacks import ClassLogit, LogOdds

    def looked(first: int, last: int) -> dict[str, Any]:
        with among(first, inputs.sources):
            classifier.logits(inputs.span(first, last)[0])
        return {}

    if not len(inputs):
        return None
    if "gradients" not in analysis.requires:
        context.in_blocks(len(inputs), looked, BATCHES * classifier.batch_size, divisible=False)
        return None
    # What attacks climb: they begin with the gradients that are looked at here.
    objective = LogOdds() if "one-class" in analysis.requires else ClassLogit()
    try:
        found = preflight(classifier, inputs.batches(BATCHES * classifier.batch_size), inputs.sources, objective)
    except NotFiniteError:
        raise
    except CnnlabError as error:
        raise CnnlabError(f"{analysis.name} follows gradients, and cannot here: {error}") from error
    if found.warning:
        context.warn(found.warning)
    return found.to_json()


def _verified(analysis: Analysis, classifier: Classifier, inputs: Inputs, result: Result) -> Asked:
    """Hold the adversarial images that a plugin gave, if it gave any, against the model.

    Raises:
        FailedError: They do not verify.
    """
    if not judge.is_adversarial(result.arrays):
        return Asked(result=result)
    result = replace(result, claims=result.claims or Claims())
    found = judge.verified(classifier, result, inputs)
    _check(analysis, found.failed)
    return Asked(result=result, readings=found.readings, origins=found.origins)


@contextlib.contextmanager
def _held_to_its_word(analysis: Analysis) -> Iterator[None]:
    """Blame a plugin for what it declared and did not keep, and for objects that fail when they are looked at."""
    try:
        with guarded(analysis, "gave a result that cannot be kept"):
            yield
    except UsageError as error:
        raise blame(analysis, str(error)) from error


def _lost(analysis: Analysis, context: Context, what: str) -> None:
    """Tell the user which piece of a result is left out, and whose fault it is; with CNNLAB_STRICT=1 it is an error."""
    if registry.strict():
        raise blame(analysis, what)
    context.warn(f"{owner(analysis)} {what.rstrip('.')}.")


def _check(analysis: Analysis, findings: Sequence[Finding], context: Context | None = None) -> None:
    """Blame a plugin for the first claim that does not hold; notes become warnings."""
    for finding in findings:
        if finding.state == "fails":
            raise blame(analysis, f"gave adversarial images that do not verify ({finding.claim}): {finding.says}")
        if finding.state == "note" and context is not None:
            context.warn(finding.says)


def _of_attack(classifier: Classifier, result: Result, asked: Asked) -> dict[str, Any]:
    """Say what was claimed of adversarial images, and of each that is written as a file how it is read."""
    if result.claims is None:
        return {"claims": None, "images": []}
    return judge.recorded(classifier, asked.readings, result.claims, asked.origins)


def _record(
    analysis: Analysis,
    classifier: Classifier,
    inputs: Inputs,
    params: Params,
    context: Context,
    result: Result,
    given: Any,
) -> dict[str, Any]:
    plugin = registry.provider(analysis)
    lists = {"inputs": given, "rows": told_of_rows(result.rows)}
    return {
        "schema": schema_of(lists),
        "analysis": analysis.name,
        "plugin": {"distribution": plugin.distribution, "version": plugin.version},
        "params": params.to_json(),
        "model": {**classifier.record(), "about": classifier.about.to_json()},
        **_models(params),
        **({"artifacts": result.artifacts.to_json()} if result.artifacts else {}),
        "inputs": lists["inputs"],
        "dataset": {"name": inputs.dataset.name, "source": inputs.dataset.source or None} if inputs.dataset else None,
        "seed": context.seed,
        "headline": result.headline,
        "metrics": {name: plain(value) for name, value in result.metrics.items()},
        "arrays": {
            name: {
                "shape": list(array.shape),
                "dtype": str(array.dtype),
                **described(analysis, name, array.ndim, params.to_json()),
            }
            for name, array in result.arrays.items()
        },
        "figures": [],
        "rows": lists["rows"],
        "meanings": meanings_of(
            {name: array.meaning for name, array in analysis.arrays.items()},
            analysis.metrics,
            params.to_json(),
            result.rows[0] if result.rows else (),
        ),
        "versions": versions(),
        "device": current_device(),
        "warnings": list(context.warnings),
    }


def _artifacts(context: Context, lose: Lose) -> Artifacts:
    """What was written for the result to keep."""
    artifacts = context.artifacts or Artifacts()
    for name in artifacts.settle():
        lose(f"asked for the artifact {name!r} and wrote no such file")
    return artifacts


def _models(params: Params) -> dict[str, Any]:
    """What is recorded of other models, by the names of the parameters that they were given for."""
    told = {name: {**model.record(), "about": model.about.to_json()} for name, model in params.models().items()}
    return {"models": told} if told else {}


def described(analysis: Analysis, name: str, count: int, params: Mapping[str, Any]) -> dict[str, Any]:
    """Say what an analysis declares of an array: its ``meaning``, and the names of the ``axes`` that it has.

    Args:
        analysis: The analysis.
        name: The array's name.
        count: How many axes it has.
        params: The parameters, by their public names, as JSON types.
    """
    said = declared_as(analysis.arrays, name)
    if said is None:
        return {"meaning": "", "axes": None}
    left_out = sum(axis.endswith("?") for axis in said.axes) if count < len(said.axes) else 0
    axes = [axis.rstrip("?") for axis in said.axes if not (left_out and axis.endswith("?"))]
    return {"meaning": settled(said.meaning, params), "axes": axes}
