"""Analyses at work: at most so many at once, the others in a queue; each tells how far it is, and can be cancelled."""

from __future__ import annotations

import contextlib
import ctypes
import secrets
import sys
import threading
import time
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any, Literal

from cnnlab.errors import CnnlabError, told
from cnnlab.interrupts import CancelledError
from cnnlab.lab.errors import RefusedError, unknown
from cnnlab.memory import out_of_memory
from cnnlab.render import html

WAITING = 32
"""Jobs that may wait; of more, a request is refused."""

ENDED = 200
"""Jobs that are remembered after they ended."""

PAUSE = 0.1
"""Seconds between two events that say how far a job is."""

SEEN = 0.25
"""Seconds between two previews, at least."""

SHARE = 4
"""How many times as long as it takes to draw a preview none is drawn afterwards: a fifth of the time is the most."""

NEWEST = ("progress", "preview")
"""Events of which a newer one makes an older one of no interest."""

NOTES = 100
"""Notes of a job; of more, nobody reads the last."""

GRACE = 0.5
"""Seconds that a cancelled job has to end by itself, where it next says how far it is, before it is interrupted."""

MAKING = ("<frozen importlib._bootstrap>", "func_graph.py")
"""What is on the stack of a thread that imports a module, or traces a function of TensorFlow's."""

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDS = ("done", "failed", "cancelled")


Work = Callable[["Telling"], str]
"""Work as its job has it done: told where to say how far it is, it returns the id of the result."""


class Job:
    """One piece of work that somebody asked for.

    Args:
        told: What it is, for those who list it.
        work: Does it, and returns the id of the result.
        at_once: Whether it has ended where somebody cancels it, and is interrupted then, wherever it is.
    """

    def __init__(self, told: dict[str, Any], work: Work, at_once: bool = False) -> None:
        self.id, self.told, self.at_once = f"j{secrets.token_hex(6)}", told, at_once
        self.work: Work | None = work
        self.state: State = "queued"
        self.cancelled = threading.Event()
        self.watchers = 0
        self._events: list[tuple[int, str, dict[str, Any]]] = []
        self._count, self._lock = 0, threading.Lock()
        self._thread: int | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ENDS

    def tell(self, kind: str, data: dict[str, Any]) -> None:
        """Add an event, unless the job has ended; of how far it is and of what it shows, only the last is kept."""
        with self._lock:
            if not self.ended:
                self._add(kind, data)

    def _add(self, kind: str, data: dict[str, Any]) -> None:
        if kind in NEWEST:
            self._events = [event for event in self._events if event[1] != kind]
        self._count += 1
        self._events.append((self._count, kind, data))

    def note(self, text: str) -> None:
        """Tell a sentence, once."""
        with self._lock:
            told = [data["text"] for _, kind, data in self._events if kind == "note"]
            if not self.ended and text not in told and len(told) < NOTES:
                self._add("note", {"text": text})

    def end(self, state: State, data: dict[str, Any]) -> None:
        """Tell how it ended, and remember that; whatever ends it afterwards is not told."""
        with self._lock:
            if self.ended:
                return
            self._events = [event for event in self._events if event[1] != "preview"]
            self._add(state, data)
            self.work = None  # with the images that it holds
            self.state = state

    def since(self, number: int) -> list[tuple[int, str, dict[str, Any]]]:
        """Return the events after the one of that number."""
        with self._lock:
            return [event for event in self._events if event[0] > number]

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Say that somebody follows its events while the ``with`` block lasts: only then is drawn what it shows."""
        with self._lock:
            self.watchers += 1
        try:
            yield
        finally:
            with self._lock:
                self.watchers -= 1

    def begin(self) -> None:
        """Say that this thread does its work from now on, and may be interrupted."""
        with self._lock:
            self._thread = threading.get_ident()

    def rest(self) -> None:
        """Say that the work is over: from here on nothing is raised in this thread."""
        while True:
            try:
                with self._lock:
                    self._thread = None
                    _raise_in(threading.get_ident(), None)  # what was to be raised and was not yet
                return
            except CancelledError:
                continue  # it came here, and does not come again

    def interrupt(self) -> bool:
        """Have its work end where it is, once; false where that would leave something half made just now."""
        with self._lock:
            if self._thread is not None:
                if _is_making(self._thread):
                    return False
                _raise_in(self._thread, CancelledError)
                self._thread = None
        return True

    def to_json(self) -> dict[str, Any]:
        """Return what ``GET /api/jobs/ID`` does."""
        events = self.since(0)
        last = {kind: data for _, kind, data in events}
        return {
            "id": self.id,
            **self.told,
            "state": self.state,
            "progress": last.get("progress"),
            "notes": [data["text"] for _, kind, data in events if kind == "note"],
            "result": last.get("done", {}).get("result"),
            "error": last.get("failed", {}).get("error"),
        }


def _is_making(thread: int) -> bool:
    """Whether a thread imports a module, or traces a function: what others will use, and nobody makes twice."""
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if frame.f_code.co_filename.endswith(MAKING):
            return True
        frame = frame.f_back
    return False


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Have an exception raised in a thread before the next of its Python's instructions; None takes it back."""
    raised = None if kind is None else ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)


