#!/usr/bin/env python
"""A3 on intrusion detection: all attacks but one family known in training.

Settings of Sperl, Schulze, Böttinger (ECML-PKDD 2020) for CSE-CIC-IDS2018: dense autoencoder
150-80-40-20 as target, 60 epochs of the alarm network at 1e-5, batches of 2048, with 5, 25, 50 and
100 known anomalies. Where its files are not there, CIC-IDS2017 takes their place. On a sample
batches are of 256 rows and all networks train so many times longer that the alarm network gets
10,000 updates. Infiltration of 2017 is almost all port scans (7,329 of 7,365 flows).
Paper's seeds: 2409 2903 3003 3103 706.

    A3_DATA=/where/the/data/is python do_ids.py 706 test
"""

from libs import cli


def main(args) -> int:
    """Train and score every method with Bot, and with BruteForce, as the unknown attack."""
    from baselines import Autoencoder
    from libs import datasets
    from libs.DataHandler import DataHandler, Experiment, SplitRules
    from libs.ExperimentWrapper import ExperimentWrapper
    from libs.protocols import A3_BUDGETS, a3_methods

    others = ("DoS", "WebAttacks", "Infiltration")
    experiments = [
        Experiment(normal=("Benign",), known=("BruteForce", *others), unknown=("Bot",)),
        Experiment(normal=("Benign",), known=("Bot", *others), unknown=("BruteForce",)),
    ]
    data = datasets.load("ids", args.data_path)
    handler = DataHandler(data, SplitRules(test=0.2, validation=0.05), args.seed)
    batch = 256 if data.is_sample else 2048
    times = handler.stretch(normal=("Benign",), epochs=60, batch_size=batch)
    methods = a3_methods(Autoencoder(dims=(150, 80, 40, 20)), batch_size=batch, times=times)
    wrapper = ExperimentWrapper(handler, "a3", args.part, **cli.places(args))
    for experiment in cli.own_experiments(args) or experiments:
        wrapper.run(experiment, methods, **cli.selection(args, A3_BUDGETS))
    return wrapper.finish()


if __name__ == "__main__":
    parser = cli.experiment_parser(__doc__, seed="2409 2903 3003 3103 706")
    raise SystemExit(cli.experiment_script(main, parser))
