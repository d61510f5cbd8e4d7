"""Which pooling of a network the settings ask for, and whether the network has it."""

from dataclasses import replace

from jaxret.descriptors import pooling_rows
from jaxret.descriptors.pooling_rows import MAP, REGIONS, Pooling
from jaxret.errors import UserError
from jaxret.models.encoder import BELOW_HEAD, layer_channels, output_channels
from jaxret.models.spec import ModelSpec
from jaxret.settings import Settings

_BLOCK, _BLOCKS = "block_", "blocks_"  # as people say it, and as networks call the stage


def name_of(spec: ModelSpec, settings: Settings) -> str:
    """What the settings ask for, or the row's own: the vector of a head where there is one."""
    return settings.pooling or ("pooled" if spec.head else spec.pooling)


def layer_of(spec: ModelSpec, settings: Settings) -> str | None:
    """The earlier stage that the settings ask for; None where the map is the encoder's own.

    Raises:
      UserError: the network has no such stage, or the pooling takes no map.
    """
    if settings.layers is None:
        return None
    layer = settings.layers
    if layer.startswith(_BLOCK):
        layer = _BLOCKS + layer.removeprefix(_BLOCK)
    known = layer_channels(spec)
    if layer not in known:
        raise UserError(f"{spec.name} has no layer {settings.layers}: it has {', '.join(known)}.")
    return None if layer == _own_layer(spec) else layer


def _own_layer(spec: ModelSpec) -> str:
    return BELOW_HEAD if spec.head else spec.tap


def pooling_of(spec: ModelSpec, settings: Settings) -> Pooling:
    """The pooling of an encoder under some settings.

    Raises:
      UserError: the network has no such output or stage; the sentence names those it has.
    """
    name, layer = name_of(spec, settings), layer_of(spec, settings)
    how = Pooling(
        name=name,
        layer=layer,
        p=settings.gem_p,
        negatives=settings.gem_negatives,
        levels=settings.rmac_levels,
        include_global=settings.rmac_include_global,
    )
    _check(how, spec, asked=settings.layers)
    if spec.head and name == "pooled":
        return replace(how, name="rmac")  # of the head's output, a map of one cell, as it ever was
    if spec.head and layer is None:
        how = replace(how, layer=BELOW_HEAD)
    return replace(how, name=REGIONS) if _regional(name, settings) else how


def _regional(name: str, settings: Settings) -> bool:
    return name == "rmac" and settings.rmac_whitening == "regions"


def _check(how: Pooling, spec: ModelSpec, asked: str | None) -> None:
    if how.takes() == (MAP,):  # every network has one
        return
    pooling_rows.check_outputs(how, output_channels(spec), spec.name)
    if asked is not None:
        raise UserError(
            f"--pooling={how.name} is made of the last layer, and --layers={asked} pools the map "
            "of one: leave out one of the two."
        )


def channels(spec: ModelSpec, how: Pooling) -> int:
    """Values of a descriptor before whitening; of one region where they are whitened each."""
    if how.takes() == (MAP,):
        return spec.channels if how.layer is None else layer_channels(spec)[how.layer]
    return sum(output_channels(spec)[name] for name in how.takes())
