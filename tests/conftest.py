"""What the tests share: one small model, trained once; a few digits; plugins installed as real distributions."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import pytest
from annotated_types import Ge
from platformdirs import user_cache_path

from cnnlab.pluginhost import registry
from cnnlab.pluginhost.declarations import Analysis
from cnnlab.pluginhost.params import Doc, Params
from cnnlab.testing.processes import python_m, run_process

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: more threads would only wait for each other
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent

# What tests keep, they keep for as long as they run; but matplotlib's list of fonts takes long to make.
os.environ.setdefault("MPLCONFIGDIR", str(user_cache_path("matplotlib")))
if "PYTEST_XDIST_WORKER" not in os.environ:  # which keeps it where the process does that started it
    _KEPT = tempfile.TemporaryDirectory(prefix="cnnlab-tests-")
    os.environ["XDG_CACHE_HOME"] = _KEPT.name

# A shell that starts the tests in the background has them, and what they start, hear no Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

gc.disable()  # while libraries load, most of which stay


LONG = (Path(__file__).parent / "long_files.txt").read_text(encoding="utf-8").split()
"""The files that take more than some seconds, the longest first, as `--durations=0` tells them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the many quick files, in which most failures show; then the long ones, the longest first.

    A process runs a file whole, and what is left at the end must be small for all to end at once. Plugins' tests come
    after cnnlab's, whose fixture `real_trial` spares theirs the trial too.
    """
    ranks = {ROOT / name: rank for rank, name in enumerate(LONG, start=1)}
    items.sort(key=lambda item: (ranks.get(item.path, 0), ROOT / "plugins" in item.path.parents, str(item.path)))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Name a failure where it happens; pytest tells its reason in the end."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\nFAILED {report.nodeid}", file=sys.__stdout__, flush=True)


def pytest_collection_finish() -> None:
    """Spare the collector what was loaded: it looked through that for a twelfth of the tests' time."""
    gc.freeze()
    gc.set_threshold(10_000, 10, 50)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def real_trial() -> Iterator[Callable[..., None]]:
    """Spare models opened in this process the trial in another, which takes seconds; test_trial.py has it back."""
    from cnnlab.trust import trial

    real = trial._try
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "_try", lambda *_: None)
        yield real


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory):
    """The classic network, trained for two epochs on the first 6,000 digits: about 96% right."""
    import cnnlab

    if "PYTEST_XDIST_WORKER" not in os.environ:
        return cnnlab.train("mnist", epochs=2, limit=6000, seed=0, out=tmp_path_factory.mktemp("runs") / "small")
    # One worker trains, and each has a copy: tests write beside a run.
    shared = tmp_path_factory.getbasetemp().parent
    with open(shared / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = cnnlab.train("mnist", epochs=2, limit=6000, seed=0, out=shared / "small", resume=True)
        # Before the lock is let go: going on with what is complete writes into its folder for a moment.
        return cnnlab.Run(shutil.copytree(run.path, tmp_path_factory.mktemp("runs") / "small"))


@pytest.fixture(scope="session")
def classifier(trained_run):
    """The small run, opened."""
    import cnnlab

    return cnnlab.load(trained_run.path)


@pytest.fixture(scope="session")
def digits():
    """The first 64 test digits: images [64, 28, 28, 1] in [0, 1] and their labels."""
    import cnnlab

    split = cnnlab.datasets.load("mnist").test
    return split.batch(range(64)), split.labels[:64]


@pytest.fixture
def few_digits(monkeypatch):
    """An MNIST of 6,000 and 1,000 digits: to read all ten thousand test images at each step of a story takes long."""
    from cnnlab_mnist import data

    whole = data.load()
    few = replace(whole, train=whole.train[:6000], test=whole.test[:1000])
    monkeypatch.setattr(data, "load", lambda: few)


@pytest.fixture(scope="session")
def browser():
    """Chromium, started once."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("there is no Chromium here; Debian's package `chromium` has it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # a test picture, allowed
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", *camera])
        yield opened
        opened.close()


@pytest.fixture
def open_html(browser, tmp_path):
    """Open a page in the browser: ``open_html(text, viewport={...})``; what it says or asks the network for, fails."""
    said: list[str] = []
    asked: list[str] = []
    pages: list[Any] = []

    def show(text: str, **options: Any) -> Any:
        path = tmp_path / f"page{len(pages)}.html"
        path.write_text(text, encoding="utf-8")
        pages.append(page := browser.new_page(**options))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        return page

    yield show
    for page in pages:
        page.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


@pytest.fixture
def axe():
    """What a page violates, as sentences."""
    from axe_playwright_python.sync_playwright import Axe

    judge = Axe()

    def violations(page) -> list[str]:
        found = judge.run(page).response["violations"]
        return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]

    return violations


@pytest.fixture
def cnnlab_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``cnnlab`` in a process of its own: ``cnnlab_command("plugins", "list", env={...}, cwd=...)``.

    It begins with TensorFlow loaded, which takes most of a command's time; tests/cli/test_startup.py begins without.
    """

    def run(*words: object, env: dict[str, str] | None = None, **options) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "COLUMNS": "200", **(env or {})}
        return run_process(python_m, "cnnlab", *map(str, words), env=env, **options)

    return run


