"""All results on one self-contained page: tables, statistics in words, pictures."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from libs import Metrics
from libs.experiments import averages
from libs.experiments.protocols.protocol import Series
from libs.experiments.result_files import natural
from libs.plotting.curves import Sweep, sweep_picture
from libs.plotting.ranks import critical_difference_picture
from libs.plotting.tables import TextTable
from libs.reporting import rendering, statistics
from libs.reporting.comparison import (
    ABLATIONS,
    KINDS,
    OWN,
    Choice,
    Comparison,
    all_series,
    build_comparisons,
    own_methods,
    select_rows,
)
from libs.utils import storage

PICTURES = "pictures"
LISTED = "report.json"
"""File in the folder of pictures with the names of those that the last report wrote."""


@dataclass(frozen=True)
class Section:
    """A heading with tables, pictures and lines below it; ``rows`` of one experiment."""

    protocol: str
    level: int
    title: str
    blocks: Sequence[dict]
    rows: pd.DataFrame | None = None

    @property
    def anchor(self) -> str:
        """Link target of the table of contents."""
        return "".join(c if c.isalnum() else "-" for c in self.title)


def write_report(rows: pd.DataFrame, folder: Path) -> Path:
    """Write ``report.html`` and ``pictures/`` and return the page's path.

    Pictures of the previous report that this one does not show are removed.
    """
    shown = list(sections(rows, folder))
    names = [block["picture"] for section in shown for block in section.blocks if "svg" in block]
    _remove_former(folder / PICTURES, [f"{name}.{end}" for name in names for end in ("png", "svg")])
    pages = Environment(loader=PackageLoader("libs.reporting"), autoescape=True)
    page = pages.get_template("report.html").render(sections=shown)
    storage.write_text(folder / "report.html", page)
    return folder / "report.html"


def sections(rows: pd.DataFrame, folder: Path | None = None) -> Iterator[Section]:
    """Sections on protocols, experiments, and comparisons over data sets.

    Parameters
    ----------
    rows : DataFrame
        See `libs.reporting.collection.collect`.
    folder : Path, optional
        Where to draw pictures; None: no pictures.
    """
    choice = Choice(kinds=tuple(KINDS))
    found, remarks = select_rows(rows, choice)
    compared = list(build_comparisons(found, choice))
    pictures = write_sweeps(rows, folder) if folder else []
    for protocol, part in rows.groupby("protocol"):
        yield Section(protocol, 2, f"Protocol {protocol}", [])
        for (data_set, experiment), lines in part.groupby(["data_set", "experiment"]):
            stem = f"{data_set}.{protocol}.{experiment}."
            blocks = [{"table": averages.score_table(averages.over_seeds(lines))}]
            blocks += [_picture(path) for path in pictures if path.name.startswith(stem)]
            blocks += _seeds(compared, protocol, data_set, experiment)
            title = f"{data_set}, {protocol}: {lines['about'].iloc[0]}"
            yield Section(protocol, 3, title, blocks, lines)
        blocks = [{"lines": [line]} for line in remarks if line.startswith(f"{protocol}:")]
        for group in rendering.group_by_table(
            [c for c in compared if c.setting.protocol == protocol]
        ):
            blocks += _over_data_sets(group, folder)
        yield Section(protocol, 3, f"Protocol {protocol} over data sets", blocks)


def _remove_former(folder: Path, names: Sequence[str]) -> None:
    """Remove pictures of the previous report that this one lacks; record those of this one."""
    try:
        former = json.loads((folder / LISTED).read_text())
    except (OSError, ValueError):
        former = []
    for path in folder.glob("*.*g"):
        if isinstance(former, list) and path.name in former and path.name not in names:
            path.unlink()
    storage.write_json(folder / LISTED, sorted(names))


def write_sweeps(rows: pd.DataFrame, folder: Path) -> list[Path]:
    """Draw each sweep over label budgets, pollutions or normal letters into ``pictures/``.

    Returns
    -------
    list of Path
        Without suffix; the name starts with data set, protocol and experiment.
    """
    paths = []
    for name, sweep in _sweeps(rows):
        paths.append(folder / PICTURES / name)
        sweep_picture(paths[-1], sweep)
    return paths


def _sweeps(rows: pd.DataFrame) -> Iterator[tuple[str, Sweep]]:
    """File names and contents of the pictures."""
    names = [natural(run) for run in rows["run"]]
    rows = rows.assign(
        method=[name for name, _ in names], budget=[n if n >= 0 else np.nan for _, n in names]
    )
    rows = rows[~rows["method"].isin(set(ABLATIONS) - OWN)]
    for (data_set, protocol, setup), group in rows.groupby(["data_set", "protocol", "setup"]):
        title = f"{data_set}, protocol {protocol}: {{}}"
        for experiment, part in group.groupby("experiment"):
            known = sorted(part["budget"].dropna().unique())
            if part.groupby("method")["budget"].nunique().max() > 1:
                swept = part.assign(x=part["budget"])
                yield (
                    f"{data_set}.{protocol}.{experiment}.budgets",
                    Sweep(
                        _over_seeds(swept, protocol),
                        {n: f"{n:.0f}" for n in known},
                        "known anomalies in training",
                        title.format("label budgets"),
                        f"{experiment}\nmean ± standard deviation over n seeds",
                        logarithmic=True,
                    ),
                )
        largest = group[group["budget"].isna() | (group["budget"] == group["budget"].max())]
        labelled = largest[largest["budget"].notna()]
        fractions = sorted(set((labelled if len(labelled) else largest)["pollution"]))
        if len(fractions) > 1:
            yield (
                f"{data_set}.{protocol}.{setup}.pollutions",
                Sweep(
                    _over_seeds(largest.assign(x=largest["pollution"]), protocol),
                    {p: f"{p:g}" for p in fractions},
                    "fraction of anomalies among the normal training rows",
                    title.format("pollution"),
                    f"{setup}\nmean ± standard deviation over n seeds",
                ),
            )
    for series in all_series():
        yield from _series_sweeps(rows, series)


def _series_sweeps(rows: pd.DataFrame, series: Series) -> Iterator[tuple[str, Sweep]]:
    """A sweep over the experiments of a series, for each data set, protocol and pollution."""
    base = rows["data_set"].str.removesuffix("-sample")
    found = rows[rows["normal"].isin(series.names) & (base == series.data_set)]
    for (data_set, protocol, _), group in found.groupby(["data_set", "protocol", "pollution"]):
        group = group[group["budget"].isna() | (group["budget"] == group["budget"].min())]
        places = group["normal"].map({normal: i for i, normal in enumerate(series.names)})
        if len(set(places)) > 1:
            yield (
                f"{data_set}.{protocol}.{group['experiment'].iloc[0]}.series",
                Sweep(
                    _over_seeds(group.assign(x=places), protocol),
                    dict(enumerate(series.names.values())),
                    "normal classes",
                    f"{data_set}, protocol {protocol}: {series.title}",
                    "mean ± standard deviation over n seeds",
                ),
            )


def _over_seeds(rows: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """Table of a `libs.plotting.curves.Sweep`, the paper's own method first."""
    keys = ["view", "method", "x"]
    table = rows.groupby(keys, dropna=False)[list(Metrics.COLUMNS)].agg(["mean", "std", "count"])
    table.columns = [f"{metric}_{what}" for metric, what in table.columns]
    table = table.reset_index()
    own = own_methods(protocol)
    views = [averages.VIEWS.index(view) for view in table["view"]]
    order = [(v, m not in own, m) for v, m in zip(views, table["method"], strict=True)]
    return table.iloc[sorted(range(len(table)), key=order.__getitem__)]


