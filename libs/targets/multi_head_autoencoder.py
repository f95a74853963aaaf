"""ARGUE's target: an autoencoder with a decoder for each expert (Schulze et al., 2022)."""

import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from libs.architecture.experts import PARTS, multi_head_autoencoder
from libs.architecture.parts import check_hidden
from libs.detectors.attribution import ERRORS
from libs.detectors.detector import Detector
from libs.detectors.network_detector import NetworkDetector
from libs.targets.clustering import AdversarialClustering
from libs.training.early_stopping import Patience, choose_held_out
from libs.training.loop import gradient_step, seeded, train
from libs.training.record import Training
from libs.utils.errors import UserError, lookup
from libs.utils.seeds import derive_seed

log = logging.getLogger("a3")
EXPERTS = "experts.json"
SCORE_BYTES = 256 * 2**20
"""Upper bound on the memory of the activations of rows scored at a time."""


@dataclass(eq=False, repr=False)
class MultiHeadAutoencoder(NetworkDetector):
    """Shared encoder with one decoder per expert, trained on normal rows only.

    An expert is responsible for a normal class or, with a clustering, for a cluster of normal rows.
    An update uses equally many rows of each; smaller groups are filled up with random repeats.
    Loss: the sum over experts of the binary cross-entropy of their rows. Score: mean squared error
    of the expert that reconstructs the row best, in [0, inf).

    Parameters
    ----------
    network : {"dense", "conv"}
        See `libs.architecture.experts.multi_head_autoencoder`.
    dims : sequence of int
        Widths (dense) or channels (conv: 16-8-8) from the input to the code.
    dropout : float
        After every hidden layer (.1).
    clustering : AdversarialClustering, optional
        Divides the normal rows among the experts; trained on them first if unfitted. Default: one
        expert per class.
    patience : int, optional
        Epochs without improvement after which training stops; see
        `libs.training.early_stopping`.
    epochs, batch_size, learning_rate
        Adam; the paper takes 500 epochs at 1e-4. ``batch_size`` rows of every expert.
    random_state : int

    Attributes
    ----------
    encoder_, decoders_ : keras.Model
        See `libs.architecture.experts.multi_head_autoencoder`.
    expert_names_ : tuple of str
        The normal classes in alphabetical order, or the numbers of the clusters.
    clustering_ : AdversarialClustering or None
    """

    networks = ("encoder_", "decoders_")
    uses_classes = True
    explained_by = ERRORS

    network: str = "dense"
    dims: Sequence[int] = (200, 100, 50, 25)
    dropout: float = 0.1
    clustering: AdversarialClustering | None = None
    patience: int | None = None
    epochs: int = 500
    batch_size: int = 256
    learning_rate: float = 1e-4
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray, classes: np.ndarray | None) -> Training:
        lookup(PARTS, "network", self.network)
        check_hidden(self.dims)
        self.clustering_ = self._fitted(self.clustering, x, y)
        self.expert_names_ = self._names(x, classes)
        groups = self.groups(x, classes)
        experts = len(self.expert_names_)
        with seeded(derive_seed(self.random_state, "MultiHeadAutoencoder", "weights")):
            networks = multi_head_autoencoder(
                self.network, x.shape[1:], tuple(self.dims), self.dropout, experts
            )
        self.encoder_, self.decoders_ = networks

        def loss(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            """A batch has equally many rows of every expert, see `balanced_orders`."""
            codes = tf.split(self.encoder_(rows, training=True)[0], experts)
            logits = self.decoders_(codes, training=True)[0]
            rows = tf.stack(tf.split(rows, experts), axis=1)
            entropy = tf.nn.sigmoid_cross_entropy_with_logits(rows, logits)
            return experts * tf.reduce_mean(entropy)

        def validation(rows: tf.Tensor, group: tf.Tensor) -> tf.Tensor:
            """Cross-entropy of each row by its own expert."""
            own = tf.gather(self._logits(rows), group, axis=1, batch_dims=1)
            entropy = tf.nn.sigmoid_cross_entropy_with_logits(rows, own)
            return tf.reduce_mean(entropy, axis=list(range(1, len(rows.shape))))

        variables = self.encoder_.trainable_variables + self.decoders_.trainable_variables
        patience = None
        if self.patience is not None:
            out = choose_held_out(groups, self.random_state)
            held = (x[out], groups[out])
            patience = Patience(self.patience, validation, held, self.batch_size, variables)
            x, groups = x[~out], groups[~out]
        return train(
            gradient_step(loss, variables, self.learning_rate),
            (x,),
            batch_size=self.batch_size * experts,
            epochs=self.epochs,
            seed=self.random_state,
            name="MultiHeadAutoencoder",
            order=balanced_orders(groups, self.batch_size, self.random_state),
            patience=patience,
        )

    def _names(self, x: np.ndarray, classes: np.ndarray | None) -> tuple[str, ...]:
        """Names of the experts, from the normal rows; an empty cluster gets none."""
        if self.clustering_ is None:
            if classes is None:
                raise UserError(
                    "experts need the classes of the training rows: fit(x, y, classes), or a "
                    "clustering, such as clustering=AdversarialClustering()"
                )
            return tuple(np.unique(classes).tolist())
        affinity = self.clustering_.affinity(x)
        kept = np.unique(affinity.argmax(axis=1))
        if len(kept) < affinity.shape[1]:
            empty = sorted(set(range(affinity.shape[1])) - set(kept.tolist()))
            log.info("clusters %s hold no normal row: %d experts remain", empty, len(kept))
        return tuple(map(str, kept.tolist()))

    def groups(self, x: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
        """Number of the expert responsible for each normal row, int32 (n,).

        Raises
        ------
        UserError
            If no expert was trained for a row's class.
        """
        if self.clustering_ is not None:
            kept = np.array(self.expert_names_, int)
            return self.clustering_.affinity(x)[:, kept].argmax(axis=1).astype(np.int32)
        strange = np.setdiff1d([] if classes is None else classes, self.expert_names_)
        if classes is None or len(strange):
            raise UserError(
                f"expected the class of every normal row, one of {', '.join(self.expert_names_)}; "
                f"found {'no classes' if classes is None else ', '.join(strange)}"
            )
        return np.searchsorted(self.expert_names_, classes).astype(np.int32)

    def _logits(self, x: tf.Tensor) -> tf.Tensor:
        """Reconstructions of rows by all experts before the sigmoid, (n, experts, ...)."""
        code = self.encoder_(x, training=False)[0]
        return self.decoders_([code] * len(self.expert_names_), training=False)[0]

    def _at_once(self) -> int:
        return chunk_rows(self.decoders_)

    def _error(self, x: tf.Tensor) -> tf.Tensor:
        error = tf.square(x[:, None] - tf.sigmoid(self._logits(x)))
        best = tf.argmin(tf.reduce_mean(error, axis=list(range(2, len(error.shape)))), axis=1)
        return tf.gather(error, best, axis=1, batch_dims=1)

    def _save(self, folder: Path) -> None:
        super()._save(folder)
        (folder / EXPERTS).write_text(json.dumps(self.expert_names_))
        if self.clustering_ is not None:
            self.clustering_.save(folder / "clustering")

    def _load(self, folder: Path) -> None:
        super()._load(folder)
        self.expert_names_ = tuple(json.loads((folder / EXPERTS).read_text()))
        self.clustering_ = None if self.clustering is None else Detector.load(folder / "clustering")


def chunk_rows(decoders: keras.Model) -> int:
    """Number of rows whose activations, of all experts, fit into `SCORE_BYTES`."""
    return max(1, SCORE_BYTES // (4 * int(np.prod(decoders.output_shape[1][1:]))))


def balanced_orders(groups: np.ndarray, batch_size: int, seed: int) -> Callable[[int], np.ndarray]:
    """Make orders in which every batch has equally many rows of each group (authors' code).

    All rows are kept; smaller groups are filled up once, by random repeats of their rows, to the
    size of the largest.

    Parameters
    ----------
    groups : (n,) int
        Group of each row, 0 and up without a gap.
    batch_size : int
        Rows of each group in a batch; the last one of an epoch may be smaller.
    seed : int

    Returns
    -------
    callable
        ``order(epoch)`` for `libs.training.loop.train` with batches of ``batch_size * groups``
        rows: within a batch the first group's rows come first.
    """
    members = [np.flatnonzero(groups == g) for g in range(groups.max() + 1)]
    largest = max(map(len, members))
    rng = np.random.default_rng(derive_seed(seed, "MultiHeadAutoencoder", "equalise"))
    filled = np.stack([np.append(m, rng.choice(m, largest - len(m))) for m in members])
    cuts = np.arange(1, math.ceil(largest / batch_size)) * batch_size

    def order(epoch: int) -> np.ndarray:
        rng = np.random.default_rng(derive_seed(seed, "MultiHeadAutoencoder", epoch))
        shuffled = rng.permuted(filled, axis=1)
        return np.concatenate([part.reshape(-1) for part in np.split(shuffled, cuts, axis=1)])

    return order
