"""Tables as LaTeX: booktabs, best per column bold, the paper's figures in a second line."""

from dataclasses import replace

from jaxret.report.tables.cells import DASH, MINUS, Cell, Row, Table
from jaxret.report.tables.plain import footnotes, one_line, slug

PREAMBLE = r"""% \usepackage{booktabs,xcolor} in the preamble; \input this file.
"""
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    DASH: r"\textendash{}",
    MINUS: r"$-$",
    "°": r"$^\circ$",
    "�": "?",
}


def escape_latex(text: object) -> str:
    """A name as LaTeX prints it, one line."""
    escaped = "".join(_SPECIAL.get(character, character) for character in one_line(text))
    return escaped.replace("--", "-{}-")  # else two hyphens print as a dash


def document(tables: list[Table]) -> str:
    r"""The tables for \input, one float a section, so that each fits its page."""
    return PREAMBLE + "".join("\n" + to_latex(table) for table in tables)


def to_latex(table: Table) -> str:
    """One table* a section; within it two lines a row where the paper has figures."""
    parts = (replace(table, rows=rows) for _, rows in table.sections())
    return "\n".join(map(_float, parts))


def _float(table: Table) -> str:
    section = table.rows[0].section
    title = f"{table.title}, {section}" if section else table.title
    title += "" if table.number is None else f" (Table {table.number} of the paper)"
    caption = f"{escape_latex(title)}. {escape_latex(table.caption)} Bold: best of its column."
    if table.has_paper:
        caption += f" Grey: {table.whose} figure and our difference."
    notes = "".join(f"\n  \\par\\smallskip {escape_latex(note)}" for note in footnotes(table))
    body = "\n".join(_lines(table, row) for row in table.rows)
    return rf"""\begin{{table*}}
  \centering\footnotesize\setlength{{\tabcolsep}}{{3pt}}
  \caption{{{caption}}}
  \label{{tab:{slug(table.name + " " + section)}}}
  \begin{{tabular}}{{l{"r" * len(table.columns)}}}
    \toprule
{_head(table)}
    \midrule
{body}
    \bottomrule
  \end{{tabular}}{notes}
\end{{table*}}
"""


def _head(table: Table) -> str:
    names = " & ".join([table.corner, *(escape_latex(column.name) for column in table.columns)])
    lines, start = [], 2
    if any(group for group, _ in table.groups()):
        spans = [rf"\multicolumn{{{n}}}{{c}}{{{escape_latex(g)}}}" for g, n in table.groups()]
        lines.append("    & " + " & ".join(spans) + r" \\")
        for _, width in table.groups():
            lines.append(rf"    \cmidrule(lr){{{start}-{start + width - 1}}}")
            start += width
    return "\n".join([*lines, f"    {names} \\\\"])


def _lines(table: Table, row: Row) -> str:
    ours = " & ".join([escape_latex(row.label), *(_ours(table, cell) for cell in row.cells)])
    if not any(cell.has_paper for cell in row.cells):
        return f"    {ours} \\\\"
    theirs = " & ".join(["", *(_theirs(cell) for cell in row.cells)]).strip()
    return f"    {ours} \\\\\n    {theirs} \\\\"


def _ours(table: Table, cell: Cell) -> str:
    if cell.ours is None:
        return escape_latex(table.mark(cell))
    text = rf"\textbf{{{cell.ours_text}}}" if cell.best else cell.ours_text
    return text + (r"$^\circ$" if cell.isolated else "")


def _theirs(cell: Cell) -> str:
    if not cell.has_paper:
        return ""
    text = cell.paper_text
    if cell.difference is not None:
        text += f" ({escape_latex(cell.difference_text)})"
    return rf"\textcolor{{gray}}{{\scriptsize {text}}}"
