"""Are differences between methods significant? Intervals, ranks, tests, and verdicts in words.

A *table* has a row per block (a data set, or a seed) and a column per method; its cells are numbers
of which higher is better. Blocks must be independent of each other and complete; `complete_blocks`
drops the others. The procedures are those that Demšar (JMLR 7, 2006) recommends.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from libs.utils.seeds import derive_seed

ALPHA = 0.05
RESAMPLES = 10_000
FEWEST = 6
"""Blocks below which nothing is claimed: a two-sided signed-rank test over five gives .0625."""


def complete_blocks(table: pd.DataFrame) -> tuple[pd.DataFrame, list]:
    """Blocks in which every method has a number, and the names of the other blocks."""
    whole = table.notna().all(axis=1) & bool(table.shape[1])
    return table[whole], list(table.index[~whole])


def bootstrap(
    strata: Sequence[Sequence[float]], weights: Sequence[float] | None = None, seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval of a weighted sum of the means of strata.

    With n values per stratum it is too narrow by a factor of about ((n - 1) / n) ** .5.

    Parameters
    ----------
    strata : sequence of sequences of float
        For example the values over seeds of each data set. Strata of one value add no width.
    weights : sequence of float, optional
        Weights of the means. Default: equal, summing to 1.
    seed : int

    Returns
    -------
    low, high : float
        The 2.5th and 97.5th percentile; NaN if no stratum has two values.
    """
    values = [np.asarray(stratum, float) for stratum in strata]
    if all(len(stratum) < 2 for stratum in values):
        return np.nan, np.nan
    rng = np.random.default_rng(derive_seed(seed, "bootstrap"))
    means = [rng.choice(v, (RESAMPLES, len(v))).mean(axis=1) for v in values]
    fractions = np.full(len(values), 1 / len(values)) if weights is None else np.asarray(weights)
    low, high = np.quantile(fractions @ np.stack(means), [0.025, 0.975])
    return float(low), float(high)


def average_ranks(table: pd.DataFrame) -> pd.Series:
    """Mean rank of each method over the blocks, 1 is the best; ties share their mean rank."""
    return table.rank(axis=1, ascending=False).mean()


def friedman(table: pd.DataFrame) -> tuple[float, float]:
    """Friedman's chi-squared, corrected for ties, and p under the hypothesis of equal methods.

    NaN for fewer than three methods or two blocks; approximate below ten blocks.
    """
    if table.shape[1] < 3 or len(table) < 2:
        return np.nan, np.nan
    if table.nunique(axis=1).max() == 1:
        return 0.0, 1.0
    statistic, p = stats.friedmanchisquare(*(table[name] for name in table))
    return float(statistic), float(p)


def wilcoxon(differences: np.ndarray) -> float:
    """Two-sided p of the signed-rank test as scipy computes it; 1 if all pairs are equal."""
    differences = np.asarray(differences, float)
    return float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0


def smallest_p(pairs: np.ndarray) -> np.ndarray:
    """The smallest p that `wilcoxon` can reach with that many pairs."""
    return np.minimum(1, 2.0 ** (1 - pairs))


def holm(p: Sequence[float]) -> np.ndarray:
    """Correct p values for their number by Holm's step-down procedure."""
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def nemenyi(table: pd.DataFrame) -> pd.DataFrame:
    """Nemenyi's test: p of every pair of methods, already corrected for multiple comparisons."""
    ranks, (blocks, methods) = average_ranks(table).to_numpy(), table.shape
    gaps = np.abs(ranks[:, None] - ranks) / np.sqrt(methods * (methods + 1) / (6 * blocks))
    p = stats.studentized_range.sf(gaps * np.sqrt(2), methods, np.inf)
    return pd.DataFrame(p, table.columns, table.columns)


def critical_difference(methods: int, blocks: int) -> float:
    """Difference of average ranks from which Nemenyi's test calls two methods different."""
    quantile = stats.studentized_range.ppf(1 - ALPHA, methods, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(methods * (methods + 1) / (6 * blocks)))


