"""The contract that every method keeps, with saving, loading and thresholds in one place."""

from collections.abc import Iterator
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, clone

from libs.datasets.splits.rows import Rows, iterate_blocks
from libs.datasets.tabular.encoder import Encoder
from libs.detectors.checks import (
    InputError,
    check_finite,
    checked_classes,
    checked_fraction,
    checked_labels,
    column_names,
    numeric_rows,
)
from libs.detectors.components import component, describe, rebuild
from libs.detectors.decisions import Decisions
from libs.detectors.explainable import Explainable
from libs.detectors.training_rows import TrainingRows
from libs.training.record import Training
from libs.utils import storage
from libs.utils.errors import UserError
from libs.utils.versions import library_versions

RowsOrChunks = np.ndarray | Rows | Iterator[np.ndarray]
"""What can be scored; a DataFrame, too, whose columns are put in the order of training."""


class Detector(Decisions, Explainable, BaseEstimator):
    """Base of all methods, a scikit-learn estimator.

    A subclass stores its settings in ``__init__`` and gives `_fit`, `_scores`, `_save` and `_load`;
    one with networks is a `libs.detectors.network_detector.NetworkDetector`. ``random_state`` is
    the seed of the run. TensorFlow, which takes seconds to start, is not imported here.
    """

    uses_labels: ClassVar[bool] = False
    """Whether known anomalies take part in the training. If so, there is a setting ``budgets``, and
    ``budgets_`` is what was trained."""

    fewest_known: ClassVar[int] = 0
    """Known anomalies that a method which uses labels cannot do without."""
    uses_classes: ClassVar[bool] = False
    """Whether the classes of the training rows take part in the training. If so, `_fit` takes them
    as its third argument, None where `fit` was given none."""
    gated: ClassVar[bool] = False
    """Whether there are ``expert_names_``, and ``gate(x, budget)`` says who answers for a row."""

    # --- what a subclass gives -------------------------------------------------------------------
    def _fit(self, x: np.ndarray | Rows, y: np.ndarray) -> Training:
        """Learn from checked rows; methods that ignore labels see normal rows only.

        ``x`` is an array or, where it is large, `libs.datasets.splits.rows.Rows`: it has a shape, a
        length, slices and gathers, but is no array.
        """
        raise NotImplementedError

    def _scores(self, x: np.ndarray) -> np.ndarray:
        """Scores of checked rows, (n,) or, with several label budgets, (n, budgets)."""
        raise NotImplementedError

    def _save(self, folder: Path) -> None:
        """Write what was learned."""
        raise NotImplementedError

    def _load(self, folder: Path) -> None:
        """Undo `_save`."""
        raise NotImplementedError

    # --- what a user calls -----------------------------------------------------------------------
    def fit(
        self,
        x: np.ndarray | Rows,
        y: np.ndarray | None = None,
        classes: np.ndarray | None = None,
        contamination: float = 0.1,
    ) -> Self:
        """Learn from training rows.

        Parameters
        ----------
        x : (n, ...) float
            Rows, scaled as the targets expect them (about [0, 1]): an array, a memory-mapped file
            or `libs.datasets.splits.rows.Rows`. More than `libs.datasets.splits.rows.HELD_BYTES`
            are never copied as a whole. Of a DataFrame the names of the columns are remembered.
        y : (n,) int, optional
            0 = normal or unlabelled, 1 = known anomaly. Without labels all rows count as normal.
            A method that uses no labels learns from the rows with 0 only.
        classes : (n,) str, optional
            Class of each row. Only methods with ``uses_classes`` look at it, and only at the
            classes of normal rows.
        contamination : float
            Fraction of these rows that is above ``threshold_``, unless `calibrate` is called.

        Returns
        -------
        self

        Raises
        ------
        UserError
            If rows are not finite numbers, labels are not 0 or 1, no normal row is there, or
            classes are not one per row.
        """
        names, contamination = column_names(x), checked_fraction("contamination", contamination)
        x = numeric_rows(x)
        seen = TrainingRows.of(x, names, contamination)
        y, classes = checked_labels(y, len(x)), checked_classes(classes, len(x))
        if not self.uses_labels and y.any():
            classes = None if classes is None else classes[y == 0]
            x, y = x[y == 0], y[y == 0]
        self.input_shape_ = x.shape[1:]
        for earlier in [name for name in vars(self) if self._is_of_a_fit(name)]:
            delattr(self, earlier)
        more = (classes,) if self.uses_classes else ()
        self.training_rows_, self.training_ = seen, self._fit(x, y, *more)
        return self

    def iter_scores(self, x: RowsOrChunks) -> Iterator[np.ndarray]:
        """Scores of consecutive rows, block by block, each float32 (m, budgets).

        Parameters
        ----------
        x : (n, ...) float, or an iterator of such chunks
            An array, a memory-mapped file or `libs.datasets.splits.rows.Rows`; of an iterator, one
            chunk at a time is held.

        Raises
        ------
        UserError
            If there are no rows, or rows of another shape than in training, or values that are not
            finite; row numbers count through all chunks.
        """
        for block in self._checked_blocks(x):
            yield self._columns(block)

    def decision_matrix(self, x: RowsOrChunks) -> np.ndarray:
        """Scores for every label budget at once, float32 (n, budgets); higher is more anomalous.

        Columns stand in the order of ``budgets_``; a method without labels has one. ``x`` is as in
        `iter_scores`; beside the scores themselves, memory does not grow with the rows.
        """
        return np.concatenate(list(self.iter_scores(x)))

    def decision_function(self, x: RowsOrChunks) -> np.ndarray:
        """Scores, float32 (n,); higher is more anomalous. Of several budgets the largest."""
        return self.decision_matrix(x)[:, -1]

    def save(
        self,
        folder: str | Path,
        run: dict[str, Any] | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        """Write the fitted detector into ``folder``, whole or not at all.

        ``.keras`` files, ``.npz`` arrays and ``manifest.json``; nothing in it runs code on load.
        Scores of the training rows are in it if the threshold rests on them, or they were asked
        for before.

        Parameters
        ----------
        folder : path
            Replaced if it exists.
        run : dict, optional
            What the detector was trained on; kept in the manifest.
        encoder : Encoder, optional
            What made its rows of raw ones; kept beside it.
        """
        self._check_fitted()
        if not hasattr(self, "calibration_scores_"):
            self._score_training_rows()
        with storage.replaced_folder(Path(folder)) as temporary:
            self._save(temporary)
            if hasattr(self, "calibration_scores_"):
                np.savez(temporary / "calibration.npz", scores=self.calibration_scores_)
            if encoder is not None:
                encoder.save(temporary)
            manifest = {
                "detector": describe(self),
                "input_shape": list(self.input_shape_),
                "training": asdict(self.training_),
                "budgets": getattr(self, "budgets_", None),
                "rate": getattr(self, "rate_", None),
                "explained_by": self.explained_by,
                "reference": self._save_reference(temporary),
                "training_rows": self.training_rows_.save(temporary),
                "versions": library_versions(),
                "run": run or {},
            }
            storage.write_manifest(temporary, manifest)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load what `save` wrote, with the class that the manifest names.

        Raises
        ------
        UserError
            If the folder is foreign or damaged, or its class is no ``cls``.
        """
        folder = Path(folder)
        manifest = storage.read_manifest(folder)
        try:
            kind = component(manifest["detector"]["class"])
            if not issubclass(kind, cls):
                raise UserError(
                    f"{folder} holds a model of {kind.__name__}, expected {cls.__name__}; load it "
                    f"with {kind.__name__}.load or Detector.load"
                )
            detector = rebuild(manifest["detector"])
            detector.input_shape_ = tuple(manifest["input_shape"])
            detector.training_ = Training(**manifest["training"])
            about = manifest.get("training_rows")  # earlier models have none
            detector.training_rows_ = TrainingRows.load(folder, detector.input_shape_, about)
            if manifest["budgets"] is not None:
                detector.budgets_ = tuple(manifest["budgets"])
            detector._load(folder)
            if manifest["rate"] is not None:
                detector.rate_ = float(manifest["rate"])
                scores = storage.read_arrays(folder / "calibration.npz")["scores"]
                if scores.shape[1:] != (len(manifest["budgets"] or ("",)),):
                    raise ValueError(f"calibration scores of shape {scores.shape}, other budgets")
                detector.calibration_scores_ = scores
            detector._load_reference(folder, manifest.get("reference"))
        except UserError:
            raise
        except Exception as error:  # damaged files fail in many ways
            raise UserError(
                f"{folder} cannot be loaded ({type(error).__name__}: {error}). Train it again with "
                "--override, or copy it again from where it is whole."
            ) from error
        return detector

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles hold: no graphs, and scores of training rows in place of rows."""
        if hasattr(self, "training_"):
            self._score_training_rows()
        kept = super().__getstate__().items()
        return {
            k: v for k, v in kept if not isinstance(getattr(type(self), k, None), cached_property)
        }

    def _is_of_a_fit(self, name: str) -> bool:
        """Whether an attribute belongs to what `fit` learned before: a graph, or a later choice."""
        later = ("calibration_scores_", "rate_", "reference_", "drawn_")
        return name in later or isinstance(getattr(type(self), name, None), cached_property)

    def _checked_blocks(self, x: RowsOrChunks) -> Iterator[np.ndarray]:
        """Blocks of rows of the shape that it was trained on; see `iter_scores`."""
        self._check_fitted()
        first = 0
        for chunk in x if isinstance(x, Iterator) else (x,):
            rows = self.training_rows_.conform(chunk, type(self).__name__)
            for block in iterate_blocks(rows):
                check_finite(block, first)
                self.training_rows_.warn_of_far(block, first, type(self).__name__)
                first += len(block)
                yield block
        if not first:
            raise InputError("expected rows to score, found an iterator without chunks")

    def _fitted(
        self, part: Any, x: np.ndarray, y: np.ndarray, classes: np.ndarray | None = None
    ) -> Any:
        """A part that is ready for use, trained on the normal rows if it is an unfitted Detector.

        The caller's own object is never trained.
        """
        if not isinstance(part, Detector) or hasattr(part, "training_"):
            return part
        classes = None if classes is None else classes[y == 0]
        part = clone(part).set_params(random_state=self.random_state)
        return part.fit(x[y == 0], classes=classes)

    def _checked_budgets(self, known: int) -> tuple[int, ...]:
        """The setting ``budgets``, ascending; ``known``, the number of anomalies, if it is None."""
        budgets = (known,) if self.budgets is None else tuple(sorted(self.budgets))
        if not budgets or budgets[-1] > known or budgets[0] < self.fewest_known:
            raise UserError(
                f"budgets {budgets}: expected one or more numbers from {self.fewest_known} to the "
                f"{known} known anomalies among the rows"
            )
        return budgets
