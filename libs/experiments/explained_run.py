"""Explanations of a saved run's highest scores, as a table or as pictures."""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from libs.DataHandler import DataHandler, SplitRules
from libs.datasets import registry as datasets
from libs.datasets.tabular.encoder import FILE, Encoder
from libs.datasets.tabular.own import OwnTable
from libs.detectors.attribution import DOUBTFUL, Explanation, strongest
from libs.experiments.model_folders import load_model, run_folder
from libs.experiments.settings import Conditions
from libs.experiments.stored_runs import StoredRun
from libs.plotting.heat import heat_picture
from libs.utils import storage
from libs.utils.errors import UserError

log = logging.getLogger("a3")
OF_FEATURES = ("feature", "value", "contribution", "layer", "name")
"""Columns of the tables that `Explained.write` writes, beside those that each row repeats."""


class Explained:
    """The rows of a run with the highest scores.

    Parameters
    ----------
    folder : path
        A run's folder, or a method's that holds a single run.
    part : {"val", "test"}
    top : int
        How many rows.
    budget : int, optional
        See `libs.detectors.explainable.Explainable.explain`.
    data_path : path, optional
        Folder of the raw files.

    Attributes
    ----------
    scores : (m,) float32
        Of all rows of the part.
    numbers, classes : (top,) int and (top,) str
        Of the rows among those of the part.
    x : (top, ...) float32
    """

    def __init__(
        self,
        folder: str | Path,
        part: str,
        top: int,
        budget: int | None = None,
        data_path: Path | None = None,
    ):
        self.folder = run_folder(folder)
        run = StoredRun(self.folder, storage.read_manifest(self.folder))
        self.detector = load_model(self.folder)
        self.budget = budget
        about = Conditions.of(run.manifest["run"])
        self.data = datasets.reload(about.data, data_path)
        handler = DataHandler(self.data, SplitRules(**about.data["rules"]), about.data["seed"])
        split = handler.split(about.experiment, p_contamination=about.p_contamination)
        if self.detector.lacks_reference:
            normal = split.x_train[split.y_train == 0]
            self.detector.keep_reference(normal, about.data["seed"])
        x, classes = split.rows(part)
        scores = run.scores(part)
        scores = self.detector.decision_matrix(x) if scores is None else scores
        self.scores = scores[:, self.detector.column_of(budget)]
        self.numbers = np.argsort(-self.scores, kind="stable")[:top]
        self.x, self.classes = x[self.numbers], classes[self.numbers]
        self.part = part
        self._origin = handler.raw_rows(about.experiment, part)[0].unscaled.numbers[self.numbers]
        self.title = f"{run.names[0].rsplit('-n', 1)[0]} on {self.data.name}, {part} rows"

    @property
    def are_images(self) -> bool:
        """Whether the rows are images, (height, width, channels)."""
        return self.x.ndim == 4

    def find(self, columns: Sequence[str], taken: Collection[str] = ()) -> pl.DataFrame:
        """Where the rows lie in the files of an own table; see `OwnTable.find_rows`."""
        table = OwnTable.from_description(self.data.table)
        return table.find_rows(self._origin, self.part, columns, taken)

    def write(self, out: Path) -> list[Path]:
        """Write the explanation, and of A3 a table of the target's layers beside it.

        Parameters
        ----------
        out : Path
            ``.csv``: a line for each row and feature, the strongest first. ``.png``: heat maps over
            images.

        Returns
        -------
        list of Path
            What was written.
        """
        if out.suffix not in (".csv", ".png"):
            raise UserError(f"--out {out}: expected a name that ends in .csv or .png")
        if out.suffix == ".png" and not self.are_images:
            raise UserError(f"--out {out}: the rows of {self.data.name} are no images; take .csv")
        found = self.detector.explain(self.x, self.budget)
        if found.doubtful.any():
            log.warning(
                "of %d of %d rows gradients missed more than %g of the difference between score "
                "and base (column missed): do not rely on their contributions",
                *(found.doubtful.sum(), len(found.scores), DOUBTFUL),
            )
        with storage.replaced_file(out) as temporary:
            if out.suffix == ".png":
                self._draw(temporary, found)
            else:
                self._table(found).to_csv(temporary, index=False, float_format="%.6g")
        if self.detector.parts is None:
            return [out]
        layers = out.with_name(f"{out.stem}.{self.detector.parts}.csv")
        with storage.replaced_file(layers) as temporary:
            table = self._layers(self.detector.explain_parts(self.x, self.budget))
            table.to_csv(temporary, index=False, float_format="%.6g")
        return [out, layers]

    def _draw(self, path: Path, found: Explanation) -> None:
        names = zip(self.numbers, self.classes, found.scores, strict=True)
        titles = [f"row {row}, class {c}: {score:.3g}" for row, c, score in names]
        heat_picture(path, self.x, found.contributions, titles, f"{self.title}: {found.method}")

    def _table(self, found: Explanation) -> pd.DataFrame:
        """A line for each row and feature."""
        names, values = self._features()
        k = len(names)
        order = np.argsort(-found.contributions.reshape(-1, k), axis=1, kind="stable")
        features, contributions = strongest(found.contributions, names, k)
        return pd.DataFrame(
            self._repeated(found, k)
            | {
                "feature": features.reshape(-1),
                "value": np.take_along_axis(values, order, axis=1).reshape(-1),
                "contribution": contributions.reshape(-1),
            }
        )

    def _layers(self, found: Explanation) -> pd.DataFrame:
        """A line for each row and layer, in the order of computation."""
        n, k = found.contributions.shape
        return pd.DataFrame(
            self._repeated(found, k)
            | {
                "layer": np.tile(np.arange(1, k + 1), n),
                "name": np.tile(found.names, n),
                "contribution": found.contributions.reshape(-1),
            }
        )

    def _repeated(self, found: Explanation, k: int) -> dict[str, np.ndarray]:
        """What is said of each row, k times."""
        columns = {"class": self.classes, "score": found.scores}
        nothing = np.zeros_like(found.scores)
        missed = nothing if found.missed is None else found.missed
        columns |= {"base": found.base, "missed": missed}
        places = {"row": self.numbers}
        if self.data.table:
            taken = (*columns, *OF_FEATURES)
            places = self.find(self.data.schema.beside, taken).to_dict(as_series=False)
        columns = places | columns
        return {name: np.repeat(values, k) for name, values in columns.items()}

    def _features(self) -> tuple[list[str], np.ndarray]:
        """Names of the features, and their values before scaling where that is known, (n, k)."""
        x = self.x.reshape(len(self.x), -1)
        if (self.folder / FILE).is_file():
            encoder = Encoder.load(self.folder)
            return list(encoder.features), x * encoder.span + encoder.low
        if self.data.features:
            return list(self.data.features), x
        shape = self.x.shape[1:]  # of images, whose one channel needs no name
        shape = shape[:-1] if shape[-1] == 1 else shape
        return ["-".join(map(str, place)) for place in np.ndindex(*shape)], x
