"""The run folder that training leaves: where it is and what is in it.

=================  =====================================================================================
``run.json``       configuration, seed, versions, dataset, metrics; written last: a run that has it is done
``model/``         SavedModel with the signatures ``serving_default`` (probabilities) and ``logits``
``model.keras``    the same network for Keras
``history.csv``    a row per epoch
``curves.png``     loss and accuracy against epoch; beside it ``predictions.png`` and ``confusion.png``
``checkpoint/``    what ``--resume`` goes on from
``analyses/``      what ``cnnlab analyze`` wrote about this run
=================  =====================================================================================

Nothing here imports more than the standard library, but pydantic where a record is read.
"""

from cnnlab.runs.folder import DEFAULT_ROOT, Run, files_tell, find, list_runs, new_folder
from cnnlab.runs.history import COLUMNS, read_history, write_history
from cnnlab.runs.lock import RunLock

__all__ = [
    "COLUMNS",
    "DEFAULT_ROOT",
    "Run",
    "RunLock",
    "files_tell",
    "find",
    "list_runs",
    "new_folder",
    "read_history",
    "write_history",
]
