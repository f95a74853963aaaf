"""Synthetic CSE-CIC-IDS2018: its layout and quirks, at any size. The numbers mean nothing."""

from pathlib import Path

import numpy as np

from libs.datasets import ids

COLUMNS = ["Dst Port", "Protocol", "Timestamp", *ids.LAYOUT.numbers[1:], "Label"]
ADDRESSES = ["Flow ID", "Src IP", "Src Port", "Dst IP"]
"""Columns in front of the others in the file of one day (20 February)."""
ROWS = 20_000
"""Different rows of a file; they are written over and over."""


def _line(rng: np.random.Generator, addresses: bool) -> str:
    """A flow: as published a mixture of zeros, whole numbers and long fractions."""
    kind = rng.random(len(COLUMNS))
    value = 10 ** rng.uniform(0, 7, len(COLUMNS))
    cells = [
        "0" if k < 0.4 else f"{v:.0f}" if k < 0.7 else f"{v:.10g}"
        for k, v in zip(kind, value, strict=True)
    ]
    cells[0] = str(rng.integers(65_536))
    cells[1] = str(rng.choice(["0", "6", "17"]))
    cells[2] = f"20/02/2018 08:{rng.integers(60):02}:{rng.integers(60):02}"
    cells[-1] = str(rng.choice(list(ids.FAMILIES)))
    if rng.random() < 0.004:  # no time passed: bytes and packets per second
        cells[17], cells[18] = rng.choice(["NaN", "Infinity"]), "Infinity"
    front = ["172.31.69.25-18.219.193.20-80-4444-6", "172.31.69.25", "4444", "18.219.193.20"]
    return ",".join([*(front if addresses else []), *cells])


def write_day(path: Path, size: int, addresses: bool = False, seed: int = 0) -> None:
    """Write the file of a day, of about ``size`` bytes.

    The header is repeated in its middle, some rows hold NaN or Infinity, and blank lines end it.
    """
    rng = np.random.default_rng(seed)
    head = ",".join([*(ADDRESSES if addresses else []), *COLUMNS]) + "\n"
    lines = [_line(rng, addresses) + "\n" for _ in range(ROWS)]
    written = 0
    with open(path, "w") as file:
        written += file.write(head)
        while written < size:
            order = rng.permutation(ROWS)
            middle = int(rng.integers(ROWS))
            block = [lines[i] for i in order]
            written += file.write("".join([*block[:middle], head, *block[middle:]]))
        file.write("\n \n")
