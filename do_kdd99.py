#!/usr/bin/env python
"""KDD Cup 1999: network intrusions, found by detectors trained without any.

deepad (Cloudera Fast Forward Labs, 2020): 18 traffic statistics, training on the 97,278 normal rows
of the 10-percent file, testing on 8,000 normal and 2,000 anomalous rows of the official test file.
Deep methods against PCA, one-class SVM, and two trivial ones: Isolation Forest and the distance to
the mean. Defaults are corrected; variants after a hyphen reproduce deepad's published figures and
train only if named by --methods. Thresholds come from held-out validation rows. Seeds 2018 to 2022,
a minute each.

best: our settings, on all features and all test rows; DoS and Probe known.

Data sets: kdd99+41 has all features, kdd99+unique no duplicates among test rows, kdd99+authors the
test rows that deepad prepared. Labels: deepad counts attacks as normal if they are new in the test
file.

Expect, with true labels (AUC / AP, means of the five seeds): one-class SVM .950 / .897, VAE
.949 / .905, PCA .944 / .903, autoencoder .938 / .895, BiGAN .922 / .845.

    A3_DATA=/where/the/data/is python do_kdd99.py 2018 test
    A3_DATA=/where/the/data/is python do_kdd99.py 2018 test --labels deepad --data_set kdd99+authors
"""

from libs.experiments.script import study_parser, study_script
from libs.utils.command_line import fraction

FAMILIES = ("DoS", "Probe", "R2L", "U2R")


def deepad(args):
    """One partition of the test rows, with true labels or deepad's."""
    from libs.DataHandler import Experiment
    from libs.experiments.protocols.deepad import deepad_study
    from libs.experiments.thresholds import ThresholdRule
    from libs.utils.errors import UserError

    threshold = ThresholdRule(args.threshold, args.rate)
    if args.data_set == "kdd99+authors":
        if (args.labels, args.partition) != ("deepad", "8020"):
            raise UserError(
                "the rows that deepad prepared are of partition 8020 and have its labels only: "
                "give --labels deepad"
            )
        experiment = Experiment(("normal",), (), ("attack",))
        return deepad_study(args.data_set, experiment, "authors", threshold)
    novel = tuple(f"novel {family}" for family in FAMILIES)
    experiment = Experiment(("normal",), (), FAMILIES + novel)
    if args.labels == "deepad":
        experiment = Experiment(("normal", *novel), (), FAMILIES)
    return deepad_study(args.data_set, experiment, args.partition, threshold)


def best(args):
    """Two families known; the others, and attacks that are new in the test file, unknown."""
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.protocols.best import best_study

    unknown = (*FAMILIES[2:], *(f"novel {family}" for family in FAMILIES))
    return best_study("kdd99+41", Experiment(("normal",), FAMILIES[:2], unknown))


PROTOCOLS = {"deepad": deepad, "best": best}


def parser():
    """Options of every do_ script, and of this one."""
    shared = study_parser(__doc__, PROTOCOLS)
    add = shared.add_argument
    rows = ("kdd99", "kdd99+unique", "kdd99+41", "kdd99+41+unique", "kdd99+authors")
    add("--data_set", choices=rows, default="kdd99", help="see above (default: kdd99)")
    partitions = ("8020", "9010", "5050", "all")
    add("--partition", choices=partitions, default="8020", help="of the test rows (default: 8020)")
    add("--labels", choices=("true", "deepad"), default="true", help="see above (default: true)")
    add(
        "--threshold",
        choices=("FPR", "F1", "accuracy"),
        default="FPR",
        help="criterion of the shown threshold on validation rows; F1 and accuracy use their "
        "labels (default: FPR)",
    )
    add("--rate", type=fraction, default=0.01, help="false-positive rate of FPR (default: .01)")
    return shared


if __name__ == "__main__":
    raise SystemExit(study_script(parser()))
