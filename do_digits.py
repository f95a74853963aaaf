#!/usr/bin/env python
"""A3 on scikit-learn's digits: two digits known in training, two never seen before. No download.

The experiments are the paper's for MNIST, the networks its dense ones. The schedule is our own:
1,797 images of 8 x 8 pixels give a dozen updates an epoch, which teach nothing at the paper's 1e-5.
Learning rate and widths were chosen on the validation rows of seeds 1 and 2. About a minute.

    python do_digits.py 706 test
"""

from libs import cli

BUDGETS = (5, 25, 50, 100)


def main(args) -> int:
    """Train and score every method on both choices of digits."""
    from baselines import Autoencoder, IsolationForest
    from libs import datasets
    from libs.A3 import A3
    from libs.architecture.anomaly import GaussianNoise
    from libs.DataHandler import DataHandler, Experiment, SplitRules
    from libs.ExperimentWrapper import ExperimentWrapper

    experiments = [
        Experiment(normal=tuple("012345"), known=tuple("67"), unknown=tuple("89")),
        Experiment(normal=tuple("456789"), known=tuple("01"), unknown=tuple("23")),
    ]
    target = Autoencoder(dims=(200, 100, 50, 25), epochs=100, batch_size=64, learning_rate=1e-3)
    methods = {
        "Autoencoder": target,
        "IsolationForest": IsolationForest(),
        "A3": A3(
            target=target,
            anomaly=GaussianNoise(mean=0.5, std=1.0),
            alarm_dims=(1000, 500, 200, 75),
            epochs=60,
            batch_size=64,
            learning_rate=1e-4,
        ),
    }
    data = datasets.load("digits", args.data_path)
    # 5 % of so few rows would leave thresholds to chance
    handler = DataHandler(data, SplitRules(test=0.3, validation=0.15), args.seed)
    wrapper = ExperimentWrapper(handler, "a3", args.part, **cli.places(args))
    for experiment in cli.own_experiments(args) or experiments:
        wrapper.run(experiment, methods, **cli.selection(args, BUDGETS))
    return wrapper.finish()


if __name__ == "__main__":
    raise SystemExit(cli.experiment_script(main, cli.experiment_parser(__doc__, seed="706")))
