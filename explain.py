#!/usr/bin/env python
"""Explain the highest scores of a saved model by the contribution of each feature.

RUN is a folder below models/, such as models/digits/a3/706/<experiment>/A3. For A3, R2AD2,
R2AD2Sketch and ARGUE the contributions add up to the difference between the row's score and that of
the nearest of 256 normal training rows (base); for autoencoders, whose score is a reconstruction
error, to the score itself (base 0). Writes a CSV file with a line per row and feature for tables,
and a picture with heat maps for images. Of a table of your own, file, line and all columns that
are no inputs stand beside each row. For A3 a second table shows which layers of the target raised
the alarm.

    python explain.py models/digits/a3/706/4+5+6+7+8+9_known_0+1_unknown_2+3/A3
    python explain.py models/nslkdd/a3/706/normal_known_DoS+Probe_unknown_R2L+U2R/A3 --top 100
"""

import argparse
from pathlib import Path

from libs.utils.command_line import plain_parser, positive, run


def main(args: argparse.Namespace) -> None:
    """Explain the highest scores of one run."""
    from libs.experiments.explained_run import Explained

    rows = Explained(args.run, args.part, args.top, args.budget, args.data_path)
    out = args.out or rows.folder / ("explained.png" if rows.are_images else "explained.csv")
    for path in rows.write(out):
        print(path)


if __name__ == "__main__":
    parser = plain_parser(__doc__)
    add = parser.add_argument
    add("run", metavar="RUN", help="the folder of a saved model")
    add("--part", choices=("val", "test"), default="test", help="default: test")
    add("--top", type=positive, default=16, metavar="N", help="how many rows (default: 16)")
    add("--budget", type=int, metavar="N", help="label budget (default: the model's largest)")
    add("--out", type=Path, metavar="FILE", help="default: explained.csv or .png in RUN")
    add("--data_path", type=Path, help="raw files (default: $A3_DATA, or data)")
    raise SystemExit(run(main, parser))