@pytest.fixture(scope="session")
def together() -> Callable[..., list[subprocess.CompletedProcess[str]]]:
    """Run a module in processes that find each other: ``together(count, module, word, ...)``, how each of them ended.

    They are what ``cnnlab launch`` starts, but that they begin with TensorFlow loaded.
    """

    def run(count: int, module: str, *words: object, **options: Any) -> list[subprocess.CompletedProcess[str]]:
        from cnnlab.devices.cluster import Cluster
        from cnnlab.devices.launching import free_ports

        workers = tuple(f"127.0.0.1:{port}" for port in free_ports(count))

        def one(index: int) -> subprocess.CompletedProcess[str]:
            env = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_CONFIG": Cluster(workers, index).tf_config()}
            return run_process(python_m, module, *map(str, words), env=env, **options)

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))

    return run


@pytest.fixture
def started() -> dict[str, Any]:
    """What the checkpoint of a run says before its first step, for a test to change."""
    return {
        "schema": 1,
        "created": "2026-01-01T00:00:00+00:00",
        "settings": {"dataset": "toy", "seed": 0},
        "dataset": {
            "name": "toy",
            "source": "toy",
            "digest": "d",
            "class_names": ["a", "b"],
            "shape": [4, 4, 1],
            "value_range": [0, 1.0],
            "training_images": 8,
            "validation_images": 2,
            "test_images": 2,
        },
        "architecture": "mnist-cnn",
        "batch_norm": False,
        "epochs": 2,
        "seed": 0,
        "validated_on": "test images",
        "device": "cpu",
        "versions": {"cnnlab": "0.1.0"},
    }


