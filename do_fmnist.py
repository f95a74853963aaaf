#!/usr/bin/env python
"""Fashion-MNIST: some clothes are normal, others anomalies.

0 T-shirt, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 boot.

r2ad2 (Schulze et al.; ECML-PKDD 2022): 0 to 3 normal, the others known; then only 4, 5 and 6.

argue (Schulze, Sperl, Böttinger; IJCNN 2022): 0 to 4 normal, an expert for each; the others
unknown, with 1 % contamination, or known.

best: our settings; three kinds known, three unknown.

    A3_DATA=/where/the/data/is python do_fmnist.py 110 test
    A3_DATA=/where/the/data/is python do_fmnist.py 110 test --protocol argue
"""

from libs.experiments.script import study_parser, study_script


def r2ad2(args):
    """Six kinds known; then three of them."""
    from libs.experiments.protocols.r2ad2 import r2ad2_study

    return r2ad2_study(
        "fashion_mnist",
        normal=tuple("0123"),
        anomalies=tuple("456789"),
        transfer=tuple("456"),
        dims=None,
        batch_size=512,
    )


def argue(args):
    """Five kinds normal, five not."""
    from libs.experiments.protocols.argue import argue_study

    return argue_study(
        "fashion_mnist",
        normal=tuple("01234"),
        anomalies=tuple("56789"),
        dims=None,
        batch_size=512,
        clusters=2,
    )


def best(args):
    """Three kinds known, three unknown."""
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.protocols.best import best_study

    return best_study(
        "fashion_mnist", Experiment(tuple("0123"), tuple("456"), tuple("789")), dims=None
    )


PROTOCOLS = {"r2ad2": r2ad2, "argue": argue, "best": best}

if __name__ == "__main__":
    raise SystemExit(study_script(study_parser(__doc__, PROTOCOLS)))
