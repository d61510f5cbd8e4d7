"""Which figure stands in which row and column: the tables of a run, and those of the paper."""

from collections.abc import Callable
from dataclasses import replace

from jaxret.evaluation.measures import measure
from jaxret.report import paper
from jaxret.report.paper import CLASSIC, PAPER_DIM, Dim
from jaxret.report.results import METRICS, Results
from jaxret.report.tables.cells import Address, Cell, Column, Row, Table, make_cell, mark_best
from jaxret.report.tables.published import published_tables

PERCENT = "in percent, higher is better"


def tables(results: Results) -> list[Table]:
    """Every table of the report, in reading order."""
    suites = {"table1": (1,), "table2": (2,), "table3": (3,), "paper": (1, 2, 3)}
    wanted = suites.get(results.suite or "", ())
    made = [{1: table1, 2: table2, 3: table3}[number](results) for number in wanted]
    return [*(made or headlines(results)), *published_tables(results)]


def headlines(results: Results) -> list[Table]:
    """One table a dataset: mAP of every ranking (rows) under every protocol (columns).

    A dataset with metrics of its own shows those.
    """
    made = [
        _headline(results, dataset, results.metrics(dataset) or METRICS[:1])
        for dataset in results.values("dataset")
    ]
    return [table for table in made if table.rows]


def precisions(results: Results) -> list[Table]:
    """One table a dataset: mP@1, mP@5 and mP@10 of every ranking under every protocol."""
    return [_headline(results, dataset, METRICS[1:]) for dataset in results.values("dataset")]


def _headline(results: Results, dataset: str, metrics: tuple[str, ...]) -> Table:
    variants, protocols = results.variants(dataset), results.protocols(dataset)
    rankings = dict.fromkeys(figure["ranking"] for figure in results.select(dataset=dataset))
    cell = _finder(results)
    plain, precision = metrics == METRICS[:1], metrics == METRICS[1:]
    only = len(protocols) == 1 and not precision
    columns = [
        Column(measure(metric).name, "" if only else protocol)
        if not plain
        else Column("mAP" if protocol == CLASSIC else protocol)
        for protocol in protocols
        for metric in metrics
    ]
    rows = [
        Row(
            ranking,
            tuple(
                cell(Address(model, dataset, dim, ranking, protocol, metric))
                for protocol in protocols
                for metric in metrics
            ),
            section=_variant_name(variants, model, dim),
        )
        for model, dim in variants
        for ranking in rankings
    ]
    what = (
        "Mean precision among the first 1, 5 and 10 results"
        if precision
        else " and ".join(measure(metric).name for metric in metrics)
    )
    counts = [measure(metric).name for metric in metrics if measure(metric).unit == 1]
    unit = ", higher is better" if len(counts) == len(metrics) else f" {PERCENT}"
    table = Table(
        name=f"{'precision' if precision else 'map'}-{dataset}",
        title=_dataset_title(results, dataset),
        caption=f"{what}{unit}.",
        corner="ranking",
        columns=tuple(columns),
        rows=tuple(rows),
    )
    return mark_best(table, within_sections=False)


def _variant_name(variants: list[tuple[str, Dim]], model: str, dim: Dim) -> str:
    """The heading of a model's rows, as short as tells it from the others."""
    if len(variants) == 1:
        return ""
    dims = [other for name, other in variants if name == model]
    return model if len(dims) == 1 else f"{model}, {dim_name(dim)}"


def dim_name(dim: Dim) -> str:
    return "no PCA" if dim == "true" else f"{dim} dimensions"


def _dataset_title(results: Results, dataset: str) -> str:
    for entry in results.datasets:
        if entry.get("name") == dataset and entry.get("database") and entry.get("queries"):
            asked = f"{entry['queries']} queries{with_positives(results, dataset)}"
            return f"{dataset} ({asked}, {entry['database']} photographs)"
    return dataset


def with_positives(results: Results, dataset: str) -> str:
    """Such as " (39 with positives)" where a mean is over fewer queries than there are, or ""."""
    [asked] = {entry["queries"] for entry in results.datasets if entry.get("name") == dataset}
    counted = {
        figure["protocol"]: figure["queries"]
        for figure in results.figures
        if figure.get("dataset") == dataset and figure.get("queries") is not None
    }
    if not counted or set(counted.values()) == {asked}:
        return ""
    if len(set(counted.values())) == 1:
        return f" ({next(iter(counted.values()))} with positives)"
    listed = ", ".join(f"{protocol} {count}" for protocol, count in counted.items())
    return f" (with positives: {listed})"


