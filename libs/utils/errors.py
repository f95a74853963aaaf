"""The error that users can fix, and helpers for its message."""

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


class UserError(Exception):
    """Wrong input, settings or folders.

    The message says what was expected, what was found, where, and what to do. Scripts print it
    without a traceback and end with exit code 2.
    """


LONGEST = 200
"""Characters of a value that a message shows."""


def shorten(value: object) -> str:
    """The `repr` of a value for a message, cut if it is long."""
    text = repr(value.item() if getattr(value, "ndim", 1) == 0 else value)  # no np.str_(...)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"


def lookup(table: Mapping[str, T], setting: str, name: str) -> T:
    """The entry of ``table`` that a setting names.

    Raises
    ------
    UserError
        If there is no such entry.
    """
    if name not in table:
        raise UserError(f"{setting} {name!r}: expected one of {', '.join(table)}")
    return table[name]
