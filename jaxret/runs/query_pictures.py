"""Which queries a report shows as pictures: of each evaluation, or of the best one a dataset."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jaxret.pipeline import Evaluation
from jaxret.report.figures import pictures
from jaxret.report.figures.pictures import Sheet
from jaxret.report.results import Results, number
from jaxret.report.variants import name_of

FEW = 3  # evaluations that are all shown; of more, the best on each dataset


def sheets(found: Sequence[Evaluation], results: Results) -> list[Sheet]:
    """Picture sheets of each evaluation's first ranking, judged by the main protocol."""
    figures = [figure for one in found for figure in one.figures]
    if len(found) > FEW:
        best: dict[str, Evaluation] = {}
        for one in found:
            rival = best.get(one.dataset.name)
            if rival is None or _score(one, results) > _score(rival, results):
                best[one.dataset.name] = one
        found = list(best.values())
    return [_sheet(one, results, figures) for one in found]


def _score(found: Evaluation, results: Results) -> float:
    figure = _figure(found, results)
    value = None if figure is None else number(figure["map"])
    return -1.0 if value is None else value


def _figure(found: Evaluation, results: Results) -> dict | None:
    if not found.figures:
        return None
    protocol = results.main_protocol(found.dataset.name)
    ranking = found.settings.ranking[0]
    wanted = (ranking, protocol)
    return next(f for f in found.figures if (f["ranking"], f["protocol"]) == wanted)


def _sheet(found: Evaluation, results: Results, figures: Sequence[dict[str, Any]]) -> Sheet:
    ranking = found.settings.ranking[0]
    top = found.top[ranking]
    figure = _figure(found, results)
    sheet = pictures.picture_sheet(found.dataset, top.ids, figure, top.similarities)
    model = found.settings.label if figure is None else name_of(figures, figure)
    return replace(sheet, model=model, ranking=ranking)
