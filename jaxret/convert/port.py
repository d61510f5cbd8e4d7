"""The strict port: every array of the network is filled once, or the conversion is refused."""

from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxret.convert import networks
from jaxret.convert.layouts import Layout, layouts_of
from jaxret.convert.layouts.layout import to_numpy
from jaxret.convert.networks import Network
from jaxret.convert.reading.mappings import is_array, likeliest, mappings_of
from jaxret.convert.report import ConversionReport
from jaxret.convert.stored_pca import stored_pca
from jaxret.errors import UserError
from jaxret.models.encoder import Encoder, named_arrays, template
from jaxret.models.registry import get
from jaxret.models.spec import ModelSpec


def from_state_dict(model: str | ModelSpec, state_dict: Mapping[str, Any]) -> Encoder:
    """The encoder of a row with the weights of its authors' checkpoint.

    Args:
        model: A name of the registry, or a row.
        state_dict: name -> NumPy array or PyTorch tensor, with the names, prefixes and wrappers
            that the authors publish.

    Raises:
        UserError: An array is missing, unexpected, of another shape or not finite; the sentence
            names it.
    """
    return port(model, state_dict)[0]


def port(
    model: str | ModelSpec,
    state_dict: Mapping[str, Any],
    extras: Mapping[str, Any] | None = None,
    consume: bool = False,
    lenient: bool = False,
    key: str | None = None,
    stem_pool: str | None = None,
) -> tuple[Encoder, ConversionReport]:
    """As `from_state_dict`, with the account of what was used and what was dropped.

    Args:
        model: A name of the registry, or a row.
        state_dict: name -> array or tensor.
        extras: What the file holds beside them: a "pca" among them is kept with the encoder.
            None: whatever lies beside the wrapper in `state_dict`.
        consume: Take each array out of `state_dict` as it is used, so that large networks are
            never held twice.
        lenient: Names outside the encoder that no rule knows are listed as dropped, not refused.
            Inside the encoder nothing is forgiven.
        key: Which network, where the file holds several: its wrapper and prefix, or parts of them.
        stem_pool: Padding of a ResNet's max-pool, "torch" or "same", instead of that of the file's
            form or the row.
    """
    spec = get(model) if isinstance(model, str) else model
    network = _recognize(spec, state_dict, key)
    spec = _as_made(spec, network.layout, stem_pool)
    report = ConversionReport(spec.name, network.layout.name, network.label)
    network = _arranged(network, spec, consume)
    report.notes += [note for note in (network.statement(), *assumptions(spec)) if note]
    wanted = {name: tuple(leaf.shape) for name, leaf in named_arrays(template(spec))}
    for name, path in _plan(network, report, lenient).items():
        if path in wanted and path not in report.used.values():
            report.used[name] = path
        else:
            report.unexpected.append(name)
    report.missing += sorted(set(wanted) - set(report.used.values()))
    variables = _variables(network.layout, network.arrays, wanted, report, consume)
    report.check()
    pca = stored_pca(state_dict if extras is None else extras)
    return Encoder(spec, variables, whitening=pca), report


def _recognize(spec: ModelSpec, checkpoint: Mapping[str, Any], key: str | None) -> Network:
    """The network that is meant among those whose names the row's layouts know."""
    layouts = layouts_of(spec.layout)
    chosen = networks.choose(networks.find(checkpoint, layouts), key, spec.name)
    if chosen is not None:
        return chosen
    anchors = " or ".join(_sign(layout) for layout in layouts)
    held = mappings_of(checkpoint)
    names = held[likeliest(held)] if held else checkpoint
    some = ", ".join(map(str, list(names)[:3]))
    raise UserError(
        f"This is not a checkpoint of {spec.name}: it has no {anchors}, under any wrapper or "
        f"prefix (its first names are: {some or 'none'})."
    )


def _arranged(network: Network, spec: ModelSpec, consume: bool) -> Network:
    """The network with its arrays as the rules of its layout know them."""
    if network.layout.arrange is None:
        return network
    given = network.arrays
    arrays = network.layout.arrange(given, network.prefix, spec)
    if consume and isinstance(given, MutableMapping):
        given.clear()
    return replace(network, arrays=arrays)


def _sign(layout: Layout) -> str:
    """The names by which a network of the layout is known."""
    return layout.anchor if layout.prefixes else f"{layout.anchor} with {layout.witness}"


