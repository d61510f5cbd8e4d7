"""The paper's tables as data: what was printed, and which cells cannot be read.

The numbers are those of Krishna, McGuinness, O'Connor, "Evaluating Contrastive Models for
Instance-based Image Retrieval", ICMR 2021, in percent as printed. README.md beside the files says
what each holds.
"""

import csv
import functools
from importlib import resources

Dim = int | str  # "true": R-MAC without PCA, the paper's "True dim"

PAPER_DIM = 512  # of Tables 1 and 2
CLASSIC = "classic"

# (dataset, model, ranking) of Table 1: printed, but illegible in the copy the files were read from.
UNREADABLE = frozenset((dataset, "resnet50", "G+DBA+AQE+DFS") for dataset in ("paris6k", "instre"))


@functools.cache
def rows(table: int) -> tuple[dict[str, str], ...]:
    """The lines of table{1,2,3}.csv, in the order of the print."""
    text = (resources.files(__name__) / f"table{table}.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def axis(table: int, column: str) -> tuple[str, ...]:
    """The values of one column of a table, each once, in the order of the print."""
    return tuple(dict.fromkeys(row[column] for row in rows(table)))


@functools.cache
def _numbers(table: int) -> dict[tuple[str, ...], float]:
    return {tuple(row.values())[:-1]: float(tuple(row.values())[-1]) for row in rows(table)}


def paper_figure(
    table: int,
    dataset: str,
    model: str,
    *,
    ranking: str = "G",
    protocol: str = CLASSIC,
    metric: str = "map",
    dim: Dim = PAPER_DIM,
) -> float | None:
    """One cell of a table in percent; None where the paper has none, or none that can be read.

    Table 1 is addressed by `ranking`, Table 2 by `protocol` and `metric`, Table 3 by `dim`; what a
    table does not vary must be what it holds fixed (Table 2: ranking G), else there is no cell.
    """
    fixed = {
        1: (protocol, metric, str(dim)) == (CLASSIC, "map", str(PAPER_DIM)),
        2: (ranking, str(dim)) == ("G", str(PAPER_DIM)),
        3: (ranking, protocol, metric) == ("G", CLASSIC, "map"),
    }
    if not fixed[table]:
        return None
    address = {1: (ranking,), 2: (protocol, metric), 3: (str(dim),)}[table]
    return _numbers(table).get((dataset, model, *address))


def paper_value(
    dataset: str, model: str, dim: Dim, ranking: str, protocol: str, metric: str
) -> float | None:
    """The paper's number for one figure of ours, from whichever table has it, in percent."""
    for table in (1, 2, 3):
        value = paper_figure(
            table,
            dataset,
            model,
            ranking=ranking,
            protocol=protocol,
            metric=metric,
            dim=dim,
        )
        if value is not None:
            return value
    return None


def is_unreadable(
    dataset: str, model: str, dim: Dim, ranking: str, protocol: str, metric: str
) -> bool:
    """Whether the paper prints a number here that the copy at hand does not show."""
    in_table_1 = (protocol, metric, str(dim)) == (CLASSIC, "map", str(PAPER_DIM))
    return in_table_1 and (dataset, model, ranking) in UNREADABLE
