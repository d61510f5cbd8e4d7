"""Results as a notebook's cell shows them."""

from jaxret.report.page.html import fragment
from jaxret.report.results import Results


class NotebookResults(Results):
    """The results of a run, which a notebook shows as their tables."""

    def _repr_html_(self) -> str:
        return fragment(self)
