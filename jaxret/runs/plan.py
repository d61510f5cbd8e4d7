"""A run as a graph of stages whose shared parts are done once.

    features of a member on a dataset -> joined, whitened at each dimension -> each ranking

Features come first, one encoder after the other, so that each is loaded once; every evaluation then
finds them in the workdir. What cannot run is known before anything does, with the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxret import data
from jaxret.data.dataset import Dataset
from jaxret.errors import UserError
from jaxret.settings import LEARNT, Settings
from jaxret.stages.context import INCOMPLETE, RunContext, any_dimension
from jaxret.stages.encoders import check_names
from jaxret.stages.features import Features
from jaxret.stages.passes import Pass, passes
from jaxret.stages.poolings import channels, pooling_of
from jaxret.stages.whitening import unbearable

Gap = dict[str, Any]  # any of model, dataset, dim; and reason


@dataclass
class Plan:
    """What will run, in order, and what will not.

    Attributes:
      features: each once, all datasets of an encoder behind each other.
      passes: of photographs through encoders that make them, in the same order.
      gaps: what is not run, see `report.results.Results`.
      missing: the gaps that weights or data to be fetched would close.
    """

    features: list[Features] = field(default_factory=list)
    passes: list[Pass] = field(default_factory=list)
    evaluations: list[Settings] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def make(every: Sequence[Settings], context: RunContext, demand: bool = True) -> Plan:
    """The plan of some evaluations.

    Args:
      demand: that something can run.

    Raises:
      UserError: a name is unknown, or nothing at all can run.
    """
    plan = Plan()
    check_names(every)
    absent = _absent_datasets(every, context, plan, demand)
    absent |= _absent_members(every, context, plan, demand)
    for settings in every:
        if absent & set(needs(settings)) or _impossible(settings, context, plan, len(every)):
            continue
        if not _too_large(settings, context, plan):
            plan.evaluations.append(settings)
    if demand and not plan.evaluations:
        raise UserError(_nothing_runs(plan))
    _add_features(plan, context)
    _note_dimensions(plan, context)
    return plan


def _nothing_runs(plan: Plan) -> str:
    reasons = list(dict.fromkeys(str(gap["reason"]) for gap in plan.gaps))
    if len(reasons) == 1:
        return reasons[0]
    return "Nothing of this can run:" + "".join(f"\n- {reason}" for reason in reasons)


def needs(settings: Settings) -> list[str]:
    """Members and datasets of an evaluation, told apart by what they are."""
    datasets = [settings.dataset] + ([settings.whiten_on] if settings.whiten_on else [])
    return [
        *(f"model {member}" for member in settings.members),
        *(f"dataset {dataset}" for dataset in datasets),
    ]


def _absent_datasets(
    every: Sequence[Settings], context: RunContext, plan: Plan, demand: bool
) -> set[str]:
    absent = set()
    wanted = {s.dataset: s for s in every} | {s.whiten_on: s for s in every if s.whiten_on}
    for name, settings in wanted.items():
        try:
            dataset = context.dataset(name, settings)
        except UserError as error:
            if name not in data.names() or (demand and len(every) == 1):
                raise
            plan.gaps.append({"dataset": name, "reason": str(error)})
            plan.missing.append(str(error))
            absent.add(f"dataset {name}")
        else:
            plan.gaps += _incomplete(name, dataset)
    return absent


def _incomplete(name: str, dataset: Dataset) -> list[Gap]:
    """The tables' cells of a benchmark that is there in part: its figures compare with none."""
    notes = [note for note in dataset.notes if note.startswith(INCOMPLETE)]
    return [{"dataset": name, "reason": note} for note in notes]


def _absent_members(
    every: Sequence[Settings], context: RunContext, plan: Plan, demand: bool
) -> set[str]:
    absent = set()
    for member, settings in {m: s for s in every for m in s.members}.items():
        try:
            context.encoders.identity(member, settings)
        except UserError as error:
            if member in settings.checkpoints or (demand and len(every) == 1):
                raise
            plan.gaps.append({"model": member, "reason": str(error)})
            plan.missing.append(str(error))
            absent.add(f"model {member}")
    return absent


def _impossible(settings: Settings, context: RunContext, plan: Plan, count: int) -> bool:
    """Whether a member has not the pooling or layer; the only evaluation of a run is an error."""
    try:
        for member in settings.members:
            pooling_of(context.encoders.identity(member, settings).spec, settings)
    except UserError as error:
        if count == 1:
            raise
        dataset = context.dataset(settings.dataset, settings).name
        plan.gaps.append({"model": settings.label, "dataset": dataset, "reason": str(error)})
        return True
    return False


def _too_large(settings: Settings, context: RunContext, plan: Plan) -> bool:
    """Whether the dataset cannot bear the PCA dimension; its cell then says why."""
    if settings.whitening != LEARNT:
        return False
    learnt_on = context.dataset(settings.whiten_on or settings.dataset, settings)
    specs = [context.encoders.identity(member, settings).spec for member in settings.members]
    width = sum(channels(spec, pooling_of(spec, settings)) for spec in specs)
    reason = unbearable(settings.pca_dim, len(learnt_on.database), width)
    if reason:
        dataset = context.dataset(settings.dataset, settings).name
        place = {"model": settings.label, "dataset": dataset, "dim": settings.pca_dim}
        plan.gaps.append({**place, "reason": f"{reason} (on {learnt_on.name})."})
    return bool(reason)


def features_of(settings: Settings, context: RunContext) -> list[Features]:
    """The features that an evaluation stands on."""
    datasets = [name for name in (settings.whiten_on, settings.dataset) if name]
    return [context.features(m, name, settings) for m in settings.members for name in datasets]


def _add_features(plan: Plan, context: RunContext) -> None:
    wanted = {id(f): f for settings in plan.evaluations for f in features_of(settings, context)}
    order = list(dict.fromkeys(one.identity.name for one in wanted.values()))
    plan.features = sorted(wanted.values(), key=lambda one: order.index(one.identity.name))
    plan.passes = passes(plan.features)


def _note_dimensions(plan: Plan, context: RunContext) -> None:
    """The largest dimension of each model on each dataset: one eigendecomposition serves all."""
    for settings in plan.evaluations:
        if isinstance(settings.pca_dim, int):
            place = any_dimension(settings)
            context.whitening_dims[place] = max(
                settings.pca_dim, context.whitening_dims.get(place, 0)
            )
