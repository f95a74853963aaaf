"""A3's scores for four label budgets, against a Keras model per budget and ``model.predict(x)``.

Networks and rows are shaped as for NSL-KDD (122 features, target 200-100-50-25, alarm
1000-500-200-75). Both ways score the same 100,000 rows in turn, after one turn that only compiles.
The scores must agree to 1e-5.

    python -m benchmarks.scoring [--rows 100000] [--repetitions 5]
"""

import argparse
import statistics
import time

import numpy as np

from libs.utils.runtime import start_tensorflow

FEATURES = 122


def fitted_a3():
    """A3 after a short training, so that the alarm networks of the budgets differ."""
    from baselines import Autoencoder
    from libs.A3 import A3
    from libs.experiments.protocols.a3 import ALARM, BUDGETS

    x = np.random.default_rng(0).random((4096, FEATURES), np.float32)
    y = np.repeat([0, 1], [len(x) - BUDGETS[-1], BUDGETS[-1]])
    settings = ALARM | {"learning_rate": 1e-3}
    return A3(target=Autoencoder(epochs=1), budgets=BUDGETS, epochs=3, **settings).fit(x, y)


def plain_models(a3) -> list:
    """One functional model per budget, from rows to scores, as a reader would first write it."""
    import keras

    target = a3.target_
    hidden = [layer.output for layer in target.layers if isinstance(layer, keras.layers.ReLU)]
    models = []
    for i in range(len(a3.budgets_)):
        kernels, biases = a3.alarm_.get_weights()[::2], a3.alarm_.get_weights()[1::2]
        units = len(biases[0]) // len(a3.budgets_)
        own = slice(i * units, (i + 1) * units)
        weights = [kernels[0][:, own], biases[0][own]]
        for kernel, bias in zip(kernels[1:], biases[1:], strict=True):
            weights += [kernel[i], bias[i]]
        activation = keras.layers.Concatenate()(hidden)
        for bias in weights[1:-1:2]:
            activation = keras.layers.Dense(len(bias), activation="relu")(activation)
        score = keras.layers.Dense(1, activation="sigmoid")(activation)
        model = keras.Model(target.inputs, score)
        model.set_weights([*target.get_weights()[:-2], *weights])
        models.append(model)
    return models


def main(rows: int, repetitions: int) -> None:
    """Compare the two ways."""
    start_tensorflow()
    a3 = fitted_a3()
    models = plain_models(a3)
    x = np.random.default_rng(1).random((rows, FEATURES), np.float32)
    ways = {
        "plain": lambda: np.hstack([model.predict(x, verbose=0) for model in models]),
        "ours": lambda: a3.decision_matrix(x),
    }
    scores = {name: way() for name, way in ways.items()}  # compiles
    print(f"largest difference {np.abs(scores['plain'] - scores['ours']).max():.1e}")
    np.testing.assert_allclose(scores["plain"], scores["ours"], atol=1e-5)
    assert np.ptp(scores["ours"], axis=1).max() > 1e-3, "the budgets' networks do not differ"
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repetitions):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    ratios = [a / b for a, b in zip(seconds["plain"], seconds["ours"], strict=True)]
    for name, found in seconds.items():
        print(f"{name}: {', '.join(f'{s:.2f}' for s in found)} s")
    least, most = min(ratios), max(ratios)
    print(f"ratio: median {statistics.median(ratios):.2f}, from {least:.2f} to {most:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repetitions", type=int, default=5)
    main(**vars(parser.parse_args()))
