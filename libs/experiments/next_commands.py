"""What to run next with a model. Imports no TensorFlow."""

import shlex
from pathlib import Path

TOP = 10
"""How many rows are shown, and flagged if there are too few validation rows for a rate."""
REASONS = 3
"""Upper bound on the columns that are named as reasons of a row's score."""
RATES = (0.01, 0.1)
"""False-positive rates, of which the first with enough validation rows is the default."""


def default_threshold(calibrated: int) -> tuple[str, float]:
    """The default rule that flags rows, and its value, for a number of validation rows."""
    rates = (("fpr", rate) for rate in RATES if rate * calibrated >= 1)
    return next(rates, ("alerts", TOP))


def next_commands(
    run: Path, file: str | None, threshold: tuple[str, float], labelled: bool, explains: bool
) -> list[str]:
    """Command lines that score a file and explain the highest scores.

    Parameters
    ----------
    run : Path
        A model's folder.
    file : str, optional
        The file to score; None if the model's rows are no user's own.
    threshold : str and float
        See `libs.utils.command_line.threshold`.
    labelled : bool
        Whether the training had labels; without them each flagged row gets its reasons.
    explains : bool
        Whether the model can explain scores.
    """
    commands = []
    if file is not None:
        rule, value = threshold
        score = ["python", "score.py", str(run), file, "--out", "scores.csv"]
        score += ["--threshold", f"{rule}={value}"]
        score += ["--explain", str(REASONS)] if explains and not labelled else []
        commands.append(score)
    if explains:
        commands.append(["python", "explain.py", str(run)])
    return list(map(shlex.join, commands))
