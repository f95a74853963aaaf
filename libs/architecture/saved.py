"""Networks on disk: the classes that a ``.keras`` file may name, and loading it safely."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from zipfile import ZipFile

import keras

from libs.architecture.fused_layers import FusedDense
from libs.utils.errors import UserError

LAYERS = frozenset(
    """
    Activation ActivityRegularization Add AlphaDropout Average AveragePooling1D AveragePooling2D
    AveragePooling3D BatchNormalization Bidirectional CategoryEncoding CenterCrop Concatenate Conv1D
    Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose Cropping1D Cropping2D Cropping3D
    Dense DepthwiseConv1D DepthwiseConv2D Dot Dropout ELU EinsumDense Embedding Flatten GRU GRUCell
    GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D
    GlobalMaxPooling2D GroupNormalization InputLayer LSTM LSTMCell LayerNormalization LeakyReLU
    Masking MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum MultiHeadAttention Multiply
    Normalization PReLU Permute RNN ReLU RepeatVector Rescaling Reshape Resizing SeparableConv1D
    SeparableConv2D SimpleRNN SimpleRNNCell Softmax SpatialDropout1D SpatialDropout2D
    SpatialDropout3D SpectralNormalization StackedRNNCells Subtract TimeDistributed
    UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D
    ZeroPadding3D
    """.split()
)
"""Keras' purely computational layers: none of them runs code from a file."""


def _classes(*modules: ModuleType) -> frozenset[str]:
    return frozenset(name for m in modules for name, v in vars(m).items() if isinstance(v, type))


KNOWN = {
    "keras.layers": LAYERS,
    "keras.initializers": _classes(keras.initializers),
    "keras.regularizers": _classes(keras.regularizers),
    "keras.constraints": _classes(keras.constraints),
    "keras": frozenset(("Sequential", "Model", "DTypePolicy")),
    "keras.src.models.functional": frozenset(("Functional",)),
    "keras.src.ops.nn": frozenset(("Relu",)),
    FusedDense.__module__: frozenset((FusedDense.__name__,)),
    None: frozenset(("__keras_tensor__", "__tensor__")),
}
"""Classes allowed in a saved network, by module."""


def load_network(path: Path) -> keras.Model:
    """Read a network from a ``.keras`` file; nothing in it runs code.

    Raises
    ------
    UserError
        If the file is missing or damaged, or names classes that are not in `KNOWN`.
    """
    try:
        with ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        foreign = sorted({n for n in _named(config) if n[1] not in KNOWN.get(n[0], ())}, key=str)
        if foreign:
            names = ", ".join(f"{module}.{name}" for module, name in foreign[:4])
            raise ValueError(f"made of {names}, not among the layers that are loaded")
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras, HDF5 and zipfile fail in many ways
        reason = (str(error).strip().splitlines() or [""])[0]
        raise UserError(
            f"{path} is no Keras model that can be loaded ({type(error).__name__}: {reason})"
        ) from error


def _named(config: Any) -> Iterator[tuple[str | None, str]]:
    """Module and name of each class in a network's description, except those of compiling."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config.get("module"), config["class_name"]
        config = [value for key, value in config.items() if key != "compile_config"]
    if isinstance(config, list):
        for value in config:
            yield from _named(value)
