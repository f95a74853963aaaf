#!/usr/bin/env python
"""Forest cover types: some kinds of trees are normal, others anomalies.

r2ad2 (Schulze et al.; ECML-PKDD 2022): 1 to 3 normal, the others known; then only 4 and 5.
Dense autoencoder 40-20-10, 100 epochs at 1e-3, on a sample too.

argue (Schulze, Sperl, Böttinger; IJCNN 2022): 1 to 4 normal, an expert for each; the others
unknown, with 1 % contamination, or known. 500 epochs at 1e-4.

best: our settings; two kinds known, two unknown.

On a sample, a seed takes 18 minutes under r2ad2, with --n_train_anomalies 100 and 4 to 7 known, and
33 under argue, on two busy cores. Expect (AUC / AP, means of three
seeds): R2AD2 .679 / .727, its sketch .771 / .821; ARGUE .643 / .551 without labels, .784 / .753
with 100.

    A3_DATA=/where/the/data/is python do_covtype.py 110 test
    A3_DATA=/where/the/data/is python do_covtype.py 110 test --protocol argue
"""

from libs.experiments.script import study_parser, study_script


def r2ad2(args):
    """Four kinds known; then two of them."""
    from libs.experiments.protocols.r2ad2 import r2ad2_study

    return r2ad2_study(
        "covtype",
        normal=tuple("123"),
        anomalies=tuple("4567"),
        transfer=tuple("45"),
        dims=(40, 20, 10),
        batch_size=2048,
    )


def argue(args):
    """Four kinds normal, three not."""
    from libs.experiments.protocols.argue import argue_study

    return argue_study(
        "covtype",
        normal=tuple("1234"),
        anomalies=tuple("567"),
        dims=(90, 75, 60, 45, 25, 15),
        batch_size=4096,
        clusters=2,
    )


def best(args):
    """Two kinds known, two unknown."""
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.protocols.best import best_study

    return best_study("covtype", Experiment(tuple("123"), tuple("45"), tuple("67")))


PROTOCOLS = {"r2ad2": r2ad2, "argue": argue, "best": best}

if __name__ == "__main__":
    raise SystemExit(study_script(study_parser(__doc__, PROTOCOLS)))
