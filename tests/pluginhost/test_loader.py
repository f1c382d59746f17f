"""The guarded loader: nobody's mistake breaks anybody else's command. Each case is a real installed distribution."""

from __future__ import annotations

import json
import os

import pytest

from cnnlab.errors import CnnlabError
from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Analysis, resolve
from cnnlab.pluginhost.params import Params

GOOD = """
from dataclasses import dataclass
from cnnlab.plugin import Analysis, Params, hookimpl

@dataclass(frozen=True, kw_only=True)
class P(Params):
    size: int = 1

def run(classifier, inputs, params, context):
    raise ZeroDivisionError("no luck")

@hookimpl
def cnnlab_analyses():
    return [Analysis(name="NAME", summary="Say something.", params=P, run=f"{__name__}:run")]
"""

SECTION = """
from cnnlab.plugin import Section, hookimpl

def write(subject):
    pass

@hookimpl
def cnnlab_report_sections():
    return [Section(name="NAME", summary="Say something.", title="Something", write=f"{__name__}:write")]
"""

RECIPE = """
from cnnlab.plugin import Recipe, hookimpl

@hookimpl
def cnnlab_recipes():
    return [Recipe(name="NAME", summary="Say something.", warm_up=0.5)]
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

MISTAKES = {
    "raises at import": ("raise RuntimeError('no such luck')", "broken", "RuntimeError: no such luck"),
    "leaves the process": ("import sys; sys.exit('bye')", "broken", "SystemExit: bye"),
    "raises what is no Exception": ("raise BaseException('panic')", "broken", "loaded: BaseException: panic"),
    "raises what cannot say what it is": (
        "class Mute(Exception):\n    def __str__(self):\n        raise RuntimeError\nraise Mute",
        "broken",
        "could not be loaded: Mute",
    ),
    "imports what is not there": ("import nothing_like_this", "broken", "nothing_like_this"),
    "raises in its hook": (
        "from cnnlab.plugin import hookimpl\n@hookimpl\ndef cnnlab_analyses():\n    raise KeyError('lost')",
        "broken",
        "KeyError: 'lost'",
    ),
    "raises late in a generator": (
        GOOD.replace("return [", "yield ").replace(")]\n", ")\n    raise ValueError('late')\n"),
        "broken",
        "ValueError: late",
    ),
    "forgets to return": (
        GOOD.replace("    return [", "    ["),
        "broken",
        "its cnnlab_analyses() must return a list of Analysis, not None; is there a `return`?",
    ),
    "returns the wrong type": (
        "from cnnlab.plugin import hookimpl\n@hookimpl\ndef cnnlab_analyses():\n    return 7",
        "broken",
        "must return a list of Analysis, not int",
    ),
    "gives the wrong objects": (
        "from cnnlab.plugin import hookimpl\n@hookimpl\ndef cnnlab_datasets():\n    return ['mnist']",
        "broken",
        "must give DatasetSource objects, not str",
    ),
    "gives two things of one name": (
        GOOD.replace("return [", "one, = [").replace(")]\n", ")]\n    return [one, one]\n"),
        "broken",
        "it provides the analysis 'odd' twice.",
    ),
    "misspells a hook": (
        GOOD.replace("def cnnlab_analyses", "def cnnlab_analysis"),
        "broken",
        "Did you mean 'cnnlab_analyses'",
    ),
    "implements no hook": ("x = 1", "broken", "implements none of the hooks"),
    "has a name nobody can type": (GOOD.replace("NAME", "My Analysis"), "broken", "'My Analysis'"),
    "declares a parameter that is none": (
        GOOD.replace("size: int = 1", "size: dict = None"),
        "broken",
        "P.size: <class 'dict'> cannot be a parameter",
    ),
    "declares tuples in tuples": (
        GOOD.replace("size: int = 1", "size: tuple[tuple[int, ...], ...] = ()"),
        "broken",
        "P.size: a tuple of tuples cannot be a parameter",
    ),
    "has a default outside its bound": (
        GOOD.replace("size: int = 1", "size: Annotated[int, Ge(1)] = 0").replace(
            "from dataclasses", "from typing import Annotated\nfrom annotated_types import Ge\nfrom dataclasses"
        ),
        "broken",
        "a default of its analysis 'odd' is refused by what it declares itself: size must be an integer of at least 1; "
        "received 0.",
    ),
    "has two parameters of one option": (
        GOOD.replace("size: int = 1", "size: int = 1\n    size_: int = 2"),
        "broken",
        "two parameters of its analysis 'odd' are 'size' to those who use it.",
    ),
    "takes the option of devices": (
        GOOD.replace("size: int = 1", "devices: int = 1"),
        "broken",
        "its parameter 'devices' would redefine the host's option --devices.",
    ),
    "looks at each image alone and sums nothing up": (
        GOOD.replace("run=", "independent=True, run="),
        "broken",
        "its analysis 'odd' is `independent` and declares no `sum_up`",
    ),
    "leaves out what it never gives": (
        GOOD.replace("run=", "sometimes=('mean',), metrics={'means': 'a mean'}, run="),
        "broken",
        "`sometimes` of its analysis 'odd' names 'mean', which is no array or metric that it declares. Did you mean "
        "'means'?",
    ),
    "says its version in words": (
        GOOD.replace("run=", "api='1', run="),
        "broken",
        "`api` of its analysis 'odd' must be an integer, not str '1'.",
    ),
    "has images of no height": (
        DATASET.replace("(4, 4, 1)", "(0, 4, 1)"),
        "broken",
        "its dataset 'odd' cannot be: shape must be an integer of at least 1; received 0.",
    ),
    "has fewer images than none": (
        DATASET.replace("test_size=2", "test_size=-2"),
        "broken",
        "its dataset 'odd' cannot be: test_size must be an integer of at least 0; received -2.",
    ),
    "has a recipe that rises for longer than it lasts": (
        RECIPE.replace("0.5", "1.5"),
        "broken",
        "its recipe 'odd' cannot be: warm_up must be a number of at least 0 and at most 1; received 1.5.",
    ),
    "has a recipe of words": (
        RECIPE.replace("0.5", "'half'"),
        "broken",
        "`warm_up` of its recipe 'odd' must be a number, not str 'half'.",
    ),
    "forgets to make its parameters a dataclass": (
        GOOD.replace("@dataclass(frozen=True, kw_only=True)", ""),
        "broken",
        "P, the parameters of its analysis 'odd', is no dataclass: put @dataclass(frozen=True, kw_only=True) above it.",
    ),
    "needs what no model has": (
        GOOD.replace("run=", "requires=('gradient',), run="),
        "broken",
        "`requires` of its analysis 'odd' holds 'gradient'. Did you mean 'gradients'?",
    ),
    "takes images in no way": (
        GOOD.replace("run=", "inputs='optionally', run="),
        "broken",
        "`inputs` of its analysis 'odd' is 'optionally'. Did you mean 'optional'?",
    ),
    "forgets the comma of axes": (
        GOOD.replace("run=", "arrays={'map': Array('a map', axes=('rows'))}, run=").replace(
            "Analysis,", "Analysis, Array,"
        ),
        "broken",
        "`arrays` of its analysis 'odd' holds 'map', which must be a tuple of names, not str 'rows'.",
    ),
    "names a module that is not there": (
        GOOD.replace('f"{__name__}:run"', '"cnnlab_odd_work.run:run"'),
        "broken",
        "`run` of its analysis 'odd' names 'cnnlab_odd_work.run:run', and there is no module 'cnnlab_odd_work.run'.",
    ),
    "names a function that is not there": (
        GOOD.replace('f"{__name__}:run"', '"wave:opens"'),
        "broken",
        "`run` of its analysis 'odd' names 'wave:opens', and the module 'wave' has no 'opens'. Did you mean 'open'?",
    ),
    "names a sum_up that is not there": (
        GOOD.replace("run=", "sum_up='wave:sum_up', run="),
        "broken",
        "`sum_up` of its analysis 'odd' names 'wave:sum_up', and the module 'wave' has no 'sum_up'.",
    ),
    "has a widget that is not there": (
        GOOD.replace("run=", "widgets={'': 'wave.js'}, run="),
        "broken",
        "the widget of its drawing '' of its analysis 'odd' is 'wave.js', and there is no such file in ",
    ),
    "has a widget out of its package": (
        GOOD.replace("run=", "widgets={'map': '../wave.js'}, run="),
        "broken",
        "the widget of its drawing 'map' of its analysis 'odd' is '../wave.js', where the name of a file in the "
        "package was expected that ends in .js, such as 'spectrum.js'.",
    ),
    "has no text for a widget": (
        GOOD.replace("run=", "widgets={'map': None}, run="),
        "broken",
        "`widgets` of its analysis 'odd' holds 'map', which must be a text, not NoneType None.",
    ),
    "names no code": (
        GOOD.replace('f"{__name__}:run"', '"run"'),
        "broken",
        "names 'run', and that is no reference to code: expected 'package.module:function'.",
    ),
    "loads a dataset with what is not there": (
        DATASET.replace(":load", ":laod"),
        "broken",
        "`load` of its dataset 'odd' names 'cnnlab_odd:laod', and the module 'cnnlab_odd' has no 'laod'. "
        "Did you mean 'load'?",
    ),
    "gives a dataset of images without channels": (
        DATASET.replace("(4, 4, 1)", "(4, 4)"),
        "broken",
        "`shape` of its dataset 'odd' must be a tuple of 3 integers, not tuple (4, 4).",
    ),
    "gives a size as a text": (
        DATASET.replace("train_size=6", "train_size='6'"),
        "broken",
        "`train_size` of its dataset 'odd' must be an integer, not str '6'.",
    ),
    "writes a section with what is not there": (
        SECTION.replace(":write", ":wrote"),
        "broken",
        "`write` of its section 'odd' names 'cnnlab_odd:wrote'",
    ),
    "knows a field of a later cnnlab": (
        GOOD.replace("run=", "colour='red', run="),
        "incompatible",
        "needs a newer cnnlab: ",
    ),
    "misspells a field": (
        RECIPE.replace("warm_up", "warmup"),
        "incompatible",
        "has no field `warmup` of Recipe. Upgrade cnnlab, or correct the name. Did you mean 'warm_up'?",
    ),
    "misspells a name": (
        RECIPE.replace("import Recipe", "import Recipie"),
        "incompatible",
        "has no 'Recipie' in cnnlab.plugin. Upgrade cnnlab, or correct the name. Did you mean 'Recipe'?",
    ),
    "knows a name of a later cnnlab": (
        GOOD.replace("Analysis, Params", "Analysis, Telescope, Params"),
        "incompatible",
        "has no 'Telescope' in cnnlab.plugin. Upgrade cnnlab, or correct the name.",
    ),
    "gives no command": (
        "from cnnlab.plugin import hookimpl\n@hookimpl\ndef cnnlab_commands():\n    return [len]",
        "broken",
        "its cnnlab_commands() must give click.Command objects, not builtin_function_or_method.",
    ),
    "takes a host option": (
        GOOD.replace("size: int", "seed: int"),
        "broken",
        "parameter 'seed' would redefine the host's option --seed",
    ),
    "is of a later interface": (
        GOOD.replace("run=", "api=2, run="),
        "incompatible",
        "version 2 of the plugin interface and this cnnlab speaks version 1: upgrade cnnlab",
    ),
    "is of an earlier interface": (GOOD.replace("run=", "api=0, run="), "incompatible", "upgrade the plugin"),
    "takes a built-in's name": (
        GOOD.replace("NAME", "occlusion"),
        "clashing",
        "the analysis name 'occlusion' is taken by plugin 'occlusion' (cnnlab ",
    ),
    "gives another thing for a section": (
        SECTION.replace("return [Section(", "return [dict("),
        "broken",
        "cnnlab_report_sections() must give Section objects, not dict",
    ),
    "joins a report that is none": (
        SECTION.replace("write=", "profiles=('audits',), write="),
        "broken",
        "`profiles` of its section 'odd' holds 'audits'. Did you mean 'audit'?",
    ),
    "forgets the comma of a tuple": (
        SECTION.replace("write=", "profiles=('audit'), write="),
        "broken",
        "`profiles` of its section 'odd' must be a tuple of names, not str 'audit'",
    ),
    "needs what no report has": (
        SECTION.replace("write=", "requires=('datasets',), write="),
        "broken",
        "`requires` of its section 'odd' holds 'datasets'. Did you mean 'dataset'?",
    ),
    "takes a built-in section's name": (
        SECTION.replace("NAME", "training"),
        "clashing",
        "the section name 'training' is taken by plugin 'report' (cnnlab ",
    ),
}


def rows(command, env, *, cwd=None):
    done = command("plugins", "list", "--json", env=env, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return {row["name"]: row for row in json.loads(done.stdout)}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_broken_plugin_is_shown_and_harms_nobody(mistake, cnnlab_here, install_plugin):
    source, state, error = MISTAKES[mistake]
    install_plugin("cnnlab-good", GOOD.replace("NAME", "good"))
    env = install_plugin("cnnlab-odd", source.replace("NAME", "odd"))

    found = rows(cnnlab_here, env)
    assert found["odd"]["state"] == state
    assert error in found["odd"]["error"]
    assert "cnnlab-odd 1.0" in found["odd"]["error"]
    assert found["good"]["state"] == found["occlusion"]["state"] == "active"

    shown = cnnlab_here("analyze", "--help", env=env)
    assert shown.returncode == 0
    assert ("Names that clash" if state == "clashing" else "Not available") in shown.stdout
    assert "odd" in shown.stdout
    assert "good" in shown.stdout

    strict = cnnlab_here("plugins", "list", env=env | {"CNNLAB_STRICT": "1"})
    assert strict.returncode == 1
    assert error in strict.stderr
    assert "Traceback" not in strict.stderr


def test_what_a_plugin_prints_stays_out_of_json_and_none_ends_the_process(cnnlab_command, install_plugin):
    install_plugin("cnnlab-leaving", MISTAKES["leaves the process"][0])
    env = install_plugin("cnnlab-loud", "print('HELLO')\n" + GOOD.replace("NAME", "loud"))
    done = cnnlab_command("plugins", "list", "--json", env=env)
    assert "HELLO" in done.stderr
    found = {row["name"]: row["state"] for row in json.loads(done.stdout)}
    assert (found["leaving"], found["loud"]) == ("broken", "active")


def test_a_section_may_be_called_as_an_analysis_and_a_section_of_a_stranger_may_not(cnnlab_here, install_plugin):
    both = GOOD + SECTION.replace("from cnnlab.plugin import Section, hookimpl", "from cnnlab.plugin import Section")
    install_plugin("cnnlab-alpha", both.replace("NAME", "same"))
    env = install_plugin("cnnlab-beta", SECTION.replace("NAME", "same"))
    found = rows(cnnlab_here, env)
    assert found["alpha"]["provides"] == ["analysis same", "section cnnlab-alpha:same"]
    assert [found[name]["state"] for name in ("alpha", "beta")] == ["clashing", "clashing"]
    assert "the section name 'same' is also that of plugin 'alpha' (cnnlab-alpha 1.0)" in found["beta"]["error"]
    assert "the analysis name" not in found["alpha"]["error"]


def test_a_section_says_which_reports_it_joins(cnnlab_here, install_plugin):
    joins = SECTION.replace("NAME", "own").replace("write=", "profiles=('audit',), after='sanity', write=")
    env = install_plugin("cnnlab-own", joins)
    (shown,) = json.loads(cnnlab_here("plugins", "show", "own", "--json", env=env).stdout)
    assert (shown["kind"], shown["title"], shown["profiles"], shown["after"]) == (
        *("section", "Something", ["audit"]),
        "sanity",
    )
    assert (shown["distribution"], shown["version"], shown["module"]) == ("cnnlab-own", "1.0", "cnnlab_own")
    printed = cnnlab_here("plugins", "show", "own", env=env).stdout
    for words in ("section own  Say something.", "title", "Something", "audit", "sanity", "cnnlab-own"):
        assert words in printed
    (built_in,) = json.loads(cnnlab_here("plugins", "show", "predictions", "--json", env=env).stdout)
    assert built_in["profiles"] == ["assignment", "quick"]  # where profiles name it


@pytest.mark.parametrize(
    ("requires", "said"),
    [
        ("cnnlab>=9", "needs cnnlab >=9, and "),
        ("CNNlab (<0.0.5)", "needs cnnlab <0.0.5, and "),
        ("cnnlab<9", ""),
        ("cnnlab>=9; extra == 'later'", ""),
        ("cnnlab-tools>=9", ""),
        ("what is this?", ""),
    ],
)
def test_what_asks_for_another_cnnlab_is_told_and_never_imported(cnnlab_here, install_plugin, requires, said, tmp_path):
    trace = tmp_path / "imported"
    source = f"import pathlib; pathlib.Path({str(trace)!r}).touch()\n" + GOOD.replace("NAME", "odd")
    env = install_plugin("cnnlab-odd", source, metadata=f"Requires-Dist: {requires}\n")
    row = rows(cnnlab_here, env)["odd"]
    assert (row["state"], trace.exists()) == (("incompatible", False) if said else ("active", True))
    assert said in row["error"]
    if said:
        asked = cnnlab_here("analyze", "odd", env=env)
        assert asked.returncode == 2
        assert "analysis 'odd' is not available: plugin 'odd' (cnnlab-odd 1.0) needs cnnlab " in asked.stderr


def test_two_distributions_with_one_entry_point_name(cnnlab_here, install_plugin):
    install_plugin("cnnlab-alpha", GOOD.replace("NAME", "one"), entry="shared")
    env = install_plugin("cnnlab-beta", GOOD.replace("NAME", "two"), entry="shared")
    done = cnnlab_here("plugins", "list", "--json", env=env)
    shared = [row for row in json.loads(done.stdout) if row["name"] == "shared"]
    assert [row["state"] for row in shared] == ["clashing", "clashing"]
    assert [row["provides"] for row in shared] == [["analysis one"], ["analysis two"]]
    assert "cnnlab-beta" in shared[0]["error"]
    assert "cnnlab-alpha" in shared[1]["error"]


@pytest.mark.parametrize(
    "selection", [{"CNNLAB_DISABLE": "loud"}, {"CNNLAB_PLUGINS": "mnist,occlusion"}, {"CNNLAB_PLUGINS": ""}]
)
def test_a_disabled_plugin_is_listed_and_never_imported(selection, cnnlab_here, install_plugin, tmp_path):
    trace = tmp_path / "imported"
    env = install_plugin(
        "cnnlab-loud", f"import pathlib; pathlib.Path({str(trace)!r}).touch()\n" + GOOD.replace("NAME", "loud")
    )
    found = rows(cnnlab_here, env | selection)
    assert found["loud"]["state"] == "disabled"
    assert next(iter(selection)) in found["loud"]["error"]
    assert not trace.exists()

    asked = cnnlab_here("analyze", "loud", env=env | selection)
    assert asked.returncode == 2
    assert next(iter(selection)) in asked.stderr


def test_an_unknown_analysis_is_answered_with_the_nearest(cnnlab_here):
    done = cnnlab_here("analyze", "oclusion")
    assert done.returncode == 2
    assert "there is no analysis 'oclusion'. Did you mean 'occlusion'?" in done.stderr


def test_asking_for_a_broken_analysis_tells_why(cnnlab_here, install_plugin):
    env = install_plugin("cnnlab-odd", "raise RuntimeError('no such luck')")
    done = cnnlab_here("analyze", "odd", env=env)
    assert done.returncode == 2
    assert "RuntimeError: no such luck" in done.stderr


def test_an_implementation_that_takes_fewer_arguments_keeps_working():
    """How hooks grow: an argument added to a specification does not reach implementations that do not name it."""
    import pluggy

    hookspec, hookimpl = pluggy.HookspecMarker("cnnlab"), pluggy.HookimplMarker("cnnlab")

    class Tomorrow:
        @hookspec
        def cnnlab_analyses(self, locale):
            """The same hook, one version later, with an argument more."""

    class Today:
        @hookimpl
        def cnnlab_analyses(self):
            return ["old"]

    manager = pluggy.PluginManager("cnnlab")
    manager.add_hookspecs(Tomorrow)
    manager.register(Today())
    manager.check_pending()
    assert manager.hook.cnnlab_analyses(locale="en") == [["old"]]


def test_every_field_added_to_a_declaration_must_have_a_default():
    """How declarations grow: what the first version of the interface asked for is all that may be required."""
    import dataclasses

    from cnnlab.pluginhost.declarations import Analysis, Architecture, DatasetSource, Recipe, Section

    required = {
        Analysis: {"name", "summary", "params", "run"},
        Architecture: {"name", "summary", "build"},
        Recipe: {"name", "summary"},
        Section: {"name", "summary", "title", "write"},
        DatasetSource: {
            *("name", "summary", "load", "shape", "class_names"),
            *("train_size", "test_size", "provenance", "licence"),
        },
    }
    for kind, names in required.items():
        missing = dataclasses.MISSING
        asked = {
            field.name
            for field in dataclasses.fields(kind)
            if field.default is missing and field.default_factory is missing
        }
        assert asked == names, kind.__name__


def test_a_plugin_that_fails_while_running_is_named_with_its_version(
    command_line, install_plugin, plugins_anew, monkeypatch, model
):
    source = GOOD.replace("NAME", "unlucky").replace("run=", 'inputs="none", run=')
    url = "Project-URL: Issues, https://example.org/unlucky/issues\n"
    env = install_plugin("cnnlab-unlucky", source, version="2.5", metadata=url)
    monkeypatch.syspath_prepend(env["PYTHONPATH"].partition(os.pathsep)[0])
    status, _, err = command_line("analyze", "unlucky", "--model", model)
    assert status == 1
    assert "cnnlab-unlucky 2.5 failed: ZeroDivisionError: no luck." in err
    assert "https://example.org/unlucky/issues" in err
    assert "Traceback" not in err
    monkeypatch.setenv("CNNLAB_DEBUG", "1")
    with pytest.raises(CnnlabError) as shown:  # and Python its traceback
        command_line("analyze", "unlucky", "--model", model)
    assert isinstance(shown.value.__cause__, ZeroDivisionError)


def test_a_deprecation_reaches_the_author_in_tests_and_no_user(cnnlab_command, install_plugin, monkeypatch):
    """How hooks go: pluggy warns whoever implements one that is announced for removal, as a DeprecationWarning."""
    import types

    import pluggy

    from cnnlab.pluginhost import asking, hookspecs

    hookspec = pluggy.HookspecMarker(hookspecs.PROJECT)
    going = DeprecationWarning("cnnlab_datasets will be removed in cnnlab 2.0")
    specs = types.ModuleType("specs")
    for name in {*asking.HOOKS} - {"cnnlab_datasets"}:
        setattr(specs, name, getattr(hookspecs, name))
    specs.PROJECT = hookspecs.PROJECT
    specs.cnnlab_datasets = hookspec(warn_on_impl=going)(lambda: None)
    monkeypatch.setattr(asking, "hookspecs", specs)
    author = types.ModuleType("author")
    author.cnnlab_datasets = pluggy.HookimplMarker(hookspecs.PROJECT)(lambda: iter(()))
    with pytest.warns(DeprecationWarning, match="will be removed"):
        assert not list(asking._asked(author))

    old = "import warnings\nwarnings.warn('old ways', DeprecationWarning)\n" + GOOD.replace("NAME", "old")
    done = cnnlab_command("plugins", "list", env=install_plugin("cnnlab-old", old))
    assert done.returncode == 0
    assert "old" in done.stdout
    assert done.stderr == ""


def test_entry_points_are_read_once(monkeypatch):
    import importlib.metadata

    from cnnlab.pluginhost import registry

    reads = []
    original = importlib.metadata.distributions
    monkeypatch.setattr(importlib.metadata, "distributions", lambda **kw: reads.append(kw) or original(**kw))
    registry.plugins.cache_clear()
    for _ in range(3):
        registry.plugins()
        registry.analyses()
        registry.datasets()
    assert len(reads) == 1


def test_where_all_are_well_strictness_changes_nothing(monkeypatch):
    monkeypatch.setenv("CNNLAB_STRICT", "1")
    found = registry.plugins.__wrapped__()
    assert {plugin.state for plugin in found} == {"active"}
    assert "occlusion" in {plugin.name for plugin in found}


def test_what_no_plugin_gave_has_no_provider():
    own = Analysis(name="own", summary="Own.", params=Params, run="nowhere:run")
    with pytest.raises(CnnlabError, match="analysis 'own' was provided by no plugin"):
        registry.provider(own)
    occlusion = registry.find_analysis("occlusion")
    assert registry.provider(occlusion).name == "occlusion"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("json", "'json' is no reference to code: expected 'package.module:attribute'"),
        (":loads", "':loads' is no reference to code"),
        ("json:", "'json:' is no reference to code"),
        ("json:lodas", "the module 'json' has no 'lodas'"),
    ],
)
def test_a_reference_names_a_module_and_something_in_it(reference, said):
    with pytest.raises(CnnlabError, match=said):
        resolve(reference)
    assert resolve("json:loads") is json.loads
