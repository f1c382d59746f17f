"""``CNNLAB_TRACE=1``: what the host asks of plugins, and how long each answer took, a line each on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator

from cnnlab.spelling import one_line


@contextlib.contextmanager
def traced(what: str) -> Iterator[None]:
    """Tell how long the block took, and whether it raised, where the user asked for that.

    Args:
        what: What it does: ``cnnlab_analyses() of cnnlab_occlusion``.
    """
    if os.environ.get("CNNLAB_TRACE") != "1":
        yield
        return
    started, raised = time.perf_counter(), ""
    try:
        yield
    except BaseException as error:
        raised = f" raised {type(error).__name__}"
        raise
    finally:
        spent = (time.perf_counter() - started) * 1000
        sys.stderr.write(f"cnnlab: {spent:9.2f} ms  {one_line(what)}{raised}\n")
