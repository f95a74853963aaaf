"""One training step of ARGUE against a plain implementation of it; prints a Markdown table.

The plain one uses Keras' own parts, as the authors' code does: each expert separately, the alarm on
joined activations, six passes through the encoder (activations and decoder input, for rows and for
noise, and the gate on both), Keras' losses and Adam; it is compiled as well. Both steps must first
give equal losses. They are then timed in turn; the ratio is the median over the pairs.

    python benchmarks/argue_step.py [--pairs 9] [--cases MNIST CovType] [--experts 5 13]
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from libs.utils.runtime import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from libs.ARGUE import ARGUE, GATE_FACTOR  # noqa: E402
from libs.targets.multi_head_autoencoder import MultiHeadAutoencoder  # noqa: E402

CASES = {
    "MNIST": ("conv", (16, 8, 8), (28, 28, 1), 256),
    "CovType": ("dense", (90, 75, 60, 45, 25, 15), (54,), 4096),
}
"""Network, widths, shape of a row and batch size (the paper's): 7,432 and 590 activations."""
Step = Callable[..., tf.Tensor]


def argue(case: str, experts: int, dropout: float) -> ARGUE:
    """An untrained ARGUE."""
    network, dims, shape, _ = CASES[case]
    rows = np.random.default_rng(0).random((experts, *shape))
    target = MultiHeadAutoencoder(network, dims, epochs=0)
    names = [f"{i:02}" for i in range(experts)]
    return ARGUE(target=target, dropout=dropout, epochs=0).fit(rows, classes=names)


def ours(case: str, experts: int, dropout: float, precision: str = "float32") -> Step:
    """The step as ARGUE trains; every row is normal."""
    model = argue(case, experts, dropout)
    model._build(precision)
    step = model._step()

    @tf.function
    def run(seed: tf.Tensor, rows: tf.Tensor, group: tf.Tensor) -> tf.Tensor:
        return step(seed, rows, tf.fill(tf.shape(group), -1), group)

    return run


def plain(case: str, experts: int, dropout: float) -> Step:
    """The plain step, with the same initial weights."""
    model = argue(case, experts, dropout)
    encoder = model.encoder_
    relus = [la.output for la in model.decoders_.layers if isinstance(la, keras.layers.ReLU)]
    decoders = [
        keras.Model(code, [relu for relu in relus if _source(relu) is code])
        for code in model.decoders_.inputs
    ]
    alarm = _network(model.alarm_, dropout, 1, "sigmoid", ("shared", "own"))
    gate = _network(model.gate_, dropout, experts + 1, "softmax", ("shared",))
    entropy, categorical = (
        keras.losses.BinaryCrossentropy(),
        keras.losses.CategoricalCrossentropy(),
    )
    alarm_adam = keras.optimizers.Adam(model.learning_rate)
    gate_adam = keras.optimizers.Adam(GATE_FACTOR * model.learning_rate)
    alarm_adam.build(alarm.trainable_variables)
    gate_adam.build(gate.trainable_variables)

    def fused(x: tf.Tensor) -> tf.Tensor:
        shared = encoder(x, training=False)[1]
        code = encoder(x, training=False)[0]
        weights = gate(shared, training=True)
        score = weights[:, -1:]
        for i, decoder in enumerate(decoders):
            own = [tf.reshape(h, (tf.shape(x)[0], -1)) for h in decoder(code, training=False)]
            verdict = alarm(tf.concat([shared, *own], axis=1), training=True)
            score += weights[:, i : i + 1] * verdict
        return score

    @tf.function
    def run(seed: tf.Tensor, rows: tf.Tensor, group: tf.Tensor) -> tf.Tensor:
        noise = tf.random.stateless_normal(tf.shape(rows), seed, 0.5, 1.0)
        zeros = tf.zeros((tf.shape(rows)[0], 1))
        with tf.GradientTape() as tape:
            first = entropy(zeros, fused(rows)) + entropy(zeros + 1, fused(noise))
        variables = alarm.trainable_variables
        alarm_adam.apply(tape.gradient(first, variables), variables)
        anomaly = tf.fill(tf.shape(group), experts)
        with tf.GradientTape() as tape:
            second = [
                categorical(
                    tf.one_hot(target, experts + 1),
                    gate(encoder(x, training=False)[1], training=True),
                )
                for x, target in ((rows, group), (noise, anomaly))
            ]
            second = tf.add_n(second)
        variables = gate.trainable_variables
        gate_adam.apply(tape.gradient(second, variables), variables)
        return first + second

    return run


def _source(tensor: keras.KerasTensor) -> keras.KerasTensor:
    """The model input that a decoder's tensor is computed from."""
    while not isinstance(tensor._keras_history.operation, keras.layers.InputLayer):
        tensor = tensor._keras_history.operation.input
    return tensor


def _network(
    model: keras.Model, dropout: float, outputs: int, activation: str, parts: tuple[str, ...]
) -> keras.Model:
    """A dense network with the weights of ARGUE's ``model``, whose first kernel may be split."""
    weights = {w.path: w.numpy() for w in model.weights}
    kernel = np.concatenate([weights[f"{part}/kernel"] for part in parts])
    rest = [w.numpy()[0] for w in model.weights if "thinned" in w.path]
    widths = [kernel.shape[1], *(w.shape[1] for w in rest[:-2:2])]
    stack = [keras.Input((len(kernel),))]
    for width in widths:
        stack += [keras.layers.Dense(width), keras.layers.ReLU(), keras.layers.Dropout(dropout)]
    network = keras.Sequential([*stack, keras.layers.Dense(outputs, activation=activation)])
    variables = network.trainable_variables
    for variable, value in zip(variables, [kernel, weights["shared/bias"], *rest], strict=True):
        variable.assign(value)
    return network


def batch(case: str, experts: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Rows in [0, 1] and the expert of each."""
    _, _, shape, size = CASES[case]
    rng = np.random.default_rng(1)
    rows = tf.constant(rng.random((size, *shape)), tf.float32)
    return rows, tf.constant(rng.integers(0, experts, size), tf.int32)


def time_step(step: Step, *arguments: tf.Tensor) -> float:
    """Seconds of one step."""
    start = time.perf_counter()
    float(step(*arguments))
    return time.perf_counter() - start


def compare(case: str, experts: int, pairs: int, precision: str) -> str:
    """Time both steps in turn; one row of the table."""
    arguments = batch(case, experts)
    losses = []
    for build in (ours, plain):
        step = build(case, experts, 0.0)
        losses.append([float(step(tf.constant([1, i]), *arguments)) for i in range(2)])
    np.testing.assert_allclose(*losses, rtol=1e-3)
    steps = [ours(case, experts, 0.1, precision), plain(case, experts, 0.1)]
    seconds = []
    for i in range(pairs + 1):
        seed = tf.constant([2, i])
        seconds.append([time_step(step, seed, *arguments) for step in steps])
    seconds = np.array(seconds[1:])
    fast, slow = np.median(seconds, axis=0)
    ratio = np.median(seconds[:, 1] / seconds[:, 0])
    return (
        f"| {case} | {experts} | {precision} | {1e3 * fast:.0f} | {1e3 * slow:.0f} | {ratio:.1f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=9, help="timed pairs of steps")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--experts", nargs="+", type=int, default=[5, 13])
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    arguments = parser.parse_args()
    print("| step | experts | precision | ours, ms | plain, ms | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for case in arguments.cases:
        for experts in arguments.experts:
            print(compare(case, experts, arguments.pairs, arguments.precision), flush=True)


if __name__ == "__main__":
    main()
