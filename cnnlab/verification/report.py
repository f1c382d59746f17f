"""What a verification found, and what it did not look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cnnlab.adversarial.judge import Finding
from cnnlab.errors import CnnlabError

if TYPE_CHECKING:
    from cnnlab.classifier import Classifier

Verdict = Literal["holds", "holds as far as it was checked", "fails"]

FEW = 3
"""How many of the things that are wrong are named."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the verification of a saved result or of a run found.

    Attributes:
        directory: Where it lies.
        of: What it is: the name of the analysis, or ``run``.
        record: Its ``result.json`` or ``run.json``.
        model: The model it was held against.
        findings: Every claim that was looked at, and every one that was not.
    """

    directory: Path
    of: str
    record: Mapping[str, Any]
    model: Classifier
    findings: list[Finding]

    @property
    def failed(self) -> list[Finding]:
        """The claims that do not hold."""
        return [finding for finding in self.findings if finding.state == "fails"]

    @property
    def not_checked(self) -> list[Finding]:
        """What was not looked at: it may be so or not."""
        return [finding for finding in self.findings if finding.state == "not checked"]

    @property
    def verdict(self) -> Verdict:
        """In a few words, and no more than was looked at."""
        if self.failed:
            return "fails"
        return "holds as far as it was checked" if self.not_checked else "holds"

    def to_json(self) -> dict[str, Any]:
        """Return what ``cnnlab verify --json`` prints."""
        return {
            "directory": str(self.directory),
            "of": self.of,
            "model": self.model.record(),
            "verdict": self.verdict,
            "failed": names(self.failed),
            "not_checked": names(self.not_checked),
            "findings": [finding.to_json() for finding in self.findings],
        }


def names(findings: Iterable[Finding]) -> list[str]:
    """Return what the findings are about, each once."""
    return list(dict.fromkeys(finding.claim for finding in findings))


def holds(claim: str, says: str) -> Finding:
    """A claim that holds."""
    return Finding(claim=claim, state="holds", says=says)


def fails(claim: str, says: str) -> Finding:
    """A claim that does not."""
    return Finding(claim=claim, state="fails", says=says)


def not_checked(claim: str, says: str) -> Finding:
    """A claim that nobody looked at."""
    return Finding(claim=claim, state="not checked", says=says)


def judged(claim: str, wrong: Sequence[str], good: str) -> Finding:
    """A claim that holds where nothing is wrong, and else names the first things that are."""
    if not wrong:
        return holds(claim, good)
    more = f"; and {len(wrong) - FEW:,} more" if len(wrong) > FEW else ""
    return fails(claim, f"{'; '.join(wrong[:FEW])}{more}.")


def guarded(claim: str, check: Callable[..., Iterable[Finding]], *arguments: Any) -> Iterator[Finding]:
    """Make a finding of whatever goes wrong because files are not what they should be."""
    try:
        yield from check(*arguments)
    except CnnlabError as error:
        yield fails(claim, str(error))
    except Exception as error:  # a plugin sums up arrays that anybody may have written
        yield fails(claim, f"It could not be looked at, for something is not as it should be: {type(error).__name__}.")
