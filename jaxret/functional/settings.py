"""What rankings and diffusions are made with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jaxret import defaults
from jaxret.errors import UserError
from jaxret.functional import weights
from jaxret.ranking_names import Step

DFS_FORMS = ("joint", "inductive")


@dataclass(frozen=True)
class DiffusionSettings:
    """What one diffusion is made with; the defaults are the paper's.

    Attributes:
      truncation: nodes a row keeps, itself counted; the size of the database for the full solve.
      kd: neighbours a node has in the graph, itself counted.
      gamma: affinity = max(similarity, 0) ** gamma.
      alpha: weight of the walk against the restart.
      tolerance: residual, relative to the right-hand side, at which a node is done.
      rounds: of conjugate gradients, at most.
    """

    truncation: int = defaults.DFS_TRUNCATION
    kd: int = defaults.DFS_KD
    gamma: float = defaults.DFS_GAMMA
    alpha: float = defaults.DFS_ALPHA
    tolerance: float = defaults.CG_TOLERANCE
    rounds: int = defaults.CG_ROUNDS

    def __post_init__(self) -> None:
        positive_integer(self.truncation, "truncation")
        positive_integer(self.rounds, "rounds")
        if positive_integer(self.kd, "kd") < 2:
            raise UserError("kd is 1; a node counts as its own neighbour, so give 2 or more.")
        if not 0 <= self.alpha < 1:
            raise UserError(f"alpha is {self.alpha}; give a number in [0, 1).")
        if not self.gamma > 0:
            raise UserError(f"gamma is {self.gamma}; give a number above 0.")

    @property
    def list_length(self) -> int:
        """Neighbours a node, itself counted, that the offline stage needs to know."""
        return max(self.truncation, self.kd)


@dataclass(frozen=True)
class RankingSettings:
    """How descriptors become ranked lists; the defaults are the paper's.

    Attributes:
      aqe_n, aqe_n_with_dba: neighbours of query expansion, alone and over an augmented database.
      aqe_weights, dba_n, dba_weights, dba_normalize: see `jaxret.expand_queries`
        and `jaxret.augment_database`.
      aqe_alpha, dba_alpha: exponents of the weights "alpha".
      dfs: "joint" (queries and database in one graph) or "inductive" (queries unknown beforehand).
      dfs_rest: order of what diffusion leaves at 0, "global" or "none".
      kq: database neighbours that a query starts from in the inductive form.
      diffusion: truncation, kd, gamma, alpha and the stopping rule.
      block_size: rows a block, None for what the memory allows.
      depth: results of a query that are kept, None for all; diffusion wants all, and expansion and
        re-ranking look at as many as without it.
    """

    aqe_n: int = defaults.AQE_N
    aqe_n_with_dba: int = defaults.AQE_N_WITH_DBA
    aqe_weights: str = "none"
    dba_n: int = defaults.DBA_N
    dba_weights: str = "gordo"
    dba_normalize: bool = True
    aqe_alpha: float = weights.ALPHA
    dba_alpha: float = weights.ALPHA
    dfs: str = "joint"
    dfs_rest: str = "global"
    kq: int = defaults.DFS_KQ
    diffusion: DiffusionSettings = field(default_factory=DiffusionSettings)
    block_size: int | None = None
    depth: int | None = None

    def __post_init__(self) -> None:
        weights.check(self.aqe_n, self.aqe_weights, weights.QUERY_WEIGHTS)
        weights.check(self.aqe_n_with_dba, self.aqe_weights, weights.QUERY_WEIGHTS)
        weights.check(self.dba_n, self.dba_weights, weights.DATABASE_WEIGHTS)
        check_rest(self.dfs_rest)
        positive_integer(self.kq, "kq")
        if self.dfs not in DFS_FORMS:
            raise UserError(f"Unknown form of DFS {self.dfs!r}. Known: {', '.join(DFS_FORMS)}.")


# What the words of a ranking's name set, by step.
_OF_DIFFUSION = ("truncation", "kd", "gamma", "alpha")
_OF_AQE = {
    "n": ("aqe_n", "aqe_n_with_dba"),
    "weights": ("aqe_weights",),
    "alpha": ("aqe_alpha",),
}
_FIELDS: dict[str, dict[str, tuple[str, ...]]] = {
    "AQE": _OF_AQE,
    "AQEwD": _OF_AQE,
    "DBA": {
        "n": ("dba_n",),
        "weights": ("dba_weights",),
        "alpha": ("dba_alpha",),
        "normalize": ("dba_normalize",),
    },
    "DFS": {"form": ("dfs",), "rest": ("dfs_rest",), "kq": ("kq",)},
}


def settings_of(steps: Sequence[Step], settings: RankingSettings) -> RankingSettings:
    """The settings with what the steps of a ranking say of it."""
    changed: dict[str, Any] = {}
    for step in steps:
        said = dict(step.said)
        if step.name == "AQEwD":
            said["weights"] = "linear"
        if step.name == "DFS":
            of_diffusion = {name: said.pop(name) for name in _OF_DIFFUSION if name in said}
            changed["diffusion"] = replace(settings.diffusion, **of_diffusion)
        fields = _FIELDS.get(step.name, {})
        changed |= {field: said[word] for word in said for field in fields.get(word, ())}
    return replace(settings, **changed)


def names_of(steps: Sequence[Step]) -> frozenset[str]:
    """What a ranking is made of; AQE by both of its names."""
    return frozenset("AQE" if step.name == "AQEwD" else step.name for step in steps)


def list_length(rankings: Sequence[frozenset[str]], settings: RankingSettings) -> int:
    """The longest list, itself counted, that a node of the plain database needs."""
    dba = settings.dba_n + 1 if any("DBA" in names for names in rankings) else 1
    dfs = any("DFS" in names and "DBA" not in names for names in rankings)
    return max(dba, settings.diffusion.list_length if dfs else 1)


def check_rest(rest: str) -> None:
    """Refuses an order for the rows at 0 that is none."""
    if rest not in ("global", "none"):
        raise UserError(f"Unknown rest {rest!r}. Known: global, none.")


def positive_integer(value: int, what: str) -> int:
    """`value` as an int of at least 1.

    Raises:
      UserError: it is no whole number or below 1.
    """
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise UserError(f"{what} is {value}; give a whole number of at least 1.")
    return int(value)
