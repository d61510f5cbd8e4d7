"""What a run would do: which stages, what lies in the workdir, time and disk, without doing it.

The time is an estimate: the arithmetic of each encoder as XLA counts it, over the speed that this
machine shows on a matrix product. Nothing is loaded but what identifies weights and photographs.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from jaxret import defaults, fetch, models
from jaxret.data.benchmarks import registry
from jaxret.models.encoder import forward, template
from jaxret.models.spec import ModelSpec
from jaxret.pipeline import ranking_settings, rankings_of
from jaxret.report.page.summary import duration
from jaxret.runs.plan import Plan, features_of
from jaxret.settings import Settings
from jaxret.stages.cached_results import CachedResults
from jaxret.stages.context import RunContext
from jaxret.stages.passes import Pass
from jaxret.stages.poolings import channels

ENCODER_SHARE = 0.6  # of a matrix product's speed that convolutions reach (measured, ResNet-50)
SECONDS_A_NODE = 1e-3  # one diffusion on two CPU cores, neighbours included (measured, 5063 nodes)


@dataclass(frozen=True)
class Stage:
    """One line of the forecast: what, how far it is, seconds and bytes that are left to do."""

    name: str
    state: str
    seconds: float = 0.0
    disk: int = 0


class _Costs:
    """Seconds a photograph of each encoder on this machine."""

    def __init__(self) -> None:
        self._speed = _speed() * jax.local_device_count() * jax.process_count()
        self._known: dict[tuple[ModelSpec, int], float] = {}

    def of(self, spec: ModelSpec, image_size: int) -> float:
        key = replace(spec, name="", note="", sources=()), image_size
        if key not in self._known:
            self._known[key] = _arithmetic(*key) / self._speed
        return self._known[key]


def forecast(plan: Plan, context: RunContext, every: Sequence[Settings]) -> list[Stage]:
    """The stages of a plan in their order, then those that wait for weights or photographs."""
    costs = _Costs()
    return [
        *(_features(together, costs, context) for together in plan.passes),
        *_waiting(plan, every, costs),
        *(_ranking(settings, context) for settings in plan.evaluations),
    ]


def describe(plan: Plan, context: RunContext, every: Sequence[Settings]) -> str:
    """The forecast as lines for the terminal."""
    stages = forecast(plan, context, every)
    width = max((len(stage.name) for stage in stages), default=0)
    lines = []
    for stage in stages:
        costs = "" if not stage.seconds else f"  about {' '.join(duration(stage.seconds))}"
        costs += f", {fetch.human_size(stage.disk)}" if stage.disk else ""
        lines.append(f"{stage.name.ljust(width)}  {stage.state}{costs}")
    seconds = sum(stage.seconds for stage in stages)
    disk = sum(stage.disk for stage in stages)
    lines.append(
        f"To do: about {' '.join(duration(seconds))} on this machine and "
        f"{fetch.human_size(disk)} of disk in {context.store.root}. Nothing was run."
    )
    missing = [f"Missing: {sentence}" for sentence in plan.missing]
    others = [
        f"Not run: {', '.join(str(v) for k, v in gap.items() if k != 'reason')}: {gap['reason']}"
        for gap in plan.gaps
        if gap["reason"] not in plan.missing
    ]
    return "\n".join([*missing, *others, *lines])


def _waiting(plan: Plan, every: Sequence[Settings], costs: _Costs) -> list[Stage]:
    """What is to be described once weights and photographs are here, by the published counts."""
    planned = {(f.identity.name, f.settings.dataset) for f in plan.features}
    wanted = {(m, s.dataset): s for s in every for m in s.members if m not in s.checkpoints}
    stages = []
    for (member, dataset), settings in wanted.items():
        row = registry.BENCHMARKS.get(dataset)
        if row is None or (member, dataset) in planned:
            continue
        spec = models.get(member)
        passes = row.queries + row.database * (1 + _recalibrates(spec, settings))
        stages.append(
            Stage(
                name=f"features of {member} on {dataset}",
                state=f"{row.queries + row.database} photographs to describe, once they can be",
                seconds=passes * costs.of(spec, settings.image_size or defaults.IMAGE_SIZE),
                disk=(row.queries + row.database) * 4 * spec.channels,
            )
        )
    return stages


def _recalibrates(spec: ModelSpec, settings: Settings) -> bool:
    return settings.bn_recalibration != "none" and spec.has_batch_norm


def _features(together: Pass, costs: _Costs, context: RunContext) -> Stage:
    """One pass of photographs through an encoder, whatever number of poolings it makes."""
    features, dataset = together.features, together.features.dataset
    spec = features.identity.spec
    missing, whole = together.missing(context.store), len(dataset.queries) + len(dataset.database)
    passes = missing + (features.recalibration_missing(context.store) if missing else 0)
    state = "there" if not missing else f"{missing} of {whole} photographs to describe"
    width = sum(channels(spec, how.pooling) for how in together.several.values())
    return Stage(
        name=f"features of {features.identity.name} on {dataset.name}",
        state=state,
        seconds=passes * costs.of(spec, together.image_size),
        disk=missing * 4 * width,
    )


def _ranking(settings: Settings, context: RunContext) -> Stage:
    features = features_of(settings, context)
    own = [one for one in features if one.dataset is context.dataset(settings.dataset, settings)]
    dataset = own[0].dataset
    how = ranking_settings(settings, dataset.depth)
    outcomes, asked = CachedResults.of(own, settings, how, context), rankings_of(settings, dataset)
    missing = [ranking for ranking in asked if outcomes.read(ranking) is None]
    nodes = len(own[0].dataset.database) + len(own[0].dataset.queries)
    diffusions = sum("DFS" in ranking for ranking in missing)
    dim = "" if settings.pca_dim is None else f", dimension {settings.pca_dim}"
    return Stage(
        name=f"rankings of {settings.label} on {own[0].dataset.name}{dim}",
        state="there" if not missing else f"{len(missing)} of {len(asked)} to do",
        seconds=nodes * SECONDS_A_NODE * (diffusions + 0.1) if missing else 0.0,
    )


def _arithmetic(spec: ModelSpec, image_size: int) -> float:
    """Floating-point operations of one photograph, a multiplication and an addition being two."""
    side = max(image_size, spec.smallest_image)
    images = jax.ShapeDtypeStruct((1, side, side, 3), np.uint8)
    compiled = jax.jit(forward, static_argnums=0)
    cost = compiled.lower(spec, template(spec), images).cost_analysis()
    return float((cost or {}).get("flops", 0.0))


def _speed(side: int = 1024, rounds: int = 8) -> float:
    """Operations a second that an encoder reaches on one device, from its best matrix product."""
    product = jax.jit(lambda x: x @ x)
    x = jnp.ones((side, side), jnp.float32)
    product(x).block_until_ready()  # compiled
    best = math.inf
    for _ in range(rounds):
        start = time.perf_counter()
        product(x).block_until_ready()
        best = min(best, time.perf_counter() - start)
    return ENCODER_SHARE * 2 * side**3 / best
