"""Every pooling as a row: which outputs of an encoder it takes, and how one vector is made of them.

Outputs are those of `Encoder.outputs`: "map" [B, H, W, C], "cls" [B, C], "pooled" [B, D]. A joined
pooling ("cls+gem") puts its parts side by side as they are, as DINO's copy detection and DINOv2's
linear evaluation do.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxret import defaults
from jaxret.descriptors.crow import crow
from jaxret.descriptors.pooling import gem, mac, spoc
from jaxret.descriptors.rmac import region_vectors, rmac
from jaxret.errors import UserError

MAP = "map"


@dataclass(frozen=True)
class Pooling:
    """One pooling with all its numbers; hashable, so that it can be a static argument of jax.jit.

    Attributes:
      name: of ROWS.
      layer: the stage whose map it takes; None for the encoder's own.
      p, negatives: of GeM.
      levels, include_global: of R-MAC.
    """

    name: str = "rmac"
    layer: str | None = None
    p: float = defaults.GEM_P
    negatives: str = "clamp"
    levels: int = defaults.RMAC_LEVELS
    include_global: bool = False

    def __call__(self, outputs: Mapping[str, jax.Array]) -> jax.Array:
        """[B, D] float32, not normalised; the maps of layers lie in `outputs` by their names."""
        if self.layer is not None:
            outputs = {**outputs, MAP: outputs[self.layer]}
        vectors = [_part(one).pool(outputs, self) for one in self.name.split("+")]
        return jnp.concatenate(vectors, axis=-1)

    def takes(self) -> tuple[str, ...]:
        """The outputs that it is made of."""
        return tuple(_part(one).output for one in self.name.split("+"))

    def key(self) -> dict[str, Any]:
        """What decides the vector, beside the outputs, as plain data.

        R-MAC of the encoder's own map has the key of the time when there was nothing else.
        """
        decided = {name: getattr(self, field) for name, field in self._parameters()}
        if self.name == "rmac" and self.layer is None:
            return decided
        layer = {} if self.layer is None else {"layer": self.layer}
        return {"pooling": self.name, **layer, **decided}

    def _parameters(self) -> list[tuple[str, str]]:
        parts = [_part(one) for one in self.name.split("+")]
        return [(name, field) for part in parts for name, field in part.parameters.items()]


@dataclass(frozen=True)
class Row:
    """How one vector is made.

    Attributes:
      output: of the encoder, that it takes.
      pool: (outputs, numbers) -> [B, D].
      source: who makes vectors so.
      parameters: the fields of Pooling that decide it, by their names in keys.
    """

    output: str
    pool: Callable[[Mapping[str, jax.Array], Pooling], jax.Array]
    source: str
    parameters: Mapping[str, str]


_GRID = {"rmac_levels": "levels", "rmac_include_global": "include_global"}
_POWER = {"gem_p": "p", "gem_negatives": "negatives"}
_NONE: dict[str, str] = {}


def _vector(name: str) -> Callable[[Mapping[str, jax.Array], Pooling], jax.Array]:
    return lambda outputs, _: _wide(outputs[name])


def _wide(x: jax.Array) -> jax.Array:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _flat_regions(outputs: Mapping[str, jax.Array], how: Pooling) -> jax.Array:
    vectors = region_vectors(outputs[MAP], how.levels, how.include_global)
    return vectors.reshape(len(vectors), -1)


ROWS: dict[str, Row] = {
    "rmac": Row(
        MAP,
        lambda outputs, how: rmac(outputs[MAP], how.levels, how.include_global),
        "Tolias et al., ICLR 2016",
        _GRID,
    ),
    "gem": Row(
        MAP,
        lambda outputs, how: gem(outputs[MAP], how.p, negatives=how.negatives),
        "Radenovic et al., TPAMI 2018",
        _POWER,
    ),
    "mac": Row(MAP, lambda outputs, _: mac(outputs[MAP]), "Tolias et al., ICLR 2016", _NONE),
    "spoc": Row(
        MAP, lambda outputs, _: spoc(outputs[MAP]), "Babenko and Lempitsky, ICCV 2015", _NONE
    ),
    "crow": Row(MAP, lambda outputs, _: crow(outputs[MAP]), "Kalantidis et al., ECCVW 2016", _NONE),
    "cls": Row("cls", _vector("cls"), "Caron et al., ICCV 2021 (DINO)", _NONE),
    "mean": Row(MAP, lambda outputs, _: spoc(outputs[MAP]), "He et al., CVPR 2022 (MAE)", _NONE),
    "pooled": Row("pooled", _vector("pooled"), "the network's own head", _NONE),
}
# R-MAC before its sum, [B, R * C]: what `--rmac_whitening=regions` keeps. No pooling to ask for.
REGIONS = "rmac regions"
_REGIONS = Row(MAP, _flat_regions, "Tolias et al., ICLR 2016", _GRID)


def _part(name: str) -> Row:
    return _REGIONS if name == REGIONS else ROWS[name]


def pool(
    outputs: Mapping[str, ArrayLike],
    name: str,
    p: float = defaults.GEM_P,
    negatives: str = "clamp",
    levels: int = defaults.RMAC_LEVELS,
    include_global: bool = False,
) -> jax.Array:
    """One vector of an encoder's outputs.

    Args:
      outputs: of `Encoder.outputs`; a map of another stage goes in as {"map": ...}.
      name: rmac, gem, mac, spoc, crow, cls, mean, pooled, cls+gem or cls+mean.
      p, negatives: of GeM, see `gem`.
      levels, include_global: of R-MAC, see `rmac`.

    Returns:
      [B, D] float32, not normalised.

    Raises:
      UserError: there is no such pooling, or the outputs are not there that it takes.
    """
    check_name(name)
    how = Pooling(name, p=p, negatives=negatives, levels=levels, include_global=include_global)
    check_outputs(how, outputs, "This encoder")
    return how({key: jnp.asarray(value) for key, value in outputs.items()})


def check_name(name: str) -> None:
    """Raises UserError, naming the nearest, unless a pooling is called so."""
    if name in defaults.POOLINGS:
        return
    nearest = difflib.get_close_matches(name, defaults.POOLINGS, n=1)
    hint = f" Nearest: {nearest[0]}." if nearest else ""
    raise UserError(f"Unknown pooling {name!r}.{hint} Known: {', '.join(defaults.POOLINGS)}.")


def check_outputs(how: Pooling, outputs: Mapping[str, Any], whose: str) -> None:
    """Raises UserError, naming the poolings that there are, where an output is missing."""
    if all(name in outputs for name in how.takes()):
        return
    possible = [
        name for name in defaults.POOLINGS if set(replace(how, name=name).takes()) <= set(outputs)
    ]
    missing = next(name for name in how.takes() if name not in outputs)
    why = "" if how.name == missing else f", which needs its {missing}"
    raise UserError(f"{whose} has no {how.name}{why}. It has {', '.join(possible)}.")
