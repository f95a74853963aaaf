"""R2-AD2 (Schulze et al.; ECML-PKDD 2022): split, sweeps, methods and their settings."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from libs.experiments.protocols.protocol import Protocol
from libs.experiments.protocols.rivals import simple_rivals

if TYPE_CHECKING:
    from libs.detectors.detector import Detector
    from libs.experiments.study import Study


PROTOCOL = Protocol(
    "r2ad2",
    "R2-AD2 (Schulze et al.; ECML-PKDD 2022)",
    (110, 210, 310, 410, 510),
    own=("R2AD2", "R2AD2-sketch"),
    published=("R2AD2", "Autoencoder", "A3", "DeepSVDD", "DeepSAD", "GradCon", "DevNet"),
    ablation={
        "R2AD2-1": "R2AD2-1",
        "R2AD2-2": "R2AD2-2",
        "R2AD2": "R2AD2-3",
        "R2AD2-4": "R2AD2-4",
    },
    epochs=100,
    learning_rate=1e-3,
)
RULES = {"test": 0.2, "validation": 0.05, "test_seed": 42, "scale_on": "normal"}
"""Rules of the split. The test rows are the same for every seed (authors' code)."""
BUDGETS = (5, 10, 25, 50, 100)
"""Known anomalies in training (authors' code); the main experiment uses 100."""
POLLUTIONS = (0.025, 0.05, 0.075, 0.1)
"""Contamination of the normal training rows, besides none (authors' code)."""
ALARM_BIG = (1000, 500, 200, 75)
ALARM_SMALL = (100, 50, 25, 10)
"""Widths of the alarm networks (authors' code); the small one is for Mammography alone."""
STEPS = {"R2AD2-1": 1, "R2AD2-2": 2, "R2AD2-4": 4}
"""Checkpoints read (paper's ablation); trained only if named on the command line."""
EPOCHS = PROTOCOL.epochs
"""With large batches on a sample, few updates (CovType: 300); tables show their number."""
RATE = PROTOCOL.learning_rate


def r2ad2_study(
    data_set: str,
    *,
    normal: Sequence[str],
    anomalies: Sequence[str],
    transfer: Sequence[str] = (),
    dims: Sequence[int] | None,
    batch_size: int,
    alarm_dims: Sequence[int] = ALARM_BIG,
    pollutions: Sequence[float] = POLLUTIONS,
    budgets: Sequence[int] = BUDGETS,
) -> "Study":
    """The paper's experiments on one data set: main, transfer, label budgets, contamination.

    Parameters
    ----------
    data_set : str
    normal, anomalies : sequence of str
        The classes; all anomalies are known in the main experiment.
    transfer : sequence of str
        The known anomalies of the transfer experiment; none: no such experiment.
    dims : sequence of int, optional
        Widths of the target autoencoder; None: the convolutional one, for images.
    batch_size : int
        Of every network.
    alarm_dims : sequence of int
    pollutions : sequence of float
        Contaminations of the sweep, at the largest budget.
    budgets : sequence of int
        Of the main experiment.
    """
    from libs.DataHandler import SplitRules
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.study import Cell, Study

    main = Experiment(tuple(normal), tuple(anomalies))
    largest = (max(budgets),)
    cells = [Cell(main, tuple(budgets))]
    if transfer:
        others = tuple(c for c in anomalies if c not in transfer)
        cells.append(Cell(Experiment(main.normal, tuple(transfer), others), largest))
    cells += [Cell(main, largest, p) for p in pollutions]
    return Study(
        data_set,
        SplitRules(**RULES),
        cells,
        lambda handler: r2ad2_methods(dims, batch_size, alarm_dims),
        optional_methods=tuple(STEPS),
    )


def r2ad2_methods(
    dims: Sequence[int] | None, batch_size: int, alarm_dims: Sequence[int]
) -> dict[str, "Detector"]:
    """R2-AD2 and the baselines of its paper, unfitted: 100 epochs at 1e-3.

    R2-AD2 reads three checkpoints; the ablation's R2AD2-1, -2 and -4 read as many.

    Parameters
    ----------
    dims, batch_size, alarm_dims
        See `r2ad2_study`.
    """
    from baselines import Autoencoder, DeepSAD, DeepSVDD, DevNet, GradCon
    from libs.A3 import A3
    from libs.architecture.anomaly import GaussianNoise
    from libs.R2AD2 import R2AD2
    from libs.R2AD2Sketch import R2AD2Sketch
    from libs.targets.checkpoints import Checkpoints

    schedule = {"epochs": EPOCHS, "batch_size": batch_size, "learning_rate": RATE}
    network = {"network": "dropout_conv", "dims": (8,)}
    bias_free = {"network": "conv", "dims": (32,)}
    if dims is not None:
        network = {"network": "dropout_dense", "dims": tuple(dims)}
        bias_free = {"network": "dense", "dims": tuple(dims)}
    autoencoder = Autoencoder(**network, dropout=0.4, **schedule)
    target = Checkpoints(**network, batch_size=batch_size, learning_rate=RATE)
    alarm = {"alarm_dims": tuple(alarm_dims), **schedule}
    return {
        "Autoencoder": autoencoder,
        "A3": A3(autoencoder, GaussianNoise(0.5, 1.0), dropout=(0.2,) * len(alarm_dims), **alarm),
        "DeepSVDD": DeepSVDD(**bias_free, **schedule),
        "DeepSAD": DeepSAD(**bias_free, **schedule),
        "GradCon": GradCon(**network, **schedule),
        "DevNet": DevNet(),
        **simple_rivals(),
        "R2AD2-sketch": R2AD2Sketch(target, **schedule),
        "R2AD2": R2AD2(target, **alarm),
        **{name: R2AD2(target, steps=steps, **alarm) for name, steps in STEPS.items()},
    }
