"""A user's own table: one or more CSV or Parquet files, with a column of classes or without."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from libs.datasets.dataset import DataSet
from libs.datasets.splits.rows import Rows, collected, cut
from libs.datasets.tabular.cells import as_text
from libs.datasets.tabular.learning import Learner
from libs.datasets.tabular.reading import Block, read
from libs.datasets.tabular.schema import REFUSE, Schema
from libs.utils import storage
from libs.utils.errors import UserError

UNLABELLED = "unlabelled"
"""The class of every row of a table without a label; it counts as normal."""


@dataclass(frozen=True)
class OwnTable:
    """Where a table lies, and how it is read; as a dict it stands in manifests.

    Attributes
    ----------
    files : tuple of str
        Paths, whose rows follow one another.
    test_file : str, optional
        The test rows; default: a share of the rows of ``files``.
    label : str, optional
        The column with the classes.
    missing : str
        Of `libs.datasets.tabular.schema.MISSING`.
    """

    files: tuple[str, ...]
    test_file: str | None = None
    label: str | None = None
    missing: str = REFUSE

    @classmethod
    def of(cls, files: Sequence[Path], test_file: Path | None, **options: Any) -> Self:
        """A table by paths from anywhere; ``options`` are the other attributes."""
        absolute = tuple(str(Path(file).resolve()) for file in files)
        return cls(absolute, test_file and str(test_file.resolve()), **options)

    def describe(self) -> dict[str, Any]:
        """The attributes in JSON, for manifests."""
        return asdict(self) | {"files": list(self.files)}

    @classmethod
    def described(cls, about: dict[str, Any], folder: str | Path | None = None) -> Self:
        """Undo `describe`; what is not there any more is looked for in ``folder``."""

        def found(file: str | None) -> str | None:
            moved = Path(folder or ".") / Path(file or "").name
            return str(moved) if file and moved.is_file() and not Path(file).is_file() else file

        files = tuple(map(found, about["files"]))
        return cls(**about | {"files": files, "test_file": found(about["test_file"])})

    @property
    def name(self) -> str:
        """``csv-<name of the first file>``, good as a folder's."""
        stem = Path(self.files[0].removesuffix(".gz")).stem
        return "csv-" + re.sub(r"[^\w.-]+", "_", stem)

    @cached_property
    def classes(self) -> np.ndarray:
        """The class of each row of ``files``, (n,) str."""
        return self._classes(self.files)

    def load(self, share: float, seed: int) -> DataSet:
        """Read the rows; the columns are learned from those that are no test rows.

        Parameters
        ----------
        share : float
            Of the rows that become test rows where there is no ``test_file``.
        seed : int
            Which ones.

        Raises
        ------
        UserError
            If a file cannot be read, a value is missing or strange, or no row remains.
        """
        classes = self.classes
        train, test = np.arange(len(classes)), np.arange(0)
        if self.test_file is None:
            train, test = cut(train, share, seed, "test")
        schema = self._learned(len(classes), train)
        x = self._encoded(self.files, len(classes), schema)
        rows = {"x": Rows(x, train), "classes": classes[train]}
        if self.test_file is None:
            rows |= {"x_test": Rows(x, test), "classes_test": classes[test]}
        else:
            classes = self._classes((self.test_file,))
            x = self._encoded((self.test_file,), len(classes), schema)
            rows |= {"x_test": x, "classes_test": classes}
        return DataSet(
            name=self.name,
            features=schema.features,
            fingerprint=self._fingerprint(),
            schema=schema,
            table=self.describe(),
            **rows,
        )

    def _classes(self, files: Sequence[str]) -> np.ndarray:
        parts = [self._labels(block) for block in _blocks(files)]
        return np.concatenate(parts)

    def _labels(self, block: Block) -> np.ndarray:
        if self.label is None:
            return np.full(len(block), UNLABELLED)
        if self.label not in block.frame.columns:
            raise UserError(
                f"{block.source}: no column {self.label!r} for --label; the columns are "
                f"{', '.join(block.frame.columns[:20])}"
            )
        text = as_text(block.frame[self.label])
        empty = (text == "").arg_true()
        if len(empty):
            raise UserError(
                f"{block.place(self.label, int(empty[0]))}: expected a class, found none. Leave "
                "such rows out, or give them a class."
            )
        return text.to_numpy().astype(str)

    def _learned(self, rows: int, train: np.ndarray) -> Schema:
        """The schema of the numbered rows."""
        learner = Learner(len(train), self.label, self.missing)
        chosen = np.zeros(rows, bool)
        chosen[train] = True
        start = 0
        for block in _blocks(self.files):
            learner.add(block.only(chosen[start : start + len(block)]))
            start += len(block)
        return learner.schema()

    def _encoded(self, files: Sequence[str], rows: int, schema: Schema) -> np.ndarray:
        """Features of all rows; in a file without a name where they are many."""
        parts = (schema.encode(block) for block in _blocks(files))
        folders = [Path(file).parent for file in files]
        return collected(parts, (rows, len(schema.features)), folders)

    def _fingerprint(self) -> str:
        """SHA-256 over the contents of all files."""
        files = [*self.files, *([self.test_file] if self.test_file else [])]
        digests = "".join(storage.sha256(Path(file)) for file in files)
        return hashlib.sha256(digests.encode()).hexdigest()


def _blocks(files: Sequence[str]) -> Iterator[Block]:
    for file in files:
        yield from read(file)
