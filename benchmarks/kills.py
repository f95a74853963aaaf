"""Kills processes that replace a folder at every file operation: ``python -m benchmarks.kills``.

A process that replaces a folder is killed at its first file operation, the next one at its second,
and so on; so is the cleaning up. Afterwards the folder must be complete, old or new, without
leftovers; once a new folder was complete, the old one must not return. Then processes that keep
replacing it are killed at random times.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from libs.utils import storage


def kill_during(work: Callable[[], None], at: int = 0, after: float = 0.0) -> bool:
    """Run ``work`` in a process that may be killed at a file operation or time; tell if it was."""
    child = os.fork()
    if not child:
        done = 0

        def count(event: str, _) -> None:
            nonlocal done
            done += event.startswith(("os.", "shutil.", "open"))
            if done == at:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        work()
        os._exit(0)
    if after:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1] != 0


def replace(folder: Path, generation: int) -> None:
    """Write the next generation of a model."""
    with storage.locked(folder), storage.replaced_folder(folder / "run") as temporary:
        (temporary / "part").mkdir()
        for name in ("weights", "part/weights"):
            (temporary / name).write_text(str(generation) * 1000)
        storage.write_manifest(temporary, {"detector": {}, "generation": generation})


def replace_without_end(folder: Path) -> None:
    """Write one generation after another."""
    while True:
        replace(folder, found(folder) + 1)


def clear(folder: Path) -> None:
    """Clean up, as the next owner of the lock does."""
    with storage.locked(folder):
        pass


def found(folder: Path) -> int:
    """The generation of the complete folder; a UserError if it is incomplete."""
    generation = storage.read_manifest(folder / "run")["generation"]
    for name in ("weights", "part/weights"):
        assert (folder / "run" / name).read_text() == str(generation) * 1000
    return generation


def campaign(folder: Path, seconds: float, twice: bool = True) -> dict[str, int]:
    """Kill at every operation, then at random times; count the generations found.

    ``twice``: also kill the cleaning up.
    """
    counts = {"kills": 0, "old": 0, "new": 0, "at random": 0}
    replace(folder, 0)
    generation, at, again = 0, 1, 1
    while kill_during(partial(replace, folder, generation + 1), at):
        complete = (folder / ".new-run").exists()
        cleared = not (twice and kill_during(partial(clear, folder), again))
        counts["kills"] += 2 - cleared
        clear(folder)
        kept = found(folder)
        assert kept in ((generation + 1,) if complete else (generation, generation + 1))
        assert sorted(os.listdir(folder)) == [".lock", "run"]
        counts["new" if kept > generation else "old"] += 1
        generation = kept
        at, again = (at + 1, 1) if cleared else (at, again + 1)
    rng, end = random.Random(1), time.monotonic() + seconds
    while time.monotonic() < end:
        before = found(folder)
        kill_during(partial(replace_without_end, folder), after=rng.uniform(0.001, 0.05))
        clear(folder)
        assert found(folder) >= before
        counts["kills"] += 1
        counts["at random"] += 1
    return counts


def main() -> int:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="at random (default: 10)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(campaign(Path(folder), args.seconds)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
