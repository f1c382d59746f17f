"""What of the plugin interface is to go, and how that is said before: to authors in their tests, and to no user.

A hook that is to go is announced by ``@hookspec(warn_on_impl=Deprecation(...).warning())``, a name of
:mod:`cnnlab.plugin` by an entry in its ``GOING``. Python shows a DeprecationWarning in tests and hides it elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Deprecation:
    """An announcement, which stands for one minor version at least.

    Attributes:
        what: What is to go, as plugins write it.
        since: The minor version that announces it, ``"0.2"``.
        gone: The first minor version without it, ``"0.3"`` or later.
        instead: What to write instead, to complete "use ...".

    Raises:
        ValueError: ``gone`` is no later than ``since``: nobody would have been warned.
    """

    what: str
    since: str
    gone: str
    instead: str

    def __post_init__(self) -> None:
        """Hold the promise of docs/plugins/hooks.md."""
        if minor(self.gone) <= minor(self.since):
            raise ValueError(
                f"{self.what} cannot go in {self.gone} when it is announced in {self.since}: plugin authors are warned "
                "for at least one minor version."
            )

    def warning(self) -> DeprecationWarning:
        """Say it to the author of a plugin."""
        return DeprecationWarning(
            f"{self.what} is deprecated since cnnlab {self.since} and goes in {self.gone}: use {self.instead}."
        )


def minor(version: str) -> tuple[int, int]:
    """Return the major and minor number of a version, ``(0, 2)`` of ``"0.2"``."""
    major, _, rest = version.partition(".")
    return int(major), int(rest)
