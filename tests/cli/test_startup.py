"""Starting is cheap: nothing that only lists or explains imports a framework."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "7.png"

FORBIDDEN = (
    "tensorflow",
    "keras",
    "tf_keras",
    "matplotlib",
    "scipy",
    "pydantic",
    "numpy",
    "PIL",
    "h5py",
    "absl",
)

# May only go down: every module more is time that every command takes before it does anything.
BUDGET = 330

COMMANDS = [
    ["--help"],
    ["--version"],
    ["analyze", "--help"],
    ["analyze", "occlusion", "--help"],
    ["train", "--help"],
    ["plugins", "list"],
    ["plugins", "list", "--json"],
]

PROBE = """
import sys, cnnlab.cli
sys.argv = ["cnnlab", *sys.argv[1:]]
try:
    cnnlab.cli.main()
except SystemExit as stop:
    assert not stop.code, stop.code
print("\\nMODULES", *sorted(sys.modules), file=sys.stderr)
"""


def modules_after(words: list[str]) -> set[str]:
    done = subprocess.run([sys.executable, "-c", PROBE, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.rpartition("MODULES")[2].split())


@pytest.fixture(scope="module")
def remembered():
    """What plugins provide is remembered: the first command of all asks them, and checks what they declare."""
    modules_after(["plugins", "list"])


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_that_only_tells_imports_no_framework(words, monkeypatch, remembered):
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # What measures this process imports things itself.
    loaded = modules_after(words)
    roots = {name.partition(".")[0] for name in loaded}
    assert not roots & set(FORBIDDEN), f"cnnlab {' '.join(words)} imports {sorted(roots & set(FORBIDDEN))}"
    assert len(loaded) <= BUDGET, f"cnnlab {' '.join(words)} imports {len(loaded)} modules"


def test_importing_cnnlab_imports_no_framework():
    code = "import sys, cnnlab, cnnlab.analysis; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not set(done.stdout.split()) & set(FORBIDDEN)


def test_every_public_name_can_be_had():
    code = "import cnnlab; [getattr(cnnlab, name) for name in cnnlab.__all__]; cnnlab.nothing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "has no attribute 'nothing'" in done.stderr


INTERRUPTED = """
import sys
module = sys.argv[1]
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            print("now", flush=True)
import cnnlab.__main__
sys.meta_path.insert(0, Watch())
sys.argv = ["cnnlab", *sys.argv[2:]]
cnnlab.__main__.main()
"""


@pytest.mark.parametrize(
    ("module", "signum", "status"),
    [
        ("numpy._core", signal.SIGINT, 130),
        ("tensorflow", signal.SIGINT, 130),
        ("tensorflow", signal.SIGTERM, 143),
        ("tensorflow.python.framework.ops", signal.SIGHUP, 129),
        pytest.param("keras.src.layers", signal.SIGTERM, 143, marks=pytest.mark.full),
    ],
)
def test_a_signal_while_libraries_load_says_one_word(module, signum, status, tmp_path):
    """Neither TensorFlow's log, which was set aside, nor a traceback."""
    words = ["analyze", "occlusion", "--model", tmp_path, "--image", EXAMPLE, "--out", tmp_path / "out"]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, module, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "now\n"
    process.send_signal(signum)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err.split()) == (status, "", ["Interrupted."])
    assert not list(tmp_path.iterdir())


QUIET = "import cnnlab, tensorflow as tf; tf.reduce_sum(tf.ones(3)); print(*sorted(tf.config.list_physical_devices()))"


@pytest.mark.parametrize(("level", "quiet"), [(None, True), pytest.param("0", False, marks=pytest.mark.full)])
def test_tensorflow_says_nothing_of_this_machine_unless_asked_to(level, quiet):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": level} if level else {}
    done = subprocess.run(
        [sys.executable, "-c", QUIET], capture_output=True, text=True, check=True, timeout=120, env=environment
    )
    assert (done.stderr == "") == quiet


def test_what_loaded_while_the_collector_rested_is_old_to_it():
    from cnnlab.silence_tensorflow import _Quiet

    class Loader:
        def exec_module(self, module):
            module.made = [[]]

    def is_old(made):
        return any(each is made for each in gc.get_objects(generation=2))

    before, alone, beside, frozen = gc.isenabled(), ModuleType("alone"), ModuleType("beside"), gc.get_freeze_count()
    try:
        gc.enable()
        gc.unfreeze()
        _Quiet(Loader()).exec_module(alone)
        assert is_old(alone.made)
        assert gc.get_freeze_count() == 0
        gc.freeze()  # as whoever else does: nothing is thawed
        _Quiet(Loader()).exec_module(beside)
        assert gc.get_freeze_count() > 0
        assert not is_old(beside.made)
    finally:
        if not frozen:
            gc.unfreeze()
        (gc.enable if before else gc.disable)()


def test_the_garbage_collector_rests_while_tensorflow_loads():
    from cnnlab.silence_tensorflow import _Quiet

    class Loader:
        def exec_module(self, module):
            module.collects = gc.isenabled()
            if module.__name__ == "broken":
                raise ImportError(module.__name__)

    before, loaded, broken = gc.isenabled(), ModuleType("whole"), ModuleType("broken")
    gc.enable()
    try:
        _Quiet(Loader()).exec_module(loaded)
        with pytest.raises(ImportError):
            _Quiet(Loader()).exec_module(broken)
        assert (loaded.collects, broken.collects, gc.isenabled()) == (False, False, True)
        gc.disable()
        _Quiet(Loader()).exec_module(loaded)
        assert not gc.isenabled()
    finally:
        (gc.enable if before else gc.disable)()
