"""Answers that are made once for each state of the files that they rest on."""

import mimetypes
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from threading import Lock

from fastapi import HTTPException, Response
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from app.folders import Shared, Times, are_settled, times_of

KEPT = 64
"""Answers that are kept; those that were asked for last."""


class Answer:
    """An answer as it is sent, made anew if one of its files has changed.

    Parameters
    ----------
    files, make : callable
        Give the files that it rests on, and the answer.
    """

    def __init__(self, files: Callable[[], Iterable[Path]], make: Callable[[], BaseModel]):
        self.files, self.make = files, make
        self._times: Times | None = None
        self._body = b""
        self.give = Shared(self._give)

    def _give(self) -> bytes:
        began, times = time.time_ns(), times_of(self.files())
        if times != self._times:
            self._body = self.make().model_dump_json().encode()
            self._times = times if are_settled(times, began) else None
        return self._body


class Answers:
    """Answers to the questions that were asked last."""

    def __init__(self):
        self._lock = Lock()
        self._kept: OrderedDict[Hashable, Answer] = OrderedDict()

    def give(self, question: Hashable, *how: Callable) -> Response:
        """The answer to a question; ``how`` it is made is what `Answer` takes."""
        with self._lock:
            answer = self._kept.setdefault(question, Answer(*how))
            self._kept.move_to_end(question)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return Response(answer.give(), media_type="application/json")


class Pages:
    """The files of a folder, read once; ``/`` is its ``index.html``."""

    def __init__(self, folder: Path):
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.*")}
        self.answers = {
            f"/{name}": Response(path.read_bytes(), media_type=mimetypes.guess_type(name)[0])
            for name, path in files.items()
        }
        self.answers["/"] = self.answers["/index.html"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a file."""
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405)
        if scope["path"] not in self.answers:
            raise HTTPException(404)
        await self.answers[scope["path"]](scope, receive, send)
