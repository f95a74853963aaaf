"""Downloads of published files of known size and checksum; complete or not at all."""

import hashlib
import http.client
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from libs.utils import storage
from libs.utils.errors import UserError

log = logging.getLogger("a3")
TIMEOUT = 60
"""Seconds without data after which a download is given up."""
PATIENCE = 5
"""Seconds in which a server that works answers."""
BLOCK = 2**16


def fetch(url: str, path: Path, size: int, digest: str) -> None:
    """Download ``url`` to ``path``, unless the right file is already there.

    Parameters
    ----------
    url : str
    path : Path
        Appears only when the download is complete and correct.
    size : int
        Published size in bytes; no more are read.
    digest : str
        Published SHA-256, hexadecimal.

    Raises
    ------
    UserError
        If the source does not answer or sends something else; ``path`` is left unchanged.
    """
    if path.is_file() and storage.sha256(path) == digest:
        log.info("%s is there", path)
        return
    found, received = hashlib.sha256(), 0
    with storage.replaced_file(path) as temporary, open(temporary, "wb") as file:
        for block in _blocks(url, size):
            file.write(block)
            found.update(block)
            received += len(block)
        if found.hexdigest() != digest:
            raise UserError(
                f"{url} is not the published file: expected {size} bytes of SHA-256 {digest}, "
                f"found {received} bytes{' or more' * (received > size)} of {found.hexdigest()}. "
                f"Try again, or get the file elsewhere and put it at {path}."
            )
    log.info("%s: %d bytes from %s", path, size, url)


def check_answers(server: str) -> None:
    """Raise a ConnectionError within `PATIENCE` seconds if a server cannot be reached."""
    answers = []

    def ask() -> None:
        request = urllib.request.Request(server, method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=PATIENCE).close()
        except urllib.error.HTTPError:
            pass  # an answer, too
        except OSError:
            return
        answers.append(server)

    thread = threading.Thread(target=ask, daemon=True)  # looking up a name has no timeout
    thread.start()
    thread.join(PATIENCE)
    if not answers:
        raise ConnectionError(f"{server} does not answer")


def _blocks(url: str, size: int) -> Iterator[bytes]:
    """The first ``size`` bytes and, if there are more, one more."""
    left = size + 1
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
            while left and (block := response.read(min(BLOCK, left))):
                left -= len(block)
                yield block
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise UserError(
            f"cannot download {url} ({type(error).__name__}: {error}). Try again, name another "
            "server with --source, or get the file elsewhere."
        ) from error
