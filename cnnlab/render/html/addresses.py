"""Content as an address: what a page holds itself, and asks nobody for."""

from __future__ import annotations

import base64


def data_url(content: bytes, media_type: str) -> str:
    """Return the ``data:`` address of some content.

    >>> data_url(b"GIF89a", "image/gif")
    'data:image/gif;base64,R0lGODlh'
    """
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
