"""Keeping TensorFlow's start-up remarks about this machine out of the user's terminal."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing takes long to import, and every command waits for this module
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def quieten_tensorflow() -> None:
    """Let TensorFlow, once somebody imports it, say nothing unless the import fails.

    The environment's switches come too late for what TensorFlow 2.21 writes while its libraries are loaded (that there
    is no GPU, that oneDNN is on), so the stream itself is set aside for as long as the import takes. Who asks for
    remarks or warnings, with TF_CPP_MIN_LOG_LEVEL at 0 or 1, gets all.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") in ("0", "1"):
        return
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    os.environ.setdefault("ABSL_MIN_LOG_LEVEL", "3")
    if "tensorflow" not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds TensorFlow where Python would, and imports it quietly."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        from importlib.machinery import PathFinder

        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Quiet(spec.loader)  # type: ignore[assignment]  # all that Python asks of one
        return spec


class _Quiet:
    """Runs a module with standard error set aside."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Let the garbage collector rest: it took a quarter of the import's time, and what is loaded stays.

        It would look through all of that once more for each of its generations; so it is told that it is old.
        """
        import gc

        collects = gc.isenabled()
        gc.disable()
        try:
            self._exec_quietly(module)
        finally:
            if collects:
                if not gc.get_freeze_count():  # else it is somebody else's who is at it
                    gc.freeze()
                    gc.unfreeze()
                gc.enable()

    def _exec_quietly(self, module: ModuleType) -> None:
        """Keep what is written to standard error, by C code too; show it after all when that fails.

        Ctrl-C is no failure: nobody who interrupts wants to read what TensorFlow was about to say.
        """
        import tempfile

        try:
            before = os.dup(2)
        except OSError:  # there is no standard error
            return self._loader.exec_module(module)
        with tempfile.TemporaryFile() as aside:
            os.dup2(aside.fileno(), 2)
            try:
                self._loader.exec_module(module)
            except Exception:
                os.dup2(before, 2)
                aside.seek(0)
                os.write(2, aside.read())
                raise
            finally:
                os.dup2(before, 2)
                os.close(before)
