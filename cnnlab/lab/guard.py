"""Who is let in: somebody on this machine who has the token, asking this server by its own name, and no other page.

Everything that a browser or a program sends passes here first. What is refused gets one sentence.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cnnlab.lab.errors import RefusedError

SAFE = ("GET", "HEAD")

MOST_BYTES = 8 << 20
"""Bytes of a request, but for one that brings image files."""

MOST_BYTES_OF_FILES = 64 << 20
"""Bytes of a request that brings image files."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # drawings say in a style attribute how many stand side by side
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

OWN = ("content-security-policy", "cross-origin-opener-policy")
"""Headers that an answer may have its own of: a report's page, which is kept apart from the lab's."""

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
}


def new_token() -> str:
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(32)


def names_of(host: str, port: int, more: Sequence[str] = ()) -> frozenset[str]:
    """Return what a Host header may say of a server.

    Args:
        host: The address that it listens on.
        port: The port.
        more: Other names that people reach it by.
    """
    own = {"127.0.0.1", "localhost", "[::1]", f"[{host}]" if ":" in host else host, *more}
    own -= {"0.0.0.0", "[::]"}  # all addresses: no name of any
    names = {f"{name.lower()}:{port}" for name in own}
    return frozenset(names | ({name.lower() for name in own} if port == 80 else set()))


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """Lets requests through to an application, or refuses them.

    Args:
        app: The application.
        token: What whoever asks must have.
        hosts: What the Host header may say, ports included.
        cookie: What the cookie is called: browsers share cookies among all ports of a host.
        any_address: Whether it may also be an address as numbers: of a server that listens on all addresses. Another
            site's page can take a name of its own for one, and no number.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: frozenset[str], cookie: str, any_address: bool = False) -> None:
        self._app, self._token, self._hosts, self._cookie = app, token, hosts, cookie
        self._any_address = any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no WebSocket is spoken here
            await send({"type": "websocket.close", "code": 1008})
            return
        sending = _with_headers(send)
        try:
            early = self._refusal_or_entry(scope)
        except RefusedError as refused:
            early = answer_to(refused, scope["path"])
        if early is not None:
            await early(scope, receive, sending)
            return
        await _Bounded(self._app, scope, receive, sending).answer()

    def _refusal_or_entry(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        self._check_host(headers)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        given = query.pop("token", None)
        if given is not None and scope["method"] in SAFE and not scope["path"].startswith("/api/"):
            self._check_token(given)
            entry = RedirectResponse(f"{scope['path']}{'?' if query else ''}{urlencode(query)}", status_code=303)
            entry.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
            return entry
        bearer = self._bearer(headers)
        self._check_token(bearer if bearer is not None else self._of_cookie(headers))
        self._check_origin(scope["method"], headers, by_program=bearer is not None)
        if "\0" in scope["path"]:  # which no file may have in its name, and some libraries ask for all the same
            raise RefusedError(404, "there is nothing at this address.")
        return None

    def _check_host(self, headers: Headers) -> None:
        given = headers.getlist("host")
        if len(given) != 1 or not self._is_ours(given[0]):
            raise RefusedError(
                403, "this server is not called what the Host header says; open the URL that it printed."
            )

    def _is_ours(self, host: str) -> bool:
        if host.lower() in self._hosts:
            return True
        name, _, port = host.rpartition(":")
        if not self._any_address or not any(each.endswith(f":{port}") for each in self._hosts):
            return False
        try:
            ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        return True

    def _check_token(self, given: str | None) -> None:
        if given is None or not hmac.compare_digest(given.encode(), self._token.encode()):
            raise RefusedError(
                401,
                "the token is missing or wrong; open the URL that `cnnlab lab` printed, or send "
                "`Authorization: Bearer TOKEN`.",
            )

    def _bearer(self, headers: Headers) -> str | None:
        said = headers.get("authorization")
        if said is None:
            return None
        kind, _, token = said.partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""

    def _of_cookie(self, headers: Headers) -> str | None:
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            return None
        found = cookies.get(self._cookie)
        return found.value if found else None

    def _check_origin(self, method: str, headers: Headers, *, by_program: bool) -> None:
        """Refuse what another page sends in a browser's name; a program that has the token needs no origin."""
        if method in SAFE:
            return
        origin = headers.get("origin")
        if origin is None and by_program:
            return
        scheme, _, host = (origin or "").partition("://")
        if scheme not in ("http", "https") or not self._is_ours(host):
            raise RefusedError(403, "this request comes from another page; the lab answers its own alone.")


def answer_to(refused: RefusedError, path: str) -> Response:
    """Return a refusal as JSON, and to somebody who opens the page as plain text."""
    if path.startswith("/api/"):
        return JSONResponse({"error": str(refused)}, refused.status)
    return PlainTextResponse(f"{refused}\n", refused.status)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                if name not in OWN or name not in headers:
                    headers[name] = value
        await send(message)

    return sending


class _Bounded:
    """One request, whose body is counted while it comes."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self._app, self._scope, self._receive, self._send = app, scope, receive, send
        files = Headers(scope=scope).get("content-type", "").startswith("multipart/form-data")
        self._most, self._came = MOST_BYTES_OF_FILES if files else MOST_BYTES, 0

    async def answer(self) -> None:
        """Have it answered, or refuse it where it says itself that it is too large."""
        said = Headers(scope=self._scope).get("content-length", "0")
        if said.isascii() and said.isdigit() and int(said) <= self._most:
            await self._app(self._scope, self._counted, self._send)
        else:
            await answer_to(self._refusal(), self._scope["path"])(self._scope, self._receive, self._send)

    async def _counted(self) -> Message:
        """The next piece of the body; where there is too much of it, whoever reads it is told so."""
        message = await self._receive()
        self._came += len(message.get("body", b""))
        if self._came > self._most:
            raise self._refusal()
        return message

    def _refusal(self) -> RefusedError:
        return RefusedError(413, f"the request is larger than the {self._most:,} bytes that the lab takes.")
