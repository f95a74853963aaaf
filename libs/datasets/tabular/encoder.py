"""Rows of a table as inputs of a model: the columns it knows, scaled as in training."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from libs.datasets.splits.rows import scale_in_place
from libs.datasets.tabular.cells import Notation
from libs.datasets.tabular.reading import Block
from libs.datasets.tabular.schema import Schema
from libs.utils import storage
from libs.utils.errors import UserError

FILE = "inputs.json"
"""File in the folder of a saved model."""


@dataclass(frozen=True)
class Encoder:
    """Turns raw rows into inputs of a model, bit for bit as in its training.

    Attributes
    ----------
    schema : Schema
    low, span : (features,) float32
        A feature's input is (value - low) / span.
    """

    schema: Schema
    low: np.ndarray
    span: np.ndarray

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return self.schema.features

    def rows(self, block: Block) -> np.ndarray:
        """Inputs of a block, float32 (n, features), finite.

        Values too far from the training rows for float32 become its largest number.
        """
        largest = np.finfo(np.float32).max
        with np.errstate(over="ignore"):
            x = scale_in_place(self.schema.encode(block), self.low, self.span)
        return np.clip(x, -largest, largest, out=x)

    def save(self, folder: Path) -> None:
        """Write ``inputs.json`` into a model's folder."""
        content = {
            "columns": self.schema.to_json(),
            "notation": self.schema.notation.describe(),
            "low": self.low.tolist(),
            "span": self.span.tolist(),
        }
        storage.write_json(folder / FILE, content)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        UserError
            If it is missing or damaged.
        """
        path = Path(folder) / FILE
        if not path.is_file():
            raise UserError(
                f"{folder} holds no {FILE}: expected the folder of a model that was trained on "
                "rows with named columns. Models of images have none; train older ones again."
            )
        try:
            content = json.loads(path.read_text())
            notation = Notation.from_description(content.get("notation", {}))
            schema = Schema.from_json(content["columns"], notation)
            ends = (np.array(content[key], np.float32) for key in ("low", "span"))
            return cls(schema, *ends)
        except (ValueError, KeyError, TypeError, AttributeError, UserError) as error:
            raise UserError(f"{path} is damaged ({error}). Train the model again.") from error
