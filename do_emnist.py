#!/usr/bin/env python
"""EMNIST letters: A to M are normal, N to Z anomalies.

argue (Schulze, Sperl, Böttinger; IJCNN 2022): an expert for each letter from A to M; the others
unknown, with 1 % contamination, or known. With --increase_normal only A is normal, then A and B,
and so on to H; the other letters up to M are left out.

best: our settings; N to S known, T to Z unknown.

    A3_DATA=/where/the/data/is python do_emnist.py 110 test
    A3_DATA=/where/the/data/is python do_emnist.py 110 test --increase_normal 1
"""

from libs.experiments.script import study_parser, study_script
from libs.utils.command_line import add_flag


def argue(args):
    """Letters of the first half of the alphabet against those of the second."""
    from libs.experiments.protocols.argue import argue_increasing, argue_study

    settings = {"anomalies": tuple("NOPQRSTUVWXYZ"), "dims": None, "batch_size": 512}
    if args.increase_normal:
        return argue_increasing("emnist", normal=tuple("ABCDEFGH"), **settings)
    return argue_study("emnist", normal=tuple("ABCDEFGHIJKLM"), clusters=5, **settings)


def best(args):
    """Six letters known, seven unknown."""
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.protocols.best import best_study

    return best_study(
        "emnist", Experiment(tuple("ABCDEFGHIJKLM"), tuple("NOPQRS"), tuple("TUVWXYZ")), dims=None
    )


PROTOCOLS = {"argue": argue, "best": best}

if __name__ == "__main__":
    parser = study_parser(__doc__, PROTOCOLS)
    add_flag(parser, "--increase_normal", help="A, then A-B, ... A-H as normal letters")
    raise SystemExit(study_script(parser))
