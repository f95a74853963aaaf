#!/usr/bin/env python
"""Mammography: microcalcifications, 2.3 % of all spots, are anomalies.

r2ad2 (Schulze et al.; ECML-PKDD 2022): with 5 to 100 known anomalies, dense autoencoder 5-3-2,
small alarm network. There are too few for a sweep over contamination.

best: our settings; microcalcifications known.

With --eval_n_anomalies false the trainings of a seed take a minute on two busy cores. Expect, with
100 known ones (AUC / AP, means of three seeds): R2AD2 .968 / .713, its sketch .968 / .753.

    A3_DATA=/where/the/data/is python do_mammography.py 110 test
"""

from libs.experiments.script import study_parser, study_script


def r2ad2(args):
    """Microcalcifications against other spots."""
    from libs.experiments.protocols.r2ad2 import ALARM_SMALL, r2ad2_study

    return r2ad2_study(
        "mammography",
        normal=("0",),
        anomalies=("1",),
        dims=(5, 3, 2),
        batch_size=128,
        alarm_dims=ALARM_SMALL,
        pollutions=(),
    )


def best(args):
    """Microcalcifications against other spots."""
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.protocols.best import best_study

    return best_study("mammography", Experiment(("0",), ("1",)))


PROTOCOLS = {"r2ad2": r2ad2, "best": best}

if __name__ == "__main__":
    raise SystemExit(study_script(study_parser(__doc__, PROTOCOLS)))
