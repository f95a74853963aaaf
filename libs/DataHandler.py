"""Splits, classes, label budgets, contamination and scaling. Knows nothing of networks."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from libs.datasets.dataset import DataSet
from libs.datasets.splits.experiment import NATURAL, Experiment, view_labels
from libs.datasets.splits.rows import Rows, cut_rows, feature_ranges, hold_in_memory
from libs.datasets.tabular.encoder import Encoder
from libs.datasets.tabular.schema import Schema
from libs.utils.errors import UserError
from libs.utils.seeds import derive_seed

SAMPLE_UPDATES = 10_000
"""Updates to train for on a sample: at a learning rate of 1e-5, fewer teach an alarm nothing."""

log = logging.getLogger("a3")


@dataclass(frozen=True)
class SplitRules:
    """How a protocol splits and scales.

    Attributes
    ----------
    test : float
        Fraction of the rows that become test rows where no official test split exists.
    validation : float
        Fraction of the remaining rows that become validation rows, drawn with the run's seed, if
        the data set has no validation rows of its own.
    test_seed : int, optional
        Seed of the test split and of ``test_rows``; default: the run's seed.
    scale_on : {"all", "normal"}
        Fit the scaling on all rows but the test rows, before classes are selected, or only on the
        normal training rows of the experiment.
    test_rows : (int, int), optional
        Numbers of normal and anomalous rows drawn from the test rows; default: all.
    """

    test: float = 0.2
    validation: float = 0.05
    test_seed: int | None = None
    scale_on: str = "all"
    test_rows: tuple[int, int] | None = None

    def seed_of_test(self, seed: int) -> int:
        """Seed of the test rows in the run with this seed."""
        return seed if self.test_seed is None else self.test_seed


@dataclass(frozen=True)
class Splits:
    """The splits of one experiment, scaled to [0, 1] by the data's range, not clipped.

    A split of more than `libs.datasets.splits.rows.HELD_BYTES` is a view, which scales rows when
    they are read.

    Attributes
    ----------
    x_train, y_train : (n, ...) float32 array or Rows, (n,) int32
        Normal rows (0, polluted ones included), then known anomalies (1) in the order in which
        label budgets use them: a budget of b takes the first b.
    classes_train : (n,) str
        The class of each training row; a polluted row has a random normal one.
    x_val, x_test : (m, ...) float32 array or Rows
        Validation and test rows of all classes of the experiment.
    classes_val, classes_test : (m,) str
    low, span : float32
        Of each feature, or one for all: rows are (raw - low) / span.
    """

    experiment: Experiment
    x_train: np.ndarray | Rows
    y_train: np.ndarray
    classes_train: np.ndarray
    x_val: np.ndarray | Rows
    classes_val: np.ndarray
    x_test: np.ndarray | Rows
    classes_test: np.ndarray
    low: np.ndarray
    span: np.ndarray

    def rows(self, split: str) -> tuple[np.ndarray | Rows, np.ndarray]:
        """Rows and classes of a ``split``, "val" or "test"."""
        return getattr(self, f"x_{split}"), getattr(self, f"classes_{split}")

    @property
    def x_val_normal(self) -> np.ndarray | Rows:
        """Normal validation rows, from which thresholds come."""
        return self.x_val[np.isin(self.classes_val, self.experiment.normal)]


class DataHandler:
    """A data set, split by a run's seed.

    Parameters
    ----------
    data : DataSet
    rules : SplitRules
    seed : int
        Seed of the run.

    Raises
    ------
    UserError
        If a split is empty.
    """

    def __init__(self, data: DataSet, rules: SplitRules, seed: int):
        self.data = data
        self.rules = rules
        self.seed = int(seed)
        if data.x_test is None:
            test_seed = rules.seed_of_test(self.seed)
            rest, self._test = cut_rows(np.arange(len(data.x)), rules.test, test_seed, "test")
            self._x_test, self._classes_test = data.x, data.classes[self._test]
        else:
            rest, self._test = np.arange(len(data.x)), np.arange(len(data.x_test))
            self._x_test, self._classes_test = data.x_test, data.classes_test
        if data.x_val is None:
            self._train, self._val = cut_rows(rest, rules.validation, self.seed, "validation")
            self._x_val, self._classes_val = data.x, data.classes[self._val]
        else:
            self._train, self._val = rest, np.arange(len(data.x_val))
            self._x_val, self._classes_val = data.x_val, data.classes_val
        self._scaling_rows = rest

    @property
    def n_train(self) -> int:
        """Number of training rows of all classes."""
        return len(self._train)

    def count_training_rows(self, classes: Sequence[str]) -> int:
        """Number of training rows of some classes."""
        return int(np.isin(self.data.classes[self._train], classes).sum())

    def describe(self) -> dict:
        """Everything that determines the rows of the splits, for manifests."""
        about = {
            "data_set": self.data.name,
            "fingerprint": self.data.fingerprint,
            "normal_by": self.data.normal_by,
            "rules": dict(vars(self.rules)),
            "seed": self.seed,
        }
        return about | ({"table": self.data.table} if self.data.table else {})

    def encoder(self, splits: Splits) -> Encoder | None:
        """The encoder of raw rows as in ``splits``; None if features have no names."""
        if not self.data.features:
            return None
        schema = self.data.schema or Schema.of_numbers(self.data.features)
        return Encoder(schema, splits.low, splits.span)

    def epoch_factor(self, normal: Sequence[str], epochs: int, batch_size: int) -> int:
        """Factor by which to train longer on a sample of a data set, or on a table of one's own.

        It is 1 on the complete data set of a paper.

        Parameters
        ----------
        normal : sequence of str
            The normal classes, to which nearly all training rows belong.
        epochs, batch_size : int
            Of the paper, for the complete files.
        """
        if not self.data.is_sample and not self.data.table:
            return 1
        rows = self.count_training_rows(normal)
        return max(1, math.ceil(SAMPLE_UPDATES / (epochs * math.ceil(rows / batch_size))))

    def split(
        self,
        experiment: Experiment,
        known: int = 0,
        schedule: int = 0,
        p_contamination: float = 0.0,
    ) -> Splits:
        """Select and scale the rows of an experiment.

        Parameters
        ----------
        experiment : Experiment
        known : int
            Known anomalies that the training rows must have.
        schedule : int
            Known anomalies that they should have if there are so many: a protocol's largest label
            budget, so that the order of rows is the same for every budget.
        p_contamination : float
            Fraction p of anomalies among the normal training rows: N·p/(1-p) anomalous training
            rows of any class of the experiment are labelled normal. `NATURAL`: all but the known
            anomalies of the schedule are.

        Raises
        ------
        UserError
            If a class is not in the data, there are too few known anomalies, or a split has no
            normal rows or no anomalies.
        """
        self._check_classes(experiment)
        presumed = self._presumed_normal(experiment, p_contamination)
        pool = self._train[np.isin(self.data.classes[self._train], experiment.known)]
        if p_contamination != NATURAL:
            pool = np.setdiff1d(pool, presumed)
        pool = self._draw_known(experiment, pool, known, schedule)
        normal = np.setdiff1d(presumed, pool)
        assigned = self._assigned_classes(experiment, normal, p_contamination)
        low, span = self._scaling(presumed)
        val, classes_val = self.raw_rows(experiment, "val")
        test, classes_test = self.raw_rows(experiment, "test")
        splits = Splits(
            experiment=experiment,
            x_train=hold_in_memory(Rows(self.data.x, np.concatenate([normal, pool]), low, span)),
            y_train=np.repeat([0, 1], [len(normal), len(pool)]).astype(np.int32),
            classes_train=np.concatenate([assigned, self.data.classes[pool]]),
            x_val=hold_in_memory(val.scale(low, span)),
            classes_val=classes_val,
            x_test=hold_in_memory(test.scale(low, span)),
            classes_test=classes_test,
            low=low,
            span=span,
        )
        self._check_splits(splits)
        return splits

    def raw_rows(self, experiment: Experiment, split: str) -> tuple[Rows, np.ndarray]:
        """Unscaled rows and classes of a ``split``, "val" or "test"."""
        if split == "test":
            chosen = self._test_rows(experiment)
            return Rows(self._x_test, self._test[chosen]), self._classes_test[chosen]
        chosen = np.flatnonzero(np.isin(self._classes_val, self._named(experiment)))
        return Rows(self._x_val, self._val[chosen]), self._classes_val[chosen]

    def scaling(
        self, experiment: Experiment, p_contamination: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lower end and span of every feature, by which `split` scales."""
        return self._scaling(self._presumed_normal(experiment, p_contamination))

    def _test_rows(self, experiment: Experiment) -> np.ndarray:
        """Test rows of an experiment: all, or as many of each kind as the rules say."""
        groups = experiment.normal, experiment.known + experiment.unknown
        kinds = [np.flatnonzero(np.isin(self._classes_test, group)) for group in groups]
        wanted = self.rules.test_rows
        if wanted is not None:
            found = tuple(map(len, kinds))
            if found[0] < wanted[0] or found[1] < wanted[1]:
                raise UserError(
                    f"{wanted[0]} normal and {wanted[1]} anomalous test rows wanted, but "
                    f"{self.data.name} holds {found[0]} and {found[1]}; take another partition"
                )
            seed = self.rules.seed_of_test(self.seed)
            rng = np.random.default_rng(derive_seed(seed, experiment.name, "test rows"))
            kinds = [rng.permutation(rows)[:n] for rows, n in zip(kinds, wanted, strict=True)]
        return np.sort(np.concatenate(kinds))

    def _named(self, experiment: Experiment) -> tuple[str, ...]:
        return experiment.normal + experiment.known + experiment.unknown

    def _check_classes(self, experiment: Experiment) -> None:
        """Check that every class is in the data; log the classes that no list names."""
        found, counts = np.unique(self.data.classes, return_counts=True)
        here = set(found) | set(np.unique(self._classes_test))
        missing = [c for c in self._named(experiment) if c not in here]
        if missing:
            raise UserError(
                f"{self.data.name} has no class {', '.join(missing)}; its classes are "
                f"{', '.join(sorted(here))}"
            )
        left = {
            str(c): int(n)
            for c, n in zip(found, counts, strict=True)
            if c not in self._named(experiment)
        }
        if left:
            log.info("%s: classes left out (rows): %s", experiment.name, left)

    def _draw_known(
        self, experiment: Experiment, pool: np.ndarray, known: int, schedule: int
    ) -> np.ndarray:
        """Draw known anomalies, in the order in which label budgets use them."""
        rng = np.random.default_rng(derive_seed(self.seed, experiment.name, "known anomalies"))
        pool = rng.permutation(pool)
        if known > len(pool):
            raise UserError(
                f"{known} known anomalies wanted, but the training rows of {self.data.name} hold "
                f"{len(pool)} of {', '.join(experiment.known) or 'no known class'}; "
                "lower --n_train_anomalies"
            )
        return pool[: max(known, schedule)]

    def _presumed_normal(self, experiment: Experiment, p: float) -> np.ndarray:
        """Training rows that are labelled normal, polluted ones included."""
        normal = self._train[np.isin(self.data.classes[self._train], experiment.normal)]
        return np.sort(np.concatenate([normal, self._draw_polluted(experiment, len(normal), p)]))

    def _draw_polluted(self, experiment: Experiment, normal: int, p: float) -> np.ndarray:
        """Draw the anomalous training rows that are labelled normal."""
        anomalous = experiment.known + experiment.unknown
        pool = self._train[np.isin(self.data.classes[self._train], anomalous)]
        if p == NATURAL:
            return pool
        if not 0 <= p < 1:
            raise UserError(f"p_contamination {p}: expected a fraction in [0, 1)")
        n = round(normal * p / (1 - p))
        if n > len(pool):
            raise UserError(
                f"p_contamination {p:g} needs {n} anomalous training rows, there are {len(pool)}"
            )
        rng = np.random.default_rng(derive_seed(self.seed, experiment.name, "pollution", str(p)))
        return rng.choice(pool, n, replace=False)

    def _assigned_classes(self, experiment: Experiment, rows: np.ndarray, p: float) -> np.ndarray:
        """Classes of rows labelled normal; a polluted row gets a random normal class."""
        classes = self.data.classes[rows]
        rng = np.random.default_rng(derive_seed(self.seed, experiment.name, "classes", str(p)))
        random = rng.choice(experiment.normal, len(rows))
        return np.where(np.isin(classes, experiment.normal), classes, random)

    def _scaling(self, normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower end and span of every feature, without looking at test rows."""
        if self.data.maximum is not None:
            return np.float32(0), np.float32(self.data.maximum)
        rows = {"all": self._scaling_rows, "normal": normal}[self.rules.scale_on]
        low, high = feature_ranges(Rows(self.data.x, rows))
        return low, np.where(high > low, high - low, np.float32(1))

    def _check_splits(self, splits: Splits) -> None:
        experiment = splits.experiment
        for split in ("val", "test"):
            for view in experiment.views:
                y = view_labels(experiment, view, splits.rows(split)[1])[1]
                if not len(y) or y.all() or (split == "test" and not y.any()):
                    raise UserError(
                        f"empty split: the {split} rows of {self.data.name}, view {view}, hold "
                        f"{int((y == 0).sum())} normal rows and {int(y.sum())} anomalies; expected "
                        "at least one of each"
                    )
