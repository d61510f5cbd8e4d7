"""The grammar of rankings: "G+AQE(alpha=3,n=50)+SG(m=100)" is steps in order, with their numbers.

    ranking = G {"+" step}        step = NAME ["(" parameter=value {"," parameter=value} ")"]

The steps and their order: G, DBA, AQE or AQEwD, DFS, then SG and KR. What a name leaves unsaid is
as the settings have it. Rankings of `defaults.OTHER_RANKINGS` are names of their own.
"""

import difflib
import itertools
import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from jaxret import defaults
from jaxret.errors import UserError


@dataclass(frozen=True)
class Number:
    """A number that a parameter may take, and which ones in words."""

    kind: type
    words: str
    allows: Callable[[Any], bool]

    def read(self, text: str) -> Any:
        """The value; ValueError where it is none."""
        value = self.kind(text)
        if not (math.isfinite(value) and self.allows(value)):
            raise ValueError(text)
        return value

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Word:
    """One of a few words, and what each stands for."""

    words: dict[str, Any]

    def read(self, text: str) -> Any:
        """What the word stands for; ValueError where it is none of them."""
        if text not in self.words:
            raise ValueError(text)
        return self.words[text]

    def __str__(self) -> str:
        return " or ".join(self.words)


def _words(*words: str) -> Word:
    return Word({word: word for word in words})


_COUNT = Number(int, "a whole number, 1 or more", lambda v: v >= 1)
_NEIGHBOURS = Number(int, "a whole number, 0 or more", lambda v: v >= 0)
_KD = Number(int, "a whole number, 2 or more (a node counts itself)", lambda v: v >= 2)
_NOT_NEGATIVE = Number(float, "a number, 0 or more", lambda v: v >= 0)
_POSITIVE = Number(float, "a number above 0", lambda v: v > 0)
_BELOW_ONE = Number(float, "a number from 0 to below 1", lambda v: 0 <= v < 1)
_SHARE = Number(float, "a number from 0 to 1", lambda v: 0 <= v <= 1)
# Of each step, what it takes. `n`: neighbours averaged; the others as in the functions.
STEPS: dict[str, dict[str, Number | Word]] = {
    "G": {},
    "DBA": {
        "n": _NEIGHBOURS,
        "weights": _words("gordo", "linear", "uniform", "alpha"),
        "alpha": _NOT_NEGATIVE,
        "normalize": Word({"yes": True, "no": False}),
    },
    "AQE": {
        "n": _NEIGHBOURS,
        "weights": _words("none", "linear", "alpha"),
        "alpha": _NOT_NEGATIVE,
    },
    "AQEwD": {"n": _NEIGHBOURS},
    "DFS": {
        "form": _words("joint", "inductive"),
        "truncation": _COUNT,
        "kd": _KD,
        "kq": _COUNT,
        "gamma": _POSITIVE,
        "alpha": _BELOW_ONE,
        "rest": _words("global", "none"),
    },
    "SG": {"m": _COUNT, "k": _COUNT, "beta": _NOT_NEGATIVE, "pool": _words("max", "mean")},
    "KR": {"m": _COUNT, "k1": _COUNT, "k2": _COUNT, "weight": _SHARE},
}
_PLACE = {"G": 0, "DBA": 1, "AQE": 2, "AQEwD": 2, "DFS": 3, "SG": 4, "KR": 4}
_LAST = 4  # of these both may stand, in either order
ORDER = "G, DBA, AQE or AQEwD, DFS, then SG and KR"
# (step, parameter): the choice that it brings with it, and that no other word may contradict.
_BRINGS = {
    ("AQE", "alpha"): ("weights", "alpha"),
    ("DBA", "alpha"): ("weights", "alpha"),
    ("DFS", "kq"): ("form", "inductive"),
}


@dataclass(frozen=True)
class Step:
    """One step of a ranking and what its name says of it."""

    name: str
    said: tuple[tuple[str, Any], ...] = ()


def split(text: str) -> list[str]:
    """Rankings at the commas outside of parentheses, without spaces; empty ones are left out."""
    parts = _outside(re.sub(r"\s", "", text), ",")
    return [part for part in parts if part]


def step_names(ranking: str) -> list[str]:
    """The names of a ranking's steps, whatever they are."""
    return [part.partition("(")[0] for part in _outside(ranking, "+")]


def parse(ranking: str) -> tuple[Step, ...]:
    """The steps of a ranking.

    Raises:
      UserError: an unknown step or parameter, one out of its range or place; one sentence that says
        what there is.
    """
    try:
        steps = tuple(_step(part) for part in _outside(ranking, "+"))
        _check_order([step.name for step in steps])
    except ValueError as error:
        others = ", ".join(defaults.OTHER_RANKINGS)
        beside = f"; rankings of your own: {others}" if others else ""
        raise UserError(f"Ranking {ranking!r}: {error}{beside}.") from None
    return steps


def _outside(text: str, mark: str) -> list[str]:
    """The parts of a text at the marks that stand in no parentheses."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == mark and depth <= 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _step(text: str) -> Step:
    match = re.fullmatch(r"([^()]*)(?:\(([^()]*)\))?", text)
    if match is None:
        raise ValueError(f"the parentheses of {text!r} do not close; write AQE(alpha=3,n=50)")
    name, inside = match[1].strip(), match[2]
    if name not in STEPS:
        raise ValueError(f"there is no step {name!r}{_nearest(name, STEPS)}; there are {ORDER}")
    said: dict[str, Any] = {}
    for one in inside.split(",") if inside is not None else ():
        parameter, value = _parameter(name, one)
        if parameter in said:
            raise ValueError(f"{name} says {parameter} twice")
        said[parameter] = value
    for parameter in tuple(said):
        _bring(name, parameter, said)
    return Step(name, tuple(said.items()))


def _parameter(step: str, text: str) -> tuple[str, Any]:
    name, equals, value = (part.strip() for part in text.partition("="))
    known = STEPS[step]
    if name not in known or not equals:
        if not known:
            raise ValueError(f"{step} takes no parameters")
        what = f"no {name!r}{_nearest(name, known)}" if equals else f"no value for {text!r}"
        raise ValueError(f"{step} has {what}: it takes {', '.join(known)}")
    try:
        return name, known[name].read(value)
    except ValueError:
        raise ValueError(f"{name}={value} of {step} must be {known[name]}") from None


def _bring(step: str, parameter: str, said: dict[str, Any]) -> None:
    if (step, parameter) in _BRINGS:
        choice, value = _BRINGS[step, parameter]
        if said.setdefault(choice, value) != value:
            raise ValueError(
                f"{parameter} of {step} goes with {choice}={value}, not {said[choice]}"
            )


def _check_order(names: list[str]) -> None:
    if names[0] != "G":
        raise ValueError(f"a ranking begins with G; the order is {ORDER}")
    for before, name in itertools.pairwise(names):
        again = names.count(name) > 1
        if again or _PLACE[name] < _PLACE[before] or _PLACE[name] == _PLACE[before] < _LAST:
            what = f"{name} stands twice" if again else f"{name} cannot follow {before}"
            raise ValueError(f"{what}; the order is {ORDER}")


def _nearest(name: str, known: Collection[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    return f" (nearest: {found[0]})" if found else ""
