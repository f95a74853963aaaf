"""Ensemble: the summed evidence of several readers, each calibrated on normal rows."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path

import numpy as np

from libs.datasets.splits.rows import Rows, sample_rows
from libs.detectors import estimators
from libs.detectors.attribution import PARTS, SWAPS, Explanation
from libs.detectors.detector import Detector
from libs.targets.encodings import ENCODINGS, EncodedRows, Strokes
from libs.targets.readers import Evidence, Forests, Neighbours, counter_examples
from libs.training.record import Training
from libs.utils.seeds import derive_seed

NOISE = "noise"
"""Name of the reader that is a forest trained against counter-examples."""


@dataclass(frozen=True)
class Plan:
    """The readers of one kind of rows.

    Attributes
    ----------
    votes : dict
        Readers of normal rows and their weights where no anomaly is known. All but `NOISE` are
        nearest neighbours under the encoding of that name.
    references : int
        Upper bound on the normal rows searched for neighbours.
    known : (str, str)
        Encodings of the two forests of known anomalies: a plain one, and a balanced one whose
        leaves hold two rows.
    trust : float, optional
        Weight of the readers of normal rows beside these forests; None: learned from how well they
        rank the known anomalies.
    """

    votes: dict[str, float]
    references: int
    known: tuple[str, str]
    trust: float | None = None

    @property
    def encodings(self) -> list[str]:
        """Names of all encodings that the readers need."""
        return sorted({*self.votes, *self.known} - {NOISE})


TABLES = Plan({"robust": 4.0, "ranks": 2.0, NOISE: 1.0}, 2500, ("plain", "ranks"))
IMAGES = Plan({"strokes": 1.0}, 8000, ("strokes", "strokes"), trust=0.75)
SMALL_IMAGES = Plan({"plain": 1.0}, 8000, ("plain", "plain"), trust=1.5)
CLEAR = -np.log(0.01)
"""Evidence above which a known anomaly is clearly detected: one false alarm in a hundred."""
HIDDEN = 0.1
"""Upper bound on the fraction of normal rows that may be hidden known anomalies."""


@dataclass(eq=False, repr=False)
class Ensemble(Detector):
    """Neighbours, a forest against counter-examples, and forests of the known anomalies.

    Each reader's score becomes evidence: -log p under normal rows that it has not learned from.
    Neighbours leave the row itself out and forests vote out of bag, so no rows need to be held out
    for calibration. Score: the weighted sum of the evidence (Fisher), in [0, inf).

    The readers of normal rows are fitted once for all label budgets. They see a table in two
    encodings, as neither is better everywhere, and an image by the directions of its edges, or a
    small one by its pixels; see `Plan`. Each label budget adds two forests. The weight of a reader
    of normal rows beside them grows with how well it ranks the known anomalies, which it has not
    seen, above normal rows, and shrinks with their number. Where the forests' evidence is below
    that of the known anomalies themselves it is ignored and the readers of normal rows decide;
    otherwise anomalies of unknown classes would be ranked by how little they resemble known ones.

    How readers, encodings and constants were chosen, and what each is worth: docs/ensemble.md.

    Parameters
    ----------
    budgets : sequence of int, optional
        Known anomalies of each score, taken in the order of the rows; 0 is allowed. Default: one
        score with all of them.
    noise_rows : int
        Upper bound on the normal rows, and on the counter-examples, of the noise forest.
    forest_rows : int
        Upper bound on the normal rows of the forests of known anomalies and of all encodings.
    noise_trees : int
    known_trees : (int, int)
        Fewest and most trees per forest of known anomalies; more rows mean fewer trees.
    pseudo, prior : float
        Prior of the trust in a reader: as if it had ranked ``pseudo`` known anomalies above the
        fraction ``prior`` of the normal rows.
    gate, strength, fade : float
        Exponent of the trust, its largest value, and number of known anomalies that halve it.
    doubt : float
        Number of known anomalies that halve the doubt about their least evidence; see `_floor`.
    random_state : int

    Attributes
    ----------
    readers_, evidence_ : dict
        Readers and their calibration by name; those of label budgets are called ``known-n5``.
    weights_ : (budgets, readers of normal rows) float32
    floors_ : (budgets,) float32
        Evidence of the forests of known anomalies below which it is ignored.
    """

    uses_labels = True
    explained_by = SWAPS
    parts = "readers"

    budgets: Sequence[int] | None = None
    noise_rows: int = 8000
    forest_rows: int = 50_000
    noise_trees: int = 100
    known_trees: tuple[int, int] = (100, 300)
    pseudo: float = 5.0
    prior: float = 0.8
    gate: float = 2.0
    strength: float = 1.5
    fade: float = 10.0
    doubt: float = 20.0
    random_state: int = 0

    @property
    def _plan(self) -> Plan:
        if len(self.input_shape_) != 3:
            return TABLES
        return IMAGES if Strokes.fits(self.input_shape_) else SMALL_IMAGES

    def _fit(self, x: np.ndarray | Rows, y: np.ndarray) -> Training:
        start = time.perf_counter()
        self.budgets_ = self._checked_budgets(int(y.sum()))
        rng = np.random.default_rng(derive_seed(self.random_state, "Ensemble"))
        normal = sample_rows(x[y == 0], self.random_state)
        normal = _flat(normal[rng.permutation(len(normal))[: self.forest_rows]])
        known = _flat(x[np.flatnonzero(y == 1)])
        self._fit_encodings(normal)
        encoded = EncodedRows(normal)
        self.readers_, self.evidence_ = {}, {}
        for name in self._plan.votes:
            if name != NOISE:
                encoding = self.encodings_[name]
                reader = Neighbours.of(encoding, normal[: self._plan.references])
                self._add(name, reader, reader.normal_scores())
        if NOISE in self._plan.votes:
            self._add(NOISE, *self._noise_forest(encoded, rng))
        floors = [self._add_budget(budget, encoded, known[:budget]) for budget in self.budgets_]
        self.floors_ = np.array(floors, np.float32)
        self.weights_ = self._weights(EncodedRows(known[: max(self.budgets_)]))
        trees = sum(len(m) for r in self.readers_.values() for m in getattr(r, "models", ()))
        return Training(len(x), 1, trees, time.perf_counter() - start)

    def _fit_encodings(self, normal: np.ndarray) -> None:
        strokes = Strokes(np.array(self.input_shape_))
        self.encodings_ = {
            name: strokes if name == "strokes" else ENCODINGS[name].of(normal)
            for name in self._plan.encodings
        }

    def _add(self, name: str, reader: Neighbours | Forests, normal_scores: np.ndarray) -> None:
        self.readers_[name] = reader
        self.evidence_[name] = Evidence.of(normal_scores)

    def _noise_forest(
        self, normal: EncodedRows, rng: np.random.Generator
    ) -> tuple[Forests, np.ndarray]:
        """A forest against counter-examples of ranks, and its scores of normal rows."""
        ranks, plain = self.encodings_["ranks"], self.encodings_["plain"]
        z = normal.under(ranks)[: self.noise_rows]
        kind = {"n_estimators": self.noise_trees, "min_samples_leaf": 3}
        seed = derive_seed(self.random_state, "Ensemble", NOISE)
        pair = EncodedRows(z), EncodedRows(counter_examples(z, rng))
        forest, scores = Forests.of(*pair, [(plain, kind)], seed)
        return Forests([ranks], forest.models), scores[: len(z)]

    def _add_budget(self, budget: int, normal: EncodedRows, known: np.ndarray) -> float:
        """Add the forests of a label budget; return the evidence below which to ignore them."""
        if not budget:
            return 0.0
        fewest, most = self.known_trees
        trees = {"n_estimators": int(np.clip(3_000_000 // len(normal), fewest, most))}
        balanced = trees | {"class_weight": "balanced_subsample", "min_samples_leaf": 2}
        first, second = (self.encodings_[name] for name in self._plan.known)
        seed = derive_seed(self.random_state, "Ensemble", "known")
        kinds = [(first, trees), (second, balanced)]
        forests, scores = Forests.of(normal, EncodedRows(known), kinds, seed)
        normal_scores, own_scores = np.split(scores, [len(normal)])
        self._add(_name(budget), forests, normal_scores)
        own = self.evidence_[_name(budget)](own_scores)
        return self._floor(own, _clear(own_scores, normal_scores))

    def _floor(self, own: np.ndarray, clear: bool) -> float:
        """Evidence below which to ignore forests, from that of their own rows, out of bag.

        Half of its mean where nearly all are clearly detected. Otherwise its least, which a few
        rows tell badly, so that it counts the more the more there are.
        """
        doubt = 1.0 if clear else self.doubt / (self.doubt + len(own))
        return float(doubt * own.mean() / 2 + (1 - doubt) * own.min())

    def _weights(self, known: EncodedRows) -> np.ndarray:
        """Weight of each reader of normal rows, (budgets, readers) float32."""
        names, votes = zip(*self._plan.votes.items(), strict=True)
        weights = np.tile(
            np.array(votes, np.float32) / np.float32(sum(votes)), (len(self.budgets_), 1)
        )
        labelled = np.flatnonzero(self.budgets_)
        if self._plan.trust is not None:
            weights[labelled] = self._plan.trust / len(names)
        elif len(labelled):
            ranks = np.stack([self.evidence_[n].fraction(self.readers_[n](known)) for n in names])
            for i in labelled:
                weights[i] = self._trust(ranks[:, : self.budgets_[i]]) / len(names)
        return weights

    def _trust(self, ranks: np.ndarray) -> np.ndarray:
        """Trust in readers by the fractions of normal rows below known anomalies, (readers, n)."""
        n = ranks.shape[1]
        fraction = (ranks.sum(axis=1) + self.pseudo * self.prior) / (n + self.pseudo)
        trust = self.strength * np.maximum(2 * fraction - 1, 0) ** self.gate
        return trust * (self.fade / (self.fade + n))

    def _scores(self, x: np.ndarray) -> np.ndarray:
        return sum(self._evidence(x).values())

    def _evidence(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Contribution of each reader, by name, to the score of each label budget, (n, budgets)."""
        x, cores = _flat(x), cpu_count() or 1
        step = max(256, -(-len(x) // cores))
        blocks = [x[i : i + step] for i in range(0, len(x), step)]
        with ThreadPoolExecutor(cores) as pool:
            found = list(pool.map(self._evidence_of_block, blocks))
        return {name: np.concatenate([block[name] for block in found]) for name in found[0]}

    def _evidence_of_block(self, x: np.ndarray) -> dict[str, np.ndarray]:
        rows = EncodedRows(x)

        def evidence(name: str) -> np.ndarray:
            return self.evidence_[name](self.readers_[name](rows))

        found = {
            n: evidence(n)[:, None] * self.weights_[:, i] for i, n in enumerate(self._plan.votes)
        }
        known = np.zeros((len(x), len(self.budgets_)), np.float32)
        for i, budget in enumerate(self.budgets_):
            if budget:
                known[:, i] = np.maximum(evidence(_name(budget)), self.floors_[i])
        return found | {"known anomalies": known}

    def explain_parts(self, x: np.ndarray, budget: int | None = None) -> Explanation:
        """Evidence of each reader, of known anomalies beyond the floor; base plus all is the score.

        Parameters
        ----------
        x, budget
            See `libs.detectors.explainable.Explainable.explain`.

        Returns
        -------
        Explanation
            ``contributions`` are (n, readers), ``names`` the readers, ``base`` the floor.
        """
        column = self.column_of(budget)
        blocks = [self._evidence(block) for block in self._checked_blocks(x)]
        names = tuple(blocks[0])
        columns = [np.concatenate([block[name][:, column] for block in blocks]) for name in names]
        values = np.stack(columns, axis=1)
        scores, base = values.sum(axis=1), np.full(len(values), self.floors_[column])
        values[:, -1] -= base
        return Explanation(PARTS, values, scores, base, names=names)

    def _save(self, folder: Path) -> None:
        arrays = {"weights": self.weights_, "floors": self.floors_}
        for kind, found in (("encoding", self.encodings_), ("evidence", self.evidence_)):
            for name, values in found.items():
                arrays |= {f"{kind}.{name}.{key}": value for key, value in vars(values).items()}
        for name, reader in self.readers_.items():
            if isinstance(reader, Neighbours):
                arrays |= {f"rows.{name}": reader.rows, f"core.{name}": reader.core}
            else:
                for i, model in enumerate(reader.models):
                    estimators.save(model, folder / f"{name}.{i}.skops")
        np.savez(folder / "readers.npz", **arrays)

    def _load(self, folder: Path) -> None:
        with np.load(folder / "readers.npz", allow_pickle=False) as file:
            arrays = {key: file[key] if file[key].ndim else file[key].item() for key in file}

        def part(kind: type, prefix: str) -> object:
            return kind(**{n: arrays[f"{prefix}.{n}"] for n in kind.__dataclass_fields__})

        def neighbours(name: str) -> Neighbours:
            rows = arrays[f"rows.{name}"]
            core = arrays.get(f"core.{name}", len(rows))  # older files have no core
            return Neighbours(self.encodings_[name], rows, core)

        def forests(name: str, encodings: Sequence[str]) -> Forests:
            paths = [folder / f"{name}.{i}.skops" for i in range(len(encodings))]
            models = [estimators.load(path, estimators.TREES) for path in paths]
            return Forests([self.encodings_[e] for e in encodings], models)

        plan = self._plan
        self.encodings_ = {n: part(ENCODINGS[n], f"encoding.{n}") for n in plan.encodings}
        self.readers_ = {
            n: forests(n, ["ranks"]) if n == NOISE else neighbours(n) for n in plan.votes
        }
        self.readers_ |= {_name(b): forests(_name(b), plan.known) for b in self.budgets_ if b}
        self.evidence_ = {name: part(Evidence, f"evidence.{name}") for name in self.readers_}
        self.weights_, self.floors_ = arrays["weights"], arrays["floors"]


def _flat(x: np.ndarray) -> np.ndarray:
    """Rows as float32 (n, d)."""
    return np.asarray(x, np.float32).reshape(len(x), int(np.prod(x.shape[1:])))


def _clear(own: np.ndarray, normal: np.ndarray) -> bool:
    """Whether nine of ten known anomalies are clearly detected, by scores out of bag.

    Normal rows that score like known anomalies may be some (pollution). Where there are only a few,
    they are left out.
    """
    alike = normal >= np.median(own)
    if alike.mean() <= HIDDEN:
        normal = normal[~alike]
    return bool(np.quantile(Evidence.of(normal)(own), 0.1) > CLEAR)


def _name(budget: int) -> str:
    return f"known-n{budget}"
