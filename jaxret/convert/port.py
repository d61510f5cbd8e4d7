"""The strict port: every array of the network is filled once, or the conversion is refused."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxret.convert.layouts import LAYOUTS, Layout
from jaxret.convert.report import ConversionReport
from jaxret.errors import UserError
from jaxret.models.encoder import Encoder, named_arrays, template
from jaxret.models.registry import ModelSpec, get


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


def port(model: str | ModelSpec, state_dict: Mapping[str, Any]) -> tuple[Encoder, ConversionReport]:
    """As `from_state_dict`, with the account of what was used and what was dropped."""
    spec = get(model) if isinstance(model, str) else model
    layout, arrays, prefix = _recognize(spec, state_dict)
    report = ConversionReport(spec.name)
    wanted = {name: tuple(leaf.shape) for name, leaf in named_arrays(template(spec))}
    variables: dict[str, Any] = {"params": {}, "batch_stats": {}}
    for name, path in _plan(layout, prefix, arrays, report).items():
        if path not in wanted or path in report.used.values():
            report.unexpected.append(name)
            continue
        report.used[name] = path
        _fill(variables, path, arrays[name], name, wanted[path], layout, report)
    report.missing += sorted(set(wanted) - set(report.used.values()))
    report.check()
    return Encoder(spec, variables), report


def _recognize(
    spec: ModelSpec, checkpoint: Mapping[str, Any]
) -> tuple[Layout, Mapping[str, Any], str]:
    """The layout whose anchor the file holds, its arrays, and the prefix of the encoder."""
    for layout in LAYOUTS[spec.layout]:
        arrays = layout.unwrap(checkpoint)
        prefix = layout.prefix(arrays)
        if prefix is not None:
            return layout, arrays, prefix
    anchors = " or ".join(layout.anchor for layout in LAYOUTS[spec.layout])
    some = ", ".join(map(str, list(checkpoint)[:3]))
    raise UserError(
        f"This is not a checkpoint of {spec.name}: {anchors} is missing, under any of the "
        f"prefixes in use (it begins with {some or 'nothing'})."
    )


def _plan(
    layout: Layout, prefix: str, arrays: Mapping[str, Any], report: ConversionReport
) -> dict[str, str]:
    """Name in the checkpoint -> our path; the rest goes into the report."""
    import re

    plan: dict[str, str] = {}
    for name, value in arrays.items():
        inner = name.removeprefix(prefix)
        reason = layout.reason_to_drop(name)
        if name.startswith(prefix) and re.match(layout.kept, inner) and reason is None:
            plan[name] = layout.path(inner, len(np.shape(value)))
        elif reason is not None:
            report.dropped[name] = reason
        else:
            report.unexpected.append(name)
    return plan


def _fill(
    variables: dict[str, Any],
    path: str,
    value: Any,
    name: str,
    wanted: tuple[int, ...],
    layout: Layout,
    report: ConversionReport,
) -> None:
    axes = _axes_to_ours(layout, path, len(wanted))
    array = _to_numpy(value)
    theirs = tuple(wanted[axes.index(axis)] for axis in range(len(axes)))
    if array.shape != theirs:
        report.misshapen.append((name, array.shape, theirs))
        return
    if not np.isfinite(array).all():
        report.invalid.append((name, "holds NaN or infinity"))
        return
    *parents, leaf = path.split("/")
    node = variables
    for parent in parents:
        node = node.setdefault(parent, {})
    node[leaf] = jnp.asarray(np.ascontiguousarray(array.transpose(axes)))


def _axes_to_ours(layout: Layout, path: str, count: int) -> tuple[int, ...]:
    """PyTorch kernels are [out, in, kh, kw] and [out, in]; ours [kh, kw, in, out], [in, out]."""
    if layout.order == "torch" and path.endswith("/kernel"):
        return (2, 3, 1, 0) if count == 4 else (1, 0)
    return tuple(range(count))


def _to_numpy(value: Any) -> np.ndarray:
    """A host array in float32 of a NumPy array or a PyTorch tensor on any device."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().float().numpy()
    return np.asarray(value, dtype=np.float32)
