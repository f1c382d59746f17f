"""A lab of models whose answers are known without a network, and a client that asks it."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.lab.app import Lab
from cnnlab.lab.guard import names_of
from cnnlab.results.result import Result
from cnnlab.testing import FakeClassifier

TOKEN = "of-the-tests"
URL = "http://127.0.0.1:8123"
COOKIE = "cnnlab-lab-8123"


def client_of(lab: Lab, **headers: str) -> TestClient:
    """A client that comes from this machine and, unless told otherwise, is a program with the token."""
    app = lab.app(TOKEN, names_of("127.0.0.1", 8123), COOKIE)
    sent = {"authorization": f"Bearer {TOKEN}", **headers}
    given = {name: value for name, value in sent.items() if value}
    return TestClient(app, base_url=URL, headers=given, follow_redirects=False)


def mean_of(classifier, inputs, params, context) -> Result:
    """The mean of each image, one image after the other."""
    means = [float(image.mean()) for image in context.track(inputs.images, "images")]
    return Result(
        headline=f"The first mean is {means[0]:.3f}.",
        arrays={"mean": np.array(means, np.float32)},
        columns={"mean": means},
        show=lambda index: [inputs.picture(index)],
    )


class Held:
    """Work that waits until a test lets it go on, telling how far it is meanwhile."""

    def __init__(self) -> None:
        self.go_on, self.begun = threading.Event(), threading.Event()
        self.count = 0

    def __call__(self, classifier, inputs, params, context) -> Result:
        self.count += 1
        self.begun.set()
        with context.progress("steps", 1000) as advance:
            for _ in range(1000):
                if self.go_on.wait(0.01):
                    break
                advance(1)
        return mean_of(classifier, inputs, params, context)


@pytest.fixture
def fakes() -> list[FakeClassifier]:
    """Two models of 4x4 pixels with the classes dark and bright; the second takes values up to 255."""

    def logits(images: Any) -> Any:
        mean = np.asarray(images).mean(axis=(1, 2, 3)) / 255
        return np.stack([0.5 - mean, mean - 0.5], axis=1)

    brightness = lambda images: np.stack([0.5 - (m := np.asarray(images).mean(axis=(1, 2, 3))), m - 0.5], axis=1)  # noqa: E731
    names = ("dark", "bright")
    return [
        FakeClassifier(brightness, (4, 4, 1), 2, class_names=names),
        FakeClassifier(logits, (4, 4, 1), 2, class_names=names, bounds=(0.0, 255.0)),
    ]


@pytest.fixture
def mean(analysis) -> Any:
    """The analysis ``one``: means of images."""
    from cnnlab.pluginhost.declarations import Array

    return analysis(mean_of, arrays={"mean": Array("mean of the pixels", axes=("N",))})


@pytest.fixture
def open_lab() -> Iterator[Callable[..., Lab]]:
    """Open labs of models; their jobs have ended when the test has."""
    opened: list[Lab] = []

    def lab_of(*models: Any, at_once: int = 1) -> Lab:
        opened.append(Lab.of([ModelChoice(model=model) for model in models], at_once))
        return opened[-1]

    yield lab_of
    for each in opened:
        each.jobs.close(10)


@pytest.fixture
def lab(open_lab, fakes, mean) -> Lab:
    """A lab of the two, with the analysis ``one``."""
    return open_lab(*fakes)


@pytest.fixture
def client(lab) -> Iterator[TestClient]:
    """A program that has the token."""
    with client_of(lab) as asking:
        yield asking


def ended(client: TestClient, job: str) -> dict[str, Any]:
    """Wait until a job has ended, and return what it says of itself."""

    def said() -> dict[str, Any] | None:
        found = client.get(f"/api/jobs/{job}").json()
        return found if found["state"] in ("done", "failed", "cancelled") else None

    return until(said)


def until(what: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until something holds, and return it."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if found := what():
            return found
        time.sleep(0.01)
    raise AssertionError("it never came")


def drawing(value: float = 1.0, model: str = "m0") -> dict[str, Any]:
    """An image of one brightness, as a page sends it."""
    return {"model": model, "pixels": [value] * 16, "height": 4, "width": 4, "channels": 1}


@contextlib.contextmanager
def held(analysis: Callable[..., Any]) -> Iterator[Held]:
    """Install an analysis that waits; it goes on when the ``with`` block ends."""
    from cnnlab.pluginhost.declarations import Array

    work = Held()
    analysis(work, arrays={"mean": Array("mean of the pixels", axes=("N",))})
    try:
        yield work
    finally:
        work.go_on.set()


class InProcess:
    """What trains, in this process: it tells what a process of its own would, and is stopped where it tells something.

    Args:
        order: What to train.
        held: The epochs in which it waits, once each, until it is let go on or stopped.
    """

    def __init__(self, order: dict[str, Any], held: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        self._told: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._held, self._stopped, self.go_on = held, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._train, args=(json.loads(json.dumps(order)),), daemon=True)
        self._thread.start()

    def _train(self, order: dict[str, Any]) -> None:
        from cnnlab.lab.training_process import carry_out

        try:
            carry_out(order, self._tell)
        finally:
            self._told.put(None)

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        self._told.put(json.dumps([kind, data]))
        if kind == "progress" and data["task"].startswith("epoch "):
            epoch = int(data["task"].split()[1])
            while epoch in self._held and not self._stopped.is_set() and not self.go_on.wait(0.01):
                pass
            if epoch in self._held:
                self._held.remove(epoch)
                self.go_on.clear()
            if self._stopped.is_set():
                raise KeyboardInterrupt

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        while (told := self._told.get()) is not None:
            kind, data = json.loads(told)
            yield kind, data

    def stop(self) -> None:
        self._stopped.set()

    def wait(self, seconds: float | None = None) -> int | None:
        self._thread.join(seconds)
        return None if self._thread.is_alive() else 0


class Scripted:
    """What trains, by a script: it has told all of it at once.

    Args:
        told: What it tells.
        status: What it ends with.
    """

    def __init__(self, *told: tuple[str, dict[str, Any]], status: int = 0) -> None:
        self._told, self._status, self.orders = told, status, []

    def __call__(self, order: dict[str, Any]) -> Scripted:
        self.orders.append(json.loads(json.dumps(order)))
        return self

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        yield from self._told

    def stop(self) -> None: ...

    def wait(self, seconds: float | None = None) -> int:
        return self._status


@contextlib.contextmanager
def served(lab: Lab) -> Iterator[str]:
    """Serve a lab, in a thread; gives the URL that lets a browser in."""
    import uvicorn

    from cnnlab.lab.serving import Place, _listening

    with _listening(Place()) as listening:
        port = listening.getsockname()[1]
        app = lab.app(TOKEN, names_of("127.0.0.1", port), f"cnnlab-lab-{port}")
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{port}/?token={TOKEN}"
        server.should_exit = True
        thread.join(20)


def violations(page: Any, axe: Callable[[Any], list[str]]) -> list[str]:
    """What a page violates on a phone and on a wide screen, light and dark; it is nowhere wider than the screen."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (360, 1400):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function("() => new Promise(requestAnimationFrame).then(() => true)")
            found += [f"{scheme}, {width}: {words}" for words in axe(page)]
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    return found


