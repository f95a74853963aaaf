"""Scripts in this process, or in one of their own, forked from one that has imported TensorFlow.

The import takes longer than most programs here; what they do, print and return stays the same.
"""

import importlib
import multiprocessing
import os
import resource
import runpy
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORKS = multiprocessing.get_context("forkserver")
PRELOADED = "keras matplotlib.figure pandas scipy.stats skops.io sklearn.ensemble tensorflow"
FORKS.set_forkserver_preload(PRELOADED.split())


def avoid_bfloat16() -> None:
    """Let "auto" mean float32: without oneDNN, as tests run, products in bfloat16 are slow."""
    importlib.import_module("libs.utils.runtime").BFLOAT16_FLAGS = frozenset()


def call_in_child(function: Callable, *args: object) -> None:
    """Call a function of a module: what memory it takes, no test worker keeps."""
    with ProcessPoolExecutor(1, FORKS) as pool:
        pool.submit(function, *args).result()


class Started(FORKS.Process):
    """A program on its way.

    Parameters
    ----------
    words : sequence
        What would follow ``python``: the path of a script or ``-c`` and code, then options.
    cwd : Path
    environment : dict, optional
        All variables; default: those of this process.
    largest_file : int, optional
        Bytes to which the program may write a file.
    """

    def __init__(
        self,
        words: Sequence[object],
        cwd: Path = ROOT,
        environment: dict[str, str] | None = None,
        largest_file: int | None = None,
    ):
        super().__init__(daemon=True)
        self.words, self.cwd = list(map(str, words)), str(cwd)
        self.environment = dict(os.environ if environment is None else environment)
        self.largest_file = largest_file
        self.printed = Path(tempfile.mkdtemp(prefix="printed-"))
        for name in ("out", "err"):  # it may be killed before it opens them
            (self.printed / name).touch()
        self.start()

    def run(self) -> None:
        for number, name in enumerate(("out", "err"), start=1):
            os.dup2(os.open(self.printed / name, os.O_WRONLY | os.O_CREAT), number)
        os.environ.clear()
        os.environ.update(self.environment)
        os.chdir(self.cwd)
        if self.largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.largest_file, self.largest_file))
        first, *options = self.words
        if first == "-c":
            code, *options = options
            sys.argv, sys.path[:0] = ["-c", *options], [self.cwd]
            avoid_bfloat16()
            exec(code, {"__name__": "__main__"})
        else:
            sys.argv, sys.path[:0] = [first, *options], [str(Path(first).resolve().parent)]
            avoid_bfloat16()
            runpy.run_path(first, run_name="__main__")

    def finish(self, timeout: float = 900) -> tuple[int, str, str]:
        """Exit code, and what went to standard output and standard error."""
        self.join(timeout)
        if self.exitcode is None:
            self.kill()
            raise TimeoutError(f"not done after {timeout} s: {self.words}")
        out, err = ((self.printed / name).read_text() for name in ("out", "err"))
        shutil.rmtree(self.printed)
        return self.exitcode, out, err


def places(script: str, folder: Path) -> list[object]:
    """Options that put the outputs of a script of the repository into ``folder``."""
    places = {"--model_path": "models", "--result_path": "results"}
    if script == "evaluate_results.py":
        places = {"--in_path": "results", "--out_path": "results"}
    elif script.startswith("eval"):
        places = {"--in_path": "models", "--out_path": "results"}
    elif script in ("keras_mnist.py", "do_mnist_manually.py"):
        places = {}
    return [word for name, place in places.items() for word in (name, folder / place)]


def start(script: str, *words, folder: Path, **kw) -> Started:
    """Start a script of the repository with its output folders in ``folder``."""
    return Started([ROOT / script, *words, *places(script, folder)], **kw)


def run(script: str, *words, folder: Path | None = None) -> int:
    """Run a script in this process, as its command line would; its exit code.

    Parameters
    ----------
    folder : Path, optional
        Of its output folders; default: those that the words or the script name.
    """
    options = places(script, folder) if folder else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script, *map(str, [*words, *options])])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / script), run_name="__main__")
    return end.value.code or 0
