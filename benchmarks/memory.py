"""Training and scoring on a data set that is not held in memory: bounded memory, linear time.

Writes synthetic data in the shape of CSE-CIC-IDS2018 (80 features, 2 % attacks) to a temporary
folder, trains on it (the Ensemble, or the target of do_ids.py and A3 for one epoch each) and scores
all rows. Every size runs in a new process. Prints seconds and peak memory (MiB) of each phase:
RssAnon is the memory of the process itself, VmRSS also counts the pages of files that it reads.

    python -m benchmarks.memory [--method {A3,Ensemble}] [--rows 1000000 5000000] [--budgets 100]
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.measuring import in_own_process, phase, table

FEATURES = 80
BLOCK = 100_000
CLASSES = np.array(["Benign", "DoS", "Bot"])
PARTS = 16
"""Number of mixtures from which blocks are drawn, so that there is something to learn."""


def write_rows(path: Path, rows: int) -> np.ndarray:
    """Write rows × 80 float32 block by block; return the class of each row."""
    rng = np.random.default_rng(0)
    whole = np.lib.format.open_memmap(path, "w+", np.float32, (rows, FEATURES))
    codes = rng.choice(3, rows, p=[0.98, 0.01, 0.01])
    mixing = rng.normal(size=(PARTS, FEATURES)).astype(np.float32)
    for start in range(0, rows, BLOCK):
        own = codes[start : start + BLOCK]
        latent = rng.standard_normal((len(own), PARTS), np.float32)
        latent[:, :2] += 4 * (own[:, None] == [1, 2])
        whole[start : start + BLOCK] = np.exp(latent @ mixing / 4)
    whole.flush()
    return CLASSES[codes]


def fit_a3(splits, budgets: Sequence[int], about: dict):
    """Target and alarm for one epoch each."""
    from baselines import Autoencoder
    from libs.A3 import A3
    from libs.experiments.protocols.a3 import ALARM

    target = Autoencoder(dims=(150, 80, 40, 20), epochs=1, batch_size=2048)
    with phase("target", **about):
        target.fit(splits.x_train, splits.y_train)
    a3 = A3(target=target, budgets=budgets, epochs=1, batch_size=2048, **ALARM)
    with phase("alarm", **about):
        return a3.fit(splits.x_train, splits.y_train)


def fit_ensemble(splits, budgets: Sequence[int], about: dict):
    """All readers."""
    from libs.Ensemble import Ensemble

    with phase("readers", **about):
        return Ensemble(budgets=budgets).fit(splits.x_train, splits.y_train)


METHODS = {"A3": fit_a3, "Ensemble": fit_ensemble}


def measure(method: str, rows: int, budgets: Sequence[int]) -> None:
    """Run all phases for one size."""
    from libs.utils.runtime import start_tensorflow

    start_tensorflow()
    from libs.DataHandler import DataHandler, Experiment, SplitRules
    from libs.datasets.dataset import DataSet

    about = {"rows": rows}
    with tempfile.TemporaryDirectory() as folder:
        with phase("write", **about):
            path = Path(folder) / "x.npy"
            classes = write_rows(path, rows)
        x = np.load(path, mmap_mode="r")
        with phase("split", **about):
            names = tuple(map(str, range(FEATURES)))
            handler = DataHandler(
                DataSet("ids", x, classes, "0", features=names), SplitRules(), 706
            )
            splits = handler.split(Experiment(("Benign",), ("DoS",), ("Bot",)), max(budgets))
        detector = METHODS[method](splits, budgets, about)
        with phase("score", **about):
            scores = detector.decision_matrix(x)
        assert scores.shape == (rows, len(budgets))


def main(method: str, sizes: Sequence[int], budgets: Sequence[int]) -> None:
    """Measure every size in a new process."""
    lines = []
    for rows in sizes:
        lines += in_own_process(
            "memory", "--own", "--method", method, "--rows", rows, "--budgets", *budgets
        )
    for line in lines:
        line["µs a row"] = f"{line['seconds'] / line['rows'] * 1e6:.2f}"
    print(f"\n{table(lines)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", choices=METHODS, default="A3")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 2_500_000, 5_000_000])
    parser.add_argument("--budgets", type=int, nargs="+", default=[100])
    parser.add_argument("--own", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.own:
        measure(args.method, args.rows[0], args.budgets)
    else:
        main(args.method, args.rows, args.budgets)
