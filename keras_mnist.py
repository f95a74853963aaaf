#!/usr/bin/env python
"""Train the digit classifier that do_mnist_emnist.py takes as its target.

Keras' "simple MNIST convnet" (Conv 32, pool, Conv 64, pool, dropout .5, softmax) with its ReLUs as
layers after pooling, which computes the same: 13·13·32 + 5·5·64 = 7,008 activations. The paper used
Keras' older mnist_cnn example, which has 58,624 activations.

15 epochs, 7,035 updates; expect a test accuracy of .992.

    python keras_mnist.py
"""

import argparse
from pathlib import Path

from libs.utils.command_line import experiment_script, plain_parser


def main(args: argparse.Namespace) -> int:
    """Train on the official training rows, report the accuracy on the test rows, save."""
    import keras
    import numpy as np
    import tensorflow as tf

    from libs.architecture.target import digit_classifier
    from libs.datasets import registry as datasets
    from libs.training.loop import CHUNK, gradient_step, predict_in_batches, seeded, train
    from libs.utils import storage

    storage.check_writable(args.target_path.parent)
    data = datasets.load("mnist", args.data_path)
    labels, labels_test = data.classes.astype(np.int32), data.classes_test.astype(np.int32)
    with seeded(args.seed):
        model = digit_classifier()

    def loss(seed: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        probabilities = model(x, training=True)
        return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, probabilities))

    done = train(
        gradient_step(loss, model.trainable_variables, 1e-3),
        (data.x / data.maximum, labels),
        batch_size=128,
        epochs=args.n_epochs,
        seed=args.seed,
        name="keras_mnist",
    )
    probabilities = predict_in_batches(model, data.x_test / data.maximum, CHUNK)
    accuracy = np.mean(np.argmax(probabilities, axis=1) == labels_test)
    with storage.replaced_file(args.target_path) as temporary:
        renamed = temporary.with_suffix(".tmp.keras")
        model.save(renamed)
        renamed.rename(temporary)
    print(
        f"test accuracy {accuracy:.4f} after {done.epochs} epochs, "
        f"{done.updates:,} updates, {done.seconds:.0f} s: {args.target_path}"
    )
    return 0


if __name__ == "__main__":
    parser = plain_parser(__doc__)
    target = Path("models/keras_mnist.keras")
    text = f"the .keras file to write (default: {target})"
    parser.add_argument(
        "target_path", type=Path, nargs="?", default=target, metavar="FILE", help=text
    )
    parser.add_argument("--seed", type=int, default=706)
    parser.add_argument("--n_epochs", type=int, default=15, help="default: 15, as Keras' example")
    parser.add_argument("--data_path", type=Path, help="raw files (default: $A3_DATA, or data)")
    raise SystemExit(experiment_script(main, parser))
