#!/usr/bin/env python
"""A3 on MNIST: two digits known in training, two never seen before.

Settings of Sperl, Schulze, Böttinger (ECML-PKDD 2020): convolutional autoencoder as target (7432
activations), Gaussian noise as anomaly network, 60 epochs of the alarm network at 1e-5 with 5, 25,
50 and 100 known anomalies. With --use_vae 1 a variational autoencoder makes the counter-examples,
and no anomaly is known. Paper's seeds: 2409 2903 3003 3103 706.

    python do_mnist.py 706 test
    python do_mnist.py 706 test --use_vae 1
"""

from libs import cli

BUDGETS = (5, 25, 50, 100)


def main(args) -> int:
    """Train and score every method on both choices of digits."""
    from baselines import DAGMM, VAE, Autoencoder, DevNet, IsolationForest
    from libs import datasets
    from libs.A3 import A3
    from libs.architecture.anomaly import GaussianNoise
    from libs.DataHandler import DataHandler, Experiment, SplitRules
    from libs.ExperimentWrapper import ExperimentWrapper

    experiments = [
        Experiment(normal=tuple("012345"), known=tuple("67"), unknown=tuple("89")),
        Experiment(normal=tuple("456789"), known=tuple("01"), unknown=tuple("23")),
    ]
    target = Autoencoder(network="conv", dims=(16, 8, 8), epochs=30, batch_size=256)
    alarm = {"alarm_dims": (1000, 500, 200, 75), "epochs": 60, "batch_size": 256}
    if args.use_vae:
        vae = VAE(dims=(800, 400, 100), code=25, anomaly_std=5.0, epochs=30, batch_size=256)
        methods = {"Autoencoder": target, "A3-vae": A3(target=target, anomaly=vae, **alarm)}
        budgets = (0,)
    else:
        methods = {
            "Autoencoder": target,
            "IsolationForest": IsolationForest(),
            "DAGMM": DAGMM(),
            "DevNet": DevNet(),
            "A3": A3(target=target, anomaly=GaussianNoise(mean=0.5, std=1.0), **alarm),
        }
        budgets = BUDGETS
    data = datasets.load("mnist", args.data_path)
    handler = DataHandler(data, SplitRules(validation=0.05), args.seed)
    wrapper = ExperimentWrapper(handler, "a3", args.part, **cli.places(args))
    for experiment in cli.own_experiments(args) or experiments:
        wrapper.run(experiment, methods, **cli.selection(args, budgets))
    return wrapper.finish()


if __name__ == "__main__":
    parser = cli.experiment_parser(__doc__, seed="2409 2903 3003 3103 706")
    cli.add_flag(parser, "--use_vae", help="a VAE as anomaly network, no known anomalies")
    raise SystemExit(cli.experiment_script(main, parser))