@pytest.fixture(scope="session")
def tab(browser) -> Any:
    """A page of the browser that is opened once, and goes from lab to lab: a new one takes a second of the machine."""
    page = browser.new_context().new_page()
    page.set_default_timeout(60_000)
    yield page
    page.context.close()


@pytest.fixture
def visit(tab) -> Iterator[Callable[[str], Any]]:
    """Have the page load a lab anew, as nobody has used it; what it says to the console, fails."""
    said: list[str] = []

    def hear(what: Any) -> None:
        said.append(getattr(what, "text", None) or str(what))

    def load(address: str) -> Any:
        tab.set_viewport_size({"width": 1400, "height": 1000})
        tab.emulate_media(color_scheme="light")
        tab.mouse.move(0, 0)
        tab.goto(address)
        tab.wait_for_selector("body[data-ready]")
        return tab

    for event in ("console", "pageerror"):
        tab.on(event, hear)
    yield load
    tab.unroute_all(behavior="ignoreErrors")
    for event in ("console", "pageerror"):
        tab.remove_listener(event, hear)
    for other in tab.context.pages[1:]:
        other.close()
    assert said == []


@pytest.fixture(scope="session")
def tools() -> types.SimpleNamespace:
    """What the tests of this room share."""
    return types.SimpleNamespace(
        client_of=client_of,
        ended=ended,
        until=until,
        drawing=drawing,
        held=held,
        in_process=InProcess,
        scripted=Scripted,
        served=served,
        token=TOKEN,
        url=URL,
        violations=violations,
        cookie=COOKIE,
    )
