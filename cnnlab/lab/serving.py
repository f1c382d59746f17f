"""Starting the server: a socket, the line that says where it is, and the browser."""

from __future__ import annotations

import socket
import threading
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import uvicorn
from starlette.concurrency import run_in_threadpool

from cnnlab.analysis.model_choice import ModelChoice
from cnnlab.errors import CnnlabError
from cnnlab.lab.app import Lab
from cnnlab.lab.guard import is_loopback, names_of, new_token

HOST = "127.0.0.1"

GRACE = 1
"""Seconds that open connections have when the server ends."""

ALL = ("0.0.0.0", "::")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a lab listens.

    Attributes:
        host: The address.
        port: The port; 0 for any that is free.
        browser: Whether the browser is opened.
        at_once: How many analyses run at the same time.
        device: What is computed on.
        more: How models are opened that are trained here.
    """

    host: str = HOST
    port: int = 0
    browser: bool = True
    at_once: int = 1
    device: str = "auto"
    more: ModelChoice | None = None


def serve(
    choices: Sequence[ModelChoice], place: Place, say: Callable[[str], None], note: Callable[[str], None]
) -> None:
    """Serve a lab until somebody ends it.

    Args:
        choices: Its models.
        place: Where it listens.
        say: Called with its URL, once it listens.
        note: Called with what somebody who ends it should know: how to go on with a training.

    Raises:
        CnnlabError: A model cannot be opened, or nobody can listen there.
    """
    from cnnlab.devices.choice import use_devices
    from cnnlab.progress import status

    with _listening(place) as listening, use_devices(place.device):
        port = listening.getsockname()[1]
        with status("Opening the models"):
            lab = Lab.of(choices, place.at_once, place.device, place.more)
        token = new_token()
        anywhere = place.host in ALL
        app = lab.app(token, names_of(place.host, port, [socket.gethostname()]), f"cnnlab-lab-{port}", anywhere)
        url = f"http://{_written(HOST if anywhere else place.host)}:{port}/?token={token}"
        config = uvicorn.Config(
            app,
            log_level="error",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=GRACE,
            h11_max_incomplete_event_size=64 << 10,
            limit_concurrency=256,
        )
        say(url)
        if place.browser:
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        _Server(config, lambda: _end(lab, note)).run(sockets=[listening])


class _Server(uvicorn.Server):
    """A server that does something before it shuts down: once it has, it raises the signal again that ended it.

    Args:
        config: As uvicorn takes it.
        before: What it does.
    """

    def __init__(self, config: uvicorn.Config, before: Callable[[], None]) -> None:
        super().__init__(config)
        self._before = before

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await run_in_threadpool(self._before)
        await super().shutdown(sockets)


def _end(lab: Lab, note: Callable[[str], None]) -> None:
    """End what is under way; who follows it hears so, and nothing holds up the server."""
    if words := lab.training.close():
        note(words)
    lab.jobs.close()


def _listening(place: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    try:
        listening = socket.create_server((place.host, place.port), family=family, backlog=256)
        # Each connection inherits it. Without it the body of an answer waits until its head is acknowledged: 40 ms.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise CnnlabError(
            f"nobody can listen on {place.host} port {place.port}: {error.strerror or error}. Take another port with "
            "`port=`, or 0 for any that is free."
        ) from error


def warning_of(host: str) -> str:
    """Return what it means to listen on an address; empty where only this machine reaches it."""
    if is_loopback(host):
        return ""
    return (
        f"the lab listens on {host}: whoever reaches this machine over the network and has the token can ask its "
        "models anything and read their results. The connection is not encrypted, so that whoever listens in on it has "
        "the token too; an SSH tunnel to 127.0.0.1 is safer."
    )


def _written(host: str) -> str:
    return f"[{host}]" if ":" in host else host
