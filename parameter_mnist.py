#!/usr/bin/env python
"""A3's settings on MNIST: a grid over four penalties and the weight of the counter-examples.

As in Sperl, Schulze, Böttinger (ECML-PKDD 2020): digits 0-5 are normal, 6-9 are unknown anomalies,
and only validation rows are scored. Each of the four penalties (w1, w2: L1 and L2 on
the first layer's weights; o1, o2: L1 and L2 on the distance of the output from 1) is 0 or .1, the
loss weight is .1 or 1. A3-w1+o2-0.1, for example, has two penalties and the loss weight .1. The
protocol of the results is a3-parameters.

    python parameter_mnist.py 706 val --n_epochs 5
"""

from itertools import product

from libs.experiments.script import study_parser, study_script

PENALTIES = {"w1": "weights_l1", "w2": "weights_l2", "o1": "output_l1", "o2": "output_l2"}


def parameters(args):
    """Every point of the grid, on one target."""
    from sklearn.base import clone

    from baselines import Autoencoder
    from libs.DataHandler import Experiment, SplitRules
    from libs.experiments.protocols.a3 import a3_methods
    from libs.experiments.study import Cell, Study

    a3 = a3_methods(Autoencoder(network="conv", dims=(16, 8, 8)), target_dropout=True)
    target = a3["Autoencoder"]
    methods = {"Autoencoder": target}
    for *penalties, weight in product(*[(0.0, 0.1)] * len(PENALTIES), (0.1, 1.0)):
        values = dict(zip(PENALTIES.values(), penalties, strict=True))
        names = [short for short, name in PENALTIES.items() if values[name]]
        point = clone(a3["A3"]).set_params(**values, target=target, loss_weight=weight)
        methods[f"A3-{'+'.join(names) or 'none'}-{weight:g}"] = point
    return Study(
        "mnist",
        rules=SplitRules(validation=0.05),
        cells=[Cell(Experiment(normal=tuple("012345"), known=(), unknown=tuple("6789")))],
        methods=lambda handler: methods,
    )


PROTOCOLS = {"a3-parameters": parameters}

if __name__ == "__main__":
    raise SystemExit(study_script(study_parser(__doc__, PROTOCOLS, splits=("val",))))
