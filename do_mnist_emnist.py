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

BUDGETS = (5, 25, 50, 100)


def main(args) -> int:
    """Train and score every method on both choices of letters."""
    from baselines import DAGMM, Autoencoder, DevNet, IsolationForest
    from libs import datasets
    from libs.A3 import A3
    from libs.architecture.anomaly import GaussianNoise
    from libs.architecture.target import load_target
    from libs.DataHandler import DataHandler, Experiment, SplitRules
    from libs.ExperimentWrapper import ExperimentWrapper

    digits, first, last = tuple("0123456789"), tuple("ABCDE"), tuple("VWXYZ")
    experiments = [
        Experiment(normal=digits, known=first, unknown=last),
        Experiment(normal=digits, known=last, unknown=first),
    ]
    methods = {
        "Autoencoder": Autoencoder(network="conv", dims=(16, 8, 8), epochs=30, batch_size=256),
        "IsolationForest": IsolationForest(),
        "DAGMM": DAGMM(),
        "DevNet": DevNet(),
        "A3": A3(
            target=load_target(args.target_path),
            anomaly=GaussianNoise(mean=0.5, std=1.0),
            alarm_dims=(1000, 500, 200, 75),
            epochs=60,
            batch_size=256,
            learning_rate=1e-5,
        ),
    }
    data = datasets.load("mnist_emnist", args.data_path)
    handler = DataHandler(data, SplitRules(validation=0.05), args.seed)
    wrapper = ExperimentWrapper(handler, "a3", args.part, **cli.places(args))
    for experiment in cli.own_experiments(args) or experiments:
        wrapper.run(experiment, methods, **cli.selection(args, BUDGETS))
    return wrapper.finish()


if __name__ == "__main__":
    parser = cli.experiment_parser(__doc__, seed="2409 2903 3003 3103 706")
    parser.add_argument(
        "--target_path", "-target_path", type=Path, required=True, help="the target, a .keras file"
    )
    raise SystemExit(cli.experiment_script(main, parser))
