#!/usr/bin/env python
"""ADBench's classical tables: each has normal rows and one class of anomalies.

best: the Ensemble and its rivals on every available table, with 0, 5, 25 and 50 known anomalies,
but at most half of a table's training anomalies. 30 % of the rows are test rows, stratified as in
ADBench and the same for every seed; 10 % of the others are for calibration. Training uses normal
rows; with --p_contamination natural all unlabelled anomalies stay among them, as in ADBench.

    A3_DATA=/where/the/data/is python do_adbench.py 1 test
    A3_DATA=/where/the/data/is python do_adbench.py 1 test --data_sets annthyroid fault
    A3_DATA=/where/the/data/is python do_adbench.py 1 test --p_contamination natural
"""

from dataclasses import replace

from libs.experiments.script import study_parser, study_script

BUDGETS = (0, 5, 25, 50)


def best(args):
    """A study for each table, which is read when its turn comes."""
    from libs.datasets import adbench

    names = adbench.tables(args.data_path, args.data_sets)
    return (study_of(name, args) for name in names)


def study_of(name, args):
    """One table, with the label budgets for which it has enough anomalies."""
    from libs.datasets.registry import load
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.protocols.best import best_study

    data = load(f"adbench-{name}", args.data_path)
    half = int((data.classes == "anomaly").sum()) // 2
    experiment = Experiment(("normal",), ("anomaly",))
    study = best_study(data, experiment, budgets=[b for b in BUDGETS if b <= half])
    return replace(study, skips_methods=True)


PROTOCOLS = {"best": best}

if __name__ == "__main__":
    parser = study_parser(__doc__, PROTOCOLS)
    parser.add_argument("--data_sets", nargs="+", metavar="NAME", help="these tables only")
    raise SystemExit(study_script(parser))
