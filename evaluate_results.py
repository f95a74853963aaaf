#!/usr/bin/env python
"""Aggregate result files over seeds: mean, standard deviation and count of every run.

Prints one table per experiment with the best of each column marked, and writes summary.csv,
summary.md and summary.tex into the output folder. With --subfolder it reads the files that
evaluate_models.py left there; summary.csv then holds F1, precision and recall too. With --readme it
also puts the tables into a file, between the lines <!-- table DATA_SET PROTOCOL EXPERIMENT --> and
<!-- /table -->.

    python evaluate_results.py                 # all seeds
    python evaluate_results.py 706 3003 3103   # these only
    python evaluate_results.py --subfolder all_results
    python evaluate_results.py --readme README.md      # make tables
"""

import argparse
from pathlib import Path

from libs import cli


def main(args: argparse.Namespace) -> int:
    """Collect, aggregate, show, write."""
    from libs import storage, summary
    from libs.tables import show

    if args.subfolder:
        rows = summary.collect_rescored(args.in_path / args.subfolder, args.seeds)
    else:
        rows = summary.collect(args.in_path, args.part, args.seeds)
    table = summary.over_seeds(rows)
    markdown, latex = {}, {}
    for place, experiment in table.groupby(["data_set", "protocol", "experiment"], sort=False):
        caption = summary.caption(experiment)
        show(summary.pivot(experiment, "[bold]{}[/]".format), caption)
        markdown[place] = summary.markdown(summary.pivot(experiment, "**{}**".format), caption)
        latex[place] = summary.latex(summary.pivot(experiment, r"\textbf{{{}}}".format), caption)
    folder = args.out_path / args.subfolder
    with storage.replaced_file(folder / "summary.csv") as path:
        table.to_csv(path, index=False, float_format="%.6g")
    for suffix, texts in {"md": markdown, "tex": latex}.items():
        with storage.replaced_file(folder / f"summary.{suffix}") as path:
            path.write_text("\n".join(texts.values()))
    if args.readme:
        filled = summary.filled(args.readme.read_text(), markdown)
        with storage.replaced_file(args.readme) as path:
            path.write_text(filled)
    print(f"summary.csv, summary.md and summary.tex in {folder}")
    return 0


if __name__ == "__main__":
    parser = cli.plain_parser(__doc__)
    parser.add_argument("seeds", type=int, nargs="*", metavar="SEED", help="default: all")
    parser.add_argument("--part", choices=("val", "test"), default="test")
    parser.add_argument("--subfolder", default="", help="of evaluate_models.py: all_results")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="put the tables into it, too")
    cli.add_folders(parser, in_path="results", out_path="results")
    raise SystemExit(cli.run(main, parser))
