"""How much each setting matters: one changed at a time, round a preset or any other settings.

Every evaluation is an ordinary one, so that the workdir's descriptors are used and poolings come
out of one pass. Differences are paired by query (`evaluation.bootstrap`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from jaxret import defaults
from jaxret.errors import UserError
from jaxret.evaluation import bootstrap
from jaxret.pipeline import Evaluation
from jaxret.report.tables.cells import signed
from jaxret.runs import plan as planning
from jaxret.runs.run import execute
from jaxret.runtime.artifacts import Store, csv_text, write_text
from jaxret.settings import TRUE_DIM, Settings
from jaxret.stages.context import RunContext, workdir_of

Tell = Callable[[str], None]
Figures = dict[tuple[str, str], dict[str, Any]]  # by ranking and protocol

BASE = "nothing"  # what the row of the settings themselves has changed
# Worth a look, of settings that are numbers; of those with choices it is all of them.
VALUES: dict[str, tuple[Any, ...]] = {
    "image_size": (224, 384, 512, 724),
    "scales": ((1.0,), defaults.MULTISCALES),
    "pca_dim": (TRUE_DIM, 128, 256, 512),
    "rmac_levels": (1, 2, 3, 4),
    "gem_p": (1.0, 3.0, 5.0),
}


@dataclass(frozen=True)
class Row:
    """One figure: the settings with one of them changed, beside the settings as they are.

    Attributes:
      setting: what was changed, or BASE.
      value: to what, as one would write it.
      map: mean average precision, a fraction; None where it could not be run.
      difference, low, high: of mAP to that of the settings, with its confidence interval; None for
        the settings themselves.
      queries: that have positives.
    """

    model: str
    dataset: str
    setting: str
    value: str
    ranking: str
    protocol: str
    map: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    queries: int | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def wanted(texts: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Settings and their values out of "query_crop" (all its values) and "image_size=224:448".

    Raises:
      UserError: there is no such setting, or not that value.
    """
    options = {option.name: (option, kind) for option, kind in Settings.options()}
    found: dict[str, tuple[Any, ...]] = {}
    for text in texts:
        name, _, said = text.partition("=")
        if name not in options or name in ("model", "dataset", "preset"):
            raise UserError(f"--vary={name} is no setting to vary; --help lists them.")
        option, kind = options[name]
        if said:
            found[name] = tuple(_value(name, kind, one) for one in said.split(":"))
        elif values := VALUES.get(name) or option.metadata["choices"]:
            found[name] = values
        elif kind is bool:
            found[name] = (False, True)
        else:
            raise UserError(f"--vary={name} has no list of values: say --vary={name}=VALUE:VALUE.")
    return found


def _value(name: str, kind: type, text: str) -> Any:
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        if kind in (int, float):
            return kind(text)
        if name == "scales":
            return tuple(map(float, text.split("+")))
        return int(text) if name == "pca_dim" and text != TRUE_DIM else text
    except (KeyError, ValueError):
        raise UserError(f"--vary={name}={text} is no value of --{name}.") from None


def changed(base: Settings, what: Mapping[str, Sequence[Any]]) -> list[tuple[str, Settings]]:
    """The settings with one of them changed, each once and none as it is."""
    return [
        (name, replace(base, **{name: value}))
        for name, values in what.items()
        for value in values
        if value != getattr(base, name)
    ]


