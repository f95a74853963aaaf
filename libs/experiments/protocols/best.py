"""Our own settings: the Ensemble against the strongest simple rivals, fast enough to start with.

Nothing here was chosen on test rows; docs/ensemble.md has the development data and the ablation.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from libs.experiments.protocols.protocol import Protocol
from libs.experiments.protocols.rivals import simple_rivals

if TYPE_CHECKING:
    from libs.DataHandler import DataHandler
    from libs.datasets.dataset import DataSet
    from libs.datasets.splits.experiment import Experiment
    from libs.detectors.detector import Detector
    from libs.experiments.study import Study

PROTOCOL = Protocol(
    "best",
    "our settings",
    (1, 2, 3),
    own=("Ensemble",),
)
BUDGETS = (5, 25, 50, 100)
RULES = {"test": 0.2, "validation": 0.1, "test_seed": 42, "scale_on": "normal"}
"""Rules of the split: scaled on normal training rows, so that no held-out class is seen."""
UPDATES = 3000
"""Lower bound on the updates of the networks, which cost a tenth of the papers' training."""
BATCH = 256


def best_study(
    data_set: "str | DataSet",
    *experiments: "Experiment",
    dims: Sequence[int] | None = (64, 32, 16),
    budgets: Sequence[int] = BUDGETS,
    contaminations: Sequence[float] = (0.0,),
) -> "Study":
    """Every experiment with all label budgets and each contamination.

    Parameters
    ----------
    data_set : str or DataSet
    experiments : Experiment
    dims : sequence of int, optional
        Widths of the autoencoders; None: the convolutional one, for images.
    budgets : sequence of int
        Known anomalies in training.
    contaminations : sequence of float
    """
    from libs.DataHandler import SplitRules
    from libs.experiments.study import Cell, Study

    cells = [Cell(e, tuple(budgets), p) for p in contaminations for e in experiments]
    return Study(
        data_set,
        SplitRules(**RULES),
        cells,
        lambda handler: best_methods(dims, epochs_for(handler)),
    )


def epochs_for(handler: "DataHandler") -> int:
    """Number of epochs that amounts to `UPDATES` updates on the training rows."""
    return max(1, round(UPDATES / max(1, handler.n_train / BATCH)))


def best_methods(dims: Sequence[int] | None, epochs: int) -> "dict[str, Detector]":
    """The Ensemble and its rivals, unfitted.

    Parameters
    ----------
    dims : sequence of int, optional
        See `best_study`.
    epochs : int
        Of the networks that train by epochs.
    """
    from baselines import Autoencoder, DeepSAD, DevNet, IsolationForest
    from libs.A3 import A3
    from libs.architecture.anomaly import GaussianNoise
    from libs.Ensemble import Ensemble

    schedule = {"epochs": epochs, "batch_size": BATCH, "learning_rate": 1e-3}
    network = {"network": "conv", "dims": (16, 8, 8)} if dims is None else {"dims": tuple(dims)}
    bias_free = {"network": "conv", "dims": (32,)} if dims is None else {"dims": tuple(dims)}
    autoencoder = Autoencoder(**network, **schedule)
    return {
        **simple_rivals(labels=False),  # a first result in a second
        "Ensemble": Ensemble(),
        **simple_rivals(),
        "IsolationForest": IsolationForest(),
        "DevNet": DevNet(),
        "DeepSAD": DeepSAD(**bias_free, **schedule),
        "Autoencoder": autoencoder,
        "A3": A3(
            autoencoder,
            GaussianNoise(mean=0.5, std=1.0),
            alarm_dims=(200, 100, 50, 25),
            **schedule,
        ),
    }
