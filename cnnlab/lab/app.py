"""The HTTP interface: what each address answers."""

from __future__ import annotations

import asyncio
import functools
import json
import mimetypes
import time
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.errors import CnnlabError, UsageError
from cnnlab.lab import fast, widgets
from cnnlab.lab.asking import Asking
from cnnlab.lab.bodies import Body, asked_number, read_json
from cnnlab.lab.datasets import Datasets
from cnnlab.lab.errors import ParameterError, RefusedError, unknown
from cnnlab.lab.guard import Guard
from cnnlab.lab.images import MOST_AT_ONCE, Images, LabImage, data_url, drawn, in_range, png, uploaded
from cnnlab.lab.jobs import Job, Jobs, Telling
from cnnlab.lab.models import Models
from cnnlab.lab.reports import ALONE, Reports
from cnnlab.lab.results import Results
from cnnlab.lab.schema import schema_of
from cnnlab.lab.training import Training
from cnnlab.lab.uploads import Files
from cnnlab.pluginhost import registry
from cnnlab.render import html
from cnnlab.reports.of_results import MOST as MOST_RESULTS

MOST_MODELS = 8
"""Models that one request may ask."""

MOST_VALUES = 1_000_000
"""Values of an array that is answered as JSON."""

LOOK = 0.03
"""Seconds between two looks at what a job has to tell."""

ALIVE = 15.0
"""Seconds after which a silent stream says that it is still there."""


