"""Archives with the finished rows of raw tables, so that these are read once.

A cache lies in the folder ``.a3-cache`` beside the raw file; where nothing can be written there, in
``$XDG_CACHE_HOME/a3`` (``~/.cache/a3``). Where that fails too, rows are kept in memory, and every
start reads the raw file again: no script fails because it cannot keep a cache.

Whether a cache belongs to a raw file is told by the file's size and time of change, not by its
content: hashing the seven gigabytes of CSE-CIC-IDS2018 at each start would take longer than reading
the cache. The SHA-256 of the raw file is taken once and kept inside, for manifests. A raw file that
was changed without a change of size and time is not noticed; remove the cache to read it again.
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
"""Entry of an archive that says what it was made from; the others are blocks of rows."""
DAMAGE = (zipfile.BadZipFile, OSError, ValueError, KeyError, NotImplementedError, EOFError)
"""What reading a damaged archive raises."""
Source = Callable[[], Iterator[Block]]


def folders(raw: Path) -> list[Path]:
    """Where the cache of a raw file may lie, in the order of preference."""
    raw = raw.resolve()
    root = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    return [raw.parent / FOLDER, root / "a3" / hashlib.sha256(bytes(raw.parent)).hexdigest()[:16]]


@dataclass(frozen=True)
class Kept:
    """Finished rows of a raw file.

    Attributes
    ----------
    path : Path, optional
        Of the cache; None if it is kept in memory.
    file : path or BytesIO
        A zip archive, not compressed; two arrays for each block that is not empty.
    about : dict
        ``rows`` that remain, ``read``, the rows of the raw file, and its ``sha256``, ``size`` and
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
        """Blocks in order; from the first damaged one on, from the raw file."""
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


def kept(raw: Path, recipe: str, source: Source) -> Kept:
    """Finished rows of a raw file, from its cache, which is made if it is not there.

    Parameters
    ----------
    raw : Path
    recipe : str
        Changes whenever the same raw file would give other blocks.
    source : callable
        Gives the blocks.
    """
    raw_now = {"recipe": recipe, "size": raw.stat().st_size, "mtime_ns": raw.stat().st_mtime_ns}
    places = [folder / f"{raw.name}.zip" for folder in folders(raw)]
    for path in places:
        if found := _opened(path, raw_now, source):
            return found
    for path in places:
        try:
            with storage.locked(path.parent):
                if found := _opened(path, raw_now, source):  # another process was faster
                    return found
                log.info("%s: kept in %s for the next start", raw.name, path)
                with storage.replaced_file(path) as temporary:
                    _write(temporary, raw, raw_now, source())
        except storage.WriteError as error:
            log.warning("no cache in %s: %s", path.parent, error.__cause__)
            continue
        return _opened(path, raw_now, source)
    memory = BytesIO()
    about = _write(memory, raw, raw_now, source())
    return Kept(None, memory, about, source)


def _opened(path: Path, raw_now: dict[str, Any], source: Source) -> Kept | None:
    """The cache if it is there, whole, and made from the raw file as it is now."""
    try:
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read(ABOUT))
    except DAMAGE:
        return None
    return Kept(path, path, about, source) if raw_now.items() <= about.items() else None


def _write(
    sink: Path | BinaryIO, raw: Path, raw_now: dict[str, Any], blocks: Iterator[Block]
) -> dict[str, Any]:
    """Write blocks unless they are empty, and what they were made from, which is returned.

    A thread takes the SHA-256 of the raw file meanwhile. An archive holds checksums of its entries.
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
    """A block that `_write` wrote; ``read`` is not known of a single one."""
    with zipfile.ZipFile(file) as archive:
        x, classes = (
            np.load(BytesIO(archive.read(f"{name}-{number}.npy")), allow_pickle=False)
            for name in ("x", "classes")
        )
    return Block(x, classes, len(x))
