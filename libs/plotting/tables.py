"""Tables for terminal, Markdown, LaTeX and HTML. Text from data is never markup."""

import html
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import pandas as pd

MARKDOWN = {c: f"\\{c}" for c in "\\`*_[]~"} | {"|": r"\|", "$": "&#36;", "&": "&amp;"}
MARKDOWN |= {"<": "&lt;", ">": "&gt;"}
LATEX = {c: f"\\{c}" for c in "{}_%&#$"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
LATEX |= {"^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "[": "{[}"}
LATEX |= {"|": r"\textbar{}", '"': "''", "±": r"$\pm$", "–": "--"}


class Bold(str):
    """A cell in bold: the best of its kind."""


@dataclass(frozen=True)
class TextTable:
    """A table of finished text.

    Attributes
    ----------
    columns : sequence of str
    rows : sequence of sequences of str
        `Bold` cells are set in bold.
    caption : str
    keys : int
        Number of columns on the left that name the rows; repeated in every part of a wide table.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    keys: int = 1

    @classmethod
    def of(cls, frame: pd.DataFrame, caption: str) -> Self:
        """A frame's columns, without its index."""
        rows = [[str(value) for value in row] for row in frame.itertuples(index=False)]
        return cls([str(name) for name in frame.columns], rows, caption)

    def transpose(self, head: str) -> Self:
        """Swap rows and columns; ``head`` names the column of the former column names."""
        names = [" / ".join(row[: self.keys]) for row in self.rows]
        cells = zip(*(row[self.keys :] for row in self.rows), strict=True)
        rows = [[n, *row] for n, row in zip(self.columns[self.keys :], cells, strict=True)]
        return replace(self, columns=[head, *names], rows=rows, keys=1)

    def split(self, width: int, gap: int = 1) -> Iterator[Self]:
        """Split a wide table into parts of at most ``width`` characters, if columns allow.

        Parameters
        ----------
        width : int
        gap : int
            Characters between two columns.
        """
        cells = [[_plain(row[i]) for row in self.rows] for i in range(len(self.columns))]
        sizes = [
            max(map(len, [*_plain(name).split(" "), *column])) + gap
            for name, column in zip(self.columns, cells, strict=True)
        ]
        keys, part = list(range(self.keys)), []
        for i in range(self.keys, len(self.columns)):
            if part and sum(sizes[j] for j in [*keys, *part, i]) > width:
                yield self._part([*keys, *part])
                part = []
            part.append(i)
        yield self._part([*keys, *part])

    def _part(self, chosen: Sequence[int]) -> Self:
        rows = [[row[i] for i in chosen] for row in self.rows]
        return replace(self, columns=[self.columns[i] for i in chosen], rows=rows)

    def show(self) -> None:
        """Print to the terminal, in parts if too wide."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        from libs.utils.progress import console

        screen, caption = console(), Text(_plain(self.caption), style="italic")
        for part in self.split(screen.width - 1):
            table = Table(title=caption, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
            for i, name in enumerate(part.columns):
                head = Text(_plain(name).replace(" ", "\n"))
                table.add_column(head, justify="left" if i < part.keys else "right", no_wrap=True)
            for row in part.rows:
                bold = ["bold" if isinstance(cell, Bold) else "" for cell in row]
                cells = zip(row, bold, strict=True)
                table.add_row(*(Text(_plain(cell), style=style) for cell, style in cells))
            screen.print(table)
            caption = None

    def markdown(self, width: int = 10_000) -> str:
        """GitHub Markdown below its caption, in parts of at most ``width`` characters."""
        caption = escape(self.caption.rstrip(".")) + "."
        text = ["\n".join(textwrap.wrap(caption, 100)) + "\n"]
        for part in self.split(width, 3):
            sides = ["---" if i < part.keys else "--:" for i in range(len(part.columns))]
            lines = [_mark_best(row, escape, "**{}**") for row in (part.columns, sides, *part.rows)]
            text += [f"| {' | '.join(line)} |" for line in lines] + [""]
        return "\n".join(text)

    def latex(self) -> str:
        """LaTeX, for the package booktabs."""
        rows = [_mark_best(row, _latex, r"\textbf{{{}}}") for row in self.rows]
        head, *body = [" & ".join(row) + r" \\" for row in [[*map(_latex, self.columns)], *rows]]
        sides = "l" * self.keys + "r" * (len(self.columns) - self.keys)
        lines = [r"\begin{table}", rf"\caption{{{_latex(self.caption)}}}"]
        lines += [rf"\begin{{tabular}}{{{sides}}}", r"\toprule", head, r"\midrule", *body]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])

    def html(self) -> str:
        """A figure with a table and its caption."""
        head = "".join(f"<th>{_html(name)}</th>" for name in self.columns)
        rows = [_mark_best(row, _html, "<b>{}</b>") for row in self.rows]
        body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
        return (
            f'<figure><div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n'
            f"</tbody></table></div><figcaption>{_html(self.caption)}</figcaption></figure>"
        )

    __html__ = html  # lets templates include tables unescaped


def decimals(value: float, places: int = 3) -> str:
    """A fraction as papers print it: ``.987``, ``1.000``; a dash for NaN."""
    return "–" if value != value else re.sub(r"^(-?)0\.", r"\1.", f"{value:.{places}f}")


def _plain(text: str) -> str:
    """Text in one line, without control characters."""
    return "".join(c if c.isprintable() else " " for c in text)


def _html(text: str) -> str:
    return html.escape(_plain(text))


def escape(text: str) -> str:
    """Escape text from data for Markdown."""
    return "".join(MARKDOWN.get(c, c) for c in _plain(text))


def _latex(text: str) -> str:
    return "".join(LATEX.get(c, c) for c in _plain(text))


def _mark_best(row: Sequence[str], escape: Callable[[str], str], bold: str) -> list[str]:
    """Escape the cells of a row and mark bold ones."""
    return [bold.format(escape(c)) if isinstance(c, Bold) else escape(c) for c in row]
