"""What to look at, as data: frozen dataclasses that hold values or refer to a result's arrays by name and index.

They are saved with a result and loaded with it. ``cnnlab.render`` draws each kind three times: as a matplotlib figure,
in the terminal and on a page. A drawing knows nothing of that, and importing this package imports NumPy alone. What
cannot be drawn is a ValueError of whoever makes it: no command line's fault.
"""

from cnnlab.drawings.charts import Bars, Curves, Line, Matrix, Series
from cnnlab.drawings.drawings import Drawing, Image, Panel, Scrub, Tiles, changed, from_json, resolved, to_json
from cnnlab.drawings.picture import Picture, Scale, Sheet
from cnnlab.drawings.values import At, Values, as_numbers

__all__ = [
    "At",
    "Bars",
    "Curves",
    "Drawing",
    "Image",
    "Line",
    "Matrix",
    "Panel",
    "Picture",
    "Scale",
    "Scrub",
    "Series",
    "Sheet",
    "Tiles",
    "Values",
    "as_numbers",
    "changed",
    "from_json",
    "resolved",
    "to_json",
]
