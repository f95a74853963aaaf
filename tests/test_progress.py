"""Output where there is no terminal: width, and how often progress is told."""

import io
from types import SimpleNamespace

from libs.utils import progress


def test_a_pipe_is_a_hundred_characters_wide(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert progress.console(io.StringIO()).width == 100
    monkeypatch.setenv("COLUMNS", "70")
    assert progress.console(io.StringIO()).width == 70


def test_a_log_has_a_line_a_minute(monkeypatch, capsys):
    """Not more, however often there is something new."""
    now = iter([0.0, *(float(second) for second in range(1, 151))])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(now)))
    with progress.progress("training", 150) as advance:
        for step in range(150):
            advance(1, f"loss {step}")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["training: 40%, 60 s, loss 59", "training: 80%, 120 s, loss 119"]
