"""Runs what a script asks for, in order: trains, scores, writes and shows results."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from libs.DataHandler import DataHandler, Splits
from libs.detectors.components import keys_of
from libs.detectors.detector import Detector
from libs.experiments.averages import show_experiment, show_operating_points, tell_runs
from libs.experiments.migration import shorten_names
from libs.experiments.result_files import write_results
from libs.experiments.settings import Conditions, RunSettings, Selection
from libs.experiments.stored_runs import Row, result_rows
from libs.experiments.study import Cell, Study, select_cells
from libs.experiments.thresholds import ThresholdRule, write_operating_points
from libs.experiments.trainer import SettingsError, Trainer
from libs.plotting.tables import TextTable
from libs.utils import storage
from libs.utils.errors import UserError

log = logging.getLogger("a3")


def run_study(
    study: Study,
    protocol: str,
    seed: int,
    split: str,
    *,
    selection: Selection | None = None,
    settings: RunSettings | None = None,
    data_path: str | Path | None = None,
) -> int:
    """Load and split the data, and run every cell of a study.

    Parameters
    ----------
    study : Study
    protocol, split : str
        See `ExperimentWrapper`.
    seed : int
    selection : Selection, optional
        Default: the whole study.
    settings : RunSettings, optional
    data_path : path, optional
        Folder of the raw files.

    Returns
    -------
    int
        Exit code: 1 if a method failed.
    """
    selection = selection or Selection()
    cells = select_cells(study.cells, selection)
    data = study.load(data_path, seed)
    if data.schema:
        TextTable.of(data.schema.summarise(), f"{data.name}: what the training rows show").show()
    rules, name = study.rules, f"{protocol}{study.variant}"
    if selection.scale_on not in (None, rules.scale_on):
        rules = replace(rules, scale_on=selection.scale_on)
        name += f"-scale_{selection.scale_on}"
    handler = DataHandler(data, rules, seed)
    wrapper = ExperimentWrapper(handler, name, split, settings, study.threshold)
    methods = study.methods(handler)
    for cell in cells:
        only = selection.methods
        if only and study.skips_methods:
            only = [n for n in only if n not in methods or methods[n].fewest_known <= cell.largest]
        wrapper.run(cell, methods, only=only, optional=study.optional_methods)
    return wrapper.finish()


class ExperimentWrapper:
    """Runs methods on the experiments of one data set, protocol and seed.

    Trained detectors are in ``<model_path>/<data set>/<protocol>/<seed>/<experiment>/<method>``,
    results in ``<result_path>/<data set>/<protocol>/<seed>/<experiment>/<split>``.

    Parameters
    ----------
    handler : DataHandler
    protocol : str
        Name of the settings; ``-e<N>`` is appended if ``n_epochs`` replaces its numbers of epochs,
        ``-lr<X>`` if ``learning_rate`` replaces its rates, ``-patience<N>`` with early stopping.
    split : {"val", "test"}
        Which rows are scored.
    settings : RunSettings, optional
    threshold : ThresholdRule, optional
        Also evaluate thresholds. All runs then score the validation rows as well.
    """

    def __init__(
        self,
        handler: DataHandler,
        protocol: str,
        split: str,
        settings: RunSettings | None = None,
        threshold: ThresholdRule | None = None,
    ):
        self.handler = handler
        self.settings = settings or RunSettings()
        self.protocol = protocol + self.settings.suffix
        self.split = split
        self.threshold = threshold
        place = Path(handler.data.name) / self.protocol / str(handler.seed)
        self.models = Path(self.settings.model_path) / place
        self.results = Path(self.settings.result_path) / place
        self.failures: list[str] = []
        for folder in (self.models, self.results):
            storage.check_writable(folder)
            shorten_names(folder)

    def run(
        self,
        cell: Cell,
        methods: Mapping[str, Detector],
        *,
        only: Sequence[str] | None = None,
        optional: Sequence[str] = (),
    ) -> None:
        """Train and score what is missing; write and show the results of one experiment.

        Parameters
        ----------
        cell : Cell
            The experiment, its label budgets and its contamination.
        methods : mapping of name to unfitted Detector
            A method that is a setting of another one is trained first, once, as a method of its
            own.
        only : sequence of str, optional
            The methods to train and score; default: all for which the largest budget suffices.
        optional : sequence of str
            Methods left out of that default.
        """
        wanted = self._select_methods(methods, cell.largest, only, optional)
        splits = self.handler.split(
            cell.experiment, cell.largest, cell.schedule, cell.p_contamination
        )
        folder = cell.folder
        conditions = Conditions(
            self.handler.describe(), self.protocol, cell.experiment, cell.p_contamination
        )
        trainer = Trainer(
            self.models / folder,
            splits,
            methods,
            budgets=cell.budgets,
            conditions=conditions,
            settings=self.settings,
            encoder=self.handler.encoder(splits),
            scored=("val", self.split) if self.threshold else (self.split,),
        )
        for name in wanted:
            try:
                tell_runs(trainer.train(name), splits, self.split)
            except (storage.WriteError, SettingsError):
                raise  # nothing can be saved, or the user must decide what is kept
            except Exception as error:  # noqa: BLE001  (a failing method must not stop the others)
                self.failures.append(trainer.record_failure(name, error))
        target = self.results / folder / self.split
        with storage.locked(target):
            rows = result_rows(
                self.models / folder, conditions, self.split, differences=trainer.differences
            )
            tables = write_results(target, splits, self.split, rows, conditions)
            points = self._operating_points(target, splits, rows, conditions)
        show_experiment(tables, conditions, target)
        for view, table in points.items():
            show_operating_points(view, table, self.threshold)

    def _select_methods(
        self,
        methods: Mapping[str, Detector],
        largest: int,
        only: Sequence[str] | None,
        optional: Sequence[str],
    ) -> Sequence[str]:
        """Names of the methods to train: those asked for, or all that have enough labels."""
        strange = sorted(set(only or ()) - set(methods))
        if strange:
            names = ", ".join(methods)
            raise UserError(f"unknown method {', '.join(strange)}; expected some of {names}")
        ready = [n for n, m in methods.items() if m.fewest_known <= largest and n not in optional]
        wanted = only or ready
        if self.settings.patience and not any(keys_of(methods[n], "patience") for n in wanted):
            raise UserError("--patience: none of the methods has early stopping; leave it out")
        return wanted

    def _operating_points(
        self, target: Path, splits: Splits, rows: list[Row], conditions: Conditions
    ) -> dict[str, pd.DataFrame]:
        """Thresholds from validation rows, and each run's metrics at them."""
        if self.threshold is None:
            return {}
        folder = self.models / target.parent.name
        validation = result_rows(folder, conditions, "val")
        scores = {row.name: row.scores for row in validation if row.scores is not None}
        rows = [row for row in rows if row.name in scores]
        return write_operating_points(
            target, splits, self.split, rows, scores, conditions, self.threshold
        )

    def finish(self) -> int:
        """Log each failed method and return the exit code: 1 if any failed, else 0."""
        for failure in self.failures:
            log.error("failed: %s", failure)
        return 1 if self.failures else 0