def vary(
    every: Sequence[Settings],
    what: Mapping[str, Sequence[Any]],
    tell: Tell = lambda line: None,
) -> tuple[list[Row], list[str]]:
    """Evaluates settings as they are, and with one of them changed.

    Args:
      every: what is varied round, a model and a dataset each.
      what: values by setting.
      tell: given each line about what is being done.

    Returns:
      The rows, and a sentence on each evaluation that could not be run.

    Raises:
      UserError: nothing can run; the settings as they are cannot.
    """
    variations = [(base, changed(base, what)) for base in every]
    context = RunContext(Store(workdir_of(every[0])))
    asked = [one for base, others in variations for one in (base, *(s for _, s in others))]
    plan = planning.make(list(dict.fromkeys(asked)), context)
    found = {one.settings: one for one in execute(plan, context, tell)}
    reasons = list(dict.fromkeys(str(gap["reason"]) for gap in plan.gaps))
    rows = []
    for base, others in variations:
        if base not in found:
            raise UserError(" ".join(reasons))
        own = _figures(found[base])
        rows += [_row(base, BASE, "", place, figure) for place, figure in own.items()]
        for name, settings in others:
            figures = _figures(found[settings]) if settings in found else {}
            for place, figure in own.items():
                text = _text(getattr(settings, name))
                rows.append(_row(base, name, text, place, figures.get(place), figure))
    return rows, reasons


def _figures(one: Evaluation) -> Figures:
    return {(figure["ranking"], figure["protocol"]): figure for figure in one.figures}


def _row(
    base: Settings,
    setting: str,
    value: str,
    place: tuple[str, str],
    figure: dict[str, Any] | None,
    against: dict[str, Any] | None = None,
) -> Row:
    where = (base.model, base.dataset, setting, value, *place)
    if figure is None:
        return Row(*where, None)
    if against is None:
        return Row(*where, figure["map"], queries=figure["queries"])
    found = bootstrap.difference_interval(figure["ap"], against["ap"])
    return Row(*where, figure["map"], found.value, found.low, found.high, found.queries)


def _text(value: Any) -> str:
    return ",".join(f"{one:.4g}" for one in value) if isinstance(value, tuple) else str(value)


def as_csv(rows: Sequence[Row]) -> str:
    return csv_text([one.name for one in fields(Row)], map(asdict, rows))


def as_markdown(rows: Sequence[Row]) -> str:
    """One table a model and dataset: a line a value, two columns a ranking and protocol."""
    places = list(dict.fromkeys((row.model, row.dataset) for row in rows))
    parts = [_table([r for r in rows if (r.model, r.dataset) == place]) for place in places]
    percent = round(100 * bootstrap.CONFIDENCE)
    note = (
        f"mAP in percent; the difference in points with its {percent} % interval, paired by query. "
        "Bold: the interval lies on one side of 0.\n"
    )
    return "\n".join([note, *parts])


def _table(rows: Sequence[Row]) -> str:
    columns = list(dict.fromkeys((row.ranking, row.protocol) for row in rows))
    names = [f"{ranking} {protocol}" for ranking, protocol in columns]
    head = ["changed", *(cell for name in names for cell in (name, "difference"))]
    lines = [f"### {rows[0].model} on {rows[0].dataset}\n", f"| {' | '.join(head)} |"]
    lines.append("|---|" + "---:|" * (len(head) - 1))
    for key in dict.fromkeys((row.setting, row.value) for row in rows):
        same = {(r.ranking, r.protocol): r for r in rows if (r.setting, r.value) == key}
        label = key[0] if key[0] == BASE else f"{key[0]}={key[1]}"
        cells = [cell for column in columns for cell in _cells(same[column])]
        lines.append(f"| {' | '.join([label, *cells])} |")
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> tuple[str, str]:
    if row.map is None:
        return "not run", ""
    figure = f"{100 * row.map:.2f}"
    if row.difference is None or row.low is None or row.high is None:
        return figure, ""
    value, low, high = (signed(100 * one) for one in (row.difference, row.low, row.high))
    return figure, (f"**{value}**" if row.is_clear else value) + f" [{low}, {high}]"


def write(rows: Sequence[Row], folder: str | Path) -> list[Path]:
    """Writes ablation.csv and ablation.md; returns the paths."""
    texts = {"ablation.csv": as_csv(rows), "ablation.md": as_markdown(rows)}
    for name, text in texts.items():
        write_text(Path(folder) / name, text)
    return [Path(folder) / name for name in texts]
