#!/usr/bin/env python
"""The shortest tour of the A3 class, without wrapper or data handler: digits 0-2 against 3 and 4.

python do_mnist_manually.py
"""

from libs.utils.command_line import experiment_script, plain_parser


def main(args) -> int:
    """Train a target, then A3 on it with 100 known threes; print how it ranks threes and fours."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    from baselines import Autoencoder
    from libs.A3 import A3
    from libs.datasets import registry as datasets

    data = datasets.load("mnist", args.data_path)
    x, x_test = data.x / data.maximum, data.x_test / data.maximum
    normal = x[np.isin(data.classes, ("0", "1", "2"))]
    threes = x[data.classes == "3"][:100]

    target = Autoencoder(network="conv", dims=(16, 8, 8), epochs=args.n_epochs).fit(normal)
    a3 = A3(target=target, epochs=args.n_epochs, learning_rate=1e-4)
    a3.fit(np.concatenate([normal, threes]), np.repeat([0, 1], [len(normal), len(threes)]))

    for unseen in ("3", "4"):
        rows = np.isin(data.classes_test, ("0", "1", "2", unseen))
        y = data.classes_test[rows] == unseen
        scores = {"A3": a3, "Autoencoder": target}
        scores = {name: d.decision_function(x_test[rows]) for name, d in scores.items()}
        aucs = ", ".join(f"{name} {roc_auc_score(y, s):.3f}" for name, s in scores.items())
        print(f"AUC of 0-2 against {unseen} ({a3.training_.updates:,} updates): {aucs}")
    return 0


if __name__ == "__main__":
    parser = plain_parser(__doc__)
    parser.add_argument("--n_epochs", type=int, default=5, help="of both networks; default: 5")
    parser.add_argument("--data_path", help="raw files (default: $A3_DATA, or data)")
    raise SystemExit(experiment_script(main, parser))
