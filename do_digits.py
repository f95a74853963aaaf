#!/usr/bin/env python
"""A3 on scikit-learn's digits: two digits known in training, two never seen before. No download.

The experiments are the paper's for MNIST, the networks its dense ones. The schedule is our own:
1,797 images of 8 x 8 pixels give a dozen updates per epoch, too few for the paper's 1e-5. Learning
rate and widths were chosen on the validation rows of seeds 1 and 2. Takes about a minute.

best: our settings; the same digits.

    python do_digits.py 706 test
"""

from libs.experiments.script import study_parser, study_script


def a3(args):
    """Both choices of digits."""
    from baselines import Autoencoder, IsolationForest
    from libs.A3 import A3
    from libs.architecture.anomaly import GaussianNoise
    from libs.DataHandler import Experiment, SplitRules
    from libs.experiments.protocols.a3 import a3_cells
    from libs.experiments.study import Study

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
    return Study(
        "digits",
        rules=SplitRules(test=0.3, validation=0.15),  # 5 % would leave thresholds to chance
        cells=a3_cells(*experiments),
        methods=lambda handler: methods,
    )


def best(args):
    """Both choices of digits."""
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.protocols.best import best_study

    return best_study(
        "digits",
        Experiment(normal=tuple("012345"), known=tuple("67"), unknown=tuple("89")),
        Experiment(normal=tuple("456789"), known=tuple("01"), unknown=tuple("23")),
    )


PROTOCOLS = {"a3": a3, "best": best}

if __name__ == "__main__":
    raise SystemExit(study_script(study_parser(__doc__, PROTOCOLS)))
