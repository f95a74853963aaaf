"""ARGUE (Schulze, Sperl, Böttinger; IJCNN 2022): split, settings, methods."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from libs.experiments.protocols.protocol import Protocol, Series
from libs.experiments.protocols.rivals import simple_rivals

if TYPE_CHECKING:
    from libs.detectors.detector import Detector
    from libs.experiments.study import Study


LETTERS = "ABCDEFGH"
"""Normal letters of the paper's experiment 1: the first, the first two, and so on."""
PROTOCOL = Protocol(
    "argue",
    "ARGUE (Schulze, Sperl, Böttinger; IJCNN 2022)",
    (110, 210, 310, 410, 510, 610, 710),
    own=("ARGUE", "A4RGUE"),
    published=(
        *("ARGUE", "A4RGUE", "Autoencoder", "IsolationForest", "DAGMM", "DeepSVDD", "DeepSAD"),
        *("DevNet", "FAnoGAN", "GANomaly", "MExCVAE", "REPEN", "A3"),
    ),
    series=Series(
        "emnist",
        {"+".join(LETTERS[:n]): f"A-{LETTERS[n - 1]}" if n > 1 else "A" for n in range(1, 9)},
        "one to eight normal letters",
    ),
    epochs=500,
    learning_rate=1e-4,
)
RULES = {"test": 0.15, "validation": 0.05, "test_seed": 42, "scale_on": "normal"}
"""Rules of the split. The test rows are the same for every seed (authors' code). Scaling is fitted
on the normal training rows, polluted ones included; the authors' code adds the known anomalies, by
which one label budget would change the inputs of another."""
UNSUPERVISED = {"budgets": (0,), "p_contamination": 0.01}
SEMI_SUPERVISED = {"budgets": (100,), "p_contamination": 0.0}
"""The paper's two settings (authors' code)."""
ALARM = (1000, 500, 200, 75)
"""Widths of alarm and gate (authors' code)."""
EPOCHS = PROTOCOL.epochs
"""Of the paper; enough on samples as well."""
RATE = PROTOCOL.learning_rate


def argue_study(
    data_set: str,
    *,
    normal: Sequence[str],
    anomalies: Sequence[str],
    dims: Sequence[int] | None,
    batch_size: int,
    clusters: int,
    normal_by: str | None = None,
) -> "Study":
    """The paper's experiments on one data set: unsupervised and semi-supervised.

    Parameters
    ----------
    data_set : str
    normal, anomalies : sequence of str
        The classes; each normal class has its own expert.
    dims : sequence of int, optional
        Widths of the autoencoders; None: the convolutional ones, for images.
    batch_size : int
        Of every network.
    clusters : int
        Number of experts of A4RGUE, which finds its own groups.
    normal_by : str, optional
        See `libs.datasets.registry.load`.
    """
    from libs.DataHandler import SplitRules
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.study import Cell, Study

    experiment = Experiment(tuple(normal), tuple(anomalies))
    return Study(
        data_set,
        SplitRules(**RULES),
        [Cell(experiment, **UNSUPERVISED), Cell(experiment, **SEMI_SUPERVISED)],
        lambda handler: argue_methods(dims, batch_size, clusters),
        normal_by,
    )


def argue_increasing(
    data_set: str,
    *,
    normal: Sequence[str],
    anomalies: Sequence[str],
    dims: Sequence[int] | None,
    batch_size: int,
) -> "Study":
    """The paper's experiment 1: the first class is normal, then the first two, and so on.

    Unsupervised, without A4RGUE. The parameters are those of `argue_study`.
    """
    from libs.DataHandler import SplitRules
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.study import Cell, Study

    first = [tuple(normal[:n]) for n in range(1, len(normal) + 1)]
    return Study(
        data_set,
        SplitRules(**RULES),
        [Cell(Experiment(known, tuple(anomalies)), **UNSUPERVISED) for known in first],
        lambda handler: argue_methods(dims, batch_size),
    )


def argue_methods(
    dims: Sequence[int] | None, batch_size: int, clusters: int | None = None
) -> dict[str, "Detector"]:
    """ARGUE and the baselines of its paper, unfitted: 500 epochs at 1e-4.

    Parameters
    ----------
    dims, batch_size, clusters
        See `argue_study`; without ``clusters`` there is no A4RGUE.
    """
    import baselines
    from libs.A3 import A3
    from libs.architecture.anomaly import GaussianNoise
    from libs.ARGUE import ARGUE
    from libs.targets.clustering import AdversarialClustering
    from libs.targets.multi_head_autoencoder import MultiHeadAutoencoder

    schedule = {"epochs": EPOCHS, "batch_size": batch_size, "learning_rate": RATE}
    kind, mixture = "dense", {"dims": (12, 4, 1), "components": 2}
    bias_free = {"network": "dense", "dims": dims}
    if dims is None:
        kind, mixture = "conv", {"dims": (60, 30, 10, 1), "components": 4}
        bias_free = {"network": "conv", "dims": (32,)}
        dims = (16, 8, 8)
    network = {"network": kind, "dims": tuple(dims)}
    autoencoder = baselines.Autoencoder(f"argue_{kind}", tuple(dims), **schedule)
    alarm = {"alarm_dims": ALARM, **schedule}
    experts = MultiHeadAutoencoder(**network, **schedule)
    methods = {
        "IsolationForest": baselines.IsolationForest(),
        "Autoencoder": autoencoder,
        "DAGMM": baselines.DAGMM(**mixture, estimation_dims=(10,), **schedule),
        "DeepSVDD": baselines.DeepSVDD(**bias_free, **schedule),
        "DeepSAD": baselines.DeepSAD(**bias_free, **schedule),
        "DevNet": baselines.DevNet(),
        **simple_rivals(),
        "FAnoGAN": baselines.FAnoGAN(**network, **schedule),
        "GANomaly": baselines.GANomaly(**network, **schedule),
        "MExCVAE": baselines.MExCVAE(**network, **schedule),
        "REPEN": baselines.REPEN(),
        "A3": A3(autoencoder, GaussianNoise(mean=0.5, std=1.0), dropout=(0.1,) * 4, **alarm),
        "MAE": experts,
        "ARGUE": ARGUE(experts, **alarm),
    }
    if clusters is not None:
        slow = schedule | {"learning_rate": 1e-5}
        found = AdversarialClustering(**network, clusters=clusters, **slow)
        experts = MultiHeadAutoencoder(**network, clustering=found, **schedule)
        methods |= {"MAE-0": experts, "A4RGUE": ARGUE(experts, **alarm)}
    return methods
