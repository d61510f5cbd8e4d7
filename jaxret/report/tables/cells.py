"""A table before it is written in any form: cells that hold our figure and the paper's.

Our figures are fractions; everything a cell gives as text is percent with two decimals. The
difference is taken between the two numbers as shown, so that a reader can add them up.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from jaxret.evaluation.measures import measure
from jaxret.report.paper import Dim, is_unreadable, paper_value
from jaxret.report.results import Results, number

DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
NOT_RUN = "not run"
NO_POSITIVES = "no query has anything to be found"
UNREADABLE_NOTE = "The paper prints a number here that cannot be read in our copy."
BEST_NOTE = "the best of its column"


@dataclass(frozen=True)
class Address:
    """Which figure a cell shows; the names are the keys of a figure."""

    model: str
    dataset: str
    dim: Dim
    ranking: str
    protocol: str
    metric: str


@dataclass(frozen=True)
class Cell:
    """One figure of ours beside the paper's.

    Attributes:
      ours: a fraction; None where it was not run.
      paper: percent as printed; None where the paper has none.
      unreadable: the paper has one, which cannot be read.
      gap: why ours is missing.
      dim: of ours.
      isolated: queries that diffusion could not reach from, where counted.
      best, best_paper: whether ours, the paper's, is the best of its column.
    """

    address: Address
    ours: float | None = None
    paper: float | None = None
    unreadable: bool = False
    gap: str = ""
    dim: Dim | None = None
    isolated: int | None = None
    best: bool = False
    best_paper: bool = False

    @property
    def ours_text(self) -> str:
        return "" if self.ours is None else figure_text(self.ours, self.address.metric)

    @property
    def paper_text(self) -> str:
        if self.unreadable:
            return "?"
        return "" if self.paper is None else f"{self.paper:.2f}"

    @property
    def difference(self) -> float | None:
        """Ours less the paper's, in points of percent."""
        if self.ours is None or self.paper is None:
            return None
        return round(float(percent(self.ours)) - self.paper, 2) + 0.0

    @property
    def difference_text(self) -> str:
        return "" if self.difference is None else signed(self.difference)

    @property
    def has_paper(self) -> bool:
        return self.unreadable or self.paper is not None


@dataclass(frozen=True)
class Column:
    name: str
    group: str = ""  # a heading shared by neighbouring columns


@dataclass(frozen=True)
class Row:
    label: str
    cells: tuple[Cell, ...]
    section: str = ""  # a heading shared by neighbouring rows


@dataclass(frozen=True)
class Table:
    """Rows of cells under column headings.

    Attributes:
      name: short and plain, for file names, anchors and LaTeX labels.
      number: of the paper's table that has the same layout.
      corner: what the row labels are ("ranking", "method").
      caption: one or two sentences: what is shown, in which unit.
      theirs: whose the figures below ours are: the "paper"'s, or "published" by others.
    """

    name: str
    title: str
    caption: str
    corner: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    footnotes: tuple[str, ...] = field(default=())
    number: int | None = None
    theirs: str = "paper"

    @property
    def whose(self) -> str:
        """Whose figures stand below ours, before the word figure."""
        return "the paper's" if self.theirs == "paper" else f"the {self.theirs}"

    @property
    def heading(self) -> str:
        """The title, after the number of the paper's table where it is one."""
        return self.title if self.number is None else f"Table {self.number}: {self.title}"

    @property
    def has_paper(self) -> bool:
        return any(cell.has_paper for cell in self.cells())

    def cells(self) -> Iterator[Cell]:
        for row in self.rows:
            yield from row.cells

    def sections(self) -> Iterator[tuple[str, tuple[Row, ...]]]:
        """Neighbouring rows that share a heading."""
        for section in dict.fromkeys(row.section for row in self.rows):
            yield section, tuple(row for row in self.rows if row.section == section)

    def groups(self) -> list[tuple[str, int]]:
        """Headings over the columns with the number of columns below each."""
        spans: list[tuple[str, int]] = []
        for column in self.columns:
            if spans and spans[-1][0] == column.group:
                spans[-1] = (column.group, spans[-1][1] + 1)
            else:
                spans.append((column.group, 1))
        return spans

    def gaps(self) -> list[str]:
        """The reasons why cells are missing, each once; a cell's mark is its place here, from 1."""
        return list(dict.fromkeys(cell.gap for cell in self.cells() if cell.gap))

    def mark(self, cell: Cell) -> str:
        """What stands for a missing figure: the number of its reason."""
        return f"{DASH} [{self.gaps().index(cell.gap) + 1}]" if cell.gap else DASH


def percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def figure_text(value: float, metric: str) -> str:
    """A figure as tables have it: percent, but for what counts (N-S)."""
    return f"{measure(metric).unit * value:.2f}"


def signed(points: float) -> str:
    """With its sign, a true minus, and no sign where nothing is left after rounding."""
    return f"{points:+.2f}".replace("-", MINUS) if round(points, 2) else "0.00"


def make_cell(results: Results, address: Address, figure: dict | None) -> Cell:
    """The cell of an address, with what the paper has there and why ours is missing."""
    where = (
        address.dataset,
        address.model,
        address.dim,
        address.ranking,
        address.protocol,
        address.metric,
    )
    cell = Cell(address)
    if results.compares_with_the_study:
        cell = replace(cell, paper=paper_value(*where), unreadable=is_unreadable(*where))
    value = None if figure is None else number(figure.get(address.metric))
    if figure is None or value is None:
        reason = results.gap(
            model=address.model,
            dataset=address.dataset,
            dim=address.dim,
            ranking=address.ranking,
            protocol=address.protocol,
        )
        return replace(cell, gap=reason or (NOT_RUN if figure is None else NO_POSITIVES))
    return replace(
        cell,
        ours=value,
        dim=figure["dim"],
        isolated=figure.get("isolated_queries"),
    )


def mark_best(table: Table, within_sections: bool) -> Table:
    """Marks the best of each column, ours and the paper's, in the whole table or each section.

    Equal to two decimals is equal: both are marked.
    """
    rows = []
    for row in table.rows:
        rivals = [r for r in table.rows if r.section == row.section or not within_sections]
        cells = tuple(
            _with_marks(cell, [rival.cells[place] for rival in rivals])
            for place, cell in enumerate(row.cells)
        )
        rows.append(replace(row, cells=cells))
    return replace(table, rows=tuple(rows))


def _with_marks(cell: Cell, rivals: list[Cell]) -> Cell:
    def is_best(mine: str, others: list[str]) -> bool:
        return (
            bool(mine)
            and mine != "?"
            and float(mine) == max(float(other) for other in others if other and other != "?")
        )

    return replace(
        cell,
        best=is_best(cell.ours_text, [rival.ours_text for rival in rivals]),
        best_paper=is_best(cell.paper_text, [rival.paper_text for rival in rivals]),
    )
