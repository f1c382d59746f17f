"""The process in which :mod:`cnnlab.trust.trial` has a model opened, and run once: ``python -m`` this module.

It is asked in JSON on stdin and answers in JSON on stdout, where nothing else can write.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from cnnlab.errors import CnnlabError
from cnnlab.memory import out_of_memory
from cnnlab.trust.trial import OPEN_FILES


def main() -> None:
    """Answer: ``{}``, or what is wrong."""
    from cnnlab.silence_tensorflow import quieten_tensorflow

    quieten_tensorflow()
    answers = os.dup(sys.stdout.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    asked = json.load(sys.stdin)
    verdict = _verdict(**asked)
    os.write(answers, json.dumps(verdict).encode())
    os._exit(0)


def _verdict(path: str, about: dict[str, Any], seconds: float, memory: int) -> dict[str, Any]:
    import tensorflow as tf

    from cnnlab.classifier.finite import NotFiniteError
    from cnnlab.classifier.hints import make_about
    from cnnlab.classifier.noise_probe import probe_images
    from cnnlab.classifier.opening import opened

    tf.constant(0) + 1  # What TensorFlow takes for itself, it takes before it is limited.
    _limit(seconds, memory)
    try:
        classifier = opened(Path(path), make_about(**about))
        classifier.logits(probe_images(classifier, classifier.fixed_batch or 1))
    except NotFiniteError:
        return {}  # It did run; whoever opens it here is told, where that matters.
    except Exception as error:
        if out_of_memory(error) or (error.__cause__ is not None and out_of_memory(error.__cause__)):
            return {"memory": True}
        if isinstance(error, CnnlabError):
            return {"error": str(error), "exit_code": error.exit_code}
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
        return {"error": f"the model in {path} cannot be run on an image: {first}.", "exit_code": CnnlabError.exit_code}
    return {}


def _limit(seconds: float, memory: int) -> None:
    """Limit this process: the memory that it takes from here on, its open files, and the time until it is ended."""
    try:
        import resource
    except ImportError:  # not a POSIX system: whoever asks waits for so long, and no longer
        return
    taken = _taken()
    for what, most in (
        (resource.RLIMIT_DATA, taken + memory),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _taken() -> int:
    """Bytes of data that this process has now, where the system tells."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmData:")[2].split()[0]) << 10
    except (OSError, ValueError, IndexError):
        return 1 << 30


if __name__ == "__main__":
    main()
