"""Training: from an architecture and a dataset to a run folder, in one compiled loop.

``settings`` says what can be asked for, ``recipes`` and ``schedules`` what it means; ``data`` feeds the ``loop``, which
trains what ``fusion`` puts in the place of the network, in the ``precision`` that was chosen; ``session`` puts them
together, saving a ``checkpoint`` after every epoch; ``artifacts`` writes the run folder.
"""

from cnnlab.pluginhost.declarations import Architecture
from cnnlab.training.api import build, train
from cnnlab.training.interrupt import Interrupted
from cnnlab.training.reporter import Progress, Reporter
from cnnlab.training.settings import Settings

__all__ = ["Architecture", "Interrupted", "Progress", "Reporter", "Settings", "build", "train"]
