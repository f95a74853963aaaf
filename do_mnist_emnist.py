#!/usr/bin/env python
"""A3 on a pretrained digit classifier: digits are normal, letters anomalies.

a3 (Sperl, Schulze, Böttinger; ECML-PKDD 2020): five letters are known in training, five others are
unknown, and the target is a digit classifier such as the one that keras_mnist.py trains. 60 epochs
of the alarm network at 1e-5.

best: our settings; the experiments of a3, without a pretrained target.

With --n_train_anomalies 100 and A to E known the trainings of a seed take 18 minutes on two busy
cores. Expect (AUC / AP, seed 706, re-split letters): known .995 / .990, transfer .984 / .975,
unknown .972 / .932.

    python keras_mnist.py
    python do_mnist_emnist.py 706 test --target_path models/keras_mnist.keras
"""

from pathlib import Path

from libs.experiments.script import study_parser, study_script


def a3(args):
    """Both choices of letters."""
    from baselines import Autoencoder
    from libs.architecture.target import load_target
    from libs.DataHandler import Experiment, SplitRules
    from libs.experiments.protocols.a3 import a3_cells, a3_methods
    from libs.experiments.study import Study
    from libs.utils.errors import UserError

    if args.target_path is None:
        raise UserError("protocol a3 needs --target_path: train one with keras_mnist.py")
    digits, first, last = tuple("0123456789"), tuple("ABCDE"), tuple("VWXYZ")
    autoencoder = Autoencoder(network="conv", dims=(16, 8, 8))
    methods = a3_methods(autoencoder, target=load_target(args.target_path))
    return Study(
        "mnist_emnist",
        rules=SplitRules(validation=0.05),
        cells=a3_cells(Experiment(digits, first, last), Experiment(digits, last, first)),
        methods=lambda handler: methods,
    )


def best(args):
    """Both choices of letters."""
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.protocols.best import best_study

    digits, first, last = tuple("0123456789"), tuple("ABCDE"), tuple("VWXYZ")
    experiments = Experiment(digits, first, last), Experiment(digits, last, first)
    return best_study("mnist_emnist", *experiments, dims=None)


PROTOCOLS = {"a3": a3, "best": best}

if __name__ == "__main__":
    parser = study_parser(__doc__, PROTOCOLS)
    parser.add_argument(
        "--target_path", "-target_path", type=Path, help="a3: the target, a .keras file"
    )
    raise SystemExit(study_script(parser))