@dataclass(frozen=True)
class Lab:
    """Everything that is open in a lab.

    Attributes:
        models: Its models.
        datasets: Its datasets.
        images: Its images.
        files: Files for its parameters.
        jobs: Its jobs.
        results: Its results.
        asking: What makes questions of requests.
        training: What trains more models.
        reports: The reports that were made of its results.
    """

    models: Models
    datasets: Datasets
    images: Images
    files: Files
    jobs: Jobs
    results: Results
    asking: Asking
    training: Training
    reports: Reports

    @classmethod
    def of(
        cls, choices: Sequence[ModelChoice], at_once: int = 1, device: str = "auto", more: ModelChoice | None = None
    ) -> Lab:
        """Open a lab.

        Args:
            choices: The models.
            at_once: How many analyses run at the same time.
            device: What is trained on.
            more: How models are opened that are trained later.

        Raises:
            CnnlabError: A model cannot be opened.
        """
        models = Models(choices, more=more)
        models.told()
        datasets, images, files, results = Datasets(models), Images(), Files(), Results(models)
        asking = Asking(models, datasets, images, files, results)
        training = Training(models, datasets, device)
        return cls(models, datasets, images, files, Jobs(at_once), results, asking, training, Reports(results))

    def app(self, token: str, hosts: frozenset[str], cookie: str, any_address: bool = False) -> ASGIApp:
        """Return the application, with its guard before it.

        Args:
            token: What whoever asks must have.
            hosts: What the Host header may say.
            cookie: What the cookie is called.
            any_address: Whether it may also be any address as numbers.
        """
        return Guard(self._unguarded(), token, hosts, cookie, any_address)

    def _unguarded(self) -> Starlette:
        mimetypes.add_type("text/javascript", ".js")
        made = Starlette(
            routes=[
                Route("/api/models", _read(lambda request: self.models.told())),
                Route("/api/analyses", _read(self._analyses)),
                Route("/api/analyses/{name:path}/check", self._check, methods=["POST"]),
                Route("/api/analyses/{name:path}", self._ask, methods=["POST"]),
                Route("/api/datasets", _read(lambda request: self.datasets.told())),
                Route("/api/datasets/{name:path}/images", _read(self._some_images)),
                Route("/api/images", self._take_images, methods=["POST"]),
                Route("/api/images/{name}.png", self._image),
                Route("/api/files", self._take_uploads, methods=["POST"]),
                Route("/api/predict", self._predict, methods=["POST"]),
                Route("/api/training", _read(lambda request: self.training.told())),
                Route("/api/training/check", self._check_training, methods=["POST"]),
                Route("/api/training", self._train, methods=["POST"]),
                Route("/api/jobs/{name}", _read(self._job)),
                Route("/api/jobs/{name}", self._cancel, methods=["DELETE"]),
                Route("/api/jobs/{name}/events", self._events),
                Route("/api/results", _read(lambda request: self.results.told())),
                Route("/api/results/{name}", _read(self._result)),
                Route("/api/results/{name}/arrays.npz", self._arrays),
                Route("/api/results/{name}/arrays/{array:path}", _read(self._array)),
                Route("/api/results/{name}/files/{file:path}", self._file),
                Route("/api/results/{name}/keep", self._keep, methods=["POST"]),
                Route("/api/reports", self._report, methods=["POST"]),
                Route("/api/reports/{name}.html", self._report_page),
                Route("/api/reports/{name}", _read(self._found_report)),
                Route("/plugins/{file:path}", _widget),
                Route("/static/drawings.css", _drawings_style),
                Route("/static/drawings.js", _drawings_script),
                Mount("/static", StaticFiles(directory=_static())),
                Route("/", _index),
            ],
            exception_handlers={
                CnnlabError: _refused,
                HTTPException: _not_answered,
                ClientDisconnect: _gone,
                Exception: _failed,
            },
        )
        made.router.redirect_slashes = False  # an address is there, or it is not
        return made

    def _analyses(self, request: Request) -> list[dict[str, Any]]:
        found = []
        for name in sorted(registry.listed("analysis")):
            try:
                analysis = registry.find_analysis(name)
                plugin = registry.provider(analysis)
            except CnnlabError:
                continue  # a plugin that cannot be used is `cnnlab plugins list`'s to tell
            found.append(
                {
                    "name": name,
                    "summary": analysis.summary,
                    "parameters": schema_of(analysis.params, functools.partial(widgets.address, plugin)),
                    "widgets": widgets.of_drawings(analysis),
                    "inputs": analysis.inputs,
                    "requires": list(analysis.requires),
                    "distribution": plugin.distribution,
                    "version": plugin.version,
                    "obstacles": self.models.obstacles(analysis),
                }
            )
        return found

    def _some_images(self, request: Request) -> dict[str, Any]:
        query = request.query_params
        split = query.get("split", "test")
        if split not in ("train", "test"):
            raise UsageError(f"split must be train or test; received {split[:40]}.")
        return self.datasets.some(
            request.path_params["name"],
            split,
            asked_number(query, "offset", 0, 0, 10**9 - 1),
            asked_number(query, "limit", 24, 1, 200),
            query.get("class"),
            query.get("mistakes", ""),
            query.get("least_certain", ""),
        )

    async def _take_images(self, request: Request) -> Response:
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            body = read_json(await request.body())
            return _answer(await run_in_threadpool(self._take_drawn, body))
        take = self._take_each if "each" in request.query_params else self._take_files
        model = request.query_params.get("model", "")
        return _answer(await run_in_threadpool(take, model, await _uploads(request, "image")))

    async def _take_uploads(self, request: Request) -> Response:
        contents = await _uploads(request, "file")
        return _answer(await run_in_threadpool(lambda: [self.files.add(*each) for each in contents]))

    def _take_files(self, model: str, contents: Sequence[tuple[str, bytes]]) -> list[dict[str, Any]]:
        classifier = self.models.find(model or self.models.first)
        images = [uploaded(name, content) for name, content in contents]
        return [self._added(image, classifier) for image in images]

    def _take_each(self, model: str, contents: Sequence[tuple[str, bytes]]) -> list[dict[str, Any]]:
        """The same where one that is refused keeps the others from nothing: it has its sentence instead."""
        self.models.find(model or self.models.first)
        told: list[dict[str, Any]] = []
        for name, content in contents:
            try:
                told += self._take_files(model, [(name, content)])
            except CnnlabError as error:
                told.append({"error": str(error)})
        return told

    def _take_drawn(self, body: Body) -> dict[str, Any]:
        classifier = self.models.find(body.text("model", self.models.first))
        return self._added(drawn(body, classifier.input_shape), classifier)

    def _added(self, image: LabImage, classifier: Any) -> dict[str, Any]:
        pixels, notes = image.unit(classifier.input_shape)
        name = self.images.add(image)
        told = " ".join(filter(None, (image.note, *notes)))
        return {"id": name, "source": image.source, "png": data_url(pixels), "note": told}

    def _image(self, request: Request) -> Response:
        """The image as it is kept, or in a model's shape: what a command that repeats an analysis is given."""
        classifier = self.models.find(request.query_params.get("model") or self.models.first)
        pixels, *_ = self.asking.unit(request.path_params["name"], classifier)
        return Response(png(pixels), media_type="image/png")

    async def _predict(self, request: Request) -> Response:
        body = read_json(await request.body())
        return _answer(await run_in_threadpool(self._predicted, body))

    def _predicted(self, body: Body) -> dict[str, Any]:
        names, maps = body.texts("models", MOST_MODELS), body.flag("maps", False)
        if not names:
            raise UsageError("models must name one of the lab's models at least.")
        found, note = [], ""
        for name in names:
            classifier = self.models.find(name)
            unit, note = self._unit(body, classifier)
            found.append(fast.answer(name, classifier, in_range(unit, classifier), maps))
        return {"results": found, "note": note}

    def _unit(self, body: Body, classifier: Any) -> tuple[Any, str]:
        image = body.get("image")
        if isinstance(image, str):
            pixels, *_, notes = self.asking.unit(image, classifier)
            return pixels, " ".join(notes)
        given = drawn(Body(image) if isinstance(image, dict) else body, classifier.input_shape)
        pixels, notes = given.unit(classifier.input_shape)
        return pixels, " ".join(filter(None, (given.note, *notes)))

    async def _check(self, request: Request) -> Response:
        body = read_json(await request.body())
        return _answer({"problems": await run_in_threadpool(self._problems, request.path_params["name"], body)})

    def _problems(self, name: str, body: Body) -> list[dict[str, Any]]:
        _check_analysis(name)
        return self.asking.problems(name, body)

    async def _ask(self, request: Request) -> Response:
        body = read_json(await request.body())
        job = await run_in_threadpool(self._queued, request.path_params["name"], body)
        return _answer({"job": job.id}, 202)

    def _queued(self, name: str, body: Body) -> Job:
        _check_analysis(name)
        question, replaces = self.asking.question(name, body), body.text("replaces", "")

        def work(telling: Telling) -> str:
            found = question.answered(telling)
            telling.go_on()  # what was cancelled meanwhile leaves no result
            return self.results.add(found, replaces)

        told = {"analysis": name, "model": body.text("model"), "asked": time.time()}
        return self.jobs.add(told, work, at_once=True)

    async def _check_training(self, request: Request) -> Response:
        body = read_json(await request.body())
        return _answer({"problems": await run_in_threadpool(self.training.problems, body)})

    async def _train(self, request: Request) -> Response:
        body = read_json(await request.body())
        job = await run_in_threadpool(self.training.start, body)
        return _answer({"job": job.id}, 202)

    def _find_job(self, request: Request) -> Job:
        name = request.path_params["name"]
        return self.training.find(name) or self.jobs.find(name)

    def _job(self, request: Request) -> dict[str, Any]:
        return self._find_job(request).to_json()

    def _cancel(self, request: Request) -> Response:
        job = self._find_job(request)
        if job.ended:
            raise RefusedError(409, f"the job {job.id} has ended already; it is {job.state}.")
        if self.training.find(job.id) is job:
            self.training.stop(job)
        else:
            self.jobs.cancel(job)
        return _answer(job.to_json())

    async def _events(self, request: Request) -> Response:
        job = self._find_job(request)
        said = request.headers.get("last-event-id", "0")
        seen = int(said) if said.isascii() and said.isdigit() and len(said) < 10 else 0
        return StreamingResponse(_told(job, seen), media_type="text/event-stream")

    def _result(self, request: Request) -> dict[str, Any]:
        name = request.path_params["name"]
        return self.results.find(name).to_json(name)

    def _arrays(self, request: Request) -> Response:
        return Response(self.results.find(request.path_params["name"]).arrays(), media_type="application/octet-stream")

    def _array(self, request: Request) -> dict[str, Any]:
        name = request.path_params["array"]
        array = self.results.find(request.path_params["name"]).result.arrays.get(name)
        if array is None:
            raise unknown("array", name)
        if array.size > MOST_VALUES:
            words = f"the array has {array.size:,} values, and the lab gives {MOST_VALUES:,} as JSON at most"
            raise RefusedError(413, f"{words}; take `arrays.npz`.")
        return {"shape": list(array.shape), "dtype": str(array.dtype), "values": array.reshape(-1).tolist()}

    def _file(self, request: Request) -> Response:
        return FileResponse(self.results.find(request.path_params["name"]).file(request.path_params["file"]))

    def _keep(self, request: Request) -> Response:
        return _answer({"path": str(self.results.find(request.path_params["name"]).keep())})

    async def _report(self, request: Request) -> Response:
        body = read_json(await request.body())
        job = await run_in_threadpool(self._queued_report, body.texts("results", MOST_RESULTS))
        return _answer({"job": job.id}, 202)

    def _queued_report(self, names: list[str]) -> Job:
        self.reports.check(names)
        told = {"report": len(names), "asked": time.time()}
        return self.jobs.add(told, lambda progress: self.reports.make(names, progress))

    def _found_report(self, request: Request) -> dict[str, Any]:
        name = request.path_params["name"]
        return self.reports.find(name).to_json(name)

    def _report_page(self, request: Request) -> Response:
        found = self.reports.find(request.path_params["name"])
        # A page that has an origin of its own may not ask for a window of its own as well: browsers show it nowhere.
        alone = {"content-security-policy": ALONE, "cross-origin-opener-policy": "unsafe-none"}
        return FileResponse(found.path, media_type="text/html", headers=alone)


