"""What a request is refused with: a sentence, and the status that goes with it."""

from __future__ import annotations

from cnnlab.errors import CnnlabError, UsageError
from cnnlab.pluginhost.params import Params, fields_of


class RefusedError(CnnlabError):
    """A request that is not answered.

    Args:
        status: The HTTP status.
        words: One sentence for the person who asked.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class ParameterError(UsageError):
    """A parameter of an analysis that is refused, in the words of its declaration.

    Args:
        parameter: Its public name.
        words: The sentence.
    """

    def __init__(self, parameter: str, words: str) -> None:
        super().__init__(words)
        self.parameter = parameter


def unknown(what: str, name: object) -> RefusedError:
    """Return the refusal of something that is not there."""
    return RefusedError(404, f"there is no {what} {str(name)[:80]!r} in this lab.")


def named(error: UsageError, params: type[Params]) -> UsageError:
    """Return the refusal of parameters with the name of the one that it is about, where it is about one.

    Args:
        error: The refusal.
        params: Their declaration.
    """
    for field in fields_of(params):
        if str(error).startswith((f"{field.public} ", f"the parameter {field.public!r}")):
            return ParameterError(field.public, str(error))
    return error
