"""Folders that the dashboard reads, and limits on requests and answers."""

from dataclasses import dataclass
from pathlib import Path

LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Settings:
    """Settings of a dashboard.

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
        Upper bounds on an uploaded table or a prediction.
    scores : int
        Upper bound on the scores of a view that a browser gets; of more it gets an even choice.
    page : int
        Upper bound on the rows of a page.
    """

    results: Path = Path("results")
    models: Path = Path("models")
    data_path: Path | None = None
    hosts: tuple[str, ...] = LOOPBACK
    upload_bytes: int = 50 * 2**20
    upload_rows: int = 200_000
    scores: int = 1_000_000
    page: int = 200