async def _uploads(request: Request, otherwise: str) -> list[tuple[str, bytes]]:
    """The files of a form, each with its name, or another where it has none.

    Raises:
        UsageError: It holds none.
        RefusedError: It holds too many, or cannot be read.
    """
    try:
        async with request.form(max_files=MOST_AT_ONCE, max_fields=MOST_AT_ONCE) as form:
            files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
            contents = [(file.filename or otherwise, await file.read()) for file in files]
    except (HTTPException, ValueError) as error:  # older readers of forms raise what they run into
        many = isinstance(error, HTTPException) and "Too many files" in str(error.detail)
        words = f"the lab takes {MOST_AT_ONCE} files at once." if many else "the form cannot be read."
        raise RefusedError(413 if many else 400, words) from None
    if not contents:
        raise UsageError("the form holds no file.")
    return contents


async def _told(job: Job, seen: int) -> AsyncIterator[str]:
    """The events of a job as they come, until it has ended."""
    said = time.monotonic()
    with job.watched():
        while True:
            ended = job.ended  # before the look: what is told last is told before it
            for number, kind, data in job.since(seen):
                seen, said = number, time.monotonic()
                yield f"id: {number}\nevent: {kind}\ndata: {_dumped(data)}\n\n"
            if ended:
                return
            if time.monotonic() - said > ALIVE:
                said = time.monotonic()
                yield ": still there\n\n"
            await asyncio.sleep(LOOK)


