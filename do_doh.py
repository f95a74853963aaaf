#!/usr/bin/env python
"""DNS over HTTPS: flows of tools that tunnel data through it are anomalies.

r2ad2 (Schulze et al.; ECML-PKDD 2022): malicious flows known, dense autoencoder 20-10-5.

argue (Schulze, Sperl, Böttinger; IJCNN 2022): an expert for each week of the benign flows;
malicious flows unknown, with 1 % contamination, or known. The authors' code also feeds the week to
the networks, which gives attacks away by their date; --keep_class_feature does so, too.

best: our settings; malicious flows known.

    A3_DATA=/where/the/data/is python do_doh.py 110 test
    A3_DATA=/where/the/data/is python do_doh.py 110 test --protocol argue
"""

from libs.experiments.script import study_parser, study_script
from libs.utils.command_line import add_flag


def r2ad2(args):
    """Malicious flows against benign ones."""
    from libs.experiments.protocols.r2ad2 import r2ad2_study

    return r2ad2_study(
        "doh",
        normal=("Benign",),
        anomalies=("Malicious",),
        dims=(20, 10, 5),
        batch_size=512,
    )


def argue(args):
    """Benign flows of four weeks against malicious ones."""
    from libs.experiments.protocols.argue import argue_study

    return argue_study(
        "doh+week" if args.keep_class_feature else "doh",
        normal_by="week",
        normal=("2", "3", "50", "51"),
        anomalies=("Malicious",),
        dims=(50, 40, 30, 20, 10, 5),
        batch_size=128,
        clusters=5,
    )


def best(args):
    """Malicious flows against benign ones."""
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.protocols.best import best_study

    return best_study("doh", Experiment(("Benign",), ("Malicious",)))


PROTOCOLS = {"r2ad2": r2ad2, "argue": argue, "best": best}

if __name__ == "__main__":
    parser = study_parser(__doc__, PROTOCOLS)
    add_flag(parser, "--keep_class_feature", help="argue: the week is an input as well")
    raise SystemExit(study_script(parser))
