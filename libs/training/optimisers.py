"""Optimisers: Adam by a fused kernel, the others from Keras."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf


class Adam:
    """Adam (Kingma and Ba, 2015) by TensorFlow's fused kernel: one pass over the weights.

    Parameters
    ----------
    variables : sequence of keras.Variable
    learning_rate : float
    beta_1 : float
        Decay of the mean gradient.
    clip_norm : float, optional
        Upper bound on the global norm of all gradients (Keras' ``global_clipnorm``).
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        learning_rate: float,
        beta_1: float = 0.9,
        clip_norm: float | None = None,
    ):
        self.variables = [variable.value for variable in variables]
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.clip_norm = clip_norm
        self.first = [tf.Variable(tf.zeros_like(v)) for v in self.variables]
        self.second = [tf.Variable(tf.zeros_like(v)) for v in self.variables]
        self.powers = (tf.Variable(beta_1), tf.Variable(0.999))

    def minimise(self, loss: tf.Tensor, tape: tf.GradientTape) -> list[tf.Tensor]:
        """Update the variables by the gradient of ``loss``, and return the gradient."""
        return self.apply(tape.gradient(loss, self.variables))

    def zeros(self) -> list[tf.Tensor]:
        """A zero gradient, to accumulate others in."""
        return [tf.zeros_like(v) for v in self.variables]

    def apply(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        """Clip ``gradients``, update the variables, and return the clipped gradients."""
        if self.clip_norm is not None:
            gradients = tf.clip_by_global_norm(gradients, self.clip_norm)[0]
        beta1, beta2 = self.powers
        settings = {  # read once for all variables
            "beta1_power": tf.convert_to_tensor(beta1),
            "beta2_power": tf.convert_to_tensor(beta2),
            "lr": tf.constant(self.learning_rate),
            "beta1": tf.constant(self.beta_1),
            "beta2": tf.constant(0.999),
            "epsilon": tf.constant(1e-7),
        }
        for v, m, s, g in zip(self.variables, self.first, self.second, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(var=v.handle, m=m.handle, v=s.handle, grad=g, **settings)
        beta1.assign(beta1 * self.beta_1)
        beta2.assign(beta2 * 0.999)
        return gradients


def add_gradients(a: Sequence[tf.Tensor], b: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Sum of two gradients."""
    return [first + second for first, second in zip(a, b, strict=True)]


class KerasOptimiser:
    """One of Keras' optimisers on a fixed list of variables.

    Parameters
    ----------
    optimiser : keras.optimizers.Optimizer
    variables : sequence of keras.Variable
    clip_norm : float, optional
        Bound of the norm of each variable's gradient.
    """

    def __init__(
        self,
        optimiser: keras.optimizers.Optimizer,
        variables: Sequence[keras.Variable],
        clip_norm: float | None = None,
    ):
        self.optimiser, self.clip_norm = optimiser, clip_norm
        self.optimiser.build(variables)
        self.variables = [variable.value for variable in variables]

    def minimise(self, loss: tf.Tensor, tape: tf.GradientTape) -> None:
        """Update the variables by the gradient of ``loss``.

        Not by Keras' `apply`: what it does for several devices keeps each graph for ever.
        """
        gradients = tape.gradient(loss, self.variables)
        if self.clip_norm is not None:
            gradients = [tf.clip_by_norm(g, self.clip_norm) for g in gradients]
        for variable, gradient in zip(self.variables, gradients, strict=True):
            self.optimiser.update_step(gradient, variable, self.optimiser.learning_rate)
        self.optimiser.iterations.assign_add(1)  # of which Adam and schedules make use


def rmsprop(
    variables: Sequence[keras.Variable], learning_rate: float, clip_norm: float | None = None
) -> KerasOptimiser:
    """RMSprop (Hinton, 2012): ρ = .9, no momentum.

    ``clip_norm`` bounds the norm of each variable's gradient separately.
    """
    return KerasOptimiser(keras.optimizers.RMSprop(learning_rate), variables, clip_norm)


def adadelta(variables: Sequence[keras.Variable], learning_rate: float) -> KerasOptimiser:
    """Adadelta (Zeiler, 2012): ρ = .95; in Zeiler's method the learning rate is 1."""
    return KerasOptimiser(keras.optimizers.Adadelta(learning_rate), variables)


Optimiser = Callable[[Sequence[keras.Variable], float], Adam | KerasOptimiser]
"""Maker of an optimiser, from variables and a learning rate."""
