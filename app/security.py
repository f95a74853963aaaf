"""What every request must be and every answer says. No cookies, no other host."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from fastapi import HTTPException

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
READING = {"GET", "HEAD"}


def _split(address: str) -> SplitResult:
    """The parts of an address; of one that is none, empty ones."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


class Guard:
    """Around an ASGI application: known hosts, writing from the own page, bodies of limited size.

    Parameters
    ----------
    app : ASGI application
    hosts : sequence of str
        Accepted names; one that starts with a dot stands for all names that end so.
    body : int
        Most bytes of a request.
    patience : float
        Seconds after which a request must have come as a whole.
    """

    def __init__(self, app: Callable, hosts: tuple[str, ...], body: int, patience: float):
        self.app = app
        self.hosts = hosts
        self.body = body
        self.patience = patience

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Refuse, or hand on with a counted body and headers on the answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): v.decode("latin-1") for name, v in scope["headers"]
        }
        refused = self._refused(scope["method"], scope["path"], headers)
        guarded = _with_headers(send)
        if refused:
            await _answer(guarded, *refused)
            return
        taken, more = 0, True
        end = asyncio.get_running_loop().time() + self.patience

        async def counted() -> Message:
            nonlocal taken, more
            try:
                async with asyncio.timeout_at(end if more else None):
                    message = await receive()
            except TimeoutError as error:
                raise HTTPException(408, f"not here after {self.patience:g} seconds") from error
            more = message.get("more_body", False)
            taken += len(message.get("body", b""))
            if taken > self.body:
                raise HTTPException(*self._too_large())
            return message

        await self.app(scope, counted, guarded)

    def _refused(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        """Status and message, if the request is not to be answered."""
        host = headers.get("host", "")
        name = _split(f"//{host}").hostname or ""
        if not self._known(name):
            return 421, (
                f"this dashboard does not answer to the name {name[:100]!r}; expected "
                f"{', '.join(self.hosts)}. Start it with --allow_host NAME to add one"
            )
        visited = method in READING and not path.startswith("/api/") and _is_visit(headers)
        if not (visited or _same_origin(headers, host)):
            return 403, "only this dashboard's own page may ask it, or send data to it"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self.body:
            return self._too_large()
        return None

    def _known(self, name: str) -> bool:
        return any(name == host or (host[:1] == "." and name.endswith(host)) for host in self.hosts)

    def _too_large(self) -> tuple[int, str]:
        return 413, f"too large: at most {self.body / 2**20:g} MiB are taken; send a smaller file"


def _same_origin(headers: dict[str, str], host: str) -> bool:
    """Whether a browser says that its own page sent this; other programs say nothing."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or _split(origin).netloc == host


def _is_visit(headers: dict[str, str]) -> bool:
    """Whether a person follows a link to the dashboard, from whatever site."""
    mode, place = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
    return (mode, place) == ("navigate", "document")


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            fixed = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
            message["headers"] = [*message.get("headers", ()), *fixed]
        await send(message)

    return sent


async def _answer(send: Send, status: int, message: str) -> None:
    """Answer with ``{"detail": message}``."""
    body = json.dumps({"detail": message}).encode()
    kind = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": kind})
    await send({"type": "http.response.body", "body": body})
