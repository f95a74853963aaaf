"""A user's own table: one or more CSV or Parquet files, with or without a column of classes."""

import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from libs.datasets.dataset import DataSet
from libs.datasets.splits.rows import Rows, collect_blocks, cut_rows
from libs.datasets.tabular.cells import PLAIN, Notation, as_text, identify, tell_together
from libs.datasets.tabular.learning import LONGEST_TEXT, Learner
from libs.datasets.tabular.reading import Block, read
from libs.datasets.tabular.schema import REFUSE, Schema, join_names
from libs.utils import storage
from libs.utils.errors import UserError, shorten

UNLABELLED = "unlabelled"
"""The class of every row of a table without a label; it counts as normal."""
MANY = 2**62
"""A number of rows so large that no value is sampled for a median."""


@dataclass(frozen=True)
class OwnTable:
    """The files of a table and how to read them; described in manifests.

    Attributes
    ----------
    files : tuple of str
        Paths; their rows are concatenated.
    test_file : str, optional
        The test rows; default: a fraction of the rows of ``files``.
    label : str, optional
        The column with the classes.
    missing : str
        Of `libs.datasets.tabular.schema.MISSING`.
    drop, text, ids : tuple of str
        Columns to leave out, to treat as text whatever they hold, and to keep beside the scores
        instead of using them as inputs.
    notation : Notation
        Notation of the cells.
    """

    files: tuple[str, ...]
    test_file: str | None = None
    label: str | None = None
    missing: str = REFUSE
    drop: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    notation: Notation = PLAIN

    @classmethod
    def of(cls, files: Sequence[Path], test_file: Path | None, **options: Any) -> Self:
        """Build a table from relative or absolute paths; ``options`` are the other attributes."""
        absolute = tuple(str(Path(file).resolve()) for file in files)
        return cls(absolute, test_file and str(test_file.resolve()), **options)

    def describe(self) -> dict[str, Any]:
        """The attributes in JSON, for manifests; the last four only if set."""
        about = asdict(self) | {"notation": self.notation.describe()}
        about = {name: list(v) if isinstance(v, tuple) else v for name, v in about.items()}
        set_by_hand = {name for name in ("drop", "text", "ids", "notation") if about[name]}
        always = {"files", "test_file", "label", "missing"}
        return {name: about[name] for name in about if name in always | set_by_hand}

    @classmethod
    def from_description(cls, about: dict[str, Any], folder: str | Path | None = None) -> Self:
        """Undo `describe`; files that have moved are looked for in ``folder``."""

        def found(file: str | None) -> str | None:
            moved = Path(folder or ".") / Path(file or "").name
            return str(moved) if file and moved.is_file() and not Path(file).is_file() else file

        settings = {n: tuple(v) if isinstance(v, list) else v for n, v in about.items()}
        settings["files"] = tuple(map(found, about["files"]))
        settings["notation"] = Notation.from_description(about.get("notation", {}))
        return cls(**settings | {"test_file": found(about["test_file"])})

    @property
    def name(self) -> str:
        """``csv-<name of the first file>``, valid as a folder name."""
        stem = Path(self.files[0].removesuffix(".gz")).stem
        return "csv-" + re.sub(r"[^\w.-]+", "_", stem)

    @cached_property
    def classes(self) -> np.ndarray:
        """The class of each row of ``files``, (n,) str."""
        return self._classes(self.files)

    @property
    def roles(self) -> dict[str, str]:
        """Roles of the columns that the command line names; see `Learner`."""
        roles = dict.fromkeys(self.text, "text") | dict.fromkeys(self.drop, "unused")
        roles |= dict.fromkeys(self.ids, "id")
        return roles | ({} if self.label is None else {self.label: "label"})

    def check(self) -> Schema:
        """Check every row and report all errors at once.

        Returns
        -------
        Schema
            Learned from all rows of ``files``.

        Raises
        ------
        UserError
            As `load` does.
        """
        problems = []
        for look in (self._look_at_classes, self._look_at_columns):
            try:
                found = look()
            except UserError as error:
                problems.append(error)
        if problems:
            raise tell_together(problems)
        return found

    def _look_at_classes(self) -> None:
        if self.test_file is not None:
            self._classes((self.test_file,))
        _ = self.classes

    def _look_at_columns(self) -> Schema:
        schema = self._learn_schema(None)
        for block in self._blocks([self.test_file] if self.test_file else [], schema.wanted):
            schema.encode(block)
        return schema

    def load(self, fraction: float, seed: int, schema: Schema | None = None) -> DataSet:
        """Read the rows; the schema is learned from all rows but the test rows.

        Parameters
        ----------
        fraction : float
            Fraction of the rows that become test rows if there is no ``test_file``.
        seed : int
            Decides which rows these are.
        schema : Schema, optional
            As learned before from the same rows, which takes longer than reading them.

        Raises
        ------
        UserError
            If a file cannot be read, a value is missing or invalid, or no row remains.
        """
        classes = self.classes
        train, test = np.arange(len(classes)), np.arange(0)
        if self.test_file is None:
            train, test = cut_rows(train, fraction, seed, "test")
        schema = schema or self._learn_schema(train)
        x = self._encode(self.files, len(classes), schema)
        rows = {"x": Rows(x, train), "classes": classes[train]}
        if self.test_file is None:
            rows |= {"x_test": Rows(x, test), "classes_test": classes[test]}
        else:
            classes = self._classes((self.test_file,))
            x = self._encode((self.test_file,), len(classes), schema)
            rows |= {"x_test": x, "classes_test": classes}
        return DataSet(
            name=self.name,
            features=schema.features,
            fingerprint=self._fingerprint(),
            schema=schema,
            table=self.describe(),
            **rows,
        )

    def find_rows(
        self, numbers: np.ndarray, split: str, columns: Sequence[str], taken: Collection[str] = ()
    ) -> pl.DataFrame:
        """Where rows lie in the files, and some of their columns as text.

        Parameters
        ----------
        numbers : (n,) int
            Of the rows, counted through the files that ``split`` is of; no two are equal.
        split : {"val", "test"}
        columns, taken : sequence of str
            See `libs.datasets.tabular.cells.identify`.

        Returns
        -------
        DataFrame
            In the order of ``numbers``.
        """
        separate = split == "test" and self.test_file is not None
        found, start = [], 0
        for block in self._blocks([self.test_file] if separate else self.files, columns):
            chosen = np.isin(np.arange(start, start + len(block)), numbers)
            found.append(identify(block.select(chosen), columns, taken))
            start += len(block)
        return pl.concat(found)[np.argsort(np.argsort(numbers))]

    def _blocks(
        self,
        files: Sequence[str],
        wanted: Collection[str] | None = None,
        skipped: Collection[str] = (),
    ) -> Iterator[Block]:
        for file in files:
            yield from read(file, wanted, skipped, self.notation.encoding)

    def _check_names(self, block: Block) -> None:
        """Raise a UserError if the command line names a column that is not there."""
        for option in ("drop", "text", "ids"):
            gone = [name for name in getattr(self, option) if name not in block.names]
            if gone:
                raise UserError(
                    f"{block.source}: no column {shorten(gone[0])} for --{option.rstrip('s')}; the "
                    f"columns are {join_names(block.names, 20)}"
                )

    def _classes(self, files: Sequence[str]) -> np.ndarray:
        wanted = [] if self.label is None else [self.label]
        return np.concatenate([self._labels(block) for block in self._blocks(files, wanted)])

    def _labels(self, block: Block) -> np.ndarray:
        if self.label is None:
            return np.full(len(block), UNLABELLED)
        if self.label not in block.names:
            raise UserError(
                f"{block.source}: no column {self.label!r} for --label; the columns are "
                f"{join_names(block.names, 20)}"
            )
        text = as_text(block.frame[self.label])
        for bad, expected in (
            (text == "", "a class"),
            (text.str.len_chars() > LONGEST_TEXT, f"a class of at most {LONGEST_TEXT} characters"),
        ):
            if len(rows := bad.arg_true()):
                raise UserError(
                    f"{block.place(self.label, int(rows[0]))}: expected {expected}, found "
                    f"{shorten(text[int(rows[0])]) if text[int(rows[0])] else 'none'}. Leave such "
                    "rows out, or give them another class."
                )
        return text.to_numpy().astype(str)

    def _learn_schema(self, train: np.ndarray | None) -> Schema:
        """Learn the schema from the given rows; None: from all, without medians."""
        rows = MANY if train is None else len(train)
        learner = Learner(rows, self.missing, self.roles, self.notation)
        unlearned = {name for name, role in self.roles.items() if role != "text"}
        chosen = None if train is None else np.isin(np.arange(len(self.classes)), train)
        start = 0
        for block in self._blocks(self.files, skipped=unlearned):
            self._check_names(block)
            end = start + len(block)
            learner.add(block if chosen is None else block.select(chosen[start:end]))
            start = end
        return learner.schema()

    def _encode(self, files: Sequence[str], rows: int, schema: Schema) -> np.ndarray:
        """Encode all rows, into a nameless file if they are many."""
        parts = (schema.encode(block) for block in self._blocks(files, schema.wanted))
        folders = [Path(file).parent for file in files]
        return collect_blocks(parts, (rows, len(schema.features)), folders)

    def _fingerprint(self) -> str:
        """SHA-256 over the contents of all files."""
        files = [*self.files, *([self.test_file] if self.test_file else [])]
        digests = "".join(storage.sha256(Path(file)) for file in files)
        return hashlib.sha256(digests.encode()).hexdigest()