class Telling:
    """Progress as a job's events; where the job was cancelled, it ends at the next word of how far it is.

    Args:
        job: The job.
    """

    def __init__(self, job: Job) -> None:
        self._job, self._next = job, 0.0

    def go_on(self) -> None:
        """End the work where the job was cancelled.

        Raises:
            CancelledError: It was.
        """
        if self._job.cancelled.is_set():
            raise CancelledError

    def preview(self, make: Callable[[], Any], last: bool) -> None:
        """Show a drawing to those who follow the job, but for the ``last`` a few times a second at most."""
        self.go_on()
        began = time.monotonic()
        if not self._job.watchers or (began < self._next and not last):
            return
        self._job.tell("preview", {"html": str(html.render(make()))})
        now = time.monotonic()
        self._next = now + max(SEEN, SHARE * (now - began))

    def note(self, text: str) -> None:
        """Tell a sentence of what it warns of."""
        self._job.note(text)

    @contextlib.contextmanager
    def stage(self, message: str) -> Iterator[None]:
        """Tell what takes a while and cannot be counted."""
        self.go_on()
        self._job.tell("progress", {"task": message, "done": 0, "total": None, "seconds_left": None})
        yield
        self.go_on()

    @contextlib.contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Tell how far a task is."""
        done, started, last = 0, time.monotonic(), 0.0

        def advance(steps: int) -> None:
            nonlocal done, last
            self.go_on()
            done += steps
            now = time.monotonic()
            if now - last < PAUSE and done != total:
                return
            last = now
            left = (now - started) / done * (total - done) if total and done else None
            told = None if left is None else round(max(left, 0.0), 1)
            self._job.tell("progress", {"task": description, "done": done, "total": total, "seconds_left": told})

        self.go_on()
        advance(0)
        yield advance


class Jobs:
    """The queue, and the threads that work it off.

    Args:
        at_once: How many jobs run at the same time.
        waiting: How many may wait.
    """

    def __init__(self, at_once: int = 1, waiting: int = WAITING) -> None:
        self._waiting, self._queue, self._closed = waiting, deque[Job](), False
        self._all: OrderedDict[str, Job] = OrderedDict()
        self._there = threading.Condition()
        self._threads = [
            threading.Thread(target=self._serve, name=f"cnnlab-job-{number}", daemon=True) for number in range(at_once)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, told: dict[str, Any], work: Work, *, at_once: bool = False) -> Job:
        """Queue a job.

        Args:
            told: What it is, for those who list it.
            work: Does it, and returns the id of the result.
            at_once: Whether it is cancelled at once: work that may be interrupted anywhere.

        Raises:
            RefusedError: Too many wait already.
        """
        job = Job(told, work, at_once)
        with self._there:
            if len(self._queue) >= self._waiting:
                raise RefusedError(429, f"{self._waiting} analyses wait already; try again when some have ended.")
            self._queue.append(job)
            self._all[job.id] = job
            for name in [name for name, each in self._all.items() if each.ended][:-ENDED]:
                del self._all[name]
            self._there.notify()
        return job

    def find(self, name: str) -> Job:
        """Return a job.

        Raises:
            RefusedError: There is none of that id.
        """
        with self._there:
            if name not in self._all:
                raise unknown("job", name)
            return self._all[name]

    def cancel(self, job: Job) -> None:
        """Cancel a job: at once where it waits or may be interrupted, else when it next says how far it is.

        The next one begins when its work has really ended.
        """
        job.cancelled.set()
        with self._there:
            waits = job in self._queue
            if waits:
                self._queue.remove(job)
        if waits or job.at_once:
            job.end("cancelled", {})
        if job.at_once and not waits:
            threading.Thread(target=_interrupt_soon, args=(job,), daemon=True).start()

    def close(self, seconds: float = 1.0) -> None:
        """Cancel all jobs, and wait for those that run to end.

        Args:
            seconds: How long to wait at most for each thread.
        """
        with self._there:
            jobs, self._closed = list(self._all.values()), True
            self._there.notify_all()
        for job in jobs:
            if not job.ended:
                self.cancel(job)
                job.end("cancelled", {})  # also what may not be interrupted, for those who follow it
        for thread in self._threads:
            thread.join(seconds)

    def _serve(self) -> None:
        while True:
            with self._there:
                self._there.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    return
                job = self._queue.popleft()
                job.state, work = "running", job.work
            if work is not None:
                _do(job, work)


def _interrupt_soon(job: Job) -> None:
    time.sleep(GRACE)
    while not job.interrupt():
        time.sleep(PAUSE)


def _do(job: Job, work: Work) -> None:
    """Work a job off; whatever becomes of it, the thread goes on to the next."""
    try:
        try:
            job.begin()
            state, data = _worked_off(job, work)
        finally:
            job.rest()
    except CancelledError:  # which came when the work was over, or nearly
        job.rest()
        state, data = "cancelled", {}
    job.end(state, data)


def _worked_off(job: Job, work: Work) -> tuple[State, dict[str, Any]]:
    try:
        return "done", {"result": work(Telling(job))}
    except CancelledError:
        return "cancelled", {}
    except CnnlabError as error:
        return "failed", {"error": str(error)}
    except BaseException as error:
        if out_of_memory(error) if isinstance(error, Exception) else isinstance(error, MemoryError):
            return "failed", {"error": "memory ran out; ask of fewer images, or close other programs."}
        if not job.ended:  # of what was cancelled nobody wants to know how it ended
            traceback.print_exc()
        return "failed", {"error": f"something unexpected went wrong: {told(error)}."}
