"""The paper's tables as lists of evaluations.

Models, datasets, rankings and dimensions are those of the printed tables (`jaxret.report.paper`):
there is no second list.
"""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxret import checkpoint_flag
from jaxret.defaults import OTHER_SUITES, RANKINGS
from jaxret.errors import UserError
from jaxret.report import paper
from jaxret.settings import TRUE_DIM, Settings


@dataclass(frozen=True)
class Part:
    """One of the paper's tables: every model on every dataset, in some rankings and dimensions.

    Attributes:
      dims: of the PCA; None is the study's 512, or what a smaller database can bear.
    """

    table: int
    rankings: tuple[str, ...] = ("G",)
    dims: tuple[int | str | None, ...] = (None,)

    @property
    def models(self) -> tuple[str, ...]:
        return paper.axis(self.table, "model")

    @property
    def datasets(self) -> tuple[str, ...]:
        return paper.axis(self.table, "dataset")


@dataclass(frozen=True)
class Suite:
    title: str
    parts: tuple[Part, ...]


def _dim(text: str) -> int | str:
    return text if text == TRUE_DIM else int(text)


_TABLE1 = Part(1, rankings=paper.axis(1, "ranking"))
_TABLE2 = Part(2)
_TABLE3 = Part(3, dims=tuple(map(_dim, paper.axis(3, "dim"))))

SUITES = {
    "table1": Suite("Table 1: eight ways of ranking", (_TABLE1,)),
    "table2": Suite("Table 2: easy, medium and hard queries", (_TABLE2,)),
    "table3": Suite("Table 3: how many dimensions", (_TABLE3,)),
    "paper": Suite("The paper's three tables", (_TABLE1, _TABLE2, _TABLE3)),
}


@dataclass(frozen=True)
class Expansion:
    """A suite as evaluations, and what of the paper's tables was not asked for."""

    evaluations: tuple[Settings, ...]
    gaps: tuple[dict[str, Any], ...] = ()


def get(name: str) -> Suite:
    """The suite; UserError names the nearest and all."""
    if name in SUITES:
        return SUITES[name]
    known = (*SUITES, *OTHER_SUITES)
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f" Nearest: {nearest[0]}." if nearest else ""
    raise UserError(f"Unknown suite {name!r}.{hint} Known: {', '.join(known)}.")


def expand(
    name: str, base: Settings, chosen: Mapping[str, Sequence[Any]] | None = None
) -> Expansion:
    """The evaluations of a suite.

    Args:
      name: of `SUITES`.
      base: everything else; diffusion leaves the rest in the order of ids unless it says another,
        as the paper's figures do.
      chosen: values of model, dataset, pca_dim or ranking that take the place of the suite's own.

    Raises:
      UserError: an unknown suite, or a dataset that is in none of its tables.
    """
    suite, chosen = get(name), chosen or {}
    _check_datasets(name, suite, chosen.get("dataset", ()))
    _check_checkpoint(base, chosen)
    base = dataclasses.replace(base, dfs_rest=base.dfs_rest or "none")
    rankings: dict[tuple[str, str, Any], set[str]] = {}
    for part in suite.parts:
        for dataset in part.datasets:
            if dataset in chosen.get("dataset", part.datasets):
                for model in chosen.get("model", part.models):
                    for dim in chosen.get("pca_dim", part.dims):
                        wanted = rankings.setdefault((model, dataset, dim), set())
                        wanted.update(chosen.get("ranking", part.rankings))
    evaluations = tuple(
        dataclasses.replace(
            base,
            model=model,
            dataset=dataset,
            pca_dim=dim,
            ranking=tuple(sorted(wanted, key=_place_in_table)),
        )
        for (model, dataset, dim), wanted in rankings.items()
    )
    return Expansion(evaluations, _left_out(suite, chosen))


def _place_in_table(ranking: str) -> tuple[int, str]:
    """The study's rankings in its order, others by name behind them."""
    return (RANKINGS.index(ranking) if ranking in RANKINGS else len(RANKINGS)), ranking


def _check_datasets(name: str, suite: Suite, asked: Sequence[str]) -> None:
    known = list(dict.fromkeys(dataset for part in suite.parts for dataset in part.datasets))
    for dataset in asked:
        if dataset not in known:
            raise UserError(
                f"--dataset={dataset} is in no table of --suite={name}: its datasets are "
                f"{', '.join(known)}."
            )


def _check_checkpoint(base: Settings, chosen: Mapping[str, Sequence[Any]]) -> None:
    if not base.checkpoint:
        return
    if own := checkpoint_flag.named(base.checkpoint):
        if "model" not in chosen:
            raise UserError(
                f"--checkpoint={base.checkpoint} names encoders for --model, and a suite has "
                f"models of its own: say which to run, such as --model=resnet50,{next(iter(own))}."
            )
    elif len(chosen.get("model", ())) != 1:
        raise UserError(
            f"--checkpoint={base.checkpoint} is one encoder, a suite is many: name it with "
            "--model=NAME to run the suite's datasets with it alone."
        )


def _left_out(suite: Suite, chosen: Mapping[str, Sequence[Any]]) -> tuple[dict[str, Any], ...]:
    """A gap for everything of the paper's that was not asked for."""
    own: dict[str, list[Any]] = {
        "model": [model for part in suite.parts for model in part.models],
        "dataset": [dataset for part in suite.parts for dataset in part.datasets],
        "ranking": [ranking for part in suite.parts for ranking in part.rankings],
        "pca_dim": [dim for part in suite.parts for dim in part.dims if dim is not None],
    }
    return tuple(
        {"dim" if key == "pca_dim" else key: value, "reason": f"not asked for (--{key})"}
        for key, asked in chosen.items()
        for value in dict.fromkeys(own[key])
        if value not in asked
    )
