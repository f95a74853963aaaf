#!/usr/bin/env python
"""A3 on a ready classifier of digits: digits are normal, letters are not.

As in Sperl, Schulze, Böttinger (ECML-PKDD 2020): five letters are known in training, five others
are not, and the target is a digit classifier, for instance the one that keras_mnist.py trains. 60
epochs of the alarm network at 1e-5. Paper's seeds: 2409 2903 3003 3103 706.

    python keras_mnist.py models/keras_mnist.keras
    python do_mnist_emnist.py 706 test --target_path models/keras_mnist.keras
"""

from pathlib import Path

from libs import cli


def main(args) -> int:
    """Train and score every method on both choices of letters."""
    from baselines import Autoencoder
    from libs import datasets
    from libs.architecture.target import load_target
    from libs.DataHandler import DataHandler, Experiment, SplitRules
    from libs.ExperimentWrapper import ExperimentWrapper
    from libs.protocols import A3_BUDGETS, a3_methods

    digits, first, last = tuple("0123456789"), tuple("ABCDE"), tuple("VWXYZ")
    experiments = [
        Experiment(normal=digits, known=first, unknown=last),
        Experiment(normal=digits, known=last, unknown=first),
    ]
    autoencoder = Autoencoder(network="conv", dims=(16, 8, 8))
    methods = a3_methods(autoencoder, target=load_target(args.target_path))
    data = datasets.load("mnist_emnist", args.data_path)
    handler = DataHandler(data, SplitRules(validation=0.05), args.seed)
    wrapper = ExperimentWrapper(handler, "a3", args.part, **cli.places(args))
    for experiment in cli.own_experiments(args) or experiments:
        wrapper.run(experiment, methods, **cli.selection(args, A3_BUDGETS))
    return wrapper.finish()


if __name__ == "__main__":
    parser = cli.experiment_parser(__doc__, seed="2409 2903 3003 3103 706")
    parser.add_argument(
        "--target_path", "-target_path", type=Path, required=True, help="the target, a .keras file"
    )
    raise SystemExit(cli.experiment_script(main, parser))