def _as_made(spec: ModelSpec, layout: Layout, stem_pool: str | None) -> ModelSpec:
    """The row with the arguments that files of this form were made with, or as it is told."""
    changes = dict(layout.network) if spec.architecture == "resnet" else {}
    if stem_pool is not None:
        if spec.architecture != "resnet":
            raise UserError(f"--stem_pool is of ResNets, and {spec.name} is none.")
        changes["stem_pool"] = stem_pool
    own = {"stem_pool": "torch", **dict(spec.arguments)}
    changes = {name: value for name, value in changes.items() if own.get(name) != value}
    return spec.with_arguments(**changes) if changes else spec


def assumptions(spec: ModelSpec) -> list[str]:
    """What names and shapes cannot tell of a network, as it was assumed."""
    mean, std = (", ".join(f"{one:.6g}" for one in values) for values in (spec.mean, spec.std))
    pixels = f"pixels: in [0, 1], mean ({mean}), std ({std})"
    if spec.architecture != "resnet":
        return [pixels]
    arguments: dict[str, Any] = dict(spec.arguments)
    padded = {"torch": "as PyTorch pads it", "same": "as TensorFlow's SAME"}
    stem = padded[arguments.get("stem_pool", "torch")]
    return [
        f"network: torchvision's resnet{arguments['depth']}, max-pool {stem}; variants of the same "
        "names and shapes (timm's resnetblur50) are not told from it",
        pixels,
    ]


def _plan(network: Network, report: ConversionReport, lenient: bool) -> dict[str, str]:
    """Name in the checkpoint -> our path; the rest goes into the report."""
    layout, prefix = network.layout, network.prefix
    rivals = [one.prefix for one in network.others if one.key == network.key and one.prefix]
    plan: dict[str, str] = {}
    for name, value in network.arrays.items():
        inside = layout.is_inside(name, prefix)
        reason = layout.reason_to_drop(name, prefix if inside else "")
        path = None if reason else layout.locate(name, prefix, len(np.shape(value)))
        if path is not None:
            plan[name] = path
        elif reason is not None:
            report.dropped[name] = reason
        elif not inside and name.startswith(tuple(rivals)):
            report.dropped[name] = "another network"
        elif not inside and not is_array(value):
            report.dropped[name] = "no array"
        elif lenient and not inside:
            report.dropped[name] = "not of the encoder"
        else:
            report.unexpected.append(name)
    return plan


def _variables(
    layout: Layout,
    arrays: Mapping[str, Any],
    wanted: Mapping[str, tuple[int, ...]],
    report: ConversionReport,
    consume: bool,
) -> dict[str, Any]:
    """The nested dict of all arrays that can be used; those that cannot go into the report."""
    variables: dict[str, Any] = {"params": {}, "batch_stats": {}}
    for name, path in report.used.items():
        value = arrays[name]
        if consume and isinstance(arrays, MutableMapping):
            del arrays[name]
        array = _converted(value, name, path, wanted[path], layout, report)
        if array is not None:
            # A copy: the tensors of a live PyTorch module change when it is run in training mode.
            _put(variables, path, jnp.array(array))
    return variables


def _converted(
    value: Any,
    name: str,
    path: str,
    wanted: tuple[int, ...],
    layout: Layout,
    report: ConversionReport,
) -> np.ndarray | None:
    """The array as we hold it; None, with a line in the report, where it cannot be used."""
    axes = layout.axes_to_ours(path, len(wanted))
    theirs = layout.their_shape(path, wanted)
    try:
        array = to_numpy(name, value)
    except (TypeError, ValueError):
        report.invalid.append((name, f"is a {type(value).__name__}, not an array of numbers"))
        return None
    if not layout.flat_vectors and len(wanted) == 1 and array.shape == (1, 1, 1, *wanted):
        array = array.reshape(wanted)
    if array.shape != theirs:
        report.misshapen.append((name, array.shape, theirs))
    elif not np.isfinite(array).all():
        report.invalid.append((name, "holds NaN or infinity"))
    else:
        whole = array.reshape((1,) * (len(wanted) - array.ndim) + array.shape)
        return np.ascontiguousarray(whole.transpose(axes))
    return None


def _put(tree: dict[str, Any], path: str, array: Any) -> None:
    *parents, leaf = path.split("/")
    for parent in parents:
        tree = tree.setdefault(parent, {})
    tree[leaf] = array
