"""Caches of the cleaned rows of raw tables, which are thus parsed only once.

A cache is written to the folder ``.a3-cache`` beside the raw file or, if that is read-only, to
``$XDG_CACHE_HOME/a3`` (``~/.cache/a3``). If that fails too, rows are kept in memory and every run
parses the raw file again: no script fails because it cannot write a cache.

A cache is matched to its raw file by modification time, size and samples of its bytes
(`libs.utils.storage.sample_of`): hashing the seven gigabytes of CSE-CIC-IDS2018 in each run would
take longer than reading the cache. The SHA-256 of the raw file is computed once and stored in the
cache, for manifests. A change of a file above 1 MiB that keeps both and lies between the samples
goes unnoticed; remove the cache to read the file again.
"""

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from libs.datasets.readers.flows import Block
from libs.utils import storage

log = logging.getLogger("a3")
FOLDER = ".a3-cache"
ABOUT = "about.json"
"""Entry of a cache that describes its origin; the other entries are blocks of rows."""
DAMAGE = (zipfile.BadZipFile, OSError, ValueError, KeyError, NotImplementedError, EOFError)
"""What reading a damaged archive raises."""
Source = Callable[[], Iterator[Block]]


def cache_folders(raw: Path) -> list[Path]:
    """Folders for the cache of a raw file, in order of preference."""
    raw = raw.resolve()
    root = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    return [raw.parent / FOLDER, root / "a3" / hashlib.sha256(bytes(raw.parent)).hexdigest()[:16]]


@dataclass(frozen=True)
class CachedRows:
    """Cleaned rows of a raw file.

    Attributes
    ----------
    path : Path, optional
        Of the cache; None if in memory.
    file : path or BytesIO
        A zip archive, not compressed; two arrays for each block that is not empty.
    about : dict
        ``rows`` that remain, ``read``, the rows of the raw file, and its ``sha256``, ``sample`` and
        ``mtime_ns``, the ``recipe``, and the number of ``blocks``.
    source : callable
        Gives the blocks again, from the raw file.
    """

    path: Path | None
    file: Path | BytesIO
    about: dict[str, Any]
    source: Source

    @property
    def rows(self) -> int:
        """Rows that remain after cleaning."""
        return self.about["rows"]

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks in order; from the first damaged one on, those of the raw file."""
        for i in range(self.about["blocks"]):
            try:
                block = _read(self.file, i)
            except DAMAGE as error:
                log.warning("%s is damaged (%s): read again from the raw file", self.path, error)
                with suppress(OSError):
                    self.path.unlink()
                yield from islice((b for b in self.source() if len(b.x)), i, None)
                return
            yield block


def load_cached(raw: Path, recipe: str, source: Source) -> CachedRows:
    """Load the cleaned rows of a raw file from its cache, which is created if missing.

    Parameters
    ----------
    raw : Path
    recipe : str
        Changes whenever the same raw file would yield other blocks.
    source : callable
        Gives the blocks.
    """
    raw_now = {
        "recipe": recipe,
        "mtime_ns": raw.stat().st_mtime_ns,
        "sample": storage.sample_of(raw),
    }
    places = [folder / f"{raw.name}.zip" for folder in cache_folders(raw)]
    for path in places:
        if found := _open_cache(path, raw_now, source):
            return found
    for path in places:
        try:
            with storage.locked(path.parent):
                if found := _open_cache(path, raw_now, source):  # another process was faster
                    return found
                log.info("%s: kept in %s for the next start", raw.name, path)
                with storage.replaced_file(path) as temporary:
                    _write(temporary, raw, raw_now, source())
        except storage.WriteError as error:
            log.warning("no cache in %s: %s", path.parent, error.__cause__)
            continue
        return _open_cache(path, raw_now, source)
    memory = BytesIO()
    about = _write(memory, raw, raw_now, source())
    return CachedRows(None, memory, about, source)


def _open_cache(path: Path, raw_now: dict[str, Any], source: Source) -> CachedRows | None:
    """Open a cache if it exists, is complete, and matches the raw file as it is now."""
    try:
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read(ABOUT))
    except DAMAGE:
        return None
    return CachedRows(path, path, about, source) if raw_now.items() <= about.items() else None


def _write(
    sink: Path | BinaryIO, raw: Path, raw_now: dict[str, Any], blocks: Iterator[Block]
) -> dict[str, Any]:
    """Write the blocks that are not empty, and a description of their origin; return the latter.

    Meanwhile a thread computes the SHA-256 of the raw file. The archive has its own checksums.
    """
    rows = read = number = 0
    with ThreadPoolExecutor(1) as thread, zipfile.ZipFile(sink, "w") as archive:
        digest = thread.submit(storage.sha256, raw)
        for block in blocks:
            read += block.read
            if not len(block.x):
                continue
            for name, array in (("x", block.x), ("classes", block.classes)):
                with archive.open(f"{name}-{number}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, array, allow_pickle=False)
            rows, number = rows + len(block.x), number + 1
        counts = {"rows": rows, "read": read, "blocks": number}
        about = raw_now | counts | {"sha256": digest.result()}
        archive.writestr(ABOUT, json.dumps(about))
    return about


def _read(file: Path | BytesIO, number: int) -> Block:
    """Read a block that `_write` wrote; its ``read`` is unknown."""
    with zipfile.ZipFile(file) as archive:
        x, classes = (
            np.load(BytesIO(archive.read(f"{name}-{number}.npy")), allow_pickle=False)
            for name in ("x", "classes")
        )
    return Block(x, classes, len(x))