def _seeds(
    compared: Sequence[Comparison], protocol: str, data_set: str, experiment: str
) -> Iterator[dict]:
    """The paper's method against the others over seeds, at the largest budget of an experiment."""
    here = []
    for comparison in compared:
        values = comparison.values
        at = (values["data_set"] == data_set) & (values["experiment"] == experiment)
        if comparison.setting.protocol == protocol and at.any():
            here.append((comparison, values.loc[at, "setup"].iloc[0]))
    largest = max((c.setting.budget or 0 for c, _ in here), default=0)
    frames, seeds, own = [], 0, ""
    for comparison, setup in here:
        setting = comparison.setting
        if (setting.budget or 0) != largest:
            continue
        pairs = comparison.pairs_over_seeds(data_set, setup)
        if len(pairs):
            seeds = max(seeds, int(pairs[["wins", "ties", "losses"]].sum(axis=1).max()))
            own = comparison.own
            shown = rendering.pair_table(pairs, "seeds")
            shown.insert(0, "test", f"{KINDS[setting.kind]}: {setting.metric}")
            frames.append(shown)
    if not frames:
        return
    if seeds < 2:
        yield {"note": "One seed: nothing to compare over seeds."}
        return
    smallest = statistics.format_p(statistics.smallest_p(seeds))
    about = (
        f"{own} with {largest} known anomalies against the others, in pairs of equal seeds: "
        "two-sided signed-rank test, corrected by Holm within each kind of test and metric. With "
        f"{seeds} seeds the smallest p is {smallest} before correction (with five .0625)."
    )
    table = TextTable.of(pd.concat(frames), about)
    yield {"summary": f"{own} against the others, over seeds", "table": table}


