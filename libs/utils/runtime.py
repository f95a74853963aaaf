"""Starting TensorFlow quietly, reproducibly, and without occupying a whole GPU."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def _native_stderr_muted() -> Iterator[None]:
    """Discard what native libraries print to file descriptor 2."""
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
    """Import TensorFlow so that equal seeds give equal bits (same machine and threads)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _native_stderr_muted():
        import tensorflow as tf

        # every training traces its step once, which TensorFlow reports as retracing
        tf.get_logger().setLevel("ERROR")
        tf.config.experimental.enable_op_determinism()
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.constant(0) + 1  # the first operation prints the remaining messages


BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16"}
"""Instruction sets with which a CPU multiplies bfloat16 faster than float32."""


def resolve_precision(wanted: str) -> str:
    """Replace "auto" by "bfloat16" where the hardware multiplies it fast, else by "float32".

    That holds for GPUs of compute capability 8.0 or higher and for CPUs with one of
    `BFLOAT16_FLAGS` (detected on Linux only).
    """
    if wanted != "auto":
        return wanted
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = map(tf.config.experimental.get_device_details, gpus)
        fast = all(d.get("compute_capability", (0, 0)) >= (8, 0) for d in details)
    else:
        info = Path("/proc/cpuinfo")
        fast = info.is_file() and not BFLOAT16_FLAGS.isdisjoint(info.read_text().split())
    return "bfloat16" if fast else "float32"
