"""The contract for methods whose score is a graph of TensorFlow's."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow as tf

from libs.architecture.saved import load_network
from libs.detectors.attribution import Explanation
from libs.detectors.detector import Detector
from libs.detectors.path_gradients import AT_ONCE, integrated_gradients, path_graph
from libs.training.loop import CHUNK, predict_in_batches, row_graph


class NetworkDetector(Detector):
    """Base of all methods with networks.

    A subclass gives `_fit` and `_score`, or `_error`. Networks that it names in ``networks`` are
    saved and loaded for it.
    """

    networks: ClassVar[tuple[str, ...]] = ()
    """Learned attributes that are Keras models."""

    # --- what a subclass gives -------------------------------------------------------------------
    def _score(self, x: tf.Tensor) -> tf.Tensor:
        """Scores of a chunk of rows, (n,) or, with several label budgets, (n, budgets).

        A detector whose score is the mean error of the features gives `_error` instead.
        """
        return tf.reduce_mean(self._error(x), axis=list(range(1, len(x.shape))))

    def _error(self, x: tf.Tensor) -> tf.Tensor:
        """Error of each feature, (n, ...), whose mean is the score."""
        raise NotImplementedError

    def _at_once(self) -> int:
        """Rows that are scored at a time."""
        return CHUNK

    # --- what the contract asks for --------------------------------------------------------------
    def _scores(self, x: np.ndarray) -> np.ndarray:
        return predict_in_batches(self._compiled, x, self._at_once())

    def _errors(self, x: np.ndarray) -> np.ndarray:
        return predict_in_batches(self._error_graph, x, self._at_once())

    def _by_gradients(self, x: np.ndarray, column: int) -> Explanation:
        chosen = self._nearest(x, column)
        at_once = min(AT_ONCE, self._at_once() // 4)  # gradients take more memory
        start = self.reference_[chosen]
        found = integrated_gradients(self._path, x, start, column, at_once)
        return replace(found, reference=chosen)

    def _save(self, folder: Path) -> None:
        for name in self.networks:
            getattr(self, name).save(folder / f"{name.rstrip('_')}.keras")

    def _load(self, folder: Path) -> None:
        for name in self.networks:
            setattr(self, name, load_network(folder / f"{name.rstrip('_')}.keras"))

    # --- graphs: `fit` forgets them with the networks that they hold -----------------------------
    @cached_property
    def _compiled(self) -> Callable:
        return row_graph(self._score, self.input_shape_)

    @cached_property
    def _error_graph(self) -> Callable:
        return row_graph(self._error, self.input_shape_)

    @cached_property
    def _path(self) -> Callable:
        return path_graph(self._compiled, self.input_shape_)
