"""What a plugin provides is remembered: nobody's import slows another's command, and no memory can do harm."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from cnnlab.pluginhost import records, registry
from cnnlab.pluginhost.found import Plugin
from cnnlab.pluginhost.sources import Source
from cnnlab.testing.processes import python_m, run_process

TRACED = """
with open({trace!r}, "a") as trace:
    trace.write("imported\\n")
"""

ANALYSIS = """
from cnnlab.plugin import Analysis, Params, hookimpl

def run(classifier, inputs, params, context):
    pass

@hookimpl
def cnnlab_analyses():
    return [Analysis(name="NAME", summary="Say something.", params=Params, run=f"{__name__}:run")]
"""

DATASET = """
from cnnlab.plugin import DatasetSource, hookimpl

def load():
    pass

@hookimpl
def cnnlab_datasets():
    return [
        DatasetSource(
            name="NAME", summary="Say something.", load=f"{__name__}:load", shape=(4, 4, 1), class_names=("a", "b"),
            train_size=6, test_size=2, provenance="Nobody.", licence="CC0-1.0",
        )
    ]
"""


class Installed:
    """A plugin that tells how often it was imported, and the environment of those who have it."""

    def __init__(self, install, command, folder: Path) -> None:
        self.folder, self.trace, self._command = folder, folder / "trace", command
        self.source = TRACED.format(trace=str(self.trace)) + ANALYSIS.replace("NAME", "slow")
        self.env = install("cnnlab-slow", self.source) | {"XDG_CACHE_HOME": str(folder / "cache")}
        self.module = folder / "site-packages" / "cnnlab_slow.py"
        self.imports()

    def imports(self) -> int:
        """How often it was imported since this was asked the last time."""
        count = self.trace.read_text().count("imported") if self.trace.exists() else 0
        self.trace.unlink(missing_ok=True)
        return count

    def cnnlab(self, *words: object, **env: str) -> str:
        """What a command prints on stdout."""
        done = self._command(*words, env=self.env | env, cwd=self.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def listed(self, **env: str) -> dict:
        """Its row in the list of plugins."""
        return next(row for row in json.loads(self.cnnlab("plugins", "list", "--json", **env)) if row["name"] == "slow")

    def record(self) -> Path:
        """The file that remembers it."""
        kept = (self.folder / "cache" / "cnnlab" / "plugins").glob("*.json")
        (found,) = [path for path in kept if "cnnlab-slow" in json.loads(path.read_text())["for"]]
        return found


@pytest.fixture
def installed(install_plugin, cnnlab_here, tmp_path):
    """A plugin that is remembered."""
    found = Installed(install_plugin, cnnlab_here, tmp_path)
    assert found.listed()["provides"] == ["analysis slow"]
    assert found.imports() == 1
    return found


OTHERS = [
    ("--help",),
    ("analyze", "--help"),
    ("analyze", "occlusion", "--help"),
    ("plugins", "list"),
    ("plugins", "show", "mnist"),
    ("datasets",),
    ("evaluate", "--help"),
]


def test_no_other_command_imports_a_plugin_and_its_own_does(installed):
    for words in OTHERS:
        installed.cnnlab(*words)
        assert installed.imports() == 0, words
    assert "Say something." in installed.cnnlab("analyze", "--help")
    for line, expected in (("cnnlab analyze s", "slow"), ("cnnlab plugins show sl", "slow"), ("cnnlab ev", "evaluate")):
        count = str(len(line.split()) - 1)
        told = installed.cnnlab(_CNNLAB_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=count)
        assert f"plain,{expected}" in told.split()
        assert installed.imports() == 0, line
    installed.cnnlab("analyze", "slow", "--help")
    assert installed.imports() == 1
    installed.cnnlab("plugins", "show", "slow")
    assert installed.imports() == 1


THREE = """
import sys, cnnlab.cli
assert "cnnlab_saliency" not in sys.modules
evaluate = ["evaluate", "--model", RUN, "--trust", "--dataset", "mnist", "--limit", "20"]
for words in (["summary", "mnist-cnn"], ["inspect", RUN, "--trust"], evaluate):
    sys.argv = ["cnnlab", *words]
    try:
        cnnlab.cli.main()
    except SystemExit as stop:
        assert not stop.code, words
    assert "cnnlab_slow" not in sys.modules, words
    assert "cnnlab_saliency" not in sys.modules, words
