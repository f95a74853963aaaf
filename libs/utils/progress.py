"""The terminal: its width, and progress with remaining time; in a log a line a minute."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PIPE = 100
"""Characters of a line where there is no terminal."""
MINUTE = 60.0
Advance = Callable[[int, str], None]


def console(file: TextIO | None = None) -> Console:
    """A console as wide as the terminal, $COLUMNS or, in a pipe, `PIPE`."""
    found = Console(file=file)
    if found.is_terminal or "COLUMNS" in os.environ:
        return found
    return Console(file=file, width=PIPE)


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Advance]:
    """Yield ``advance(steps, note)`` for a bar of ``total`` steps named ``label``.

    Without a total, no remaining time is shown. Where there is no terminal, a line is printed every
    `MINUTE`.
    """
    screen = console(sys.stderr)
    if not screen.is_terminal:
        yield _lines(label, total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen) as bar:
        task = bar.add_task(label, total=total, note="")
        yield lambda steps, note: bar.update(task, advance=steps, note=note)


def _lines(label: str, total: int | None) -> Advance:
    """``advance`` that prints how far it is, at most once every `MINUTE`."""
    start = last = time.monotonic()
    done = 0

    def advance(steps: int, note: str) -> None:
        nonlocal last, done
        done += steps
        now = time.monotonic()
        if now - last >= MINUTE:
            last = now
            share = f"{done / total:.0%}, " if total else ""
            print(f"{label}: {share}{now - start:.0f} s, {note}", file=sys.stderr, flush=True)

    return advance
