"""Checkpoints of an autoencoder's training: R2-AD2's target (Schulze et al., ECML-PKDD 2022)."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from libs.architecture.target import autoencoder
from libs.detectors.attribution import ERRORS
from libs.detectors.network_detector import NetworkDetector
from libs.training.loop import CompiledStep, gradient_step, seeded, train
from libs.training.record import Training
from libs.utils.errors import UserError
from libs.utils.seeds import derive_seed


@dataclass(eq=False, repr=False)
class Checkpoints(NetworkDetector):
    """Frozen copies of an autoencoder, taken while it is trained on normal rows.

    The autoencoder trains for some epochs, is copied, continues for a few epochs with the same
    state of Adam, is copied again, and so on. One training thus serves R2-AD2 with any number of
    checkpoints and any label budget. Score: mean squared reconstruction error of the last
    copy, in [0, inf).

    Only a random fraction of the rows trains the autoencoder, so that the alarm network sees rows
    that are new to its target. It is drawn once; the authors' code draws anew for every stage.

    Parameters
    ----------
    network : {"dropout_dense", "dropout_conv", "dense", "conv"}
        See `libs.architecture.target`.
    dims : sequence of int
        Widths from the input to the code, or the code's alone (conv: 8).
    dropout : float
    copies : int
        Number of checkpoints (4; R2-AD2 reads the first 3).
    epochs : int
        Before the first copy (10).
    epochs_between : int
        Between copies (5).
    share : float
        Fraction of the normal rows that train the autoencoder (.75).
    batch_size, learning_rate
        Of Adam on the binary cross-entropy; the paper uses 1e-3.
    random_state : int

    Attributes
    ----------
    model_ : keras.Model
        Rows to the reconstructions of every copy; see `list_copies`.
    """

    networks = ("model_",)
    explained_by = ERRORS

    network: str = "dropout_dense"
    dims: Sequence[int] = (40, 20, 10)
    dropout: float = 0.4
    copies: int = 4
    epochs: int = 10
    epochs_between: int = 5
    share: float = 0.75
    batch_size: int = 256
    learning_rate: float = 1e-3
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        with seeded(derive_seed(self.random_state, "Checkpoints", "weights")):
            learner = self._network(x.shape[1:], "learner")
            copies = [self._network(x.shape[1:], f"checkpoint_{i}") for i in range(self.copies)]

        def loss(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            # Keras finds the logits behind the sigmoid: saturated outputs keep their gradient
            entropy = keras.losses.binary_crossentropy(rows, learner(rows, training=True))
            return tf.reduce_mean(entropy)

        rows = x[self.rows(len(x))]
        step = gradient_step(loss, learner.trainable_variables, self.learning_rate)
        step = CompiledStep(step, self.batch_size, (rows,))
        stages = []
        for i, copy in enumerate(copies):
            stage = train(
                step,
                (rows,),
                batch_size=self.batch_size,
                epochs=self.epochs_between if i else self.epochs,
                seed=self.random_state,
                name=f"Checkpoints {i + 1}",
            )
            copy.set_weights(learner.get_weights())
            stages.append(stage)
        inputs = keras.Input(x.shape[1:])
        self.model_ = keras.Model(inputs, [copy(inputs) for copy in copies], name="checkpoints")
        return Training.of_stages(stages)

    def rows(self, n: int) -> np.ndarray:
        """Numbers of the training rows among ``n`` normal rows, ascending."""
        rng = np.random.default_rng(derive_seed(self.random_state, "Checkpoints", "rows"))
        return np.sort(rng.permutation(n)[: max(1, round(self.share * n))])

    def _network(self, shape: Sequence[int], name: str) -> keras.Model:
        stack = autoencoder(self.network, shape, self.dims, self.dropout).layers
        return keras.Sequential([keras.Input(tuple(shape)), *stack], name=name)

    def _error(self, x: tf.Tensor) -> tf.Tensor:
        return tf.square(x - list_copies(self.model_)[-1](x, training=False))


def list_copies(model: keras.Model) -> list[keras.Model]:
    """Autoencoders within the model of `Checkpoints`, the earliest first."""
    return [model.get_layer(f"checkpoint_{i}") for i in range(len(model.outputs))]


def first_copies(target: keras.Model, steps: int) -> list[keras.Model]:
    """Take the first ``steps`` checkpoints of a target; a UserError if there are fewer."""
    copies = list_copies(target)
    if not 1 <= steps <= len(copies):
        raise UserError(f"steps {steps}: expected a number from 1 to the {len(copies)} checkpoints")
    return copies[:steps]
