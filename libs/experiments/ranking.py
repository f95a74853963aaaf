"""What a run without labels ends in: its scores, a threshold, and the most anomalous rows."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from libs import Metrics
from libs.experiments.explained_run import Explained
from libs.experiments.next_commands import REASONS, TOP
from libs.experiments.scorer import strongest_columns
from libs.plotting.tables import TextTable
from libs.utils.errors import UserError

BINS = 12
WIDEST = 40
"""Characters of the longest bar of a histogram; cells have half of it."""


def show_ranking(run: Path, part: str, rule: str, value: float) -> None:
    """Print a histogram of a run's scores, a threshold, and its most anomalous rows.

    Parameters
    ----------
    run : Path
        Folder of a run on a table of one's own.
    part : {"val", "test"}
    rule, value : str and float
        See `libs.utils.command_line.threshold`.
    """
    rows = Explained(run, part, TOP)
    threshold, words = _threshold(rows, rule, value)
    flagged = int((rows.scores > threshold).sum())
    print(
        f"\n{run.parent.name}: scores of {len(rows.scores):,} rows that it has not been trained on"
    )
    print(*draw_histogram(rows.scores, threshold), sep="\n")
    print(f"threshold {threshold:.6g}, {words}: {flagged:,} flagged")
    rank(rows).show()


def _threshold(rows: Explained, rule: str, value: float) -> tuple[float, str]:
    """Threshold of a rule, and the rule in words."""
    if rule == "alerts":
        return float(Metrics.threshold_for([rows.scores], value)), f"for {value} alerts"
    calibration = rows.detector.calibration_scores_[:, -1]
    threshold = Metrics.threshold_at(calibration, value)
    if np.isnan(threshold):
        raise UserError(
            f"--threshold fpr={value:g} needs at least {int(np.ceil(1 / value))} validation rows, "
            f"there are {len(calibration)}: give a higher rate, or alerts=N"
        )
    return threshold, f"above which {value:.2%} of the validation rows are"


def draw_histogram(scores: np.ndarray, threshold: float) -> Iterator[str]:
    """Lines of a histogram: lower end of a bin, its bar and count; the threshold's is marked."""
    counts, edges = np.histogram(scores[np.isfinite(scores)], BINS)
    for count, low, high in zip(counts, edges, edges[1:], strict=False):
        bar = "█" * int(np.ceil(WIDEST * count / counts.max()))
        mark = "  < threshold" if low <= threshold < high else ""
        yield f"{low:>10.4g} {bar} {count:,}{mark}"


def rank(rows: Explained) -> TextTable:
    """The most anomalous rows: where they are, the columns of --id, the score and its reasons."""
    schema = rows.data.schema
    inputs = [column.name for column in schema.inputs]
    cells = rows.find([*schema.ids, *inputs])
    lines = "row" if cells["line"].null_count() else "line"
    placed = ["file"] * (cells["file"].n_unique() > 1) + [lines]
    placed += cells.columns[3 : 3 + len(schema.ids)]
    shown = [[_cut(value) for value in row] for row in cells.select(placed).rows()]
    raw = [dict(zip(inputs, row[-len(inputs) :], strict=True)) for row in cells.rows()]
    scores = [f"{score:.4g}" for score in rows.scores[rows.numbers]]
    columns = [*placed, "score", "reasons"]
    table = [[*p, s, why] for p, s, why in zip(shown, scores, _reasons(rows, raw), strict=True)]
    caption = "the most anomalous rows, and why"
    return TextTable(columns, table, caption, keys=len(columns))


def _reasons(rows: Explained, raw: Sequence[Mapping[str, str]]) -> list[str]:
    """The columns that raised each row's score most, with their cells as in the file."""
    if rows.detector.explained_by is None:
        return [""] * len(raw)
    inputs = rows.data.schema.inputs
    found = rows.detector.explain(rows.x).contributions
    strong = strongest_columns(found, inputs, min(REASONS, len(inputs)))
    return [
        ", ".join(
            f"{name} {_cut(cells[name] or 'missing')}"
            for name, value in zip(names, values, strict=True)
            if value > 0
        )
        for names, values, cells in zip(*strong, raw, strict=True)
    ]


def _cut(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= WIDEST // 2 else f"{text[: WIDEST // 2]}…"
