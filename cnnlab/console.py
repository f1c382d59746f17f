r"""Where text reaches the terminal: Rich's console, in which a name can neither move the cursor nor set a style.

Names come from files of strangers: of classes, layers, outputs, files, and what other libraries say of these. Whoever
prints them need not think of it: every console of cnnlab is one of these, and shows what would be obeyed instead of
showing it, as ``\u001b`` (:func:`cnnlab.spelling.visible`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment

from cnnlab.spelling import visible


class Console(rich.console.Console):
    """A console that reads no markup in texts, and writes no control characters but Rich's own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as Rich does; what is text in it is made visible."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible(text), style, control)
