"""Whose a failure is: a plugin's code is its author's, and the sentence says where to tell of it."""

from __future__ import annotations

import importlib.metadata
import re

from cnnlab.errors import FailedError
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Declaration


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
