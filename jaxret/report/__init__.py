"""From figures to what people read: tables, plots, picture sheets, one self-contained page."""

from jaxret.report.figures.pictures import Sheet, picture_sheet
from jaxret.report.notebook import NotebookResults
from jaxret.report.results import Results
from jaxret.report.write import write_report

__all__ = ["NotebookResults", "Results", "Sheet", "picture_sheet", "write_report"]
