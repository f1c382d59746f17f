"""Whose a failure is: a plugin's code is its author's, and the sentence says where to tell of it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
from collections.abc import Callable, Iterator
from typing import TypeVar

from cnnlab.errors import CnnlabError, FailedError, told
from cnnlab.interrupts import STOPS
from cnnlab.memory import out_of_memory
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Analysis, Declaration
from cnnlab.pluginhost.params import Params
from cnnlab.pluginhost.prints import speaking

T = TypeVar("T")


def answer_of(
    declaration: Declaration, work: Callable[[], object], kind: type[T], called: str, failed: str = "failed"
) -> T:
    """Call what a declaration names, in its guard, and hold what comes back against what was expected.

    Args:
        declaration: Whose code it is.
        work: Calls it.
        kind: What it is to return.
        called: What authors call that.
        failed: What is to be said where it raises.

    Raises:
        FailedError: It raised what is no sentence for users, or returned something else.
    """
    with _staying(), speaking(registry.provider(declaration).source.owner), guarded(declaration, failed):
        given = work()
    if not isinstance(given, kind):
        raise blame(declaration, f"returned {type(given).__name__} where a {called} was expected")
    return given


def params_of(analysis: Analysis, build: Callable[[], Params]) -> Params:
    """Build an analysis' parameters in its guard, for to check them is its author's code.

    Args:
        analysis: Whose they are.
        build: Builds them; with everything that it refuses in a sentence.

    Raises:
        FailedError: The author's code failed.
        UsageError: They were refused.
    """
    return answer_of(analysis, build, Params, "cnnlab.plugin.Params", "could not check its parameters")


@contextlib.contextmanager
def _staying() -> Iterator[None]:
    """Come back to where the process worked: what users say and are told are paths from there."""
    try:
        here = os.getcwd()
    except OSError:  # it is there no longer
        here = ""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if here and os.getcwd() != here:
                os.chdir(here)


@contextlib.contextmanager
def guarded(declaration: Declaration, failed: str = "failed") -> Iterator[None]:
    """Blame a plugin for what its code raises in the ``with`` block: whatever it is, but for sentences for users.

    Args:
        declaration: Whose code it is.
        failed: What is to be said of it.

    Raises:
        FailedError: It raised anything else, if only to end the process.
    """
    try:
        yield
    except (CnnlabError, *STOPS):
        raise
    except BaseException as error:  # not every library's errors are an Exception: those of Rust's and pytest's are none
        if out_of_memory(error):
            raise
        raise blame(declaration, f"{failed}: {told(error)}") from error


def blame(declaration: Declaration, what: str) -> FailedError:
    """An error for the plugin's author: what happened, whose it is, and where to say so."""
    source = registry.provider(declaration).source
    where = f"at {url}" if (url := _issues_url(source.distribution)) else f"to the authors of {source.distribution}"
    report = "" if source.file is not None else f" Please report it {where}."  # whose file it is, is known
    return FailedError(f"{owner(declaration)} {what.rstrip('.')}.{report} CNNLAB_DEBUG=1 shows where it happened.")


def owner(declaration: Declaration) -> str:
    """Name a declaration and whose it is: ``the analysis 'one' of cnnlab-one 3.1``."""
    return f"the {declaration.noun} {declaration.name!r} of {registry.provider(declaration).source.owner}"


def _issues_url(distribution: str) -> str:
    try:
        urls = importlib.metadata.metadata(distribution).get_all("Project-URL") or []
    except importlib.metadata.PackageNotFoundError:
        return ""
    pairs = [url.partition(",") for url in urls]
    links = {label.strip(): link.strip() for label, _, link in pairs}
    wanted = [links[label] for label in links if re.search("issue|bug|tracker", label, re.IGNORECASE)]
    return (wanted or list(links.values()) or [""])[0]
