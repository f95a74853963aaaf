#!/usr/bin/env python
"""A3's training, the plain procedure against ours, and what a whole script would take by each.

Both train the target and the alarm network for a few epochs, in turns, each in a process of its
own. The seconds of an epoch are the difference of two lengths, so that compiling does not count.
The paper's script, two pairs of classes and four label budgets, is extrapolated: plainly it trains
target and alarms again for each of two views (as the authors' code does) and each budget by itself;
ours trains a target and one alarm of four budgets per pair.

    A3_DATA=/where/the/data/is python benchmarks/training.py nslkdd
    A3_DATA=/where/the/data/is python benchmarks/training.py mnist --precision float32
    A3_DATA=/where/the/data/is python benchmarks/training.py nslkdd --scores 706 3003 3103
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.measuring import in_own_process
from libs.utils.command_line import experiment_script, plain_parser

TARGETS = {
    "nslkdd": {"network": "dense", "dims": (200, 100, 50, 25)},
    "mnist": {"network": "conv", "dims": (16, 8, 8)},
}
CLASSES = {
    "nslkdd": {"normal": ("normal",), "known": ("DoS", "Probe"), "unknown": ("R2L", "U2R")},
    "mnist": {"normal": tuple("012345"), "known": tuple("67"), "unknown": tuple("89")},
}
BUDGETS = (5, 25, 50, 100)
TARGET_EPOCHS, ALARM_EPOCHS, PAIRS, VIEWS = 30, 60, 2, 2


def load_split(name: str, seed: int):
    """Rows of the benchmark's pair of classes, with 100 known anomalies."""
    from libs.DataHandler import DataHandler, Experiment, SplitRules
    from libs.datasets import registry as datasets

    handler = DataHandler(datasets.load(name), SplitRules(validation=0.05), seed)
    return handler.split(Experiment(**CLASSES[name]), max(BUDGETS))


def trainers(name: str, side: str, precision: str, seed: int):
    """The target's and the alarm's training by one side, each a function of its epochs."""
    import keras

    from baselines import Autoencoder
    from benchmarks.plain_a3 import plain_a3, plain_target
    from libs.A3 import A3
    from libs.architecture.target import AUTOENCODERS

    splits = load_split(name, seed)
    x, y = splits.x_train, splits.y_train
    normal, kind = x[y == 0], TARGETS[name]
    keras.utils.set_random_seed(seed)
    made = {}

    def plain(epochs: int):
        model = AUTOENCODERS[kind["network"]](x.shape[1:], kind["dims"])
        made["target"] = plain_target(model, normal, epochs)

    def ours(epochs: int):
        made["target"] = Autoencoder(**kind, epochs=epochs, random_state=seed).fit(normal)

    def alarm(epochs: int):
        budgets = BUDGETS if side == "ours" else (BUDGETS[-1],)
        a3 = A3(target=made["target"], budgets=budgets, epochs=epochs, random_state=seed)
        return a3.set_params(precision=precision).fit(x, y)

    def plain_alarm(epochs: int):
        return plain_a3(made["target"], x, y, epochs)

    return splits, *((plain, plain_alarm) if side == "plain" else (ours, alarm))


def measure(args: argparse.Namespace) -> dict:
    """Seconds of an epoch of each network by one side, and the process' peak memory."""
    _, target, alarm = trainers(args.data_set, args.side, args.precision, seed=706)

    def seconds(train, epochs: int) -> float:
        start = time.perf_counter()
        train(epochs)
        return time.perf_counter() - start

    def epoch(train) -> float:
        return (seconds(train, 1 + args.epochs) - seconds(train, 1)) / args.epochs

    found = {"target": epoch(target), "alarm": epoch(alarm)}
    return found | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def compare(args: argparse.Namespace) -> None:
    """Measure both sides in turns; print medians, ratios and the extrapolated script."""
    found = {"plain": [], "ours": []}
    for _ in range(args.repeats):
        for side, rows in found.items():
            print(side, end=" ", flush=True)
            rows += in_own_process("training", *sys.argv[1:], "--side", side)
    plain, ours = (
        {key: median(row[key] for row in rows) for key in rows[0]} for rows in found.values()
    )
    for side, budgets, views in ((plain, len(BUDGETS), VIEWS), (ours, 1, 1)):
        alarm = budgets * ALARM_EPOCHS * side["alarm"]
        side["script"] = PAIRS * views * (TARGET_EPOCHS * side["target"] + alarm)
    labels = {
        "target": "an epoch of the target, s",
        "alarm": f"an alarm epoch (plain: 1 budget, ours: {len(BUDGETS)}), s",
        "script": "the whole script, s",
        "peak": "peak memory, GiB",
    }
    print(f"{args.data_set}, {args.precision}, medians of {args.repeats}")
    for key, label in labels.items():
        ratio = plain[key] / ours[key]
        print(f"{label:48} plain {plain[key]:9.2f}  ours {ours[key]:9.2f}  ratio {ratio:5.2f}")


def score(args: argparse.Namespace) -> None:
    """Train both sides at full length with 100 known anomalies; print AUC and AP of the views."""
    from libs.DataHandler import view_labels
    from libs.Metrics import ranking

    for seed in args.scores:
        for side in (args.side,) if args.side else ("plain", "ours"):
            splits, target, alarm = trainers(args.data_set, side, args.precision, seed)
            target(TARGET_EPOCHS)
            start = time.perf_counter()
            model = alarm(ALARM_EPOCHS)
            seconds = time.perf_counter() - start
            if side == "plain":
                scores = model.predict(splits.x_test, verbose=0)[:, 0]
            else:
                scores = model.decision_function(splits.x_test)
            views = []
            for view in splits.experiment.views:
                mask, y = view_labels(splits.experiment, view, splits.classes_test)
                values = ranking(y, scores[mask])
                views.append(f"{view} {values['AUC']:.4f} / {values['AP']:.4f}")
            print(f"seed {seed}, {side}, alarm {seconds:.0f} s: {', '.join(views)}", flush=True)


def main(args: argparse.Namespace) -> None:
    """Dispatch to one side's measurement, to the scores, or to the comparison."""
    if args.scores:
        score(args)
    elif args.side:
        print(json.dumps(measure(args)))
    else:
        compare(args)


if __name__ == "__main__":
    parser = plain_parser(__doc__)
    parser.add_argument("data_set", choices=TARGETS)
    parser.add_argument("--epochs", type=int, default=3, help="epochs to time; default: 3")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side; default: 3")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--scores", type=int, nargs="+", metavar="SEED", help="full length instead")
    parser.add_argument("--side", choices=("plain", "ours"), help="only this one")
    raise SystemExit(experiment_script(main, parser))