def indistinct_groups(ranks: pd.Series, difference: float) -> list[tuple[str, str]]:
    """Best and worst method of each largest group within a critical difference of ranks."""
    ordered = ranks.sort_values(kind="stable")
    last = np.searchsorted(ordered, ordered + difference) - 1
    starts = [i for i, end in enumerate(last) if end > i and (i == 0 or last[i - 1] < end)]
    return [(ordered.index[i], ordered.index[last[i]]) for i in starts]


def compare_with(table: pd.DataFrame, reference: str, test: str = "wilcoxon") -> pd.DataFrame:
    """Compare one method with each other one.

    Parameters
    ----------
    table : DataFrame
        Complete for Nemenyi's test; otherwise a block without one of two methods is skipped in
        their comparison.
    reference : str
        Its column.
    test : {"wilcoxon", "nemenyi"}

    Returns
    -------
    DataFrame
        A row per other method: mean difference (reference minus other), wins, ties and losses of
        the reference, ``p``, ``corrected`` (Holm's, over the rows; Nemenyi's test needs none),
        ``least`` (the smallest corrected p that so many blocks allow; 0 for Nemenyi's) and
        ``better`` (which one the test favours).
    """
    others = [name for name in table if name != reference]
    gaps = table[others].rsub(table[reference], axis=0)
    if test == "nemenyi":
        ranks = average_ranks(table)
        p = corrected = nemenyi(table).loc[reference, others].to_numpy()
        ahead = ranks[others].to_numpy() > ranks[reference]
        least = np.zeros(len(others))
    else:
        p = np.array([wilcoxon(gaps[name].dropna()) for name in others])
        corrected = holm(p)
        least = np.minimum(1, len(others) * smallest_p(gaps.count().to_numpy()))
        changed = gaps[gaps != 0]
        ahead = (np.sign(changed) * changed.abs().rank()).sum().to_numpy() > 0
    return pd.DataFrame(
        {
            "difference": gaps.mean(),
            "wins": (gaps > 0).sum(),
            "ties": (gaps == 0).sum(),
            "losses": (gaps < 0).sum(),
            "p": p,
            "corrected": corrected,
            "least": least,
            "better": np.where(ahead, reference, others),
        },
        index=pd.Index(others, name="other"),
    )


def describe_pair(pair: pd.Series, blocks: str) -> str:
    """Verdict on a row of `compare_with`.

    Parameters
    ----------
    pair : Series
    blocks : str
        What the blocks are: ``data sets`` or ``seeds``.
    """
    count = int(pair["wins"] + pair["ties"] + pair["losses"])
    if ALPHA < pair["least"] < 1:
        return f"too few {blocks} to tell: with {count}, p is {format_p(pair['least'])} or more"
    if count < FEWEST:
        return f"too few {blocks} to tell: {count}"
    if pair["corrected"] > ALPHA:
        return "no significant difference"
    return f"{pair['better']} is better"


def describe_friedman(table: pd.DataFrame) -> str:
    """Sentence on whether the methods of a table differ at all."""
    statistic, p = friedman(table)
    size = f"{table.shape[1]} methods over {len(table)} data set{'s' * (len(table) != 1)}"
    if np.isnan(p):
        return f"No Friedman test: {size} (it needs three methods and two data sets)."
    found = f"Friedman test of {size}: chi-squared {statistic:.2f}, p {_equals(p)}"
    if len(table) < FEWEST:
        return f"{found}. {len(table)} data sets are too few to rely on it (fewer than {FEWEST})."
    if p > ALPHA:
        return f"{found}: no significant difference, so that differences of ranks may be chance."
    return f"{found}: not all methods are alike."


def format_p(p: float) -> str:
    """Format a p value: ``.0625``, ``.43``, ``<.001``."""
    if p < 0.001:
        return "<.001"
    if p >= 0.995:
        return "1"
    return f"{p:.3g}".removeprefix("0")


def _equals(p: float) -> str:
    return format_p(p).replace("<", "< ") if p < 0.001 else f"= {format_p(p)}"
