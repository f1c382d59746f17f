"""What every contract shares: failures that are expected, and variants that a plugin does not have."""

from __future__ import annotations

import pytest

from cnnlab.pluginhost.declarations import Architecture
from cnnlab.testing import ArchitectureContract, invalid_values
from cnnlab.testing.contract import assert_no_framework

pytest_plugins = ("pytester",)

HELD = """
from cnnlab.testing.contract import Contract

class TestContract(Contract):
    expected_failures = {"test_kept": "it is said to fail", "test_broken": "it is known"}

    def test_kept(self):
        pass

    def test_broken(self):
        assert False

    def test_other(self):
        pass
"""


def test_a_failure_that_is_expected_must_come(pytester):
    pytester.makepyfile(HELD)
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    done.assert_outcomes(passed=1, xfailed=1, failed=1)
    done.stdout.fnmatch_lines(["*XPASS(strict)*it is said to fail*"])


def test_a_failure_of_no_promise_is_a_mistake(pytester):
    pytester.makepyfile(HELD.replace('"test_broken"', '"test_brocken"'))
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    done.assert_outcomes(errors=3)
    assert "expected_failures names no such promise: ['test_brocken']" in done.stdout.str()


def test_any_words_may_be_a_model_until_it_is_opened():
    from cnnlab.pluginhost.of_model import AModel
    from cnnlab.pluginhost.params import Field

    other = Field(name="other", type=str, constraints=(AModel(),), doc="", default="runs/other")
    assert invalid_values(other) == []


def test_a_framework_that_is_imported_is_named(tmp_path, monkeypatch):
    (tmp_path / "heavy.py").write_text("import scipy\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AssertionError, match="importing heavy imports scipy: import that where the work is done"):
        assert_no_framework("heavy")


def test_a_variant_that_is_not_declared_is_not_asked_for():
    class Held(ArchitectureContract):
        architecture = "plain"
        declaration = Architecture(name="plain", summary="Plain.", build="nowhere:build", batch_norm=False)

    with pytest.raises(pytest.skip.Exception, match="declares no variant with batch normalisation"):
        Held().test_it_ends_in_logits(True)
