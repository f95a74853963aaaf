"""Ensemble: several readers of a row, calibrated on normal rows, their evidence added up."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

import numpy as np

from libs.datasets.splits.rows import Rows, sampled
from libs.detectors import estimators
from libs.detectors.attribution import PARTS, SWAPS, Explanation
from libs.detectors.detector import Detector
from libs.targets.readers import (
    Evidence,
    Forest,
    Neighbours,
    Ranks,
    Robust,
    counter_examples,
)
from libs.training.loop import Training
from libs.utils.seeds import derive_seed

SHAPES = {"robust": Robust, "ranks": Ranks}
"""How neighbours see a row; no encoding is the better one for every table."""
TREES = {"sklearn.tree._tree.Tree"}


class Ensemble(Detector):
    """Neighbours in two encodings, a forest against counter-examples, a forest of known anomalies.

    Each reader's score becomes evidence: -log p under normal rows that it has not learned from
    (neighbours leave the row itself out, forests vote out of bag). Score: the sum of the evidence
    (Fisher), in [0, inf). The readers of normal rows are fitted once for all label budgets; of each
    budget only the forest of known anomalies is its own. How much the readers of normal rows count
    beside it, is decided by where they rank the known anomalies among normal rows: a reader that
    does not see those counts less. Without a known anomaly their mean is the score.

    How readers, encodings and constants were chosen, and what each is worth: docs/ensemble.md.

    Parameters
    ----------
    budgets : sequence of int, optional
        Known anomalies for each score: the first ones in the order of the rows; 0 is allowed.
        Default: one score with all of them.
    references : int
        Normal rows among which neighbours are searched, at most.
    noise_rows : int
        Normal rows, and as many counter-examples, of the forest against counter-examples, at most.
    forest_rows : int
        Normal rows of the forests of known anomalies, and of all encodings, at most.
    noise_trees, known_trees : int
        Trees of the forests.
    pseudo, prior : float
        The weight of a reader starts from ``pseudo`` known anomalies that score higher than the
        share ``prior`` of the normal rows.
    sharpness : float
        How fast a reader that does not see the known anomalies loses weight.
    random_state : int

    Attributes
    ----------
    readers_ : dict
        Readers of normal rows by name.
    forests_ : dict
        The forest of known anomalies of each budget above 0.
    evidence_ : dict
        `libs.targets.readers.Evidence` of each reader and each forest.
    weights_ : dict
        Weights of the readers of normal rows for each budget above 0, (readers,).
    """

    uses_labels = True
    explained_by = SWAPS
    parts = "readers"

    def __init__(
        self,
        budgets: Sequence[int] | None = None,
        references: int = 3000,
        noise_rows: int = 8000,
        forest_rows: int = 50_000,
        noise_trees: int = 100,
        known_trees: int = 300,
        pseudo: float = 5.0,
        prior: float = 0.8,
        sharpness: float = 8.0,
        random_state: int = 0,
    ):
        self.budgets = budgets
        self.references = references
        self.noise_rows = noise_rows
        self.forest_rows = forest_rows
        self.noise_trees = noise_trees
        self.known_trees = known_trees
        self.pseudo = pseudo
        self.prior = prior
        self.sharpness = sharpness
        self.random_state = random_state

    def _fit(self, x: np.ndarray | Rows, y: np.ndarray) -> Training:
        start = time.perf_counter()
        self.budgets_ = self._checked_budgets(int(y.sum()))
        rng = np.random.default_rng(derive_seed(self.random_state, "Ensemble"))
        normal = sampled(x[y == 0], self.random_state)
        normal = _flat(normal[rng.permutation(len(normal))[: self.forest_rows]])
        known = _flat(x[np.flatnonzero(y == 1)])
        self.readers_, self.evidence_ = {}, {}
        for name, encoding in SHAPES.items():
            self._add_neighbours(name, encoding.of(normal), normal)
        self._add_noise_forest(normal, rng)
        self.forests_ = {b: self._forest(normal, known[:b]) for b in self.budgets_ if b}
        self.weights_ = {b: self._weights(known[:b]) for b in self.forests_}
        trees = self.noise_trees + len(self.forests_) * self.known_trees
        return Training(len(x), 1, trees, time.perf_counter() - start)

    def _add_neighbours(self, name: str, encoding: Robust | Ranks, normal: np.ndarray) -> None:
        self.readers_[name] = Neighbours(encoding, encoding(normal[: self.references]))
        self.evidence_[name] = Evidence.of(self.readers_[name].normal)

    def _add_noise_forest(self, normal: np.ndarray, rng: np.random.Generator) -> None:
        encoding = self.readers_["ranks"].encoding
        z = encoding(normal[: self.noise_rows])
        seed = derive_seed(self.random_state, "Ensemble", "noise")
        self.readers_["noise"], votes = Forest.of(
            z, counter_examples(z, rng), self.noise_trees, seed, encoding, min_samples_leaf=3
        )
        self.evidence_["noise"] = Evidence.of(votes)

    def _forest(self, normal: np.ndarray, known: np.ndarray) -> Forest:
        """The forest of a label budget; its evidence goes to ``evidence_``."""
        seed = derive_seed(self.random_state, "Ensemble", "known")
        forest, votes = Forest.of(normal, known, self.known_trees, seed)
        self.evidence_[_name(len(known))] = Evidence.of(votes)
        return forest

    def _weights(self, known: np.ndarray) -> np.ndarray:
        """How much each reader of normal rows counts beside the forest of these known anomalies."""
        seen = [self.evidence_[n].share(read(known)).sum() for n, read in self.readers_.items()]
        trust = (np.array(seen) + self.pseudo * self.prior) / (len(known) + self.pseudo)
        return np.maximum(2 * trust - 1, 0) ** self.sharpness / len(seen)

    def _scores(self, x: np.ndarray) -> np.ndarray:
        return sum(self._evidence(x).values())

    def _evidence(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Evidence of each reader as it counts in each budget's score, (n, budgets) by name."""
        x = _flat(x)
        step = max(256, -(-len(x) // (cpu_count() or 1)))
        blocks = [x[i : i + step] for i in range(0, len(x), step)]
        with ThreadPoolExecutor(cpu_count()) as pool:
            found = list(pool.map(self._block_evidence, blocks))
        return {name: np.concatenate([block[name] for block in found]) for name in found[0]}

    def _block_evidence(self, x: np.ndarray) -> dict[str, np.ndarray]:
        equal = np.full(len(self.readers_), 1 / len(self.readers_))
        weights = np.stack([self.weights_.get(b, equal) for b in self.budgets_]).astype(np.float32)
        found = {
            name: self.evidence_[name](read(x))[:, None] * weights[:, i]
            for i, (name, read) in enumerate(self.readers_.items())
        }
        known = np.zeros((len(x), len(self.budgets_)), np.float32)
        for i, budget in enumerate(self.budgets_):
            if budget:
                known[:, i] = self.evidence_[_name(budget)](self.forests_[budget](x))
        return found | {"known": known}

    def explain_parts(self, x: np.ndarray, budget: int | None = None) -> Explanation:
        """Which readers raised the alarm: their evidence, which adds up to the score.

        Parameters
        ----------
        x, budget
            See `libs.detectors.explainable.Explainable.explain`.
        """
        column = self.column_of(budget)
        evidence = [self._evidence(block) for block in self._checked_blocks(x)]
        names = tuple(evidence[0])
        values = np.concatenate([np.stack([e[n][:, column] for n in names], 1) for e in evidence])
        scores = values.sum(axis=1)
        return Explanation(PARTS, values, scores, np.zeros_like(scores), names=names)

    def _save(self, folder: Path) -> None:
        arrays = {
            f"{name}.{key}": value
            for name, evidence in self.evidence_.items()
            for key, value in vars(evidence).items()
        }
        for name in SHAPES:
            reader = self.readers_[name]
            arrays[f"{name}.rows"] = reader.rows
            arrays |= {f"{name}.encoding.{k}": v for k, v in vars(reader.encoding).items()}
        arrays |= {f"{_name(b)}.weights": weights for b, weights in self.weights_.items()}
        np.savez(folder / "readers.npz", **arrays)
        forests = {"noise": self.readers_["noise"]} | {
            _name(b): f for b, f in self.forests_.items()
        }
        for name, forest in forests.items():
            estimators.save(forest.model, folder / f"{name}.skops")

    def _load(self, folder: Path) -> None:
        with np.load(folder / "readers.npz", allow_pickle=False) as file:
            arrays = {key: file[key] if file[key].ndim else file[key].item() for key in file}

        def part(kind: type, prefix: str):
            names = kind.__dataclass_fields__
            return kind(**{name: arrays[f"{prefix}.{name}"] for name in names})

        self.readers_ = {
            name: Neighbours(part(kind, f"{name}.encoding"), arrays[f"{name}.rows"])
            for name, kind in SHAPES.items()
        }
        noise = estimators.load(folder / "noise.skops", TREES)
        self.readers_["noise"] = Forest(noise, self.readers_["ranks"].encoding)
        above = [b for b in self.budgets_ if b]
        loaded = {b: estimators.load(folder / f"{_name(b)}.skops", TREES) for b in above}
        self.forests_ = {b: Forest(model) for b, model in loaded.items()}
        self.weights_ = {b: arrays[f"{_name(b)}.weights"] for b in above}
        names = [*self.readers_, *map(_name, above)]
        self.evidence_ = {name: part(Evidence, name) for name in names}


def _flat(x: np.ndarray) -> np.ndarray:
    """Rows as float32 (n, d)."""
    return np.asarray(x, np.float32).reshape(len(x), -1)


def _name(budget: int) -> str:
    return f"known-n{budget}"
