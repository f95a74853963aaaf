#!/usr/bin/env python
"""Score files of any size with a saved model, in constant memory.

MODEL is a folder below models/, such as models/csv-flows/a3/706/<experiment>/A3. Columns are
matched by name; the label and columns dropped in training are optional, unknown ones are ignored
with a warning. Writes a line per row: its file, row and line there, the columns that are no inputs
and those of --id, the score (higher is more anomalous; a column per label budget) and, with
--threshold, whether it is flagged; with --explain 5, also the five columns that raised the score of
a flagged row most, and by how much (see explain.py). Finally reports how many rows are flagged and
which columns have values that the training rows did not have. A killed run, started again, resumes
at the next block of rows and writes the same bytes.

    python score.py models/csv-flows/a3/706/*/A3 new.csv --out scores.csv --threshold fpr=.01
    python score.py MODEL today.csv --out alerts.csv --threshold alerts=200 --explain 3
    zcat new.csv.gz | python score.py MODEL - --out - | head
"""

import argparse
import sys

from libs.utils.command_line import plain_parser, positive, run, threshold


def check(args: argparse.Namespace) -> None:
    """Check the model's folder and the beginning of each file."""
    from libs.datasets.tabular.encoder import Encoder
    from libs.datasets.tabular.reading import STANDARD_INPUT, read
    from libs.experiments.model_folders import run_folder

    args.model = run_folder(args.model)
    schema = Encoder.load(args.model).schema
    for file in args.files:
        if file != STANDARD_INPUT:
            block = next(read(file, schema.wanted, encoding=schema.notation.encoding))
            schema.encode(block)


def main(args: argparse.Namespace) -> None:
    """Score all files."""
    check(args)
    from libs.experiments.file_scoring import Scorer, flag_highest, score_files

    rule, value = args.threshold or ("fpr", None)
    rate = value if rule == "fpr" else None
    scorer = Scorer(args.model, rate, args.explain, tuple(args.id))
    if rule == "alerts":
        flag_highest(scorer, args.files, value)
    counts = score_files(scorer, args.files, args.out)
    print(f"{counts['rows']:,} rows scored: {args.out}", file=sys.stderr)
    for line in scorer.summary(counts):
        print(line, file=sys.stderr)


if __name__ == "__main__":
    parser = plain_parser(__doc__)
    add = parser.add_argument
    add("model", metavar="MODEL", help="the folder of a saved model")
    add("files", nargs="+", metavar="FILE", help="CSV (also .gz) or Parquet; -: standard input")
    add("--out", required=True, help="a .csv or .parquet file; -: CSV to standard output")
    add(
        "--threshold",
        type=threshold,
        metavar="fpr=RATE|alerts=N",
        help="flag rows: by the false-positive rate on normal validation rows, or the "
        "N highest scores of all FILEs, which are read twice",
    )
    add(
        "--explain",
        type=positive,
        default=0,
        metavar="N",
        help="name the N strongest columns of each flagged row (threshold: the model's own)",
    )
    add(
        "--id",
        nargs="+",
        action="extend",
        default=[],
        metavar="COLUMN",
        help="columns of FILE to keep beside the scores (always: the model's that are no inputs)",
    )
    raise SystemExit(run(main, parser))