def _check_analysis(name: str) -> None:
    if name not in registry.listed("analysis") and not registry.is_full(name):
        names = ", ".join(sorted(registry.listed("analysis")))
        raise RefusedError(404, f"there is no analysis {name[:80]!r}; there are {names}.")


def _read(what: Callable[[Request], Any]) -> Callable[[Request], Response]:
    """An address that answers JSON, in a thread."""

    def answering(request: Request) -> Response:
        return _answer(what(request))

    return answering


def _dumped(value: Any) -> str:
    text = json.dumps(_finite(value), allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode(errors="replace").decode()  # half a character, which JSON can hold, is none that can be sent


def _answer(value: Any, status: int = 200) -> Response:
    return Response(_dumped(value).encode(), status, media_type="application/json")


def _finite(value: Any) -> Any:
    """The same with null for what JSON has no number for."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(name): _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value.item() if hasattr(value, "item") else value


def _static() -> Path:
    """The folder with the page."""
    return Path(__file__).parent / "static"


def _index(request: Request) -> Response:
    return FileResponse(_static() / "index.html", media_type="text/html")


def _widget(request: Request) -> Response:
    return Response(widgets.content(request.scope["path"]), media_type="text/javascript")


def _drawings_style(request: Request) -> Response:
    return Response(str(html.style()), media_type="text/css")


def _drawings_script(request: Request) -> Response:
    return Response(html.module(), media_type="text/javascript")


async def _refused(request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, RefusedError) else 400
    field = {"field": error.parameter} if isinstance(error, ParameterError) else {}
    return _answer({"error": str(error), **field}, status)


async def _not_answered(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 400
    words = {404: "there is nothing at this address.", 405: "this address takes no such method."}
    return JSONResponse({"error": words.get(status, "the request cannot be read.")}, status)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # whoever asked hears nothing more


async def _failed(request: Request, error: Exception) -> Response:
    traceback.print_exception(error)
    words = f"something unexpected went wrong: {type(error).__name__}. The lab's terminal shows where."
    return JSONResponse({"error": words}, 500)
