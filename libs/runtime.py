"""Starting TensorFlow: without its start-up chatter, reproducibly, without taking a whole GPU."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _native_stderr_muted() -> Iterator[None]:
    """Send what native libraries print to file descriptor 2 to nowhere."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def start_tensorflow() -> None:
    """Import TensorFlow; same seed gives the same bits from here on (same machine and threads)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _native_stderr_muted():
        import tensorflow as tf

        # every training traces its step once; TensorFlow takes these for retracings of one function
        tf.get_logger().setLevel("ERROR")
        tf.config.experimental.enable_op_determinism()
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.constant(0) + 1  # the first operation prints what is left to be printed