@pytest.fixture
def command_line(capsys, monkeypatch) -> Callable[..., tuple[int, str, str]]:
    """Run the whole command line in this process: ``command_line("runs", ...) -> (status, out, err)``."""
    from cnnlab import cli

    monkeypatch.setenv("COLUMNS", "160")

    def main(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["cnnlab", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    return main


@pytest.fixture
def plugins_anew() -> Iterator[None]:
    """Find plugins anew in this process, for a test that sets which there are, and after it."""
    registry.plugins.cache_clear()
    yield
    registry.plugins.cache_clear()


@pytest.fixture
def install_plugin(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Install a distribution with a plugin, as an installer lays it down, in a folder of its own.

    Returns the environment that has that folder on the path. Call it several times to install several.
    """
    site = tmp_path / "site-packages"

    def install(
        distribution: str, source: str, *, version: str = "1.0", entry: str | None = None, metadata: str = ""
    ) -> dict[str, str]:
        module = distribution.replace("-", "_")
        info = site / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(textwrap.dedent(source))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n{metadata}")
        entry = entry or distribution.removeprefix("cnnlab-")
        (info / "entry_points.txt").write_text(f"[cnnlab]\n{entry} = {module}\n")
        return {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}

    return install


@dataclass(frozen=True, kw_only=True)
class Size(Params):
    """The parameters of the analysis that tests install."""

    size: Annotated[int, Ge(1), Doc("A size.")] = 1


@pytest.fixture(scope="session")
def install_analysis() -> Callable[..., Analysis]:
    """Install the analysis ``one`` for as long as a monkeypatch lasts: ``install_analysis(monkeypatch, run, ...)``."""

    def install(patch: pytest.MonkeyPatch, run: Callable[..., Any], **declared: Any) -> Analysis:
        module = types.ModuleType("one_analysis")
        module.run = run  # type: ignore[attr-defined]
        patch.setitem(sys.modules, "one_analysis", module)
        made = Analysis(name="one", summary="One.", run="one_analysis:run", **{"params": Size, **declared})
        plugin = registry.Plugin("one", "one_analysis", "cnnlab-one", "3.1", declarations=(made,))
        patch.setattr(registry, "plugins", lambda: (plugin,))
        return made

    return install


@pytest.fixture
def analysis(monkeypatch, install_analysis) -> Callable[..., Analysis]:
    """Install an analysis whose work a test sets: ``analysis(lambda classifier, inputs, params, context: ...)``."""
    return lambda run, **declared: install_analysis(monkeypatch, run, **declared)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution, built as it would be uploaded."""
    out = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT]
    subprocess.run(words, check=True, capture_output=True, timeout=300)
    (found,) = out.glob("cnnlab-*.whl")
    return found


class Environment:
    """A virtual environment with the built wheel, which sees the libraries of this one and not its source."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        self.python = folder / "venv" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True, timeout=120)
        where = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
        site = Path(subprocess.run([self.python, "-c", where], capture_output=True, text=True).stdout.strip())
        # A folder named in a .pth file is searched, and .pth files within it are not read: an editable install there
        # brings its libraries along, pip among them, and not itself.
        libraries = [path for path in sys.path if "site-packages" in path]
        (site / "libraries.pth").write_text("\n".join(libraries) + "\n")
        self.run("-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", wheel)

    def run(self, *words: object, cwd: Path | None = None, status: int = 0) -> str:
        """Run its Python with these words; return what was printed."""
        done = subprocess.run(
            [self.python, *map(str, words)],
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
            timeout=600,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"COLUMNS": "160"},
        )
        assert done.returncode == status, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def cnnlab(self, *words: object, **options: Any) -> str:
        """Run its ``cnnlab``."""
        return self.run("-m", "cnnlab", *words, **options)

    def install(self, folder: Path) -> None:
        """Install a package's folder, editable."""
        self.run("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", folder)


@pytest.fixture(scope="module")
def shared_environment(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    """One for the tests of a module that do not get in each other's way."""
    return Environment(tmp_path_factory.mktemp("environment"), wheel)


@pytest.fixture
def environment(tmp_path: Path, wheel: Path) -> Environment:
    """An environment of its own for one test, with the built wheel in it."""
    return Environment(tmp_path, wheel)


EPSILONS = (0.0, 0.05, 0.2)


@pytest.fixture(scope="session")
def save_model() -> Callable[..., Path]:
    """Save a small network: ``save_model(path, seed, shape, classes)``."""

    def save(path, seed, shape=(8, 8, 1), classes=4):
        import keras

        def drawn(add):
            return keras.initializers.RandomNormal(stddev=0.5, seed=seed + add)

        keras.Sequential(
            [
                keras.Input(shape),
                keras.layers.Conv2D(4, 3, activation="relu", kernel_initializer=drawn(0)),
                keras.layers.Flatten(),
                keras.layers.Dense(classes, kernel_initializer=drawn(5)),
            ]
        ).save(path)
        return path

    return save


@pytest.fixture(scope="module")
def model(tmp_path_factory, save_model) -> Path:
    """A small network on disk."""
    return save_model(tmp_path_factory.mktemp("model") / "small.keras", seed=1)


@pytest.fixture(scope="module")
def opened(model):
    """The same, opened."""
    import cnnlab

    return cnnlab.load(model)


@pytest.fixture(scope="module")
def images(opened):
    """Eight images, all but the last with the label that the model gives them."""
    import numpy as np

    drawn = np.random.default_rng(0).random((8, 8, 8, 1), np.float32)
    labels = opened.predict(drawn)
    labels[-1] = (labels[-1] + 1) % 4
    return drawn, labels


def fgsm_at_three(classifier, inputs, params, context, *, lie=None, eight_bit=False):
    """FGSM at three strengths; ``lie`` changes the result before it is given back."""
    import numpy as np

    from cnnlab.adversarial.measure import measure
    from cnnlab.attacks import fgsm
    from cnnlab.perturbations import round_8bit
    from cnnlab.results.claims import Claims
    from cnnlab.results.result import Result

    labels = np.where(inputs.labels < 0, classifier.predict(inputs.images), inputs.labels)
    original = round_8bit(inputs.images, classifier.bounds) if eight_bit else inputs.images
    outcome = fgsm(eight_bit=eight_bit).run(classifier, original, labels, epsilon=np.array(EPSILONS)[:, None])
    claims = Claims(norm="linf", epsilons=EPSILONS, eight_bit=eight_bit)
    measured = measure(classifier, original, outcome.adversarial, inputs.labels, claims=claims, sources=inputs.sources)
    result = Result(arrays=measured.arrays, metrics=measured.metrics, columns=measured.columns, claims=claims)
    return lie(result) if lie else result


@pytest.fixture(scope="session")
def attack() -> Callable[..., Any]:
    """The work of an analysis that attacks, honestly or not."""
    return fgsm_at_three


@pytest.fixture
def adversarial(analysis) -> Callable[..., Any]:
    """Install an analysis that attacks: ``adversarial(run, requires=...)``."""
    from cnnlab.adversarial.names import ADVERSARIAL_ARRAYS

    return lambda run, **declared: analysis(run, **{"arrays": ADVERSARIAL_ARRAYS, **declared})
