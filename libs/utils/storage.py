"""Atomic writing of files and folders, and locks between scripts.

Everything is written to a temporary neighbour and then renamed. A process that dies leaves at most
neighbours: the next owner of the folder's lock completes the renaming of those that start with
``.new-``, which are complete, and removes those that start with ``.tmp-``.
"""

import hashlib
import itertools
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from libs.utils.errors import UserError


class WriteError(UserError):
    """The folder is read-only or the disk is full."""


log = logging.getLogger("a3")
TEMPORARY = ".tmp-"
COMPLETE = ".new-"
MANIFEST = "manifest.json"
SAMPLED = 2**16
"""Bytes of each of the `SAMPLES` that `sample_of` reads."""
SAMPLES = 16


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an operating system error on writing ``path`` into a WriteError."""
    try:
        yield
    except OSError as error:
        raise WriteError(
            f"cannot write {path}: {error.strerror or error}. Expected a writable folder with free "
            "space; make room or choose other folders (--model_path, --result_path) and start "
            "again: finished trainings are kept."
        ) from error


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yield a temporary neighbour of ``path`` that replaces it at the end."""
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _sync(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary neighbour folder of ``path`` that takes its place at the end.

    Raises
    ------
    UserError
        If ``path`` holds something that is not a model of this project.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    complete = path.with_name(f"{COMPLETE}{path.name}")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if complete.exists():  # left by a killed process
            _take_place(complete)
        if path.exists() and not holds_model(path) and (path.is_file() or any(path.iterdir())):
            raise UserError(
                f"{path} holds something else than a model, which is not replaced: move it, or "
                "choose another folder"
            )
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            yield temporary
            for written in [*temporary.rglob("*"), temporary]:
                _sync(written)
            os.rename(temporary, complete)
            _take_place(complete)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _take_place(complete: Path) -> None:
    """Move a complete folder to its place; if interrupted, `locked` repeats this."""
    path = complete.with_name(complete.name.removeprefix(COMPLETE))
    former = path.with_name(f"{TEMPORARY}{os.getpid()}-former-{path.name}")
    if path.exists():
        _remove(former)
        os.rename(path, former)
    os.rename(complete, path)
    _sync(path.parent)
    _remove(former)


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def locked(folder: Path, busy: str = "") -> Iterator[None]:
    """Lock ``folder`` for one process at a time; the lock ends with the process.

    Cleans up after dead owners. While another process holds the lock this waits or, if ``busy`` is
    given, raises that as a UserError.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            if busy:
                raise UserError(busy) from error
            log.warning("waiting for another process that works on %s", folder)
            lock.acquire()
    try:
        for complete in [*folder.glob(f"{COMPLETE}*"), *folder.glob(f"*/{COMPLETE}*")]:
            _take_place(complete)
        for left in [*folder.glob(f"{TEMPORARY}*"), *folder.glob(f"*/{TEMPORARY}*")]:
            _remove(left)
        yield
    finally:
        lock.release()


def check_writable(folder: Path) -> None:
    """Raise a WriteError, before the first training, if a folder is not writable."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"1")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text atomically."""
    with replaced_file(path) as temporary:
        temporary.write_text(text)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sample_of(path: Path) -> str:
    """SHA-256 of a file's size and of even samples of its bytes, in milliseconds for any size.

    A file of up to `SAMPLES` x `SAMPLED` bytes is read as a whole. In a larger one, a change that
    keeps the size and lies between the samples goes unnoticed.
    """
    size = path.stat().st_size
    last, step = max(0, size - SAMPLED), SAMPLES - 1
    found = hashlib.sha256(str(size).encode())
    with open(path, "rb") as file:
        for number in range(SAMPLES):
            file.seek(last * number // step)
            found.update(file.read(SAMPLED))
    return found.hexdigest()


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz`` file; nothing in it runs code.

    Raises
    ------
    UserError
        If the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception as error:  # a damaged archive fails in many ways
        raise UserError(f"{path} cannot be read ({type(error).__name__}: {error})") from error


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write ``manifest.json`` with checksums of itself and of every file in ``folder``."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / MANIFEST)
    files = {p.relative_to(folder).as_posix(): sha256(p) for p in paths}
    content = json.loads(json.dumps(manifest | {"files": files}))
    write_json(folder / MANIFEST, content | {"checksum": _checksum(content)})


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def holds_model(folder: Path) -> bool:
    """Whether a folder has a manifest of this project, perhaps damaged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except OSError:
        return False
    except (ValueError, RecursionError):
        return True
    return isinstance(manifest, dict) and {"detector", "files"} <= manifest.keys()


def nearest_models(path: Path, at_most: int = 4) -> list[Path]:
    """Model folders with paths most similar to one that holds none.

    They are searched below it or, if there are none, below its nearest parents.
    """
    start = next(folder for folder in (path, *path.parents) if os.path.isdir(folder))
    for folder in (start, *list(start.parents)[:2]):
        found = []
        for place, folders, files in itertools.islice(os.walk(folder), 2_000):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            if MANIFEST in files and holds_model(Path(place)):
                found.append(Path(place))
                folders.clear()
        if found:
            likeness = {p: SequenceMatcher(None, str(path), str(p)).ratio() for p in found}
            return sorted(found, key=likeness.get, reverse=True)[:at_most]
    return []


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read ``manifest.json``; verify it and the files that it names.

    Raises
    ------
    UserError
        If the folder is not a model of this project, or a file is missing or damaged.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    if not os.path.isfile(path):
        near = ", ".join(map(str, nearest_models(folder))) or "none is near"
        raise UserError(
            f"{folder} is not a model folder: expected {MANIFEST}; nearest models: {near}"
        )
    advice = "Train it again with --override, or copy it again from where it is whole."
    try:
        manifest = json.loads(path.read_text())
        files = manifest["files"].items()
        content = {key: value for key, value in manifest.items() if key != "checksum"}
        if manifest.get("checksum", _checksum(content)) != _checksum(content):  # older: none
            raise ValueError("its checksum differs")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path} is damaged, or not of this project ({type(error).__name__}: {error}). {advice}"
        ) from error
    for name, digest in files:
        file = folder / name
        if not file.is_file() or sha256(file) != digest:
            state = "damaged" if file.is_file() else "missing"
            raise UserError(f"{folder}: the file {name} is {state}. {advice}")
    return manifest
