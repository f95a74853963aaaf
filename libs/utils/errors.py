"""The one error that a person can put right."""

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


class UserError(Exception):
    """Wrong input, settings or folders.

    The message says what was expected, what was found, where, and what to do. Scripts print it
    without a traceback and end with exit code 2.
    """


LONGEST = 200
"""Characters of a value that a message repeats."""


def shorten(value: object) -> str:
    """A value in a message, as `repr` gives it, and cut where it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"


def lookup(table: Mapping[str, T], setting: str, name: str) -> T:
    """The entry of ``table`` that a setting names.

    Raises
    ------
    UserError
        If there is none of that name.
    """
    if name not in table:
        raise UserError(f"{setting} {name!r}: expected one of {', '.join(table)}")
    return table[name]