"""


def test_what_opens_a_model_imports_no_plugin_that_it_does_not_need(installed, trained_run):
    (installed.folder / "three.py").write_text(THREE.replace("RUN", repr(str(trained_run.path))))
    done = run_process(python_m, "three", env=os.environ | installed.env, cwd=installed.folder)
    assert done.returncode == 0, done.stderr
    assert "slow" in done.stdout  # inspect tells what can be asked, this too
    assert installed.imports() == 0


def test_a_file_that_changes_is_asked_anew_though_the_version_does_not(installed):
    installed.module.write_text(installed.source.replace('"slow"', '"fast"'))
    assert installed.listed()["provides"] == ["analysis fast"]
    assert installed.imports() == 1
    assert installed.listed()["provides"] == ["analysis fast"]
    assert installed.imports() == 0


def test_every_module_of_a_plugin_counts_and_those_that_it_names(installed):
    package = installed.folder / "site-packages" / "cnnlab_slow"
    installed.module.unlink()
    (package / "deep").mkdir(parents=True)
    (package / "deep" / "__init__.py").write_text("NAME = 'first'\n")
    (package / "run.py").write_text("def run(classifier, inputs, params, context):\n    pass\n")
    source = installed.source.replace('"slow"', "NAME").replace("{__name__}:run", "{__name__}.run:run")
    (package / "__init__.py").write_text(f"from cnnlab_slow.deep import NAME\n{source}")
    for _ in range(2):
        assert installed.listed()["provides"] == ["analysis first"]
    assert installed.imports() == 1
    (package / "deep" / "__init__.py").write_text("NAME = 'second'\n")
    assert installed.listed()["provides"] == ["analysis second"]
    (package / "run.py").write_text("def runs(classifier, inputs, params, context):\n    pass\n")
    row = installed.listed()
    assert row["state"] == "broken"
    assert "the module 'cnnlab_slow.run' has no 'run'. Did you mean 'runs'?" in row["error"]


def test_a_new_version_is_asked_anew(installed):
    site = installed.folder / "site-packages"
    info = (site / "cnnlab_slow-1.0.dist-info").rename(site / "cnnlab_slow-1.1.dist-info")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cnnlab-slow\nVersion: 1.1\n")
    assert installed.listed()["version"] == "1.1"
    assert installed.imports() == 1


def test_what_failed_is_remembered_and_tried_again_when_something_is_installed(installed):
    installed.module.write_text(f"import helper_of_slow\n{installed.source}")
    for _ in range(2):
        assert "No module named 'helper_of_slow'" in installed.listed()["error"]
    assert installed.imports() == 0
    (installed.folder / "site-packages" / "helper_of_slow.py").write_text("")
    assert installed.listed()["state"] == "active"


@pytest.mark.parametrize(
    "words",
    [("analyze", "slow", "--help"), ("analyze", "cnnlab-slow:slow", "--help"), ("plugins", "show", "CNNLab_Slow")],
)
def test_what_failed_is_tried_again_where_it_is_asked_for_by_name(installed, words):
    needs = f'__import__("os").environ["NEEDED"]\n{installed.source}'
    installed.module.write_text(needs)
    assert "KeyError: 'NEEDED'" in installed.listed()["error"]
    assert "KeyError: 'NEEDED'" in installed.listed(NEEDED="1")["error"], "no file shows it"
    assert "Say something." in installed.cnnlab(*words, NEEDED="1")
    assert installed.listed()["state"] == "active"


def test_refresh_asks_again_what_no_file_tells_of(installed):
    named = installed.source.replace('"slow"', '__import__("os").environ.get("SLOW", "slow")')
    installed.module.write_text(named)
    installed.listed()
    assert installed.listed(SLOW="quick")["provides"] == ["analysis slow"]
    told = json.loads(installed.cnnlab("plugins", "list", "--refresh", "--json", SLOW="quick"))
    assert next(row for row in told if row["name"] == "slow")["provides"] == ["analysis quick"]


def test_the_list_names_what_is_slow_to_import_without_importing_it(installed):
    installed.module.write_text(f"import time; time.sleep(0.7)\n{installed.source}")
    assert "Slow to import" in installed.cnnlab("plugins", "list")
    installed.imports()
    told = installed.cnnlab("plugins", "list")
    assert (seconds := installed.listed()["seconds"]) >= 0.7  # and more on a machine that does other things too
    assert f"slow (cnnlab-slow 1.0) {seconds:.1f} s" in told
    assert "occlusion (" not in told
    assert installed.imports() == 0


def spoilt(record: dict, **changes) -> str:
    return json.dumps({**record, **changes})


SPOILT = {
    "nothing": lambda record: "",
    "half of it": lambda record: json.dumps(record)[:100],
    "no object": lambda record: "[1, 2]",
    "numbers without end": lambda record: "[" * 100_000,
    "no offers": lambda record: spoilt(record, offers=None),
    "an offer of nothing known": lambda record: spoilt(record, offers=[{"noun": "door", "name": "a", "summary": "b"}]),
    "a name nobody can type": lambda record: spoilt(
        record, offers=[{"noun": "analysis", "name": "A b", "summary": "c"}]
    ),
    "a summary that is none": lambda record: spoilt(record, offers=[{"noun": "analysis", "name": "a", "summary": 7}]),
    "a state that is none": lambda record: spoilt(record, state="fine"),
    "files of another shape": lambda record: spoilt(record, files=[7]),
    "another cnnlab": lambda record: spoilt(record, **{"for": ["0.0.1"]}),
}


def test_a_spoilt_memory_is_as_none_and_made_anew(installed):
    path = installed.record()
    path.write_text(SPOILT["half of it"](json.loads(path.read_text())))
    for imports in (1, 0):
        assert installed.listed()["provides"] == ["analysis slow"]
        assert installed.imports() == imports


def test_what_is_no_file_is_not_waited_for(installed):
    path = installed.record()
    path.unlink()
    os.mkfifo(path)
    assert installed.listed()["provides"] == ["analysis slow"]


def test_a_memory_cannot_move_the_cursor(installed):
    path = installed.record()
    offers = [{"noun": "analysis", "name": "slow", "summary": "Say\x1b[2J something.", "requires": []}]
    path.write_text(spoilt(json.loads(path.read_text()), offers=offers))
    told = installed.cnnlab("analyze", "--help")
    assert "\x1b" not in told
    assert "Say\\u001b[2J something." in told


@pytest.mark.parametrize("place", ["a file", "nowhere"])
def test_where_nothing_can_be_remembered_all_is_as_it_was_and_slower(installed, place):
    (installed.folder / "file").write_text("")
    cache = str(installed.folder / "file") if place == "a file" else "/proc/nowhere"
    for _ in range(2):
        assert installed.listed(XDG_CACHE_HOME=cache)["provides"] == ["analysis slow"]
        assert installed.imports() == 1


@pytest.fixture
def remembered(install_plugin, tmp_path, monkeypatch, plugins_anew):
    """A dataset's plugin that is remembered, and how to change what is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    env = install_plugin("cnnlab-forged", DATASET.replace("NAME", "forged"))
    monkeypatch.syspath_prepend(env["PYTHONPATH"].partition(os.pathsep)[0])
    module = tmp_path / "site-packages" / "cnnlab_forged.py"
    os.utime(module, (1, 1))
    monkeypatch.setattr(records, "COARSE", -(10**12))  # it was written just now
    source = Source(name="forged", module="cnnlab_forged", distribution="cnnlab-forged", version="1.0")
    Plugin.of(source).load()
    assert records.read(source) is not None
    yield source
    sys.modules.pop("cnnlab_forged", None)


