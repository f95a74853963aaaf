#!/usr/bin/env python
"""PyOD's detectors and CatBoost on the splits of protocol best, to compare with our results.

For each experiment of a do_ script it trains ECOD, KNN, IForest and AutoEncoder of PyOD (defaults)
on the normal training rows, and CatBoost (defaults, 300 trees) on these and the known anomalies of
each label budget, and writes AUC and AP of every view to FILE, one row each. Needs the extra
`peers`:

    pip install -e '.[peers]'
    A3_DATA=/where/the/data/is python benchmarks/peers.py do_adbench 1 --out peers-1.csv
    A3_DATA=/where/the/data/is python benchmarks/peers.py do_nslkdd 1 --methods ECOD CatBoost
"""

import argparse
import importlib
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent.parent))

from libs.utils.command_line import plain_parser, run


def pyod(module: str, name: str, **settings):
    """Make a function that fits one of PyOD's detectors and returns its scores."""

    def scores(normal, known, x, seed):
        detector = getattr(importlib.import_module(f"pyod.models.{module}"), name)(**settings)
        if hasattr(detector, "random_state"):
            detector.random_state = seed
        return detector.fit(normal).decision_function(x)

    return scores


def catboost(normal, known, x, seed):
    """Probability of an anomaly by CatBoost."""
    from catboost import CatBoostClassifier

    rows, labels = np.concatenate([normal, known]), np.repeat([0, 1], [len(normal), len(known)])
    quiet = {"verbose": 0, "allow_writing_files": False}
    model = CatBoostClassifier(300, random_seed=seed, **quiet).fit(rows, labels)
    return model.predict_proba(x)[:, 1]


UNSUPERVISED = {
    "PyOD-ECOD": pyod("ecod", "ECOD"),
    "PyOD-KNN": pyod("knn", "KNN"),
    "PyOD-IForest": pyod("iforest", "IForest"),
    "PyOD-AutoEncoder": pyod("auto_encoder", "AutoEncoder", verbose=0),
}
SUPERVISED = {"CatBoost": catboost}


def measure_study(study, seed: int, split: str, methods, data_path) -> list[dict]:
    """A row for each cell, view and run of a study."""
    from libs.DataHandler import DataHandler
    from libs.experiments.settings import Selection
    from libs.experiments.study import select_cells

    handler, rows = DataHandler(study.load(data_path, seed), study.rules, seed), []
    for cell in select_cells(study.cells, Selection()):
        splits = handler.split(cell.experiment, cell.largest, cell.schedule, cell.p_contamination)
        train = np.asarray(splits.x_train).reshape(len(splits.x_train), -1)
        normal, known = train[splits.y_train == 0], train[splits.y_train == 1]
        x, classes = splits.rows(split)
        x = np.asarray(x).reshape(len(x), -1)
        runs = [(name, fit, 0) for name, fit in UNSUPERVISED.items()]
        runs += [(n, fit, b) for n, fit in SUPERVISED.items() for b in cell.budgets if b]
        for name, fit, budget in runs:
            if methods and name.removeprefix("PyOD-") not in methods:
                continue
            start = time.perf_counter()
            scores = fit(normal, known[:budget], x, seed)
            about = {
                "data_set": handler.data.name,
                "experiment": cell.folder,
                "seed": seed,
                "run": f"{name}-n{budget}" if budget else name,
                "seconds": round(time.perf_counter() - start, 2),
            }
            rows += views(cell.experiment, classes, scores, about)
            print(pd.DataFrame(rows[-len(cell.experiment.views) :]).to_string(header=False))
    return rows


def views(experiment, classes, scores, about: dict) -> list[dict]:
    """AUC and AP of each view that holds both kinds of rows."""
    from libs import Metrics
    from libs.datasets.splits.experiment import view_labels

    found = []
    for view in experiment.views:
        mask, y = view_labels(experiment, view, classes)
        if y.any() and not y.all():
            found.append(about | {"view": view} | Metrics.ranking(y, scores[mask]))
    return found


def main(args: argparse.Namespace) -> None:
    """Train, write, show."""
    from libs.experiments.study import Study

    options = argparse.Namespace(data_path=args.data_path, data_sets=args.data_sets)
    studies = importlib.import_module(args.script.removesuffix(".py")).PROTOCOLS["best"](options)
    rows: list[dict] = []
    for study in [studies] if isinstance(studies, Study) else studies:
        rows += measure_study(study, args.seed, args.part, args.methods, args.data_path)
        pd.DataFrame(rows).to_csv(args.out, index=False, float_format="%.6g")
    table = pd.DataFrame(rows).groupby(["view", "run"])[["AUC", "AP", "seconds"]].mean()
    print(table.round(3).to_string(), f"\n{args.out}")


if __name__ == "__main__":
    parser = plain_parser(__doc__)
    add = parser.add_argument
    add("script", metavar="SCRIPT", help="do_adbench, do_nslkdd, ...")
    add("seed", type=int, metavar="SEED")
    add("part", nargs="?", choices=("val", "test"), default="test")
    add("--methods", nargs="+", metavar="NAME", help="ECOD KNN IForest AutoEncoder CatBoost")
    add("--data_sets", nargs="+", metavar="NAME", help="of do_adbench: these tables only")
    add("--data_path", type=Path, help="raw files (default: $A3_DATA, or data)")
    add("--out", type=Path, default=Path("peers.csv"), metavar="FILE", help="default: peers.csv")
    raise SystemExit(run(main, parser))
