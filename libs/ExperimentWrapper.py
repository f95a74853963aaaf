"""Trains and scores what a script asks for, in order; skips what is there; records what failed."""

import logging
import shutil
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.base import clone

from libs import storage
from libs.attribution import GRADIENTS
from libs.components import describe, keys_of
from libs.DataHandler import DataHandler, Experiment, Split
from libs.Detector import Detector
from libs.errors import UserError
from libs.operating import write_operating_points
from libs.results import write_results
from libs.runs import (
    ERROR,
    Row,
    StoredRun,
    gate_table,
    result_rows,
    row_names,
    same_settings,
    stored_runs,
    write_failure,
)
from libs.study import Study, chosen_cells
from libs.summary import show_experiment, show_operating_points
from libs.tables import show_plain

log = logging.getLogger("a3")


class SettingsError(UserError):
    """What is there was made with other settings than are wanted now."""


def run_study(
    study: Study,
    protocol: str,
    seed: int,
    part: str,
    *,
    choice: Mapping[str, Any] | None = None,
    only: Sequence[str] | None = None,
    data_path: str | Path | None = None,
    **places: Any,
) -> int:
    """Load the data, split them, run every cell of a study.

    Parameters
    ----------
    study : Study
    protocol, part : str
        See `ExperimentWrapper`.
    seed : int
    choice : mapping, optional
        Keyword arguments of `libs.study.chosen_cells`.
    only
        See `ExperimentWrapper.run`.
    data_path : path, optional
        Folder of the raw files.
    **places
        Keyword arguments of `ExperimentWrapper`.

    Returns
    -------
    int
        Exit code: 1 if a method failed.
    """
    cells = chosen_cells(study.cells, **(choice or {}))
    data = study.load(data_path, seed)
    if data.schema:
        show_plain(data.schema.shown(), f"{data.name}: what the training rows show")
    handler = DataHandler(data, study.rules, seed)
    name = f"{protocol}{study.variant}"
    wrapper = ExperimentWrapper(handler, name, part, operating=study.operating, **places)
    methods = study.methods(handler)
    for cell in cells:
        wrapper.run(
            cell.experiment,
            methods,
            budgets=cell.budgets,
            schedule=cell.schedule,
            p_contamination=cell.p_contamination,
            only=only,
            spare=study.spare,
        )
    return wrapper.finish()


