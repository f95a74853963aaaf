#!/usr/bin/env python
"""A3 on credit card fraud: one kind of anomaly, known in training.

Settings of Sperl, Schulze, Böttinger (ECML-PKDD 2020) for the complete file: dense autoencoder
50-25-10-5 as target, 60 epochs of the alarm network at 1e-5 with 5, 25, 50 and 100 known anomalies.
On a sample of the file all networks train so many times longer that the alarm network gets 10,000
updates. Paper's seeds: 2409 2903 3003 3103 706.

    A3_DATA=/where/the/data/is python do_creditcard.py 706 test
"""

from libs import cli


def main(args) -> int:
    """Train and score every method on fraud against all other transactions."""
    from baselines import Autoencoder
    from libs import datasets
    from libs.DataHandler import DataHandler, Experiment, SplitRules
    from libs.ExperimentWrapper import ExperimentWrapper
    from libs.protocols import A3_BUDGETS, a3_methods

    experiments = [Experiment(normal=("0",), known=("1",))]
    data = datasets.load("creditcard", args.data_path)
    handler = DataHandler(data, SplitRules(test=0.2, validation=0.05), args.seed)
    times = handler.stretch(normal=("0",), epochs=60, batch_size=256)
    methods = a3_methods(Autoencoder(dims=(50, 25, 10, 5)), times=times)
    wrapper = ExperimentWrapper(handler, "a3", args.part, **cli.places(args))
    for experiment in cli.own_experiments(args) or experiments:
        wrapper.run(experiment, methods, **cli.selection(args, A3_BUDGETS))
    return wrapper.finish()


if __name__ == "__main__":
    parser = cli.experiment_parser(__doc__, seed="2409 2903 3003 3103 706")
    raise SystemExit(cli.experiment_script(main, parser))
