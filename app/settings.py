"""Where the dashboard looks, and how much it lets in and out."""

from dataclasses import dataclass
from pathlib import Path

LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Settings:
    """What one dashboard serves.

    Attributes
    ----------
    results, models : Path
        As do_ scripts leave them.
    data_path : Path, optional
        Raw files; see `libs.datasets.registry.load`.
    hosts : tuple of str
        Names under which browsers may call it; any other name in a request's Host header is
        refused, so that no foreign page can reach it by renaming itself to this machine.
    upload_bytes, upload_rows : int
        What an uploaded table or a prediction may have at most.
    uploads : int
        Tables that are taken and scored at a time; further ones are refused.
    patience : float
        Seconds after which a request must have come as a whole.
    scores : int
        Scores of a view that a browser is given one by one; of more it gets an even choice.
    page : int
        Rows that one page of a table may have.
    row_bytes : int
        Rows of data sets that are kept in memory; the last one is kept whatever its size.
    """

    results: Path = Path("results")
    models: Path = Path("models")
    data_path: Path | None = None
    hosts: tuple[str, ...] = LOOPBACK
    upload_bytes: int = 50 * 2**20
    upload_rows: int = 200_000
    uploads: int = 4
    patience: float = 120.0
    scores: int = 1_000_000
    page: int = 200
    row_bytes: int = 512 * 2**20
