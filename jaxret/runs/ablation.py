"""How much each number of the ranking matters: one at a time, round the settings of the study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from jaxret.errors import UserError
from jaxret.evaluation.metrics import evaluate
from jaxret.ranking.compression.index import CompressedIndex
from jaxret.ranking.rankings import RankingSettings, Stored, rank_all
from jaxret.report.figures.plots import Curve, curves
from jaxret.runtime.artifacts import csv_text, write_text
from jaxret.store_flag import WHOLE

Number = int | float
Value = Number | str  # words: the ways to store a database


@dataclass(frozen=True)
class Parameter:
    """A number of the ranking, the ranking it is seen in, and values worth a look.

    Attributes:
      ranking: its name; {} in it is the value.
      change: of the settings, where the name does not say the value.
      stores: whether the value is a way to store the database.
    """

    ranking: str
    values: tuple[Value, ...]
    change: Callable[[RankingSettings, Any], RankingSettings] = lambda settings, value: settings
    stores: bool = False


def _of_diffusion(name: str) -> Callable[[RankingSettings, Any], RankingSettings]:
    return lambda s, value: replace(s, diffusion=replace(s.diffusion, **{name: value}))


PARAMETERS: dict[str, Parameter] = {
    "aqe_n": Parameter("G+AQE", (1, 2, 5, 10, 20, 50), lambda s, v: replace(s, aqe_n=v)),
    "dba_n": Parameter("G+DBA", (1, 5, 10, 20, 50), lambda s, v: replace(s, dba_n=v)),
    "kd": Parameter("G+DFS", (10, 20, 50, 100, 200), _of_diffusion("kd")),
    # Only the inductive form starts from a query's neighbours.
    "kq": Parameter("G+DFS", (1, 3, 5, 10, 20, 50), lambda s, v: replace(s, dfs="inductive", kq=v)),
    "gamma": Parameter("G+DFS", (1, 2, 3, 4, 6), _of_diffusion("gamma")),
    "alpha": Parameter("G+DFS", (0.5, 0.8, 0.9, 0.95, 0.99, 0.999), _of_diffusion("alpha")),
    "truncation": Parameter("G+DFS", (100, 300, 1000, 3000), _of_diffusion("truncation")),
    "aqe_alpha": Parameter("G+AQE(alpha={},n=50)", (0, 1, 2, 3, 5)),
    "aqewd_n": Parameter("G+AQEwD(n={})", (1, 2, 5, 10, 20, 50)),
    "sg_m": Parameter("G+SG(m={})", (50, 100, 200, 400, 800)),
    "sg_k": Parameter("G+SG(k={})", (2, 5, 9, 15)),
    "sg_beta": Parameter("G+SG(beta={})", (0, 0.15, 0.5, 1)),
    "sg_mean_m": Parameter("G+SG(m={},pool=mean)", (50, 100, 200, 400, 800)),
    "kr_k1": Parameter("G+KR(k1={})", (5, 10, 20, 40)),
    "kr_weight": Parameter("G+KR(weight={})", (0, 0.15, 0.3, 0.6)),
    "store": Parameter("G", ("float32", "float16", "int8", "pq64", "binary"), stores=True),
}


@dataclass(frozen=True)
class Row:
    """One figure of the table.

    Attributes:
      map: mean average precision, a fraction.
      isolated: queries that diffusion connects with nothing; None without diffusion.
      seconds: of the whole ranking, neighbours included.
    """

    parameter: str
    value: Value
    ranking: str
    protocol: str
    map: float
    isolated: int | None
    seconds: float


def ablate(
    queries: ArrayLike,
    database: ArrayLike,
    ground_truth: Sequence[Mapping[str, Any]],
    protocols: Sequence[str],
    sweep: Mapping[str, Sequence[Value]] | None = None,
    settings: RankingSettings | None = None,
) -> list[Row]:
    """Changes one parameter at a time.

    Args:
      queries: [Q, D].
      database: [N, D].
      ground_truth: see `jaxret.evaluate`.
      protocols: to evaluate under.
      sweep: values by parameter, None for all of `PARAMETERS` with their own.
      settings: what stays as it is, None for the study's.

    Raises:
      UserError: an unknown parameter; a value out of range; see `rank_all`.
    """
    sweep = sweep or {name: parameter.values for name, parameter in PARAMETERS.items()}
    for name in sweep:
        if name not in PARAMETERS:
            raise UserError(f"Unknown parameter {name!r}. Known: {', '.join(PARAMETERS)}.")
    rows = []
    for name, values in sweep.items():
        parameter = PARAMETERS[name]
        for value in values:
            changed = parameter.change(settings or RankingSettings(), value)
            ranking = parameter.ranking.format(value)
            kept = _stored(database, str(value)) if parameter.stores else None
            ranked = rank_all(queries, database, [ranking], changed, stored=kept)[ranking]
            for protocol in protocols:
                figure = evaluate(ranked.ids, ground_truth, protocol)["map"]
                facts = (figure, ranked.isolated, ranked.seconds)
                rows.append(Row(name, value, ranking, protocol, *facts))
    return rows


def _stored(database: ArrayLike, store: str) -> Stored | None:
    return None if store == WHOLE else Stored(CompressedIndex.fit(database, store))


def write(rows: Sequence[Row], folder: str | Path) -> list[Path]:
    """Writes ablation.csv, ablation.md and one plot a parameter; returns the paths."""
    folder = Path(folder)
    texts = {"ablation.csv": as_csv(rows), "ablation.md": as_markdown(rows)}
    for name in dict.fromkeys(row.parameter for row in rows):
        texts[f"ablation-{name}.svg"] = _plot([row for row in rows if row.parameter == name])
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def as_csv(rows: Sequence[Row]) -> str:
    return csv_text([one.name for one in fields(Row)], map(asdict, rows))


def as_markdown(rows: Sequence[Row]) -> str:
    """A line a value, a column a protocol, in percent."""
    protocols = list(dict.fromkeys(row.protocol for row in rows))
    head = ["parameter", "value", "ranking", *protocols, "isolated queries", "seconds"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for key in dict.fromkeys((row.parameter, row.value) for row in rows):
        same = {row.protocol: row for row in rows if (row.parameter, row.value) == key}
        one = next(iter(same.values()))
        figures = [f"{100 * same[name].map:.2f}" if name in same else "" for name in protocols]
        isolated = "" if one.isolated is None else str(one.isolated)
        cells = [one.parameter, _text(one.value), one.ranking, *figures, isolated]
        lines.append("| " + " | ".join([*cells, f"{one.seconds:.1f}"]) + " |")
    return "\n".join(lines) + "\n"


def _plot(rows: Sequence[Row]) -> str:
    values = list(dict.fromkeys(row.value for row in rows))
    series = [
        Curve(name, [100 * row.map for row in rows if row.protocol == name])
        for name in dict.fromkeys(row.protocol for row in rows)
    ]
    ranking = PARAMETERS[rows[0].parameter].ranking.format("·")
    title = f"{ranking}: {rows[0].parameter}"
    return curves(title, list(map(_text, values)), series, rows[0].parameter).svg


def _text(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:g}"
