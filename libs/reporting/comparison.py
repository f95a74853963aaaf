"""Comparing methods over data sets and seeds: what is compared, and its statistics.

A *setting* is one protocol, kind of test, label budget, pollution and metric. Within it the table
of a paper has a row per experiment and a column per method. Statistics count a data set once,
whatever the number of its experiments, as blocks of a test must be independent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from libs import Metrics
from libs.datasets.registry import ALIASES
from libs.experiments.protocols.protocol import Series
from libs.experiments.protocols.registry import PROTOCOLS, protocol_of
from libs.experiments.result_files import natural
from libs.reporting import statistics
from libs.utils.errors import UserError

KINDS = {
    "main": "known anomaly classes",
    "transfer": "known and unknown anomaly classes",
    "unknown": "unknown anomaly classes",
}
"""Kinds of test. If a data set has an experiment without held-out classes, that is its main one; if
no class is known, the unknown ones replace them."""


ABLATIONS = {run: name for p in PROTOCOLS.values() for run, name in p.ablation.items()}
"""Methods of all ablations, and their names in tables."""
OWN = {name for p in PROTOCOLS.values() for name in p.own}
"""Methods that the papers propose."""


def own_methods(protocol: str) -> tuple[str, ...]:
    """Methods that the paper of a protocol proposes; the name may have suffixes."""
    known = protocol_of(protocol)
    return known.own if known else ()


def all_series() -> list[Series]:
    """The series of all protocols."""
    return [p.series for p in PROTOCOLS.values() if p.series]


def belongs_to_series(rows: pd.DataFrame) -> pd.Series:
    """Which rows belong to a series; they have columns ``base`` and ``normal``."""
    masks = [(rows["base"] == s.data_set) & rows["normal"].isin(s.names) for s in all_series()]
    return pd.concat(masks, axis=1).any(axis=1)


def place_order(place: tuple[str, str]) -> tuple[str, str]:
    """Sort key of a data set and a setup that puts the normal class A before A+B."""
    data_set, setup = place
    return data_set, setup.replace("_", " ")


@dataclass(frozen=True)
class Choice:
    """Selection by the command line; empty: everything.

    Attributes
    ----------
    protocol : str
    data_set : str
        One data set, with or without ``-sample`` or what follows a +.
    budgets, pollutions : sequences of numbers
    methods : sequence of str
        Compared even where most data sets lack them.
    kinds : sequence of str
        Some of `KINDS`.
    metrics : sequence of str
    ablation : bool
        The ablations of the protocols (R2-AD2 with one to four checkpoints), not the methods.
    series : bool
        The series of the protocols (ARGUE's experiment 1) instead of the other experiments.
    """

    protocol: str = ""
    data_set: str = ""
    budgets: Sequence[int] = ()
    pollutions: Sequence[float] = ()
    methods: Sequence[str] = ()
    kinds: Sequence[str] = ("main",)
    metrics: Sequence[str] = field(default_factory=lambda: tuple(Metrics.COLUMNS))
    ablation: bool = False
    series: bool = False


@dataclass(frozen=True)
class Setting:
    """One protocol, kind of test, label budget (None: no method has labels), pollution, metric."""

    protocol: str
    kind: str
    budget: int | None
    pollution: float
    metric: str


@dataclass(frozen=True)
class Comparison:
    """The methods of one setting.

    Attributes
    ----------
    setting : Setting
    values : DataFrame
        Rows of `select_rows`, one per data set, setup, seed and method.
    chosen : sequence of str
        See `Choice.methods`.
    """

    setting: Setting
    values: pd.DataFrame
    chosen: Sequence[str] = field(default=())

    @cached_property
    def cells(self) -> pd.DataFrame:
        """A row per data set and setup; ``(mean, std or count)`` over seeds of each method."""
        groups = self.values.groupby(["data_set", "setup", "method"])[self.setting.metric]
        table = groups.agg(["mean", "std", "count"]).unstack("method")
        table = table.reindex(sorted(table.index, key=place_order))
        order = sorted(table["mean"], key=lambda name: (name != self.own, natural(name)))
        return table.reindex(columns=order, level="method")

    @cached_property
    def own(self) -> str | None:
        """The method that the protocol's paper proposes."""
        there = set(self.values["method"])
        return next((name for name in own_methods(self.setting.protocol) if name in there), None)

    @cached_property
    def means(self) -> pd.DataFrame:
        """A row per data set: the mean over its experiments, missing if one of them is."""
        means = self.cells["mean"].round(9)  # so that equal ones tie
        return means.groupby("data_set").agg(lambda column: column.mean(skipna=False))

    @cached_property
    def table(self) -> pd.DataFrame:
        """Input of the statistics: methods of most data sets, data sets that have all of these."""
        common = list(self.chosen) or list(self.means.columns[self.means.notna().mean() > 0.5])
        return statistics.complete_blocks(self.means.reindex(columns=common))[0]

    @property
    def reference(self) -> str | None:
        """The paper's method, if it is in `table`."""
        return self.own if self.own in self.table and self.table.shape[1] > 1 else None

    def pairs(self, test: str) -> pd.DataFrame:
        """The reference against the others; see `libs.reporting.statistics.compare_with`."""
        pairs = self._against(self.table, self.reference, test)
        bounds = [self._interval(self.reference, other) for other in pairs.index]
        return pairs.join(pd.DataFrame(bounds, columns=["low", "high"], index=pairs.index))

    def pairs_over_seeds(self, data_set: str, setup: str) -> pd.DataFrame:
        """The paper's method against the others over the seeds of one experiment."""
        place = (self.values["data_set"] == data_set) & (self.values["setup"] == setup)
        table = self.values[place].pivot(index="seed", columns="method", values=self.setting.metric)
        table = table.dropna(axis=1, how="all")
        if self.own not in table or table.shape[1] < 2:
            return pd.DataFrame()
        order = [self.own, *sorted((n for n in table if n != self.own), key=natural)]
        return self._against(table[order], self.own)

    def _against(self, table: pd.DataFrame, reference: str, test: str = "wilcoxon") -> pd.DataFrame:
        """`libs.reporting.statistics.compare_with`, whichever values are good ones."""
        pairs = statistics.compare_with(self._sign * table, reference, test)
        return pairs.assign(difference=self._sign * pairs["difference"])

    @property
    def _sign(self) -> int:
        return 1 if Metrics.COLUMNS[self.setting.metric].best == "max" else -1

    def ranks(self) -> pd.DataFrame:
        """Mean, its interval and average rank of each method in `table`, the best first."""
        lows, highs = zip(*(self._interval(name) for name in self.table), strict=True)
        ranks = statistics.average_ranks(self._sign * self.table)
        frame = pd.DataFrame({"mean": self.table.mean(), "low": lows, "high": highs, "rank": ranks})
        return frame.sort_values("rank", kind="stable")

    @cached_property
    def _seeds(self) -> dict[tuple, pd.Series]:
        """Values by seed of each data set, setup and method."""
        keys = ["data_set", "setup", "method"]
        known = self.values.dropna(subset=self.setting.metric).set_index("seed")
        return dict(iter(known.groupby(keys)[self.setting.metric]))

    def _interval(self, method: str, other: str | None = None) -> tuple[float, float]:
        """Bootstrap interval of a method's mean over data sets, or of the difference of two.

        Seeds of two methods are drawn in pairs where both have the same ones, else apart.
        """
        strata, weights = [], []
        setups = self.cells.loc[list(self.table.index)].index
        sizes = setups.get_level_values(0).value_counts()
        for data_set, setup in setups:
            weight = 1 / sizes[data_set] / len(self.table)
            drawn = [(self._seeds[data_set, setup, method], weight)]
            if other:
                drawn.append((self._seeds[data_set, setup, other], -weight))
            if other and set(drawn[0][0].index) == set(drawn[1][0].index):
                drawn = [(drawn[0][0] - drawn[1][0], weight)]
            strata += [values for values, _ in drawn]
            weights += [weight for _, weight in drawn]
        return statistics.bootstrap(strata, weights)

    def _mixed_precisions(self) -> list[str]:
        """Which cells are means over seeds that were trained in several precisions."""
        known = self.values.dropna(subset=self.setting.metric)
        if "precision" not in known:
            return []
        mixed: dict[tuple[str, str], set[str]] = {}
        for (data_set, _, method), rows in known.groupby(["data_set", "setup", "method"]):
            found = sorted(set(rows["precision"].astype("string").fillna("unknown")))
            if len(found) > 1:
                mixed.setdefault((method, ", ".join(found)), set()).add(data_set)
        return [
            f"{method} on {', '.join(sorted(data_sets))}: means over seeds trained in several "
            f"precisions ({precisions})."
            for (method, precisions), data_sets in mixed.items()
        ]

    def remarks(self) -> list[str]:
        """What readers must know of the statistics: what they leave out or combine."""
        means, table, said = self.means, self.table, []
        missing = [f"{n} ({means[n].notna().sum()})" for n in means if n not in table]
        if missing:
            said.append(
                "Not in mean, ranks and tests, because most data sets lack them: "
                f"{', '.join(missing)} of {len(means)} data sets."
            )
        for name in means.index.difference(table.index):
            absent = ", ".join(n for n in table if pd.isna(means.loc[name].get(n)))
            said.append(f"Not in mean, ranks and tests: {name}, which lacks {absent}.")
        sizes = self.cells.index.get_level_values(0).value_counts()
        for name in [n for n in table.index if sizes[n] > 1]:
            said.append(f"{name} counts once, with the mean of its {sizes[name]} experiments.")
        said += self._mixed_precisions()
        counts = self.cells["count"].fillna(0).to_numpy()
        low, high = counts[counts > 0].min(initial=99), counts.max(initial=0)
        if low < high:
            said.append(f"Cells are means over {low:.0f} to {high:.0f} seeds.")
        return said


def select_rows(rows: pd.DataFrame, choice: Choice) -> tuple[pd.DataFrame, list[str]]:
    """Select the rows that a command line asks for; add method, budget and kind.

    Parameters
    ----------
    rows : DataFrame
        See `libs.reporting.collection.collect`.
    choice : Choice

    Returns
    -------
    rows : DataFrame
    remarks : list of str
        What was left out.

    Raises
    ------
    UserError
        If nothing is left.
    """
    names = [natural(run) for run in rows["run"]]
    kind = rows["view"].where(rows["held_out"] & (rows["view"] != "known"), "main")
    found = rows.assign(
        method=[name for name, _ in names],
        budget=[float(n) if n >= 0 else np.nan for _, n in names],
        kind=kind,
        base=rows["data_set"].str.removesuffix("-sample").str.partition("+")[0],
    )
    wanted = found["kind"].isin(choice.kinds) & (belongs_to_series(found) == choice.series)
    if choice.ablation:
        wanted &= found["method"].isin(ABLATIONS)
        found["method"] = found["method"].replace(ABLATIONS)
    else:
        wanted &= ~found["method"].isin(set(ABLATIONS) - OWN)
    if choice.protocol:
        wanted &= found["protocol"] == choice.protocol
    if choice.methods:
        wanted &= found["method"].isin(choice.methods)
    if choice.budgets:
        wanted &= found["budget"].isna() | found["budget"].isin(choice.budgets)
    if choice.pollutions:
        wanted &= found["pollution"].isin(choice.pollutions)
    if choice.data_set:
        name = ALIASES.get(choice.data_set, choice.data_set)
        wanted &= (found["base"] == name) | (found["data_set"] == name)
    found = found[wanted]
    whole = found.groupby(["protocol", "data_set"])["held_out"].transform("min")
    found = found[(found["kind"] != "main") | (found["held_out"] == whole)]
    if not len(found):
        there = ", ".join(sorted(set(rows["protocol"] + "/" + rows["data_set"])))
        raise UserError(f"no results are left by these options; there are some of {there}")
    return _drop_variants(found)


def _drop_variants(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Keep only the plainest variant of a data set (not a sample, no other inputs)."""
    remarks = []
    for (protocol, _), group in rows.groupby(["protocol", "base"]):
        names = sorted(set(group["data_set"]), key=lambda n: ("-sample" in n, "+" in n, n))
        for name in names[1:]:
            rows = rows[(rows["protocol"] != protocol) | (rows["data_set"] != name)]
            remarks.append(f"{protocol}: {name} is left out, because {names[0]} is there too.")
    return rows, remarks


def build_comparisons(rows: pd.DataFrame, choice: Choice) -> Iterator[Comparison]:
    """Build a comparison per setting, without the experiments that lack its budget."""
    for (protocol, kind), part in rows.groupby(["protocol", "kind"]):
        for metric in choice.metrics:
            for budget in sorted(part["budget"].dropna().unique()) or [None]:
                for pollution, group in part.groupby("pollution"):
                    at = group["budget"] == budget
                    places = group["data_set"] + "/" + group["setup"]
                    if budget is not None:
                        group = group[(at | group["budget"].isna()) & places.isin(places[at])]
                    if len(group):
                        number = None if budget is None else int(budget)
                        setting = Setting(protocol, kind, number, pollution, metric)
                        yield Comparison(setting, group, choice.methods)
