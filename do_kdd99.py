#!/usr/bin/env python
"""Six detectors on KDD Cup 1999: network intrusions, found without having seen one.

deepad (Cloudera Fast Forward Labs, 2020): 18 traffic statistics, training on the 97,278 normal rows
of the 10-percent file, testing on 8,000 normal and 2,000 anomalous rows of the official test file.
Deep methods against PCA, one-class SVM, and two that everything must beat: Isolation Forest and the
distance to the mean. Defaults are corrected; methods named after a hyphen do what deepad's
published figures came from, and train only if --methods names them. Thresholds come from rows set
aside for validation. Seed: 2018, about 12 minutes on two cores.

    A3_DATA=/where/the/data/is python do_kdd99.py 2018 test
    A3_DATA=/where/the/data/is python do_kdd99.py 2018 test --labels deepad --rows authors
"""

from libs import cli

PARTITIONS = {"8020": (8000, 2000), "9010": (9000, 1000), "5050": (5000, 5000), "all": None}
"""Normal and anomalous test rows."""
FAMILIES = ("DoS", "Probe", "R2L", "U2R")


def experiment(args):
    """Which classes are normal; deepad's labels count attacks as normal that are new in the test.

    Its own test rows have no other labels.
    """
    from libs.DataHandler import Experiment
    from libs.errors import UserError

    if args.rows == "authors":
        if args.labels != "deepad" or args.features == 41 or args.unique:
            raise UserError(
                "--rows authors has 18 features and deepad's labels only: give --labels deepad, "
                "and neither --features 41 nor --unique"
            )
        return Experiment(normal=("normal",), known=(), unknown=("attack",))
    novel = tuple(f"novel {family}" for family in FAMILIES)
    if args.labels == "deepad":
        return Experiment(normal=("normal", *novel), known=(), unknown=FAMILIES)
    return Experiment(normal=("normal",), known=(), unknown=FAMILIES + novel)


def methods():
    """The detectors at deepad's settings, then those that its published figures came from."""
    from baselines import (
        PCA,
        VAE,
        Autoencoder,
        BiGAN,
        IsolationForest,
        MeanDistance,
        OneClassSVM,
        Seq2Seq,
    )

    often = {"batch_size": 128, "learning_rate": 0.01}
    code = {"dims": (15, 7), "code": 2, "dropout": 0.0, "loss": "mse", "epochs": 8, **often}
    steps = {"epochs": 15, "batches": 1, "batch_size": 256, "learning_rate": 0.01, "beta_1": 0.9}
    corrected = {
        "Autoencoder": Autoencoder("linear code", (15, 7, 2), 0.0, loss="mse", epochs=14, **often),
        "VAE": VAE(warm_up=0.5, divergence_weight=0.01, **code),
        "BiGAN": BiGAN(),
        "Seq2Seq": Seq2Seq(),
        "PCA": PCA(components=2),
        "OneClassSVM": OneClassSVM(nu=1e-4, gamma=0.5),
        "IsolationForest": IsolationForest(),
        "MeanDistance": MeanDistance(),
    }
    published = {
        "VAE-sampled": VAE(draws=1, **code),
        "BiGAN-untrained": BiGAN(weight=0.0, **steps),
        "Seq2Seq-given": Seq2Seq(given_first=True),
        "PCA-directions": PCA(components=2, score="directions"),
    }
    return corrected, published


def main(args) -> int:
    """Train and score every method on one partition."""
    from libs import datasets
    from libs.DataHandler import DataHandler, SplitRules
    from libs.ExperimentWrapper import ExperimentWrapper

    chosen = experiment(args)
    variant = ["kdd99", "41" * (args.features == 41), "unique" * args.unique]
    variant += ["authors" * (args.rows == "authors")]
    data = datasets.load("+".join(filter(None, variant)), args.data_path)
    drawn = None if args.rows == "authors" else PARTITIONS[args.partition]
    rules = SplitRules(test_seed=250, scale_on="normal", test_rows=drawn)
    protocol = "deepad" if args.partition == "8020" else f"deepad-{args.partition}"
    operating = {"rule": args.threshold, "rate": args.rate}
    wrapper = ExperimentWrapper(
        DataHandler(data, rules, args.seed),
        protocol,
        args.part,
        operating=operating,
        **cli.places(args),
    )
    corrected, published = methods()
    selection = cli.selection(args, (0,))
    selection["only"] = selection["only"] or list(corrected)
    for own in cli.own_experiments(args) or [chosen]:
        wrapper.run(own, corrected | published, **selection)
    return wrapper.finish()


if __name__ == "__main__":
    parser = cli.experiment_parser(__doc__, seed="2018")
    add = parser.add_argument
    add("--partition", choices=PARTITIONS, default="8020", help="test rows (default: 8020)")
    add("--labels", choices=("true", "deepad"), default="true", help="see above (default: true)")
    add("--rows", choices=("official", "authors"), default="official", help="test rows of deepad's")
    add("--features", type=int, choices=(18, 41), default=18, help="default: 18")
    add("--threshold", choices=("FPR", "F1", "accuracy"), default="FPR", help="shown in pictures")
    add("--rate", type=float, default=0.01, help="false-positive rate of FPR (default: .01)")
    cli.add_flag(parser, "--unique", help="without duplicate test rows")
    raise SystemExit(cli.experiment_script(main, parser))
