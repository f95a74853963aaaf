"""A user's own table: one or more CSV or Parquet files, with a column of classes or without."""

import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from libs.datasets.dataset import DataSet
from libs.datasets.splits.rows import Rows, collected, cut
from libs.datasets.tabular.cells import PLAIN, Notation, as_text, tell_together
from libs.datasets.tabular.learning import LONGEST_TEXT, Learner
from libs.datasets.tabular.reading import Block, read
from libs.datasets.tabular.schema import REFUSE, Schema, listed
from libs.utils import storage
from libs.utils.errors import UserError, shorten

UNLABELLED = "unlabelled"
"""The class of every row of a table without a label; it counts as normal."""
MANY = 2**62
"""So many rows that no value is drawn for a median."""


@dataclass(frozen=True)
class OwnTable:
    """Where a table lies, and how it is read; as a dict it stands in manifests.

    Attributes
    ----------
    files : tuple of str
        Paths, whose rows follow one another.
    test_file : str, optional
        The test rows; default: a fraction of the rows of ``files``.
    label : str, optional
        The column with the classes.
    missing : str
        Of `libs.datasets.tabular.schema.MISSING`.
    drop, text, ids : tuple of str
        Columns that are left out, that are text whatever they hold, and that are kept beside the
        scores and are no inputs.
    notation : Notation
        How cells are written.
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
        """A table by paths from anywhere; ``options`` are the other attributes."""
        absolute = tuple(str(Path(file).resolve()) for file in files)
        return cls(absolute, test_file and str(test_file.resolve()), **options)

    def describe(self) -> dict[str, Any]:
        """The attributes in JSON, for manifests; of the last four only what was set."""
        about = asdict(self) | {"notation": self.notation.describe()}
        about = {name: list(v) if isinstance(v, tuple) else v for name, v in about.items()}
        set_by_hand = {name for name in ("drop", "text", "ids", "notation") if about[name]}
        always = {"files", "test_file", "label", "missing"}
        return {name: about[name] for name in about if name in always | set_by_hand}

    @classmethod
    def described(cls, about: dict[str, Any], folder: str | Path | None = None) -> Self:
        """Undo `describe`; what is not there any more is looked for in ``folder``."""

        def found(file: str | None) -> str | None:
            moved = Path(folder or ".") / Path(file or "").name
            return str(moved) if file and moved.is_file() and not Path(file).is_file() else file

        settings = {n: tuple(v) if isinstance(v, list) else v for n, v in about.items()}
        settings["files"] = tuple(map(found, about["files"]))
        settings["notation"] = Notation.described(about.get("notation", {}))
        return cls(**settings | {"test_file": found(about["test_file"])})

    @property
    def name(self) -> str:
        """``csv-<name of the first file>``, good as a folder's."""
        stem = Path(self.files[0].removesuffix(".gz")).stem
        return "csv-" + re.sub(r"[^\w.-]+", "_", stem)

    @cached_property
    def classes(self) -> np.ndarray:
        """The class of each row of ``files``, (n,) str."""
        return self._classes(self.files)

    @property
    def roles(self) -> dict[str, str]:
        """What columns are that the command line names; see `Learner`."""
        roles = dict.fromkeys(self.text, "text") | dict.fromkeys(self.drop, "unused")
        roles |= dict.fromkeys(self.ids, "id")
        return roles | ({} if self.label is None else {self.label: "label"})

    def check(self) -> Schema:
        """Look at every row once, and tell all that is wrong together.

        Returns
        -------
        Schema
            As all rows of ``files`` show it.

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
        schema = self._learned(None)
        for block in self._blocks([self.test_file] if self.test_file else [], schema.wanted):
            schema.encode(block)
        return schema

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
        schema = self._learned(train)
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
                    f"columns are {listed(block.names, 20)}"
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
                f"{listed(block.names, 20)}"
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

    def _learned(self, train: np.ndarray | None) -> Schema:
        """The schema of the numbered rows; None: of all, without medians."""
        rows = MANY if train is None else len(train)
        learner = Learner(rows, self.missing, self.roles, self.notation)
        unlearned = {name for name, role in self.roles.items() if role != "text"}
        chosen = None if train is None else np.isin(np.arange(len(self.classes)), train)
        start = 0
        for block in self._blocks(self.files, skipped=unlearned):
            self._check_names(block)
            end = start + len(block)
            learner.add(block if chosen is None else block.only(chosen[start:end]))
            start = end
        return learner.schema()

    def _encoded(self, files: Sequence[str], rows: int, schema: Schema) -> np.ndarray:
        """Features of all rows; in a file without a name where they are many."""
        parts = (schema.encode(block) for block in self._blocks(files, schema.wanted))
        folders = [Path(file).parent for file in files]
        return collected(parts, (rows, len(schema.features)), folders)

    def _fingerprint(self) -> str:
        """SHA-256 over the contents of all files."""
        files = [*self.files, *([self.test_file] if self.test_file else [])]
        digests = "".join(storage.sha256(Path(file)) for file in files)
        return hashlib.sha256(digests.encode()).hexdigest()
