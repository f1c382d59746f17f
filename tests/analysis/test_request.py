"""A request's parameters are checked by their author's code, which is guarded wherever they are built."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import cnnlab
from cnnlab.errors import FailedError, UsageError
from cnnlab.pluginhost.params import Params
from cnnlab.results.result import Result


def refuse():
    raise UsageError("no such size.")


@pytest.fixture
def ask(analysis, opened):
    """Asks an analysis whose parameters are checked by what a test gives."""

    def asked(check):
        @dataclasses.dataclass(frozen=True, kw_only=True)
        class Checked(Params):
            def __post_init__(self) -> None:
                super().__post_init__()
                check()

            def settled(self, classifier):
                return dataclasses.replace(self)

        analysis(lambda *given: Result(), params=Checked)
        return cnnlab.analyze("one", opened, np.zeros((1, 8, 8, 1), np.float32))

    return asked


def test_what_their_check_prints_is_not_on_standard_output(ask, capfd):
    ask(lambda: print("checked"))
    out, err = capfd.readouterr()
    assert out == ""
    assert set(err.splitlines()) == {"cnnlab-one 3.1: checked"}


@pytest.mark.parametrize(
    ("check", "kind", "says"),
    [
        (lambda: {}["boom"], FailedError, r"analysis 'one' of cnnlab-one 3\.1 could not check its parameters: KeyErr"),
        (refuse, UsageError, "^no such size"),
    ],
)
def test_an_error_of_their_check_is_its_authors_and_a_refusal_is_the_users(ask, check, kind, says):
    with pytest.raises(kind, match=says):
        ask(check)
