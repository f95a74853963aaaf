"""A3 (Sperl, Schulze, Böttinger; ECML-PKDD 2020): budgets, methods and their settings."""

from typing import TYPE_CHECKING

from libs.experiments.protocols.protocol import Protocol
from libs.experiments.protocols.rivals import simple_rivals

if TYPE_CHECKING:
    import keras

    from baselines import Autoencoder
    from libs.datasets.splits.experiment import Experiment
    from libs.detectors.detector import Detector
    from libs.experiments.study import Cell

SEEDS = (2409, 2903, 3003, 3103, 706)
PROTOCOL = Protocol(
    "a3",
    "A3 (Sperl, Schulze, Böttinger; ECML-PKDD 2020)",
    SEEDS,
    own=("A3",),
    published=("A3", "A3-vae", "Autoencoder", "IsolationForest", "DAGMM", "DevNet"),
)
PARAMETERS = Protocol("a3-parameters", f"{PROTOCOL.source}, its parameters on MNIST", SEEDS)


BUDGETS = (5, 25, 50, 100)
"""Known anomalies in training (paper, section 5)."""
ALARM = {"alarm_dims": (1000, 500, 200, 75), "dropout": 0.1, "learning_rate": 1e-5}


def a3_cells(*experiments: "Experiment") -> "list[Cell]":
    """Each experiment with all label budgets, without contamination."""
    from libs.experiments.study import Cell

    return [Cell(experiment, BUDGETS) for experiment in experiments]


def a3_methods(
    autoencoder: "Autoencoder",
    *,
    target: "keras.Model | None" = None,
    batch_size: int = 256,
    times: int = 1,
    target_dropout: bool = False,
) -> dict[str, "Detector"]:
    """A3, the baselines of its paper and simple rivals, unfitted.

    The autoencoder trains 30 epochs at 1e-3, the alarm network 60 at 1e-5, with N(.5, 1) noise.

    Parameters
    ----------
    autoencoder : Autoencoder
        Defines the network; batch size and epochs are set here.
    target : keras.Model, optional
        Target of A3; default: the autoencoder.
    batch_size : int
        Of the autoencoder and A3.
    times : int
        Epoch factor of the networks that train by epochs; see
        `libs.DataHandler.DataHandler.epoch_factor`.
    target_dropout : bool
        See `libs.A3.A3`; on for images, as in the authors' code.
    """
    from baselines import DAGMM, DevNet, IsolationForest
    from libs.A3 import A3
    from libs.architecture.anomaly import GaussianNoise

    autoencoder.set_params(epochs=30 * times, batch_size=batch_size, learning_rate=1e-3)
    return {
        "Autoencoder": autoencoder,
        "IsolationForest": IsolationForest(),
        "DAGMM": DAGMM(epochs=200 * times),
        "DevNet": DevNet(),
        **simple_rivals(),
        "A3": A3(
            target=autoencoder if target is None else target,
            anomaly=GaussianNoise(mean=0.5, std=1.0),
            epochs=60 * times,
            batch_size=batch_size,
            target_dropout=target_dropout,
            **ALARM,
        ),
    }
