"""Results as documents have them: tables, and the part of a page that a command writes, between markers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from rich import box, table

from measure import ROOT, MeasureError, command
from measure.results import load_json, save_json

Row = TypeVar("Row")
Found = TypeVar("Found")
Columns = Sequence[tuple[str, Callable[[Row], object]]]  # heading, and the cell of a row
END = "<!-- to here -->"


@dataclass(frozen=True)
class Table:
    """Headings and rows of text, for a terminal and for a document.

    Attributes:
        align: `l` or `r` for each column; those beyond it are aligned right, as numbers are.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    align: str = "l"

    @classmethod
    def of(cls, rows: Iterable[Row], columns: Columns[Row], align: str = "l") -> Table:
        """From values: a column is its heading and what it shows of a row."""
        cells = [[str(show(row)) for _, show in columns] for row in rows]
        return cls([heading for heading, _ in columns], cells, align)

    def sides(self) -> Iterator[str]:
        return iter(self.align.ljust(len(self.columns), "r"))

    def __str__(self) -> str:
        """As Markdown; nothing where there are no rows."""
        if not self.rows:
            return ""
        rules = "".join("---|" if side == "l" else "---:|" for side in self.sides())
        cells = ((cell.replace("|", "\\|") for cell in row) for row in (self.columns, *self.rows))
        heading, *rows = (f"| {' | '.join(row)} |" for row in cells)
        return "\n".join((heading, f"|{rules}", *rows))

    def rich(self, title: str | None = None, styles: Iterable[str | None] = ()) -> table.Table:
        """For the terminal; a style for each row, where not all of them are plain."""
        shown = table.Table(title=title, box=box.SIMPLE_HEAD)
        for heading, side in zip(self.columns, self.sides(), strict=True):
            shown.add_column(heading, justify="left" if side == "l" else "right")
        chosen = list(styles) or [None] * len(self.rows)
        for row, style in zip(self.rows, chosen, strict=True):
            shown.add_row(*row, style=style)
        return shown


def known(value: float | None, form: str, unknown: str = "") -> str:
    """A cell of what may not have been measured."""
    return unknown if value is None else form.format(value)


def join(*parts: object) -> str:
    """Paragraphs, tables and images with a blank line between; empty ones are left out."""
    return "\n\n".join(text for part in parts if (text := str(part)))


def recorded(file: Path, command: str, text: Callable[[dict[str, Any]], str]) -> str:
    """The text about what a command recorded in a JSON file, or that nothing is recorded."""
    if not file.is_file():
        return f"No result is recorded: `{command}` records one."
    return text(load_json(file, command))


@dataclass(frozen=True)
class Page:
    """A page of the docs, and the command that writes a part of it: `python -m COMMAND`."""

    path: Path
    command: str

    @classmethod
    def of(cls, name: str, command: str) -> Page:
        """docs/results/NAME.md."""
        return cls(ROOT / "docs" / "results" / f"{name}.md", command)

    @property
    def begin(self) -> str:
        return f"<!-- written by python -m {self.command} -->"

    def filled(self, text: str) -> str:
        """The page with the text between this command's markers.

        Raises:
            MeasureError: a marker is missing.
        """
        before, opening, rest = self.path.read_text("utf-8").partition(self.begin)
        _, end, after = rest.partition(END)
        if not opening or not end:
            raise MeasureError(f"{self.path} lacks its markers, {self.begin} and {END}")
        return f"{before}{opening}\n\n{text}\n\n{END}{after}"

    def write(self, text: str) -> None:
        self.path.write_text(self.filled(text), "utf-8")

    def record(self, found: Found, text: Callable[[Found], str], file: Path, committed: Path) -> str:
        """Write what a command measured as JSON, and into the page where that is the repository's own result.

        Args:
            text: the page's part about what was found; it is returned.
            file: to write.
            committed: the file that the page is written from.
        """
        save_json(found, file)
        part = text(found)
        if file.resolve() == committed:
            self.write(part)
        return part

    def image(self, title: str, file: Path) -> str:
        """Markdown that shows the file; the page names it from its own folder."""
        return f"![{title}]({os.path.relpath(file, self.path.parent)})"

    def main(self, text: Callable[[Path], str], results: Path, arguments: Sequence[str] | None = None) -> int:
        """The command that writes the part from recorded results; gives its exit code."""
        description = f"Write the recorded results into {self.path.relative_to(ROOT)}."
        parser = command.parser(self.command, description, results)
        parser.add_argument("--document", type=Path, default=self.path, help="the page (%(default)s)")
        chosen = parser.parse_args(arguments)
        page = replace(self, path=chosen.document)
        return command.guarded(self.command, lambda: page.write(text(chosen.results)))