class ExperimentWrapper:
    """Runs methods on the experiments of one data set, protocol and seed.

    Trained detectors lie in ``<model_path>/<data set>/<protocol>/<seed>/<experiment>/<method>``,
    results in ``<result_path>/<data set>/<protocol>/<seed>/<experiment>/<part>``.

    Parameters
    ----------
    handler : DataHandler
    protocol : str
        Whose settings these are; ``-e<N>`` is appended where ``n_epochs`` replaces its lengths,
        ``-lr<X>`` where ``learning_rate`` replaces its rates, ``-patience<N>`` with early stopping.
    part : {"val", "test"}
        Which rows are scored.
    model_path, result_path : path
    n_epochs, learning_rate : int and float, optional
        Of every network, instead of the methods' own.
    patience : int, optional
        Of the methods that have such a setting; see `libs.patience`.
    precision : {"float32", "bfloat16"}
        Of the products in training, for the methods that have such a setting.
    override : bool
        Train again what is there.
    reference : bool
        Keep reference rows with the models whose explanations start from them; see
        `libs.explain.Explainable.keep_reference`.
    operating : dict, optional
        ``rule`` and ``rate`` of `libs.operating.write_operating_points`, if thresholds shall be
        evaluated too. All runs then score the validation rows as well.
    """

    def __init__(
        self,
        handler: DataHandler,
        protocol: str,
        part: str,
        *,
        model_path: str | Path = "models",
        result_path: str | Path = "results",
        n_epochs: int | None = None,
        learning_rate: float | None = None,
        patience: int | None = None,
        precision: str = "float32",
        override: bool = False,
        reference: bool = True,
        operating: dict | None = None,
    ):
        self.handler = handler
        self.protocol = protocol
        self.protocol += "" if n_epochs is None else f"-e{n_epochs}"
        self.protocol += "" if learning_rate is None else f"-lr{learning_rate:g}"
        self.protocol += "" if patience is None else f"-patience{patience}"
        self.part = part
        place = Path(handler.data.name) / self.protocol / str(handler.seed)
        self.models = Path(model_path) / place
        self.results = Path(result_path) / place
        self.forced = {
            "random_state": handler.seed,
            "epochs": n_epochs,
            "learning_rate": learning_rate,
            "patience": patience,
            "precision": precision,
        }
        self.override = override
        self.reference = reference
        self.operating = operating
        self.failures: list[str] = []
        for folder in (self.models, self.results):
            storage.check_writable(folder)

    def run(
        self,
        experiment: Experiment,
        methods: Mapping[str, Detector],
        *,
        budgets: Sequence[int] = (),
        schedule: int = 0,
        p_contamination: float = 0.0,
        only: Sequence[str] | None = None,
        spare: Sequence[str] = (),
    ) -> None:
        """Train what is missing, score it, write and show the results of one experiment.

        Parameters
        ----------
        experiment : Experiment
        methods : mapping of name to unfitted Detector
            A Detector among another one's settings is trained first, once, as a method of its own.
        budgets : sequence of int
            Numbers of known anomalies for the methods that use labels.
        schedule : int
            The protocol's largest budget; see `DataHandler.split`.
        p_contamination : float
            Share of anomalies among the normal training rows.
        only : sequence of str, optional
            The methods to train and score; default: all that the largest budget is enough for.
        spare : sequence of str
            Methods that are not among that default.
        """
        strange = sorted(set(only or ()) - set(methods))
        if strange:
            names = ", ".join(methods)
            raise UserError(f"unknown method {', '.join(strange)}; expected some of {names}")
        largest = max(budgets, default=0)
        ready = [n for n, m in methods.items() if m.fewest_known <= largest and n not in spare]
        wanted = only or ready
        if self.forced["patience"] and not any(keys_of(methods[n], "patience") for n in wanted):
            raise UserError("--patience: none of the methods has early stopping; leave it out")
        split = self.handler.split(experiment, largest, schedule, p_contamination)
        folder = experiment.name + (f"-p{p_contamination:g}" if p_contamination else "")
        about = {
            "data": self.handler.describe(),
            "protocol": self.protocol,
            "experiment": asdict(experiment),
            "p_contamination": p_contamination,
        }
        trainer = Trainer(self, self.models / folder, split, methods, budgets, about)
        for name in wanted:
            try:
                trainer.train(name)
            except (storage.WriteError, SettingsError):
                raise  # nothing could be kept, or it is for the user to decide what is
            except Exception as error:  # noqa: BLE001  (a failing method must not stop the others)
                self.failures.append(trainer.record_failure(name, error))
        target = self.results / folder / self.part
        with storage.locked(target):
            rows = result_rows(self.models / folder, about, self.part)
            tables = write_results(target, split, self.part, rows, about)
            points = self._operating_points(target, split, rows, about) if self.operating else {}
        show_experiment(tables, about, target)
        for view, table in points.items():
            show_operating_points(view, table, **self.operating)

    def _operating_points(
        self, target: Path, split: Split, rows: list[Row], about: dict
    ) -> dict[str, pd.DataFrame]:
        """Thresholds from validation rows, and what each run does at them."""
        folder = self.models / target.parent.name
        validation = result_rows(folder, about, "val")
        scores = {row.name: row.scores for row in validation if row.scores is not None}
        rows = [row for row in rows if row.name in scores]
        place = (target, split, self.part, rows, scores, about)
        return write_operating_points(*place, **self.operating)

    def finish(self) -> int:
        """Exit code: 1 if a method failed, after naming each; else 0."""
        for failure in self.failures:
            log.error("failed: %s", failure)
        return 1 if self.failures else 0


