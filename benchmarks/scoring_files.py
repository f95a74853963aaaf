"""score.py on files of any size: constant memory, and the same bytes after a kill.

Writes tables of 30 columns (28 numbers, two texts; CSV), trains A3 on one by do_csv.py for an
epoch, scores files of 1 and 5 million rows in new processes, and the larger one again, killed
(SIGKILL) half-way and resumed. Prints seconds and peak memory (MiB); RssAnon is the memory of the
process itself.

    python -m benchmarks.scoring_files [--rows 1000000 5000000]
"""

import argparse
import filecmp
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.measuring import ROOT, in_own_process, phase, table

NUMBERS = 28
TEXTS = {"protocol": ["icmp", "tcp", "udp"], "flag": ["S0", "SF", "REJ", "RST"]}
BLOCK = 250_000
TRAINING = 20_000


def write_table(path: Path, rows: int, seed: int) -> None:
    """Write rows of which 2 % are attacks."""
    rng = np.random.default_rng(seed)
    with open(path, "wb") as file:
        for start in range(0, rows, BLOCK):
            n = min(BLOCK, rows - start)
            attack = rng.random(n) < 0.02
            values = rng.gamma(2.0, size=(n, NUMBERS)).round(3) + 2 * attack[:, None]
            columns = {f"number{i}": values[:, i] for i in range(NUMBERS)}
            columns |= {name: rng.choice(texts, n) for name, texts in TEXTS.items()}
            columns["class"] = np.where(attack, "attack", "normal")
            pl.DataFrame(columns).write_csv(file, include_header=not start)


def trained(folder: Path) -> Path:
    """A3 after an epoch on a small table; the folder of the model."""
    path = folder / "training.csv"
    write_table(path, TRAINING, seed=0)
    words = f"{path} 706 val --label class --normal normal --known attack --n_train_anomalies 100"
    places = ["--model_path", folder / "models", "--result_path", folder / "results"]
    settings = ["--methods", "A3", "--n_epochs", "1", *places]
    command = [sys.executable, ROOT / "do_csv.py", *words.split(), *settings]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    return next((folder / "models").glob("*/*/*/*/A3"))


def measure(model: str, file: str, out: str) -> None:
    """Score one file in this process."""
    from libs.utils.runtime import start_tensorflow

    start_tensorflow()
    from libs.experiments.file_scoring import Scorer, score_files

    scorer = Scorer(model, 0.01)
    with phase("score", file=Path(file).name, out=Path(out).name):
        score_files(scorer, [file], out)


def kill_half_way(model: Path, file: Path, out: Path, rows: int) -> None:
    """Start score.py and kill it when half of the rows are in parts."""
    words = [model, file, "--out", out, "--threshold", "fpr=.01"]
    command = [sys.executable, ROOT / "score.py", *words]
    process = subprocess.Popen(list(map(str, command)))
    while len(list(out.with_name(f"{out.name}.parts").glob("*.parquet"))) < rows // 2**17:
        if process.poll() is not None:
            raise RuntimeError("score.py ended before it could be killed")
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()


def main(sizes: Sequence[int]) -> None:
    """Measure every size; kill and resume the last one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = trained(folder)
        lines = []
        for rows in sizes:
            path = folder / f"{rows}.csv"
            write_table(path, rows, seed=1)
            print(f"{path.name}: {path.stat().st_size >> 20} MiB", flush=True)
            out = folder / f"scores-{rows}.csv"
            lines += in_own_process("scoring_files", "--own", model, path, out)
        resumed = folder / "resumed.csv"
        kill_half_way(model, path, resumed, sizes[-1])
        lines += in_own_process("scoring_files", "--own", model, path, resumed)
        if not filecmp.cmp(out, resumed, shallow=False):
            raise RuntimeError("the resumed scores differ from the undisturbed ones")
    print(f"\n{table(lines)}\n\nresumed after a kill: the same bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--own", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.own:
        measure(*args.own)
    else:
        main(args.rows)
