"""The file of an image that somebody else drew, before it is shown."""

from __future__ import annotations

import io

from PIL import Image as Pillow

from cnnlab.drawings import Image


def png_of(image: Image) -> bytes:
    """Return the file of an image, whole.

    Raises:
        ValueError: It is no PNG, or a damaged one.
    """
    try:
        data = image.data
        with Pillow.open(io.BytesIO(data), formats=["PNG"]) as opened:
            opened.verify()
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError) as error:
        raise ValueError("an Image needs a PNG file in base64; received one that cannot be read") from error
    return data
