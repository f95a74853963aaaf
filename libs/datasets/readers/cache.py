"""Parquet files with the finished rows of raw tables, so that these are read once.

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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from libs.datasets.readers.flows import Block
from libs.utils import storage

log = logging.getLogger("a3")
FOLDER = ".a3-cache"
KEY = b"a3"
"""Where a cache says what it was made from."""
CLASS = "class"
"""The column behind the features."""
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
    file : ParquetFile
        One row group per block that is not empty.
    about : dict
        ``read``, the rows of the raw file, and its ``sha256``, ``size`` and ``mtime_ns``, and the
        ``recipe``.
    source : callable
        Gives the blocks again, from the raw file.
    """

    path: Path | None
    file: pq.ParquetFile
    about: dict[str, Any]
    source: Source

    @property
    def rows(self) -> int:
        """Rows that remain after cleaning."""
        return self.file.metadata.num_rows

    def blocks(self) -> Iterator[Block]:
        """Blocks in order; from the first damaged one on, from the raw file."""
        for i in range(self.file.num_row_groups):
            try:
                table = self.file.read_row_group(i)
                yield _block(table)
            except (pa.ArrowException, OSError, ValueError) as error:
                log.warning("%s is damaged (%s): read again from the raw file", self.path, error)
                with suppress(OSError):
                    self.path.unlink()
                yield from islice((b for b in self.source() if len(b.x)), i, None)
                return


def kept(raw: Path, features: tuple[str, ...], recipe: str, source: Source) -> Kept:
    """Finished rows of a raw file, from its cache, which is made if it is not there.

    Parameters
    ----------
    raw : Path
    features : tuple of str
        Names of the columns of the blocks.
    recipe : str
        Changes whenever the same raw file would give other blocks.
    source : callable
        Gives the blocks.
    """
    raw_now = {"recipe": recipe, "size": raw.stat().st_size, "mtime_ns": raw.stat().st_mtime_ns}
    places = [folder / f"{raw.name}.parquet" for folder in folders(raw)]
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
                    _write(temporary, features, raw, raw_now, source())
        except storage.WriteError as error:
            log.warning("no cache in %s: %s", path.parent, error.__cause__)
            continue
        return _opened(path, raw_now, source)
    memory = pa.BufferOutputStream()
    _write(memory, features, raw, raw_now, source())
    file = pq.ParquetFile(memory.getvalue())
    return Kept(None, file, _about(file), source)


def _about(file: pq.ParquetFile) -> dict[str, Any]:
    return json.loads((file.metadata.metadata or {}).get(KEY, b"{}"))


def _opened(path: Path, raw_now: dict[str, Any], source: Source) -> Kept | None:
    """The cache if it is there, whole, and made from the raw file as it is now."""
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        about = _about(file)
    except (pa.ArrowException, OSError, ValueError):
        return None
    return Kept(path, file, about, source) if raw_now.items() <= about.items() else None


def _write(
    sink: Path | pa.NativeFile,
    features: tuple[str, ...],
    raw: Path,
    raw_now: dict[str, Any],
    blocks: Iterator[Block],
) -> None:
    """Write blocks, each a row group unless it is empty, and what they were made from.

    A thread takes the SHA-256 of the raw file meanwhile.
    """
    text = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema([*((name, pa.float32()) for name in features), (CLASS, text)])
    # not compressed: on two cores packing takes longer than the parsing can hide
    options = {"compression": "none", "write_statistics": False, "write_page_checksum": True}
    read = 0
    with (
        ThreadPoolExecutor(1) as thread,
        pq.ParquetWriter(sink, schema, use_dictionary=[CLASS], **options) as writer,
    ):
        digest = thread.submit(storage.sha256, raw)
        for block in blocks:
            classes = pa.array(block.classes).dictionary_encode().cast(text)
            columns = [*(pa.array(column) for column in block.x.T), classes]
            if len(block.x):
                writer.write_table(pa.Table.from_arrays(columns, schema=schema), len(block.x))
            read += block.read
        about = raw_now | {"sha256": digest.result(), "read": read}
        writer.add_key_value_metadata({KEY: json.dumps(about)})


def _block(table: pa.Table) -> Block:
    """Undo `_write` for one row group; ``read`` is not known of a single one."""
    x = np.empty((table.num_rows, table.num_columns - 1), np.float32)
    for i, column in enumerate(table.columns[:-1]):
        x[:, i] = column.to_numpy()
    classes = table.column(CLASS).combine_chunks()
    names = np.array(classes.dictionary.to_pylist())
    return Block(x, names[classes.indices.to_numpy()], table.num_rows)
