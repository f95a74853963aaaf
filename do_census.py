#!/usr/bin/env python
"""Census-Income: people with an income above 50,000 are anomalies.

argue (Schulze, Sperl, Böttinger; IJCNN 2022): an expert for women, one for men; high
incomes unknown, with 1 % contamination, or known. Trained on the training file; the authors' code
uses the test file for both.

best: our settings; high incomes known.

    A3_DATA=/where/the/data/is python do_census.py 110 test
"""

from libs.experiments.script import study_parser, study_script


def argue(args):
    """Both sexes against high incomes."""
    from libs.experiments.protocols.argue import argue_study

    return argue_study(
        "census",
        normal=("Male", "Female"),
        anomalies=("Anomalous",),
        dims=(600, 300, 150, 75, 30, 15),
        batch_size=512,
        clusters=4,
    )


def best(args):
    """High incomes, known."""
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.protocols.best import best_study

    return best_study("census", Experiment(("Male", "Female"), ("Anomalous",)))


PROTOCOLS = {"argue": argue, "best": best}

if __name__ == "__main__":
    raise SystemExit(study_script(study_parser(__doc__, PROTOCOLS)))
