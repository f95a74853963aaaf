#!/usr/bin/env python
"""NSL-KDD: network intrusions in four attack families.

a3 (Sperl, Schulze, Böttinger; ECML-PKDD 2020): two families known in training, two never seen
before. Dense autoencoder 200-100-50-25 as target, Gaussian noise as anomaly network, 60 epochs of
the alarm network at 1e-5 with 5, 25, 50 and 100 known anomalies. On a sample all networks train
longer, until the alarm network has made 10,000 updates.

r2ad2 (Schulze et al.; ECML-PKDD 2022): all families known; DoS and Probe known; contamination.

argue (Schulze, Sperl, Böttinger; IJCNN 2022): an expert for each IP protocol of normal connections.

best: our settings; the experiments of a3.

Under a3 the trainings of a seed take 21 minutes on two busy cores. Expect, with 100 known anomalies
(AUC / AP, means of five seeds): DoS and Probe known, known .973 / .975, transfer .948 / .959,
unknown .864 / .516; R2L and U2R known, .918 / .707, .958 / .963 and .969 / .967.

    A3_DATA=/where/the/data/is python do_nslkdd.py 706 test
    A3_DATA=/where/the/data/is python do_nslkdd.py 110 test --protocol r2ad2
    A3_DATA=/where/the/data/is python do_nslkdd.py 110 test --protocol argue
"""

from libs.experiments.script import study_parser, study_script


def a3(args):
    """Both pairs of families, one known and the other unknown."""
    from baselines import Autoencoder
    from libs.DataHandler import Experiment, SplitRules
    from libs.experiments.protocols.a3 import a3_cells, a3_methods
    from libs.experiments.study import Study

    normal, first, last = ("normal",), ("DoS", "Probe"), ("R2L", "U2R")

    def methods(handler):
        times = handler.epoch_factor(normal, epochs=60, batch_size=256)
        return a3_methods(Autoencoder(dims=(200, 100, 50, 25)), times=times)

    return Study(
        "nslkdd",
        rules=SplitRules(validation=0.05, scale_on="all"),
        cells=a3_cells(Experiment(normal, first, last), Experiment(normal, last, first)),
        methods=methods,
    )


def r2ad2(args):
    """All families known; then only DoS and Probe."""
    from libs.experiments.protocols.r2ad2 import r2ad2_study

    return r2ad2_study(
        "nslkdd",
        normal=("normal",),
        anomalies=("DoS", "Probe", "R2L", "U2R"),
        transfer=("DoS", "Probe"),
        dims=(40, 20, 10),
        batch_size=512,
    )


def argue(args):
    """Normal connections of three IP protocols against all attacks."""
    from libs.experiments.protocols.argue import argue_study

    return argue_study(
        "nslkdd",
        normal_by="protocol_type",
        normal=("icmp", "tcp", "udp"),
        anomalies=("DoS", "Probe", "R2L", "U2R"),
        dims=(150, 100, 70, 40, 25, 10),
        batch_size=512,
        clusters=5,
    )


def best(args):
    """Both pairs of families, one known and the other unknown."""
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.protocols.best import best_study

    normal, first, last = ("normal",), ("DoS", "Probe"), ("R2L", "U2R")
    return best_study("nslkdd", Experiment(normal, first, last), Experiment(normal, last, first))


PROTOCOLS = {"a3": a3, "r2ad2": r2ad2, "argue": argue, "best": best}

if __name__ == "__main__":
    raise SystemExit(study_script(study_parser(__doc__, PROTOCOLS)))
