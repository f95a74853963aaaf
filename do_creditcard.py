#!/usr/bin/env python
"""Credit card fraud: one kind of anomaly, known in training.

a3 (Sperl, Schulze, Böttinger; ECML-PKDD 2020), for the complete file: dense autoencoder 50-25-10-5
as target, 60 epochs of the alarm network at 1e-5 with 5, 25, 50 and 100 known anomalies. On a
sample all networks train longer, until the alarm network has made 10,000 updates.

r2ad2 (Schulze et al.; ECML-PKDD 2022): dense autoencoder 20-10-5, batches of 4096; there are too
few frauds for a sweep over contamination.

best: our settings; fraud known.

On a sample (12,048 rows) the trainings of a seed take 8 minutes under a3 and, with
--eval_n_anomalies false, 16 under r2ad2, on two busy cores. Expect, with 100 known frauds
(AUC / AP, means of three seeds): A3 .979 / .901; R2AD2 .874 / .624, its sketch .948 / .898.

    A3_DATA=/where/the/data/is python do_creditcard.py 706 test
    A3_DATA=/where/the/data/is python do_creditcard.py 110 test --protocol r2ad2
"""

from libs.experiments.script import study_parser, study_script


def a3(args):
    """Fraud against all other payments."""
    from baselines import Autoencoder
    from libs.DataHandler import Experiment, SplitRules
    from libs.experiments.protocols.a3 import a3_cells, a3_methods
    from libs.experiments.study import Study

    def methods(handler):
        times = handler.epoch_factor(normal=("0",), epochs=60, batch_size=256)
        return a3_methods(Autoencoder(dims=(50, 25, 10, 5)), times=times)

    return Study(
        "creditcard",
        rules=SplitRules(test=0.2, validation=0.05),
        cells=a3_cells(Experiment(normal=("0",), known=("1",))),
        methods=methods,
    )


def r2ad2(args):
    """Fraud against all other payments, with 5 to 100 known frauds."""
    from libs.experiments.protocols.r2ad2 import r2ad2_study

    return r2ad2_study(
        "creditcard",
        normal=("0",),
        anomalies=("1",),
        dims=(20, 10, 5),
        batch_size=4096,
        pollutions=(),
    )


def best(args):
    """Fraud against all other payments."""
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.protocols.best import best_study

    return best_study("creditcard", Experiment(("0",), ("1",)))


PROTOCOLS = {"a3": a3, "r2ad2": r2ad2, "best": best}

if __name__ == "__main__":
    raise SystemExit(study_script(study_parser(__doc__, PROTOCOLS)))
