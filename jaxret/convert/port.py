"""The strict port: every array of the network is filled once, or the conversion is refused."""

from collections.abc import Mapping, MutableMapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxret.convert.layouts import Layout, layouts_of
from jaxret.convert.layouts.layout import to_numpy
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
    """
    spec = get(model) if isinstance(model, str) else model
    layout, arrays, prefix = _recognize(spec, state_dict)
    if layout.arrange is not None:
        given, arrays = arrays, layout.arrange(arrays, prefix, spec)
        if consume and isinstance(given, MutableMapping):
            given.clear()
    report = ConversionReport(spec.name, layout.name)
    wanted = {name: tuple(leaf.shape) for name, leaf in named_arrays(template(spec))}
    for name, path in _plan(layout, prefix, arrays, report, lenient).items():
        if path in wanted and path not in report.used.values():
            report.used[name] = path
        else:
            report.unexpected.append(name)
    report.missing += sorted(set(wanted) - set(report.used.values()))
    variables = _variables(layout, arrays, wanted, report, consume)
    report.check()
    pca = stored_pca(state_dict if extras is None else extras)
    return Encoder(spec, variables, whitening=pca), report


def _recognize(
    spec: ModelSpec, checkpoint: Mapping[str, Any]
) -> tuple[Layout, Mapping[str, Any], str]:
    """The layout whose anchor the file holds, its arrays, and the prefix of the encoder."""
    layouts = layouts_of(spec.layout)
    for layout in layouts:
        arrays = layout.unwrap(checkpoint)
        prefix = layout.prefix(arrays)
        if prefix is not None:
            return layout, arrays, prefix
    anchors = " or ".join(layout.anchor for layout in layouts)
    some = ", ".join(map(str, list(layouts[0].unwrap(checkpoint))[:3]))
    raise UserError(
        f"This is not a checkpoint of {spec.name}: it has no {anchors}, under any of the prefixes "
        f"in use (its first names are: {some or 'none'})."
    )


def _plan(
    layout: Layout,
    prefix: str,
    arrays: Mapping[str, Any],
    report: ConversionReport,
    lenient: bool,
) -> dict[str, str]:
    """Name in the checkpoint -> our path; the rest goes into the report."""
    plan: dict[str, str] = {}
    for name, value in arrays.items():
        reason = layout.reason_to_drop(name)
        path = None if reason else layout.locate(name, prefix, len(np.shape(value)))
        if path is not None:
            plan[name] = path
        elif reason is not None:
            report.dropped[name] = reason
        elif lenient and not layout.is_inside(name, prefix):
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
        array = to_numpy(value)
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
