"""A plain A3, as a reader would first write it from the paper: the baseline of the benchmarks.

Keras' layers, Keras' Adam, ``fit`` and ``predict`` at their defaults, float32; the target's
activations are computed inside the step, separately for real and generated rows; one label budget
at a time.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def plain_target(model: keras.Model, x: np.ndarray, epochs: int) -> keras.Model:
    """Train a target on normal rows (Adam 1e-3, binary cross-entropy, batches of 256)."""
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy")
    model.fit(x, x, batch_size=256, epochs=epochs, verbose=0)
    model.trainable = False
    return model


class PlainA3(keras.Model):
    """The alarm network on the activations of a frozen target (1000-500-200-75, dropout .1)."""

    def __init__(self, target: keras.Model):
        super().__init__()
        relus = [layer.output for layer in target.layers if isinstance(layer, layers.ReLU)]
        flat = [layers.Flatten()(relu) for relu in relus]
        self.activations = keras.Model(target.inputs[0], layers.Concatenate()(flat))
        stack = [layers.Dense(units, activation="relu") for units in (1000, 500, 200, 75)]
        stack += [layers.Dropout(0.1), layers.Dense(1, activation="sigmoid")]
        self.alarm = keras.Sequential(stack)
        self.entropy = keras.losses.BinaryCrossentropy()

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Scores (n, 1) of rows."""
        return self.alarm(self.activations(x, training=False), training=training)

    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """``mean BCE(y, real) + mean BCE(1, generated)``; only the alarm learns."""
        x, y = data
        noise = tf.random.normal(tf.shape(x), 0.5, 1.0)
        with tf.GradientTape() as tape:
            real, generated = self(x, training=True), self(noise, training=True)
            loss = self.entropy(y, real) + self.entropy(tf.ones_like(generated), generated)
        weights = self.alarm.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return {"loss": loss}


def plain_a3(target: keras.Model, x: np.ndarray, y: np.ndarray, epochs: int) -> PlainA3:
    """Train the alarm for one label budget: normal rows and the known anomalies among ``x``."""
    model = PlainA3(target)
    model.compile(optimizer=keras.optimizers.Adam(1e-5))
    model.fit(x, y[:, None].astype(np.float32), batch_size=256, epochs=epochs, verbose=0)
    return model
