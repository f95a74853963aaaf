"""When files and folders changed, so that what is made of them is made once."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")
SETTLED = 10**8
"""Nanoseconds after which another change of a file has another time."""
Times = tuple[tuple[Path, int, int], ...]


def times_of(paths: Iterable[Path]) -> Times:
    """Paths with their times of change in nanoseconds and their sizes; 0 where nothing is."""
    found = []
    for path in paths:
        try:
            status = os.stat(path)
            found.append((path, status.st_ctime_ns, status.st_size))
        except OSError:
            found.append((path, 0, 0))
    return tuple(found)


def are_settled(times: Times, began: int) -> bool:
    """Whether any change since ``began``, when they were looked at, would have another time."""
    return max((changed for _, changed, _ in times), default=0) < began - SETTLED


class Shared(Generic[T]):
    """Work on what lies on disk: calls that come while it is done share the next result.

    Parameters
    ----------
    work : callable
    """

    def __init__(self, work: Callable[[], T]):
        self._work = work
        self._lock = Lock()
        self._begun = 0
        self._failed = False
        self._result: T

    def __call__(self) -> T:
        """The result of work that began after this call."""
        begun = self._begun
        with self._lock:
            if self._begun == begun or self._failed:
                self._begun += 1
                self._failed = True
                self._result = self._work()
                self._failed = False
            return self._result


class Folders(Generic[T]):
    """What is made of the folders some levels below a root.

    Parameters
    ----------
    root : Path
    depth : int
        Levels; hidden folders are left out.
    make : callable
        Takes the folders, sorted. It is called again when a folder of any level has gained or lost
        an entry; what it reads within files is not followed.
    """

    def __init__(self, root: Path, depth: int, make: Callable[[Sequence[Path]], T]):
        self.root, self.depth, self.make = root, depth, make
        self._times: Times = ()
        self._made: T
        self.look = Shared(self._look)

    def _look(self) -> T:
        """What is there now; the same object if nothing has changed."""
        if not self._times or times_of(path for path, *_ in self._times) != self._times:
            self._walk()
        return self._made

    def _walk(self) -> None:
        began = time.time_ns()
        level, times = [self.root], times_of([self.root])
        for _ in range(self.depth):
            level = [child for folder in level for child in _children(folder)]
            times += times_of(level)
        self._made = self.make(level)
        self._times = times if are_settled(times, began) else ()


def _children(folder: Path) -> list[Path]:
    """Folders in a folder."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(e.name for e in entries if e.name[0] != "." and e.is_dir())
    except OSError:
        return []
    return [folder / name for name in names]
