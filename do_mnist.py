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


def main(args) -> int:
    """Train and score every method on both choices of digits."""
    from baselines import VAE, Autoencoder
    from libs import datasets
    from libs.DataHandler import DataHandler, Experiment, SplitRules
    from libs.ExperimentWrapper import ExperimentWrapper
    from libs.protocols import A3_BUDGETS, a3_methods

    experiments = [
        Experiment(normal=tuple("012345"), known=tuple("67"), unknown=tuple("89")),
        Experiment(normal=tuple("456789"), known=tuple("01"), unknown=tuple("23")),
    ]
    methods, budgets = a3_methods(Autoencoder(network="conv", dims=(16, 8, 8))), A3_BUDGETS
    if args.use_vae:
        vae = VAE(dims=(800, 400, 100), code=25, anomaly_std=5.0, epochs=30, batch_size=256)
        with_vae = methods["A3"].set_params(anomaly=vae)
        methods = {"Autoencoder": methods["Autoencoder"], "A3-vae": with_vae}
        budgets = (0,)
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
