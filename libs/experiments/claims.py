"""Who works on what: claims in a folder that several machines share, seats on one machine.

A claim is a file that its owner touches every few seconds. One that was not touched for a while
belongs to nobody, neither does one whose process on this machine is gone. Whoever takes it over
creates the claim's next generation; creating a file succeeds only once, on network drives too, so
that there is one new owner. Ages are differences of times that the file system gave: clocks of
machines are not compared.
"""

import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

BEAT = 5.0
"""Seconds between two signs of life."""
LEASE = 60.0
"""Seconds without a sign of life after which an owner counts as dead."""


@contextmanager
def claimed(folder: Path, name: str) -> Iterator[bool]:
    """Own ``name`` in ``folder`` for a while; yield whether nobody alive does so already."""
    path = _take(folder, name)
    if path is None:
        yield False
        return
    done = threading.Event()
    beating = threading.Thread(target=_beat, args=(path, done), daemon=True)
    beating.start()
    try:
        yield True
    finally:
        done.set()
        beating.join()
        if path.exists():  # released: older than any lease
            os.utime(path, (0, 0))


def forget(folder: Path, name: str) -> None:
    """Remove the claims of a name that nobody needs any more: what it stands for is done."""
    for path in _generations(folder, name):
        path.unlink(missing_ok=True)


def _generations(folder: Path, name: str) -> list[Path]:
    paths = folder.glob(f".{name}.claim-*")
    return sorted(paths, key=lambda path: int(path.name.rpartition("-")[2]))


def _take(folder: Path, name: str) -> Path | None:
    """The next generation of a claim, if the last one's owner is gone."""
    former = _generations(folder, name)
    if former and _alive(former[-1]):
        return None
    number = int(former[-1].name.rpartition("-")[2]) + 1 if former else 1
    path = folder / f".{name}.claim-{number}"
    try:
        with open(path, "x") as file:
            json.dump({"machine": _machine(), "process": os.getpid()}, file)
    except FileExistsError:  # another one was quicker
        return None
    return path


def _alive(path: Path) -> bool:
    """Whether a claim has an owner; one that is being released or removed counts as owned."""
    try:
        touched = path.stat().st_mtime
        owner = json.loads(path.read_text() or "{}")
    except (FileNotFoundError, ValueError):
        return True
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".tmp-clock-") as clock:
        if os.stat(clock.name).st_mtime - touched > LEASE:
            return False
    return owner.get("machine") != _machine() or _runs(owner["process"])


def _machine() -> str:
    """Name of what process numbers are valid in: a machine, or a container on it."""
    try:
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        pass
    return True


def _beat(path: Path, done: threading.Event) -> None:
    """Touch a claim until it is released."""
    while not done.wait(BEAT):
        try:
            os.utime(path)
        except FileNotFoundError:
            return


@contextmanager
def seat() -> Iterator[int]:
    """Hold the smallest number that no other process or thread on this machine holds."""
    folder = Path(tempfile.gettempdir()) / f"a3-seats-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    number = 0
    while True:
        lock = FileLock(folder / f"{number}.lock")
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            number += 1
    try:
        yield number
    finally:
        lock.release()
