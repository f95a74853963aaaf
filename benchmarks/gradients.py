#!/usr/bin/env python
"""Gradients of single rows in closed form against plain ways, and R2-AD2's alarm step.

Shapes of NSL-KDD: autoencoder 122-40-20-10-20-40-122 (12,012 weights), 512 rows at a time, three
checkpoints in the alarm step. The ways run in turn, so that other load affects all of them. Prints
medians over the repetitions, and ratios within each repetition. Every way is a compiled graph.

    python benchmarks/gradients.py
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from libs.utils.runtime import start_tensorflow

start_tensorflow()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from libs.architecture.gradients import (  # noqa: E402
    RawGradients,
    SketchedGradients,
    cross_entropy,
    layer_gradients,
)
from libs.architecture.target import dropout_dense_autoencoder  # noqa: E402
from libs.R2AD2 import R2AD2  # noqa: E402
from libs.R2AD2Sketch import R2AD2Sketch  # noqa: E402
from libs.targets.checkpoints import Checkpoints  # noqa: E402

FEATURES, DIMS, ROWS = 122, (40, 20, 10), 512


def gradient_ways() -> dict[str, Callable]:
    """Ways to the gradients of `ROWS` rows at one checkpoint."""
    model = dropout_dense_autoencoder((FEATURES,), DIMS)
    weights = [v.value for v in model.trainable_variables]

    def by_tape(row: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            h = row[None]
            for layer in model.layers[:-1]:
                h = layer(h)
            loss = cross_entropy(row[None], h)
        return tf.concat([tf.reshape(g, [-1]) for g in tape.gradient(loss, weights)], axis=0)

    def factors(x: tf.Tensor) -> list[tf.Tensor]:
        return [part for g in layer_gradients(model, x) for part in (g.left, g.right)]

    return {
        "per-row tape, one after the other": lambda x: tf.map_fn(by_tape, x),
        "tf.vectorized_map of the tape": lambda x: tf.vectorized_map(by_tape, x),
        "closed form, all gradients": RawGradients([model]),
        "closed form, factors only": factors,
        "closed form, sketch of 64 a layer": SketchedGradients([model], 64, seed=0),
    }


def alarm_steps() -> dict[str, Callable]:
    """One update of each alarm network, with its generated rows and its gradients."""
    rng = np.random.default_rng(0)
    x = rng.random((ROWS + 100, FEATURES)).astype(np.float32)
    y = np.repeat([0, 1], [ROWS, 100]).astype(np.int32)
    target = Checkpoints(dims=DIMS, epochs=1, epochs_between=1).fit(x[y == 0])
    raw = R2AD2(target, epochs=0).fit(x, y)
    step = raw._step(raw._alarm("alarm"))
    sketch = R2AD2Sketch(target, epochs=0).fit(x, y)
    label = tf.zeros(ROWS)
    seed = tf.constant([1, 2])
    sketch_step = sketch._step(x[y == 1])
    return {
        "R2AD2, one budget": lambda x: step(seed, x, label),
        "R2AD2Sketch, one budget of 100": lambda x: sketch_step(seed, x),
    }


def compare(title: str, ways: dict[str, Callable], repetitions: int) -> None:
    """Print a table: median times, and ratios to the first way within each repetition."""
    x = tf.constant(np.random.default_rng(1).random((ROWS, FEATURES)), tf.float32)
    compiled = {name: tf.function(way) for name, way in ways.items()}
    times = {name: [] for name in ways}
    for way in compiled.values():
        way(x)  # traces and warms up
    for _ in range(repetitions):
        for name, way in compiled.items():
            start = time.perf_counter()
            tf.nest.map_structure(lambda t: t.numpy(), way(x))
            times[name].append(time.perf_counter() - start)
    first = np.array(times[next(iter(times))])
    print(f"\n{title} ({repetitions} repetitions)\n")
    print("| way | median ms | times faster than the first: median (least to most) |")
    print("| --- | --- | --- |")
    for name, seconds in times.items():
        ratio = first / seconds
        span = f"{np.median(ratio):.1f} ({ratio.min():.1f} to {ratio.max():.1f})"
        print(f"| {name} | {1000 * np.median(seconds):.1f} | {span} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--steps", type=int, default=5, help="repetitions of the alarm steps")
    args = parser.parse_args()
    compare(f"Gradients of {ROWS} rows at one checkpoint", gradient_ways(), args.repetitions)
    compare(f"One alarm step, {ROWS} rows, 3 checkpoints", alarm_steps(), args.steps)