class Trainer:
    """Trains and scores the methods of one experiment, each at most once."""

    def __init__(
        self,
        wrapper: ExperimentWrapper,
        folder: Path,
        split: Split,
        methods: Mapping[str, Detector],
        budgets: Sequence[int],
        about: dict,
    ):
        self.wrapper = wrapper
        self.folder = folder
        self.split = split
        self.methods = dict(methods)
        self.budgets = tuple(sorted(set(budgets)))
        self.about = about
        self._done: dict[str, list[StoredRun]] = {}
        self._failed: dict[str, Exception] = {}

    def train(self, name: str) -> list[StoredRun]:
        """Finished and scored runs of a method, trained if they are not there."""
        if name not in self._done:
            detector = self._configured(self.methods[name])
            with storage.locked(self.folder / name):
                runs = self._complete(name, detector)
                self._score(runs)
                (self.folder / name / ERROR).unlink(missing_ok=True)
            self._done[name] = runs
        return self._done[name]

    def _configured(self, detector: Detector) -> Detector:
        """Copy a detector, with the run's own settings for itself and its parts."""
        detector = clone(detector)
        for name, value in self.wrapper.forced.items():
            if value is not None:
                detector.set_params(**dict.fromkeys(keys_of(detector, name), value))
        return detector

    def _complete(self, name: str, detector: Detector) -> list[StoredRun]:
        """Train what no finished run has; label budgets that are missing, all in one."""
        override = self.wrapper.override
        found = stored_runs(self.folder / name, skip_damaged=override)
        wanted = self._wanted(name, detector)
        if override:
            missing = tuple(sorted({*wanted, *(b for run in found for b in run.budgets)}))
            return [self._fit(name, detector, missing)]
        found = [run for run in found if not wanted or set(run.budgets) & set(wanted)]
        for run in found:
            self._check_same(run, detector)
            if run.manifest.get("reference") and not self.wrapper.reference:
                log.warning("%s holds reference rows; train it again with --override", run.folder)
        there = {b for run in found for b in run.budgets}
        missing = tuple(b for b in wanted if b not in there)
        return found + ([self._fit(name, detector, missing)] if missing or not found else [])

    def _wanted(self, name: str, detector: Detector) -> tuple[int, ...]:
        """Label budgets that a method can be trained for; empty if it uses no labels."""
        if not detector.uses_labels:
            return ()
        wanted = tuple(b for b in self.budgets if b >= detector.fewest_known)
        if not wanted:
            raise UserError(
                f"{name} needs at least {detector.fewest_known} known anomalies, found label "
                f"budgets {self.budgets}; give --n_train_anomalies"
            )
        return wanted

    def _manifest(self, detector: Detector) -> dict:
        """What a run depends on beside the detector's own settings."""
        known = {"scheduled": int(self.split.y_train.sum())} if detector.uses_labels else {}
        return self.about | known

    def _check_same(self, run: StoredRun, detector: Detector) -> None:
        """Raise a UserError if a finished run was made with other settings."""
        wanted = {"detector": describe(detector), "run": self._manifest(detector)}
        found = {"detector": run.manifest["detector"], "run": run.manifest["run"]}
        differences = [d for d in same_settings(wanted, found) if ".budgets:" not in d]
        if differences:
            raise SettingsError(
                f"{run.folder} was trained with other settings: {'; '.join(differences)}. "
                "Give the same settings, --override to train it again, or another --model_path."
            )

    def _fit(self, name: str, detector: Detector, budgets: tuple[int, ...]) -> StoredRun:
        """Train, calibrate and save a detector; older runs of other budgets stay."""
        for setting, value in detector.get_params(deep=False).items():
            if isinstance(value, Detector):
                detector.set_params(**{setting: self._part(value)})
        if detector.uses_labels:
            detector.set_params(budgets=budgets)
        detector.fit(self.split.x_train, self.split.y_train, self.split.classes_train)
        detector.calibrate(self.split.x_val_normal)
        if self.wrapper.reference and detector.explained_by == GRADIENTS:
            normal = self.split.x_train[self.split.y_train == 0]
            detector.keep_reference(normal, self.wrapper.handler.seed)
        folder = self.folder / name / ("n" + "+".join(map(str, budgets)) if budgets else "run")
        encoder = self.wrapper.handler.encoder(self.split)
        detector.save(folder, self._manifest(detector), encoder)
        if self.wrapper.override:
            for old in [p for p in folder.parent.iterdir() if p.is_dir() and p != folder]:
                shutil.rmtree(old)
        return StoredRun(folder, storage.read_manifest(folder))

    def _part(self, part: Detector) -> Detector:
        """The fitted form of a detector that another one builds on: a method of its own."""
        same = [
            n for n, m in self.methods.items() if describe(self._configured(m)) == describe(part)
        ]
        name = same[0] if same else type(part).__name__
        if not same and name in self.methods:
            raise UserError(
                f"two {name}s of different settings: name the one that another method builds on "
                "among the methods"
            )
        if name in self._failed:
            raise UserError(f"builds on {name}, which failed: {self._failed[name]}")
        self.methods.setdefault(name, part)
        return Detector.load(self.train(name)[0].folder)

    def _score(self, runs: Sequence[StoredRun]) -> None:
        """Score the parts that are wanted with each run that has not done so, from the disk."""
        parts = {self.wrapper.part, "val"} if self.wrapper.operating else {self.wrapper.part}
        for run in runs:
            missing = [part for part in sorted(parts) if run.scores(part) is None]
            detector = Detector.load(run.folder) if missing else None
            for part in missing:
                x, classes = self.split.rows(part)
                if detector.gated:
                    gates = [detector.gate(x, budget) for budget in detector.budgets_]
                    experts = detector.expert_names_
                    run.write_gates(part, [gate_table(gate, classes, experts) for gate in gates])
                run.write_scores(part, detector.decision_matrix(x))

    def record_failure(self, name: str, error: Exception) -> str:
        """Leave an error row, and what a developer needs; return the message in one line."""
        self._failed[name] = error
        expected = isinstance(error, UserError)
        message = str(error) if expected else f"{type(error).__name__}: {error}"
        budgets = self.budgets if self.methods[name].uses_labels else ()
        with storage.locked(self.folder / name):
            write_failure(self.folder / name, row_names(name, budgets), message)
            if not expected:
                path = self.folder / name / "traceback.txt"
                with storage.replaced_file(path) as temporary:
                    temporary.write_text("".join(traceback.format_exception(error)))
                message += f" (see {path})"
        log.error("%s: %s", name, message)
        return f"{name}: {message}"
