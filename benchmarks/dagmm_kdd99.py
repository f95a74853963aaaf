#!/usr/bin/env python
"""DAGMM on KDD Cup 1999 as in its own paper (Zong et al., ICLR 2018, section 4).

Rows of the 10-percent file, all features. Four fifths of them are attacks, so the paper treats
attacks as normal and "normal" connections as anomalies. The attacks of a random half of the rows
train; of the other half, the fifth with the highest energy is called anomalous. That fraction is
the paper's, not derived from labels. Published: precision .9297, recall .9442, F1 .9369
(mean of 20 runs). About two minutes a seed on two cores.

    A3_DATA=/where/the/data/is python -m benchmarks.dagmm_kdd99 706 3003 3103
"""

import numpy as np

from libs.utils.command_line import plain_parser, run

TOP = 0.2
"""Fraction of the test rows that is called anomalous."""


def columns(x: np.ndarray, features: tuple[str, ...]) -> np.ndarray:
    """The paper's 120 columns: seven features as one column per value that occurs, 34 numbers.

    The paper does not list them. These are the loader's columns without the values that do not
    occur, and a second column for each of the three 0/1 features that are not constant.
    """
    hot = np.array(["=" in name for name in features])
    kept = ~(hot & (x.max(axis=0) == 0)) & (np.array(features) != "is_host_login")
    flags = [features.index(name) for name in ("land", "logged_in", "is_guest_login")]
    return np.hstack([x[:, kept], 1 - x[:, flags]])


def main(args) -> None:
    """Train and test once per seed."""
    from libs.utils.runtime import start_tensorflow

    start_tensorflow()
    from baselines import DAGMM
    from libs import Metrics
    from libs.datasets import registry as datasets
    from libs.utils.seeds import derive_seed

    data = datasets.load("kdd99+41", args.data_path)
    x = columns(data.x, data.features)
    low, high = x.min(axis=0), x.max(axis=0)
    x = (x - low) / np.where(high > low, high - low, 1)
    anomalous = (data.classes == "normal").astype(int)
    for seed in args.seeds:
        order = np.random.default_rng(derive_seed(seed, "halves")).permutation(len(x))
        train, test = np.array_split(order, 2)
        train = train[anomalous[train] == 0]
        dagmm = DAGMM(dims=(60, 30, 10, 1), covariance_weight=0.005, random_state=seed)
        scores = dagmm.fit(x[train]).decision_function(x[test])
        threshold = np.quantile(scores, 1 - TOP)
        found = Metrics.at_threshold(anomalous[test], scores, threshold)
        found |= Metrics.ranking(anomalous[test], scores)
        done = dagmm.training_
        print(
            f"seed {seed}: {len(x[0])} columns, {done.rows} rows, {len(test)} test rows, "
            f"{done.epochs} epochs, {done.updates} updates, {done.seconds:.0f} s, "
            f"jitter {dagmm.jitter_:.0e};",
            ", ".join(f"{name} {value:.4f}" for name, value in found.items()),
            flush=True,
        )


if __name__ == "__main__":
    parser = plain_parser(__doc__)
    parser.add_argument("seeds", type=int, nargs="+", metavar="SEED")
    parser.add_argument("--data_path", help="folder of the raw files (default: $A3_DATA, or data)")
    raise SystemExit(run(main, parser))