def change(source: Source, **facts: object) -> None:
    """Change what is remembered of the first thing that a plugin provides."""
    path = records._place(source)
    said = json.loads(path.read_text())
    said["offers"][0] |= facts
    path.write_text(json.dumps(said))


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_memory_is_none(remembered, how):
    path = records._place(remembered)
    path.write_text(SPOILT[how](json.loads(path.read_text())))
    assert records.read(remembered) is None


def test_code_that_a_memory_names_is_never_run(remembered):
    change(remembered, load="subprocess:run", licence="Forged.")
    told = registry.datasets()["forged"]
    assert (told.load, told.licence) == ("subprocess:run", "Forged.")
    assert registry.provider(told).distribution == "cnnlab-forged"
    for real in (registry.find_dataset("forged"), registry.declared(told)):
        assert (real.load, real.licence) == ("cnnlab_forged:load", "CC0-1.0")
        assert registry.provider(real).distribution == "cnnlab-forged"


def test_what_a_memory_promises_and_the_plugin_does_not_give_is_not_available(remembered):
    change(remembered, name="other")
    with pytest.raises(ValueError, match="dataset 'other' is not available"):
        registry.find_dataset("other")
    registry.plugins.cache_clear()
    assert registry.find_dataset("forged").load == "cnnlab_forged:load"  # and it is remembered rightly


def test_what_changed_while_it_was_asked_is_not_remembered(installed, cnnlab_command):
    installed._command = cnnlab_command  # for which files are as new as they are
    source = f"import os\nos.utime(__file__)\n{installed.source}"
    installed.module.write_text(source)
    for _ in range(2):
        assert installed.listed()["provides"] == ["analysis slow"]
        assert installed.imports() == 1


def test_the_commands_of_the_host_are_those_that_no_plugin_may_take():
    from cnnlab.cli import COMMANDS

    assert list(registry.HOST_COMMANDS) == list(COMMANDS)
