"""Answers that are made once for each state of the files that they rest on."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from threading import Lock

from fastapi import Response
from pydantic import BaseModel

from app.folders import Times, are_settled, times_of

KEPT = 64
"""Answers that are kept; those that were asked for last."""


class Answers:
    """Keeps answers as they are sent."""

    def __init__(self):
        self._lock = Lock()
        self._kept: OrderedDict[Hashable, tuple[Times, bytes]] = OrderedDict()

    def give(
        self, question: Hashable, files: Iterable[Path], make: Callable[[], BaseModel]
    ) -> Response:
        """The answer to a question, made anew if one of the files has changed."""
        began = time.time_ns()
        times = times_of(files)
        with self._lock:  # several who ask at once wait for one answer
            known, body = self._kept.get(question, (None, b""))
            if known != times:
                body = make().model_dump_json().encode()
                if are_settled(times, began):
                    self._kept[question] = times, body
                    while len(self._kept) > KEPT:
                        self._kept.popitem(last=False)
            if question in self._kept:
                self._kept.move_to_end(question)
        return Response(body, media_type="application/json")
