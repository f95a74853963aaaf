"""Files and folders that are there whole or not at all, and locks between scripts.

Everything is written beside its place and renamed into it. A process that dies leaves at most a
neighbour whose name starts with ``.tmp-``; the next owner of the folder's lock removes it.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from libs.utils.errors import UserError


class WriteError(UserError):
    """Nothing can be written: the folder is read-only or the disk is full."""


log = logging.getLogger("a3")
TEMPORARY = ".tmp-"
MANIFEST = "manifest.json"


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write ``path`` into a WriteError."""
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
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary neighbour folder of ``path`` that takes its place at the end."""
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            yield temporary
            former = temporary.with_name(f"{temporary.name}-former")
            if path.exists():
                os.rename(path, former)
            os.rename(temporary, path)
            shutil.rmtree(former, ignore_errors=True)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Own ``folder``: one process at a time, and a dead one not at all. Clears what it left."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.warning("waiting for another process that works on %s", folder)
            lock.acquire()
    try:
        for left in [*folder.glob(f"{TEMPORARY}*"), *folder.glob(f"*/{TEMPORARY}*")]:
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def check_writable(folder: Path) -> None:
    """Raise a WriteError before the first training where nothing can be written."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"1")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    with replaced_file(path) as temporary:
        temporary.write_text(text)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write ``manifest.json`` with the checksum of every file in ``folder`` and below."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / MANIFEST)
    files = {p.relative_to(folder).as_posix(): sha256(p) for p in paths}
    write_json(folder / MANIFEST, manifest | {"files": files})


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read ``manifest.json`` and check the files that it names.

    Raises
    ------
    UserError
        If the folder is not one of ours, or a file is missing or damaged.
    """
    path = Path(folder) / MANIFEST
    advice = "Remove the folder, or train it again with --override."
    try:
        manifest = json.loads(path.read_text())
        files = manifest["files"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{folder} is not a model folder of this project, or is damaged: expected a readable "
            f"{MANIFEST} ({type(error).__name__}: {error}). {advice}"
        ) from error
    for name, digest in files:
        file = Path(folder) / name
        if not file.is_file() or sha256(file) != digest:
            state = "damaged" if file.is_file() else "missing"
            raise UserError(f"{folder}: the file {name} is {state}. {advice}")
    return manifest