def table1(results: Results) -> Table:
    """The mAP on the classic datasets: methods by rankings at 512 dimensions."""
    rankings = paper.axis(1, "ranking")
    return _paper_layout(
        results,
        number=1,
        caption=f"mAP {PERCENT}; {PAPER_DIM} dimensions. Columns are the ways of ranking.",
        columns=[Column(ranking) for ranking in rankings],
        address=lambda place: (PAPER_DIM, rankings[place], CLASSIC, "map"),
    )


def table2(results: Results) -> Table:
    """The revisited datasets: methods by protocol and metric, global search, 512 dimensions."""
    grid = [(p, m) for p in paper.axis(2, "protocol") for m in paper.axis(2, "metric")]
    return _paper_layout(
        results,
        number=2,
        caption=f"Global search (G) {PERCENT}; {PAPER_DIM} dimensions.",
        columns=[Column(measure(metric).name, protocol) for protocol, metric in grid],
        address=lambda place: (PAPER_DIM, "G", *grid[place]),
    )


def table3(results: Results) -> Table:
    """The mAP over the dimension after PCA-whitening: models by dimensions, global search."""
    dims = [dim if dim == "true" else int(dim) for dim in paper.axis(3, "dim")]
    return _paper_layout(
        results,
        number=3,
        caption=f"mAP of global search (G) {PERCENT}, by the dimension kept by PCA-whitening; "
        "'true' is R-MAC as it is, without PCA.",
        columns=[Column(str(dim)) for dim in dims],
        address=lambda place: (dims[place], "G", CLASSIC, "map"),
    )


def _paper_layout(
    results: Results,
    number: int,
    caption: str,
    columns: list[Column],
    address: Callable[[int], tuple[Dim, str, str, str]],
) -> Table:
    """Sections are the paper's datasets, rows its methods, then ours beyond them."""
    datasets = paper.axis(number, "dataset")
    models = dict.fromkeys((*paper.axis(number, "model"), *_own_models(results, number)))
    cell = _finder(results, any_dim=number != 3)
    rows = [
        Row(
            model,
            tuple(cell(Address(model, dataset, *address(place))) for place in range(len(columns))),
            section=dataset,
        )
        for dataset in datasets
        for model in models
    ]
    titles = {
        1: "Eight ways of ranking",
        2: "Easy, medium and hard queries",
        3: "How many dimensions",
    }
    table = Table(
        name=f"table{number}",
        title=titles[number],
        caption=caption,
        corner="method",
        columns=tuple(columns),
        rows=tuple(rows),
        number=number,
    )
    return mark_best(replace(table, footnotes=_other_dims(table)), within_sections=True)


def _other_dims(table: Table) -> tuple[str, ...]:
    """Says which figures are not at the paper's dimension, though the table is."""
    others = {
        (cell.address.dataset, cell.dim): None
        for cell in table.cells()
        if cell.dim is not None and cell.dim != cell.address.dim
    }
    listed = ", ".join(f"{dataset} at {dim}" for dataset, dim in others)
    return (f"Ours are not at {PAPER_DIM} dimensions: {listed}.",) if others else ()


def _own_models(results: Results, number: int) -> list[str]:
    """Models with figures of a table's kind, the paper's among them."""
    swept = {dim for dim in paper.axis(3, "dim") if dim != str(PAPER_DIM)}
    kinds: dict[int, Callable[[dict], bool]] = {
        1: lambda figure: figure["dim"] != "true",
        2: lambda figure: figure["dim"] != "true" and figure["ranking"] == "G",
        3: lambda figure: figure["ranking"] == "G" and str(figure["dim"]) in swept,
    }
    datasets = paper.axis(number, "dataset")
    figures = (figure for figure in results.figures if figure["dataset"] in datasets)
    return [figure["model"] for figure in figures if kinds[number](figure)]


def _finder(results: Results, any_dim: bool = False) -> Callable[[Address], Cell]:
    """Gives the cell of an address; the figures are put in order once.

    With `any_dim` a figure of another dimension stands in where the right one is missing: a small
    database cannot be whitened to the paper's.
    """
    keys = ("model", "dataset", "ranking", "protocol")
    exact: dict[tuple, dict] = {}
    near: dict[tuple, dict] = {}
    for figure in results.figures:
        place = tuple(figure[key] for key in keys)
        exact[*place, figure["dim"]] = figure
        if any_dim and figure["dim"] != "true":
            near.setdefault(place, figure)

    def cell(address: Address) -> Cell:
        place = tuple(getattr(address, key) for key in keys)
        figure = exact.get((*place, address.dim)) or near.get(place)
        return make_cell(results, address, figure)

    return cell
