"""Analyses at work: at most so many at once, the others in a queue; each tells how far it is, and can be cancelled."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any, Literal

from cnnlab.errors import CnnlabError
from cnnlab.lab.errors import RefusedError, unknown
from cnnlab.memory import out_of_memory
from cnnlab.progress import Progress

WAITING = 32
"""Jobs that may wait; of more, a request is refused."""

ENDED = 200
"""Jobs that are remembered after they ended."""

PAUSE = 0.1
"""Seconds between two events that say how far a job is."""

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDS = ("done", "failed", "cancelled")


class CancelledError(BaseException):
    """Somebody cancelled the job: no failure, and nothing that a plugin may take for one of its own."""


class Job:
    """One analysis that somebody asked for.

    Args:
        told: What it is, for those who list it.
        work: Does it, and returns the id of the result.
    """

    def __init__(self, told: dict[str, Any], work: Callable[[Progress], str]) -> None:
        self.id, self.told = f"j{secrets.token_hex(6)}", told
        self.work: Callable[[Progress], str] | None = work
        self.state: State = "queued"
        self.cancelled = threading.Event()
        self._events: list[tuple[int, str, dict[str, Any]]] = []
        self._count, self._lock = 0, threading.Lock()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ENDS

    def tell(self, kind: str, data: dict[str, Any]) -> None:
        """Add an event; of how far it is, only the last is kept."""
        with self._lock:
            if kind == "progress" and self._events and self._events[-1][1] == "progress":
                self._events.pop()
            self._count += 1
            self._events.append((self._count, kind, data))

    def end(self, state: State, data: dict[str, Any]) -> None:
        """Tell how it ended, and remember that."""
        self.tell(state, data)
        self.work = None  # with the images that it holds
        self.state = state

    def since(self, number: int) -> list[tuple[int, str, dict[str, Any]]]:
        """Return the events after the one of that number."""
        with self._lock:
            return [event for event in self._events if event[0] > number]

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


class Telling:
    """Progress as a job's events; where the job was cancelled, it ends at the next word of how far it is.

    Args:
        job: The job.
    """

    def __init__(self, job: Job) -> None:
        self._job = job

    def _go_on(self) -> None:
        if self._job.cancelled.is_set():
            raise CancelledError

    @contextlib.contextmanager
    def stage(self, message: str) -> Iterator[None]:
        """Tell what takes a while and cannot be counted."""
        self._go_on()
        self._job.tell("progress", {"task": message, "done": 0, "total": None, "seconds_left": None})
        yield
        self._go_on()

    @contextlib.contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Tell how far a task is."""
        done, started, last = 0, time.monotonic(), 0.0

        def advance(steps: int) -> None:
            nonlocal done, last
            self._go_on()
            done += steps
            now = time.monotonic()
            if now - last < PAUSE and done != total:
                return
            last = now
            left = (now - started) / done * (total - done) if total and done else None
            told = None if left is None else round(max(left, 0.0), 1)
            self._job.tell("progress", {"task": description, "done": done, "total": total, "seconds_left": told})

        self._go_on()
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

    def add(self, told: dict[str, Any], work: Callable[[Progress], str]) -> Job:
        """Queue a job.

        Raises:
            RefusedError: Too many wait already.
        """
        job = Job(told, work)
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
        """Cancel a job: at once where it waits, else when it next says how far it is."""
        job.cancelled.set()
        with self._there:
            if job in self._queue:
                self._queue.remove(job)
                job.end("cancelled", {})

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
        for thread in self._threads:
            thread.join(seconds)

    def _serve(self) -> None:
        while True:
            with self._there:
                self._there.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    return
                job = self._queue.popleft()
                job.state = "running"
            if job.work is not None:
                _do(job, job.work)


def _do(job: Job, work: Callable[[Progress], str]) -> None:
    """Work a job off; whatever becomes of it, the thread goes on to the next."""
    try:
        result = work(Telling(job))
    except CancelledError:
        job.end("cancelled", {})
    except CnnlabError as error:
        job.end("failed", {"error": str(error)})
    except BaseException as error:
        if out_of_memory(error) if isinstance(error, Exception) else isinstance(error, MemoryError):
            job.end("failed", {"error": "memory ran out; ask of fewer images, or close other programs."})
            return
        traceback.print_exc()
        job.end("failed", {"error": f"something unexpected went wrong: {type(error).__name__}: {error}."})
    else:
        job.end("done", {"result": result})
