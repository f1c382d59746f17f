"""Training in a lab: one network at a time, in a process of its own.

So the pen stays fast meanwhile, a crash harms nobody, and what TensorFlow took is given back. The run is that of
``cnnlab train``: the same settings and seed give the same folder, and either goes on with what the other began.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from cnnlab.analysis.command import params_of
from cnnlab.errors import CnnlabError, UsageError, told
from cnnlab.interrupts import keeping
from cnnlab.lab.bodies import Body
from cnnlab.lab.datasets import Datasets
from cnnlab.lab.errors import ParameterError, RefusedError, named, unknown
from cnnlab.lab.jobs import Job
from cnnlab.lab.models import Models
from cnnlab.lab.schema import schema_of
from cnnlab.pluginhost import registry, sources
from cnnlab.pluginhost.params import Field, fields_of
from cnnlab.runs import DEFAULT_ROOT, Run, list_runs
from cnnlab.runs.comparison import facts_of
from cnnlab.runs.folder import is_run
from cnnlab.training import run_choice
from cnnlab.training.settings import Settings

TRAINER = "cnnlab.lab.training_process"
"""The module that trains."""

ENDED = 20
"""Trainings that are remembered after they ended."""

SAVING = 25.0
"""Seconds that a training has to save what is done when the lab ends; it goes on saving without the lab after that."""

TOLD = ("started", "progress", "epoch", "preview")
"""What a process tells that browsers are told as it is."""


USUAL = {field.public: field.default for field in fields_of(Settings)}
"""The settings that nobody need give."""


HERE = {"dataset": "What to learn: an installed dataset, or one that a model of this lab was trained on."}
"""What a setting means here, where it takes less than the command does."""


class Trainer(Protocol):
    """What trains, as a lab sees it."""

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give what it tells, until it has ended."""

    def stop(self) -> None:
        """Have it save what is done, and end."""

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait until it has ended, and return its status; None where it has not within so many seconds."""


class Process:
    """A process that trains. It sees its input end where the lab does, and then saves what is done.

    Args:
        order: What :func:`cnnlab.lab.training_process.carry_out` takes.
    """

    def __init__(self, order: dict[str, Any]) -> None:
        words = [sys.executable, "-P", "-m", TRAINER]
        self._process = subprocess.Popen(  # Ctrl-C in the lab's terminal is for the lab, which stops this then
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # where it has ended already, its status says so
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give what it tells, until it has ended."""
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if line.endswith(b"\n"):  # else it died while it told this
                    kind, data = json.loads(line)
                    yield kind, data

    def stop(self) -> None:
        """Close its input; it takes that as Ctrl-C."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait until it has ended, and return its status; None where it has not within so many seconds."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


class Training:
    """The training of a lab, and the runs that can be gone on with.

    Args:
        models: The lab's models, which a complete run joins.
        datasets: The lab's datasets, which may be learned beside those that are installed.
        device: What is computed on.
        begin: Starts what trains.
    """

    def __init__(
        self,
        models: Models,
        datasets: Datasets,
        device: str = "auto",
        begin: Callable[[dict[str, Any]], Trainer] = Process,
    ) -> None:
        self._models, self._datasets, self._device, self._begin = models, datasets, device, begin
        self._lock, self._jobs = threading.Lock(), OrderedDict[str, Job]()
        self._trainer: Trainer | None = None
        self._thread: threading.Thread | None = None

    def told(self) -> dict[str, Any]:
        """Describe what can be trained and what is, as ``GET /api/training`` does."""
        job = self._running()
        return {
            "settings": self._schema(),
            "unfinished": [_line(run) for run in self._unfinished()],
            "job": None if job is None else job.id,
        }

    def start(self, body: Body) -> Job:
        """Start a training, or go on with one.

        Args:
            body: ``settings``, or ``resume`` with the id of an unfinished run.

        Raises:
            UsageError: A setting is refused, or the request says both.
            RefusedError: There is no such run, or one is trained already.
            CnnlabError: The run cannot be gone on with.
        """
        if "settings" in body and "resume" in body:
            raise UsageError("a run is gone on with as it was begun; give `settings` or `resume`, not both.")
        run = self._find(body.text("resume")) if "resume" in body else None
        if run is None:
            settings = self._settings(body.inner("settings"))
            command = sources.command("train", *params_of(Settings, _changed(settings)))
        else:
            settings = Settings.from_public(run_choice.stored_settings(run))
            command = run_choice.command_to_resume(run.path)
        command += f" --devices {self._device}" if self._device != "auto" else ""
        order = {"settings": settings.to_json(), "out": run and str(run.path), "device": self._device}
        told = {"training": settings.to_json(), "command": command, "run": order["out"], "asked": time.time()}
        with self._lock:
            if self._running() is not None:
                raise RefusedError(409, "a network is being trained already; stop that first, or wait for its end.")
            self._trainer = self._begin(order)
            job = Job(told, lambda progress: "")
            job.state = "running"
            self._jobs[job.id] = job
            for name in [*self._jobs][:-ENDED]:
                del self._jobs[name]
            self._thread = threading.Thread(target=self._follow, args=(job, self._trainer), daemon=True)
            self._thread.start()
        return job

    def find(self, name: str) -> Job | None:
        """Return a training by its id; None where it is the id of no training."""
        return self._jobs.get(name)

    def stop(self, job: Job) -> None:
        """Have a training save what is done, and end."""
        job.cancelled.set()
        if self._trainer is not None and job is self._running():
            self._trainer.stop()

    def close(self) -> str:
        """Stop what is trained, wait until it has saved what is done, and return its last words."""
        job, trainer, thread = self._running(), self._trainer, self._thread
        if job is None or trainer is None or thread is None:
            return ""
        with keeping():  # Ctrl-C again ends the lab, not the saving
            self.stop(job)
            trainer.wait(SAVING)
            thread.join(1.0)
        last = {kind: data for _, kind, data in job.since(0)}
        return str(last.get("cancelled", {}).get("text", ""))

    def _running(self) -> Job | None:
        return next((job for job in list(self._jobs.values()) if not job.ended), None)

    def _follow(self, job: Job, trainer: Trainer) -> None:
        """Tell what a process tells, and how it ended."""
        end: tuple[str, dict[str, Any]] = ("", {})
        try:
            for kind, data in trainer.events():
                if kind == "started":
                    job.told = job.told | {"run": data["run"]}
                if kind == "note":
                    job.note(data["text"])
                elif kind in TOLD:
                    job.tell(kind, data)
                else:
                    end = kind, data
            self._end(job, *end, trainer.wait())
        except Exception as error:
            job.end("failed", {"error": f"something unexpected went wrong: {told(error)}."})
            raise

    def _end(self, job: Job, kind: str, data: dict[str, Any], status: int | None) -> None:
        run = job.told["run"]
        waiting = run if run and is_run(Path(run)) and Run(Path(run)).state == "unfinished" else None
        if kind == "complete":
            job.told = job.told | {"run": data["run"], "model": self._joined(job, Path(data["run"]))}
            job.end("done", {"run": data["run"], "model": job.told["model"]})
        elif kind == "failed":
            job.end("failed", data)
        elif kind == "stopped" or job.cancelled.is_set():
            words = data.get("text") or "Stopped before anything was saved."
            job.end("cancelled", {"text": words, "run": waiting, "resume": waiting and _id(Path(waiting))})
        else:
            kept = f" What was saved last is kept in {run}; go on with it." if waiting else ""
            job.end("failed", {"error": f"the training ended unexpectedly ({_how(status)}).{kept}"})

    def _joined(self, job: Job, path: Path) -> str | None:
        """Take a complete run among the models, and return which it is; None where it cannot be opened."""
        try:
            return self._models.add(path)
        except CnnlabError as error:
            job.note(f"the run is complete, but {error}")
            return None

    def _schema(self) -> dict[str, Any]:
        schema = schema_of(Settings)
        for name, choices in self._choices().items():
            said = schema["properties"][name]
            said |= {"enum": choices, "description": HERE.get(name, said["description"])}
            if said["default"] not in choices:  # its plugin is not installed
                del said["default"]
        return schema

    def _choices(self) -> dict[str, list[str]]:
        """What may be learned, built and trained by: a browser gives no path, and has nothing fetched."""
        learned = dict.fromkeys([*sorted(registry.datasets()), *self._datasets.names()])
        return {
            "dataset": list(learned),
            "architecture": sorted(registry.architectures()),
            "recipe": sorted(registry.recipes()),
        }

    def problems(self, body: Body) -> list[dict[str, str]]:
        """Return what is wrong with ``settings`` that nobody trains with yet, a sentence for each that is refused.

        Args:
            body: What :meth:`start` takes for a new run.

        Raises:
            UsageError: There are no settings in it.
        """
        given = body.inner("settings")
        found = [error for field in fields_of(Settings) if (error := self._wrong(field, given)) is not None]
        if not found:
            try:
                self._settings(given)
            except UsageError as error:
                found = [error]
        return [{"field": getattr(error, "parameter", ""), "error": str(error)} for error in found]

    def _wrong(self, field: Field, given: Body) -> UsageError | None:
        """What is wrong with a setting by itself; None where nothing is."""
        try:
            if field.public in given:
                field.validate(given[field.public])
                self._check_choice(field.public, given[field.public])
        except UsageError as error:
            return named(error, Settings)
        return None

    def _check_choice(self, name: str, value: Any) -> None:
        choices = self._choices().get(name)
        if choices is None or not isinstance(value, str) or value in choices:
            return
        if not registry.is_offered(value, name):  # a setting of these is called by the noun of what it names
            raise ParameterError(name, f"{name} must be one of {', '.join(choices)}; received {value[:80]!r}.")

    def _settings(self, given: Body) -> Settings:
        for name in self._choices():
            self._check_choice(name, given.get(name, USUAL[name]))
        try:
            return Settings.from_public(dict(given))
        except UsageError as error:
            raise named(error, Settings) from None

    def _unfinished(self) -> list[Run]:
        """The runs that wait to be gone on with: below ``runs/``, and beside the lab's models."""
        paths = [self._models.choice(name).model for name in self._models]
        beside = [Path(path).parent for path in paths if isinstance(path, str | Path)]
        found = {run.path.resolve(): run for root in [DEFAULT_ROOT, *beside] for run in list_runs(root)}
        runs = [run for run in found.values() if run.state == "unfinished"]
        return sorted(runs, key=lambda run: run.created, reverse=True)

    def _find(self, name: str) -> Run:
        for run in self._unfinished():
            if _id(run.path) == name:
                return run
        raise unknown("unfinished run", name)


def _how(status: int | None) -> str:
    """Say how a process ended that said nothing of it itself."""
    if status is None or -status not in set(signal.Signals):
        return f"status {status}; the lab's terminal may show why"
    name = signal.Signals(-status).name
    return f"{name}, as where memory runs out" if name == "SIGKILL" else name


def _id(path: Path) -> str:
    return f"t{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"


def _line(run: Run) -> dict[str, Any]:
    facts = facts_of(run)
    known = ("name", "dataset", "architecture", "epochs", "epochs_done")
    return {"id": _id(run.path), "run": str(run.path), **{name: facts[name] for name in known}}


def _changed(settings: Settings) -> dict[str, Any]:
    """The settings that are not as they are by themselves."""
    return {name: value for name, value in settings.to_json().items() if value != USUAL[name]}
