"""Rows of a table as a model's inputs: the columns that it knows, scaled as in its training."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from libs.datasets.splits.rows import scaled
from libs.datasets.tabular.cells import Notation
from libs.datasets.tabular.reading import Block
from libs.datasets.tabular.schema import Schema
from libs.utils import storage
from libs.utils.errors import UserError

FILE = "inputs.json"
"""Lies beside a saved model."""


@dataclass(frozen=True)
class Encoder:
    """Makes a model's inputs of raw rows, to the same bits as its training did.

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

        What is so far from the training rows that float32 cannot tell becomes its largest number.
        """
        largest = np.finfo(np.float32).max
        with np.errstate(over="ignore"):
            x = scaled(self.schema.encode(block), self.low, self.span)
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
            If it is not there, or damaged.
        """
        path = Path(folder) / FILE
        if not path.is_file():
            raise UserError(
                f"{folder} holds no {FILE}: expected the folder of a model that was trained on "
                "rows with named columns. Models of images have none; train older ones again."
            )
        try:
            content = json.loads(path.read_text())
            notation = Notation.described(content.get("notation", {}))
            schema = Schema.from_json(content["columns"], notation)
            ends = (np.array(content[key], np.float32) for key in ("low", "span"))
            return cls(schema, *ends)
        except (ValueError, KeyError, TypeError, AttributeError, UserError) as error:
            raise UserError(f"{path} is damaged ({error}). Train the model again.") from error
