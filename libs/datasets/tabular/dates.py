"""Dates as inputs: the hour of the day, the day of the week, and the age in days."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl

DATE = (
    r"^(?:(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})"
    r"|(?P<first>\d{1,2})[-/.](?P<second>\d{1,2})[-/.](?P<last>\d{4}))"
    r"(?:[ T](?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<s>\d{2}))?(?P<rest>.*))?$"
)
"""A date with the year first or last, perhaps with a time, whose zone is not looked at."""
PARTS = ("hour", "weekday", "age")


def read_dates(text: pl.Series, month_first: bool) -> pl.Series:
    """Days since 1970 and their fraction, Float64; null where a text is no date.

    Parameters
    ----------
    text : Series of String
    month_first : bool
        Reading of dates with the year last.
    """
    month, day = ("first", "second") if month_first else ("second", "first")
    date = pl.format(
        "{}-{}-{}",
        pl.coalesce("year", "last"),
        pl.coalesce("month", month).str.zfill(2),
        pl.coalesce("day", day).str.zfill(2),
    )
    hour, minute, second = (pl.col(n).cast(pl.Int32).fill_null(0) for n in ("hour", "minute", "s"))
    half = pl.col("rest").str.to_lowercase().str.extract(r"^[\d.]*\s?([ap])\.?m").fill_null("")
    hour += 12 * ((half == "p") & (hour < 12)).cast(pl.Int32)
    hour -= 12 * ((half == "a") & (hour == 12)).cast(pl.Int32)
    days = date.str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32)
    days = days + (hour * 3600 + minute * 60 + second) / 86_400
    possible = (hour < 24) & (minute < 60) & (second <= 60)
    return (
        text.str.extract_groups(DATE)
        .struct.unnest()
        .select(pl.when(possible).then(days).alias(text.name))
        .to_series()
    )


def split_days(days: np.ndarray) -> np.ndarray:
    """Hour, weekday (0: Monday) and day of dates in days since 1970, (n, 3)."""
    return np.stack([np.round(days % 1 * 24, 6), (np.floor(days) + 3) % 7, days], axis=1)


@dataclass(frozen=True)
class Dates:
    """How a column of dates is read, and its features.

    Attributes
    ----------
    parts : tuple of str
        Of `PARTS`: those that differ among the training rows.
    newest : float
        The newest training date in days since 1970. Ages count back from it, in days; later dates
        have age 0, for every new row is later.
    month_first : bool
        How dates with the year last are read.
    """

    parts: tuple[str, ...]
    newest: float
    month_first: bool = False

    @classmethod
    def of(cls, about: Mapping[str, Any] | None) -> Self | None:
        """From JSON."""
        return about and cls(**about | {"parts": tuple(about["parts"])})

    def read(self, text: pl.Series) -> pl.Series:
        """See `read_dates`."""
        return read_dates(text, self.month_first)

    def encode(self, days: np.ndarray) -> np.ndarray:
        """Features of dates in days since 1970, (n, parts)."""
        values = split_days(days)
        values[:, -1] = np.maximum(self.newest - days, 0)
        return values[:, [PARTS.index(part) for part in self.parts]]

    def __str__(self) -> str:
        order = ", month before day" * self.month_first
        return f"{', '.join(self.parts)} (age: days before {iso(self.newest)}){order}"


def iso(days: float) -> str:
    """A date as text."""
    return str(np.datetime64(int(days), "D"))


class DateStatistics:
    """What a column's training rows hold if they are dates in one of the two orders."""

    def __init__(self, month_first: bool):
        self.month_first = month_first
        self.wrong = 0
        self.ends = np.array([[np.inf] * 3, [-np.inf] * 3])
        self.sample: list[np.ndarray] = []

    def add(self, text: pl.Series, sampled: pl.Series) -> None:
        """Add rows; ``sampled`` marks those from which the median is computed."""
        days = read_dates(text, self.month_first)
        self.wrong += days.null_count()
        self.sample.append(days.filter(sampled).drop_nulls().to_numpy())
        if days.null_count() < len(days):
            values = split_days(days.drop_nulls().to_numpy())
            self.ends[0] = np.minimum(self.ends[0], values.min(axis=0))
            self.ends[1] = np.maximum(self.ends[1], values.max(axis=0))

    def learned(self) -> Dates:
        """The reading that follows."""
        low, high = self.ends
        parts = tuple(part for part, varies in zip(PARTS, high > low, strict=True) if varies)
        return Dates(parts, float(high[-1]), self.month_first)

    def median(self) -> float:
        """Median of the sample, in days since 1970."""
        known = np.concatenate(self.sample)
        return float(np.median(known if len(known) else self.ends[:, -1]))
