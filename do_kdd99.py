#!/usr/bin/env python
"""KDD Cup 1999: network intrusions, found by detectors that have seen none.

deepad (Cloudera Fast Forward Labs, 2020): 18 traffic statistics, training on the 97,278 normal rows
of the 10-percent file, testing on 8,000 normal and 2,000 anomalous rows of the official test file.
Deep methods against PCA, one-class SVM, and two that everything must beat: Isolation Forest and the
distance to the mean. Defaults are corrected; methods named after a hyphen do what deepad's
published figures came from, and train only if --methods names them. Thresholds come from rows set
aside for validation. About 12 minutes on two cores.

    A3_DATA=/where/the/data/is python do_kdd99.py 2018 test
    A3_DATA=/where/the/data/is python do_kdd99.py 2018 test --labels deepad --rows authors
"""

from libs import cli

FAMILIES = ("DoS", "Probe", "R2L", "U2R")


def deepad(args):
    """One partition of the test rows, with true labels or deepad's.

    deepad counts attacks as normal that are new in the test file. Its own prepared test rows have
    no other labels.
    """
    from libs.DataHandler import Experiment
    from libs.errors import UserError
    from libs.protocols.deepad import deepad_study

    choice = {"partition": args.partition, "rule": args.threshold, "rate": args.rate}
    if args.rows == "authors":
        if (args.labels, args.partition, args.features, args.unique) != (
            "deepad",
            "8020",
            18,
            False,
        ):
            raise UserError(
                "--rows authors are of partition 8020, have 18 features and deepad's labels only: "
                "give --labels deepad, and neither --partition, --features 41 nor --unique"
            )
        choice["partition"] = "authors"
        return deepad_study("kdd99+authors", Experiment(("normal",), (), ("attack",)), **choice)
    parts = ["kdd99", "41" * (args.features == 41), "unique" * args.unique]
    novel = tuple(f"novel {family}" for family in FAMILIES)
    experiment = Experiment(("normal",), (), FAMILIES + novel)
    if args.labels == "deepad":
        experiment = Experiment(("normal", *novel), (), FAMILIES)
    return deepad_study("+".join(filter(None, parts)), experiment, **choice)


def parser():
    """Options of every do_ script, and of this one."""
    shared = cli.study_parser(__doc__, {"deepad": deepad})
    add = shared.add_argument
    partitions = ("8020", "9010", "5050", "all")
    add("--partition", choices=partitions, default="8020", help="of the test rows (default: 8020)")
    add("--labels", choices=("true", "deepad"), default="true", help="default: true")
    add(
        "--rows",
        choices=("official", "authors"),
        default="official",
        help="test rows; authors: those that deepad prepared (default: official)",
    )
    add("--features", type=int, choices=(18, 41), default=18, help="default: 18")
    cli.add_flag(shared, "--unique", help="without duplicates among test and validation rows")
    add(
        "--threshold",
        choices=("FPR", "F1", "accuracy"),
        default="FPR",
        help="what the shown threshold is best for on validation rows; F1 and accuracy use their "
        "labels (default: FPR)",
    )
    add("--rate", type=cli.share, default=0.01, help="false-positive rate of FPR (default: .01)")
    return shared


if __name__ == "__main__":
    raise SystemExit(cli.study_script(parser()))