def _over_data_sets(group: Sequence[Comparison], folder: Path | None) -> Iterator[dict]:
    """Tables of one kind and metric over data sets; without pictures at the largest budget."""
    setting = group[0].setting
    largest = max(c.setting.budget or 0 for c in group)
    at_largest = [c for c in group if (c.setting.budget or 0) == largest]
    yield {"heading": f"{setting.metric}, {KINDS[setting.kind]}"}
    yield {"table": rendering.score_table(group if folder else at_largest)}
    for comparison in at_largest:
        yield {"lines": [f"{rendering.title(comparison)}.", *rendering.sentences(comparison)]}
        if len(comparison.table) < 2:
            continue
        ranks = rendering.rank_table(comparison.ranks())
        yield {"table": TextTable.of(ranks, f"Average ranks. {rendering.INTERVAL}")}
        yield from _critical_difference(comparison, folder)
        if comparison.reference:
            about = (
                f"{comparison.reference} against the others over data sets: two-sided signed-rank "
                "test, corrected by Holm"
            )
            pairs = rendering.pair_table(comparison.pairs("wilcoxon"), "data sets")
            yield {"table": TextTable.of(pairs, about)}


def _critical_difference(comparison: Comparison, folder: Path | None) -> Iterator[dict]:
    """The diagram, or the reason why there is none."""
    blocks, methods = comparison.table.shape
    if methods < 3 or folder is None:
        return
    if blocks < statistics.FEWEST:
        note = (
            f"No critical-difference diagram: {blocks} data sets are too few (fewer than "
            f"{statistics.FEWEST}) for a test over data sets to have power."
        )
        yield {"note": note}
        return
    setting = comparison.setting
    ranks = comparison.ranks()["rank"]
    difference = statistics.critical_difference(methods, blocks)
    name = f"{setting.protocol}.{setting.kind}.n{setting.budget}.p{setting.pollution:g}"
    path = folder / PICTURES / f"{name}.{setting.metric}.ranks"
    title = f"{rendering.title(comparison)}\naverage ranks over {blocks} data sets (Nemenyi, 5 %)"
    groups = statistics.indistinct_groups(ranks, difference)
    critical_difference_picture(path, ranks, difference, groups, title)
    yield _picture(path)


def _picture(path: Path) -> dict:
    """A picture's SVG, part of the page."""
    drawing = path.with_name(f"{path.name}.svg").read_text()
    return {"picture": path.name, "svg": Markup(drawing[drawing.index("<svg") :])}
