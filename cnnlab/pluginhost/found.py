"""One plugin: what is known of it, from memory or by having imported it, and the import itself when something runs."""

from __future__ import annotations

import time
from collections.abc import Iterable

from cnnlab.errors import told as told_error
from cnnlab.interrupts import STOPS
from cnnlab.pluginhost import records
from cnnlab.pluginhost.declarations import Declaration
from cnnlab.pluginhost.offers import told
from cnnlab.pluginhost.records import Record, State
from cnnlab.pluginhost.sources import HOST, Source
from cnnlab.pluginhost.tracing import traced

SLOW = 0.1
"""Seconds to import that are not worth a word."""

SLOWER = 2.0
"""Times as long as remembered that are: what a plugin imports may have been there for another reason the last time."""


class Plugin:
    """One entry point, or one file, and what became of it.

    Attributes:
        source: Where it comes from.
        state: ``active``, ``disabled`` (by ``CNNLAB_PLUGINS`` or ``CNNLAB_DISABLE``), ``broken``, ``incompatible``, or
            ``clashing``: another distribution has a name of its, which then is said together with the distribution.
        error: Why it is not active, in one sentence.
        offers: What it provides, as listings tell it. Only those of usable plugins are offered.
        seconds: How long importing and asking it took.
        exception: What it raised, where it did so in this process.
        failed_before: Whether what is wrong with it was found in another process, and is remembered.
        contested: The nouns and names of its that do not mean it alone.
    """

    def __init__(
        self,
        name: str,
        module: str,
        distribution: str,
        version: str,
        state: State = "active",
        error: str = "",
        declarations: Iterable[Declaration] = (),
        source: Source | None = None,
    ) -> None:
        self.source = source or Source(name=name, module=module, distribution=distribution, version=version)
        self.state: State = state
        self.error = error
        self.offers: tuple[Declaration, ...] = tuple(declarations)
        self.seconds = 0.0
        self.exception: BaseException | None = None
        self.failed_before = False
        self.contested: frozenset[tuple[str, str]] = frozenset()
        self._declarations: tuple[Declaration, ...] | None = self.offers
        self._gave: tuple[Declaration, ...] = ()

    @classmethod
    def of(cls, source: Source) -> Plugin:
        """Return a plugin of which nothing is known yet."""
        return cls(source.name, source.module, source.distribution, source.version, source=source)

    @property
    def name(self) -> str:
        """The entry point's name."""
        return self.source.name

    @property
    def module(self) -> str:
        """The module that it names."""
        return self.source.module

    @property
    def distribution(self) -> str:
        """The distribution that ships it; of a file, the path that the user gave."""
        return self.source.distribution

    @property
    def version(self) -> str:
        """That distribution's version."""
        return self.source.version

    @property
    def built_in(self) -> bool:
        """Whether cnnlab itself ships it."""
        return self.distribution == HOST

    def answers_to(self, name: str) -> bool:
        """Whether ``name`` is its own, or that of its distribution."""
        return name == self.name or self.source.is_of(name)

    @property
    def usable(self) -> bool:
        """Whether what it provides can be asked for, if only under its full name."""
        return self.state in ("active", "clashing")

    @property
    def failed(self) -> bool:
        """Whether something is wrong with it."""
        return self.state not in ("active", "disabled")

    @property
    def provides(self) -> tuple[str, ...]:
        """What it provides, as ``analysis occlusion``."""
        return tuple(f"{offer.noun} {self.spoken(offer)}" for offer in self.offers)

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        """What it declares; it is imported for that where it was not. Empty where it cannot be used."""
        if self._declarations is None:
            self.load(known=True)
        return self._declarations or ()

    def spoken(self, offer: Declaration) -> str:
        """Return the name under which something of this plugin is asked for: ``NAME``, or ``DISTRIBUTION:NAME``."""
        return f"{self.distribution}:{offer.name}" if (offer.noun, offer.name) in self.contested else offer.name

    def declared(self, offer: Declaration) -> Declaration | None:
        """Return the declaration that an offer tells of; None where the plugin, imported, does not give it."""
        alike = (each for each in self.declarations if (each.noun, each.name) == (offer.noun, offer.name))
        return next(alike, None)

    def gave(self, declaration: Declaration) -> bool:
        """Whether this very declaration, or what a listing tells of it, is this plugin's."""
        return any(declaration is each for each in (*self.offers, *(self._declarations or ()), *self._gave))

    def tell(self, record: Record) -> None:
        """Take over what is remembered of it; it is imported when something of it is wanted."""
        self.state, self.error, self.seconds = record.state, record.error, record.seconds
        self.failed_before = self.failed
        self.offers, self._declarations = record.offers, None if record.state == "active" else ()

    def load(self, *, known: bool = False) -> None:
        """Import and ask it, in its guard, and remember what was found.

        Args:
            known: Whether it was active the last time, and nothing has changed since: then what it declares is not
                checked all over again.
        """
        from cnnlab.pluginhost.asking import ask
        from cnnlab.pluginhost.checks import ContractError, IncompatibleError, check

        watch, started = records.Watch(), time.perf_counter()
        state: State = "active"
        error = ""
        self.exception, self.failed_before = None, False
        declarations: tuple[Declaration, ...] = ()
        try:
            declarations = ask(self.source)
            seconds = time.perf_counter() - started
            check(declarations, deeply=not known)
        except IncompatibleError as caught:
            state, error, self.exception = "incompatible", f"{self.source.title} {caught}", caught
        except STOPS:
            raise
        except BaseException as caught:  # not all that a plugin's imports may raise is an Exception
            what = str(caught) if isinstance(caught, ContractError) else told_error(caught)
            state, error, self.exception = "broken", f"{self.source.title} could not be loaded: {what}", caught
        if state != "active":
            seconds, declarations = time.perf_counter() - started, ()
        self._declarations = declarations
        as_told = known and state == "active" and told(self.offers) == told(declarations)
        if as_told and seconds < SLOWER * self.seconds + SLOW:
            return
        if not as_told:
            self._gave += self.offers  # which somebody may hold: it is this plugin's, whatever it said
            self.state, self.error, self.offers = state, error, declarations
        self.seconds = seconds
        records.keep(self.source, Record(state, error, declarations, seconds), watch)

    def fail(self, state: State, error: str) -> None:
        """Record why this plugin is not active."""
        self.state, self.error = state, error


def found(source: Source, *, doubted: bool = False) -> Plugin:
    """Find out about a plugin: from what is remembered of it, or else by importing and asking it.

    Args:
        source: Where it is.
        doubted: Whether what failed the last time is tried again.
    """
    plugin = Plugin.of(source)
    with traced(f"what is remembered of {source.module} ({source.owner})"):
        record = records.read(source)
    if record is None or (doubted and record.state != "active"):
        plugin.load()
    else:
        plugin.tell(record)
    return plugin
