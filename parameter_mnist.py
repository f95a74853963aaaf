#!/usr/bin/env python
"""A3's settings on MNIST: a grid over four penalties and the weight of the counter-examples.

As in Sperl, Schulze, Böttinger (ECML-PKDD 2020): digits 0-5 are normal, 6-9 are anomalies, none of
them is known, and only validation rows are scored. Each of the four penalties (L1 and L2 on the
first layer's weights; L1 and L2 on the distance of the output from 1) is 0 or .1, the loss weight
is .1 or 1. Results lie under the protocol a3-parameters.

    python parameter_mnist.py 706 val --n_epochs 5
"""

from itertools import product

from libs import cli

PENALTIES = ("weights_l1", "weights_l2", "output_l1", "output_l2")


def name(values: dict[str, float]) -> str:
    """Row name of a setting: what is not 0."""
    return "_".join(["A3", *(f"{key}={value:g}" for key, value in values.items() if value)])


def parameters(args):
    """Every point of the grid, on one target."""
    from sklearn.base import clone

    from baselines import Autoencoder
    from libs.DataHandler import Experiment, SplitRules
    from libs.protocols.a3 import a3_methods
    from libs.study import Cell, Study

    a3 = a3_methods(Autoencoder(network="conv", dims=(16, 8, 8)))
    methods = {"Autoencoder": a3["Autoencoder"]}
    for *penalties, weight in product(*[(0.0, 0.1)] * len(PENALTIES), (0.1, 1.0)):
        values = dict(zip(PENALTIES, penalties, strict=True)) | {"loss_weight": weight}
        methods[name(values)] = clone(a3["A3"]).set_params(**values)
    return Study(
        "mnist",
        rules=SplitRules(validation=0.05),
        cells=[Cell(Experiment(normal=tuple("012345"), known=(), unknown=tuple("6789")))],
        methods=lambda handler: methods,
    )


PROTOCOLS = {"a3-parameters": parameters}

if __name__ == "__main__":
    raise SystemExit(cli.study_script(cli.study_parser(__doc__, PROTOCOLS, parts=("val",))))
