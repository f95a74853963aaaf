"""The part of the contract that says why a row has its score."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from libs.datasets.splits.rows import Rows
from libs.detectors import attribution
from libs.detectors.attribution import ERRORS, GRADIENTS, SWAPS, Explanation
from libs.utils.errors import UserError
from libs.utils.seeds import derive_seed

REFERENCES = 256
"""Normal rows that a model keeps, to explain scores from the nearest typical one."""
FILE = "reference.npz"


class Explainable:
    """The half of `libs.detectors.detector.Detector` that explains scores.

    Attributes
    ----------
    reference_ : (m, ...) float32
        Normal rows, see `keep_reference`; explanations start from the half with the lower scores.
    drawn_ : dict
        How many they are, from what they were drawn, and by which seed.
    """

    explained_by: ClassVar[str | None] = None
    """`GRADIENTS` if the score can be differentiated, `ERRORS` if it is the mean of `_errors`, else
    `SWAPS`; None: the detector cannot be explained."""
    parts: ClassVar[str | None] = None
    """What ``explain_parts(x, budget)`` tells apart, such as "layers"; None: there is no such."""

    # --- what a subclass gives -------------------------------------------------------------------
    def _errors(self, x: np.ndarray) -> np.ndarray:
        """Error of each feature of checked rows, (n, ...), whose mean is the score."""
        raise NotImplementedError

    def _by_gradients(self, x: np.ndarray, column: int) -> Explanation:
        """Explain the scores of checked rows where `explained_by` is `GRADIENTS`."""
        raise NotImplementedError

    # --- what a user calls -----------------------------------------------------------------------
    def keep_reference(self, x: np.ndarray | Rows, seed: int = 0) -> Self:
        """Keep normal rows for `explain` to start from; `save` writes them beside the model.

        Parameters
        ----------
        x : (m, ...) float
            Normal training rows. `REFERENCES` of them are drawn; all if they are fewer.
        seed : int
            Decides which.
        """
        self._check_fitted()
        x = self.training_rows_.conform(x, type(self).__name__)
        rng = np.random.default_rng(derive_seed(seed, "reference"))
        kept = np.sort(rng.permutation(len(x))[:REFERENCES])
        self.reference_ = np.concatenate(list(self._checked_blocks(x[kept])))
        self.drawn_ = {"rows": len(kept), "from": f"{len(x)} normal training rows", "seed": seed}
        vars(self).pop("_typical", None)
        return self

    @property
    def starts_from_reference(self) -> bool:
        """Whether explanations start from normal rows that are kept with the model."""
        return self.explained_by in (GRADIENTS, SWAPS)

    @property
    def lacks_reference(self) -> bool:
        """Whether `explain` needs reference rows that were never kept."""
        return self.starts_from_reference and not hasattr(self, "reference_")

    def explain(self, x: Any, budget: int | None = None) -> Explanation:
        """What each feature contributes to the score of each row.

        With ``explained_by`` = `GRADIENTS` (A3, R2AD2, R2AD2Sketch, ARGUE): integrated gradients
        from the nearest typical reference row; contributions add up to the difference of the two
        rows' scores. With `SWAPS` (Ensemble, forests, neighbours): what the score loses when the
        row's features become those of the reference row, one after the other. With `ERRORS`
        (Autoencoder, VAE, PCA, ...): the errors whose mean the score is; contributions add up to
        the score.

        Parameters
        ----------
        x : (n, ...) float
            As in `libs.detectors.detector.Detector.iter_scores`; contributions take as much memory
            as rows.
        budget : int, optional
            The label budget whose score is explained; default: the largest.

        Returns
        -------
        Explanation

        Raises
        ------
        UserError
            If the scores can be explained in neither way, or there are no reference rows.
        """
        if self.explained_by is None:
            raise UserError(
                f"the scores of {type(self).__name__} cannot be told apart by features; expected a "
                "method with a differentiable score (such as A3) or a reconstruction error (such "
                "as Autoencoder), neighbours, a classifier or the Ensemble"
            )
        column = self.column_of(budget)
        ways = {
            GRADIENTS: self._by_gradients,
            SWAPS: self._by_swaps,
            ERRORS: self._by_errors,
        }
        way = ways[self.explained_by]
        return Explanation.joined([way(block, column) for block in self._checked_blocks(x)])

    def _by_errors(self, x: np.ndarray, column: int) -> Explanation:
        return attribution.of_errors(self._errors(x))

    def _by_swaps(self, x: np.ndarray, column: int) -> Explanation:
        chosen = self._nearest(x, column)

        def score(rows: np.ndarray) -> np.ndarray:
            return self._columns(rows)[:, column]

        found = attribution.of_swaps(score, x, self.reference_[chosen])
        return replace(found, reference=chosen)

    def _columns(self, x: np.ndarray) -> np.ndarray:
        """Scores of checked rows, float32 (n, columns)."""
        return self._scores(x).astype(np.float32, copy=False).reshape(len(x), -1)

    def _nearest(self, x: np.ndarray, column: int) -> np.ndarray:
        """Number of the reference row that each row's score is explained from, (n,)."""
        if self.lacks_reference:
            raise UserError(
                f"this {type(self).__name__} has no reference rows to explain scores from: it was "
                "trained with --no_reference, or before there were any. Call keep_reference(x) "
                "with normal training rows, or train it again with --override"
            )
        (typical,) = np.nonzero(self._typical[:, column])
        return typical[attribution.nearest(x, self.reference_[typical])]

    @cached_property
    def _typical(self) -> np.ndarray:
        """Which reference rows score at most their median, (m, columns) bool.

        From a rare normal row, whose own score is high, an explanation would tell only in what an
        anomaly of the same kind differs from it, and not why both are rare.
        """
        scores = self._columns(self.reference_)
        return scores <= np.median(scores, axis=0)

    def column_of(self, budget: int | None) -> int:
        """The column of a label budget's scores."""
        budgets = getattr(self, "budgets_", (None,))
        budget = budgets[-1] if budget is None else budget
        if budget not in budgets:
            raise UserError(f"label budget {budget}: expected one of {budgets}")
        return budgets.index(budget)

    # --- beside the model ------------------------------------------------------------------------
    def _save_reference(self, folder: Path) -> dict[str, Any] | None:
        """Write the reference rows; give what the manifest says of them, None if there are none."""
        if not hasattr(self, "reference_"):
            return None
        np.savez_compressed(folder / FILE, rows=self.reference_)
        return self.drawn_

    def _load_reference(self, folder: Path, drawn: dict[str, Any] | None) -> None:
        """Undo `_save_reference`."""
        if drawn is not None:
            self.drawn_ = drawn
            with np.load(folder / FILE, allow_pickle=False) as arrays:
                self.reference_ = arrays["rows"]
