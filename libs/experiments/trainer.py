"""Trains and scores the methods of one experiment; skips finished runs, records failures."""

import logging
import shutil
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from sklearn.base import clone

from libs.DataHandler import Splits
from libs.datasets.tabular.encoder import Encoder
from libs.detectors.components import describe, keys_of, with_defaults
from libs.detectors.detector import Detector
from libs.experiments.settings import Conditions, RunSettings
from libs.experiments.stored_runs import (
    ERROR,
    StoredRun,
    gate_table,
    row_names,
    same_settings,
    stored_runs,
    write_failure,
)
from libs.utils import storage
from libs.utils.errors import UserError

log = logging.getLogger("a3")


class SettingsError(UserError):
    """A finished run was trained with other settings than those requested."""


class Trainer:
    """Trains and scores the methods of one experiment, each at most once.

    Parameters
    ----------
    folder : Path
        Of the experiment; runs lie in ``<method>/<run>/`` below it.
    splits : Splits
    methods : mapping of name to unfitted Detector
        A method builds on another one if that very object is among its settings.
    budgets : sequence of int
        Label budgets of the methods that use labels.
    conditions : Conditions
    settings : RunSettings
    encoder : Encoder, optional
        Encoder of the raw rows; saved with each run.
    scored : sequence of {"val", "test"}
        Splits that each run scores.
    """

    def __init__(
        self,
        folder: Path,
        splits: Splits,
        methods: Mapping[str, Detector],
        *,
        budgets: Sequence[int],
        conditions: Conditions,
        settings: RunSettings,
        encoder: Encoder | None,
        scored: Sequence[str],
    ):
        self.folder = folder
        self.splits = splits
        self.methods = dict(methods)
        self.budgets = tuple(sorted(set(budgets)))
        self.conditions = conditions
        self.settings = settings
        self.encoder = encoder
        self.scored = tuple(sorted(set(scored)))
        self.seed = conditions.data["seed"]
        self._done: dict[str, list[StoredRun]] = {}
        self._failed: dict[str, Exception] = {}

    def train(self, name: str) -> list[StoredRun]:
        """Return finished and scored runs of a method; train what is missing."""
        if name not in self._done:
            detector = self._configure(self.methods[name])
            with storage.locked(self.folder / name):
                runs = self._train_missing(name, detector)
                self._score(runs)
                (self.folder / name / ERROR).unlink(missing_ok=True)
            self._done[name] = runs
        return self._done[name]

    def _configure(self, detector: Detector) -> Detector:
        """Copy a detector and its parts with the settings of this run."""
        detector = clone(detector)
        detector.set_params(**dict.fromkeys(keys_of(detector, "random_state"), self.seed))
        for name, value in self.settings.replaced.items():
            keys = keys_of(detector, name)
            if name in self.settings.published:
                own, settings = self.settings.published[name], detector.get_params()
                keys = [key for key in keys if settings[key] == own]
            detector.set_params(**dict.fromkeys(keys, value))
        return detector

    def _train_missing(self, name: str, detector: Detector) -> list[StoredRun]:
        """Train what no finished run covers; all missing label budgets together."""
        override = self.settings.override
        found = stored_runs(self.folder / name, skip_damaged=override)
        wanted = self._trainable_budgets(name, detector)
        if override:
            return [self._train_again(name, detector, wanted, found)]
        found = [run for run in found if not wanted or set(run.budgets) & set(wanted)]
        for run in found:
            if differences := self._differences(run, detector):
                raise SettingsError(
                    f"{run.folder} was trained with other settings: {'; '.join(differences)}. "
                    "Give the same settings, --override to train it again, or another --model_path."
                )
            if run.manifest.get("reference") and not self.settings.keep_reference:
                log.warning("%s holds reference rows; train it again with --override", run.folder)
        there = {b for run in found for b in run.budgets}
        missing = tuple(b for b in wanted if b not in there)
        return found + ([self._fit(name, detector, missing)] if missing or not found else [])

    def _train_again(
        self,
        name: str,
        detector: Detector,
        wanted: Sequence[int],
        found: Sequence[StoredRun],
    ) -> StoredRun:
        """One run with the budgets of all found ones instead of these, unless it is there."""
        budgets = tuple(sorted({*wanted, *(b for run in found for b in run.budgets)}))
        done = [
            run
            for run in found
            if (run.folder / storage.MANIFEST).stat().st_mtime_ns > self.settings.override_since
            and run.budgets == budgets
            and not self._differences(run, detector)
        ]
        run = done[0] if done else self._fit(name, detector, budgets)
        for old in [p for p in run.folder.parent.glob("[!.]*") if p != run.folder]:
            if storage.holds_model(old):
                shutil.rmtree(old)
        return run

    def _trainable_budgets(self, name: str, detector: Detector) -> tuple[int, ...]:
        """Label budgets for which a method can be trained; empty if it uses no labels."""
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
        """What a run depends on besides the detector's own settings."""
        known = {"scheduled": int(self.splits.y_train.sum())} if detector.uses_labels else {}
        return self.conditions.describe() | known

    def _differences(self, run: StoredRun, detector: Detector) -> list[str]:
        """Settings with which a finished run was trained, where others are wanted."""
        wanted, found = {"run": self._manifest(detector)}, {"run": run.manifest["run"]}
        return self._other_settings(run, detector) + same_settings(wanted, found)

    def _other_settings(self, run: StoredRun, detector: Detector) -> list[str]:
        """`_differences` in the detector's own settings."""
        wanted = {"detector": describe(detector)}
        found = {"detector": with_defaults(run.manifest["detector"])}
        ignored = (".budgets:", *([".precision:"] if self.settings.any_precision else []))
        return [d for d in same_settings(wanted, found) if not any(i in d for i in ignored)]

    def differences(self, run: StoredRun) -> list[str]:
        """Settings in which a run of the experiment differs from those requested."""
        differences, method = run.differences(self.conditions), run.folder.parent.name
        if method in self.methods:
            differences += self._other_settings(run, self._configure(self.methods[method]))
        return differences

    def _fit(self, name: str, detector: Detector, budgets: tuple[int, ...]) -> StoredRun:
        """Train, calibrate and save a detector; older runs of other budgets are kept."""
        for setting, part in self.methods[name].get_params(deep=False).items():
            if isinstance(part, Detector):
                detector.set_params(**{setting: self._fit_part(part)})
        if detector.uses_labels:
            detector.set_params(budgets=budgets)
        detector.fit(self.splits.x_train, self.splits.y_train, self.splits.classes_train)
        detector.calibrate(self.splits.x_val_normal)
        if self.settings.keep_reference and detector.starts_from_reference:
            normal = self.splits.x_train[self.splits.y_train == 0]
            detector.keep_reference(normal, self.seed)
        folder = self.folder / name / ("n" + "+".join(map(str, budgets)) if budgets else "run")
        detector.save(folder, self._manifest(detector), self.encoder)
        return StoredRun(folder, storage.read_manifest(folder))

    def _fit_part(self, part: Detector) -> Detector:
        """Train a detector that another one builds on, as a method of its own; return it fitted."""
        same = [name for name, method in self.methods.items() if method is part]
        name = same[0] if same else type(part).__name__
        if not same and name in self.methods:
            raise UserError(
                f"two {name}s: give the one that another method builds on a name among the methods"
            )
        if name in self._failed:
            raise UserError(f"builds on {name}, which failed: {self._failed[name]}")
        self.methods.setdefault(name, part)
        return Detector.load(self.train(name)[0].folder)

    def _score(self, runs: Sequence[StoredRun]) -> None:
        """Score the missing splits of each run, which is loaded from disk."""
        for run in runs:
            missing = [split for split in self.scored if run.scores(split) is None]
            detector = Detector.load(run.folder) if missing else None
            for split in missing:
                x, classes = self.splits.rows(split)
                if detector.gated:
                    gates = [detector.gate(x, budget) for budget in detector.budgets_]
                    experts = detector.expert_names_
                    run.write_gates(split, [gate_table(gate, classes, experts) for gate in gates])
                run.write_scores(split, detector.decision_matrix(x))

    def record_failure(self, name: str, error: Exception) -> str:
        """Record an error row and, for developers, the traceback; return a one-line message."""
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
