"""Suites beyond the paper's: today's encoders beside the study's, and every pooling of one.

They are ordinary evaluations under one report. Datasets are those that are there; weights that are
not become gaps that say how to get them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jaxret import data, presets
from jaxret.defaults import POOLINGS
from jaxret.errors import UserError
from jaxret.report import paper
from jaxret.runs.paper_suites import Expansion
from jaxret.settings import Settings

# Of each family of the registry the model of its base size; the first ships with jaxret.
BASE_MODELS = (
    *("efficientnet-lite0", "gem-gl18-101"),
    *("swav", "barlowtwins", "vicreg", "simsiam", "byol", "dino", "dino-vitb16"),
    *("dinov2-base", "dinov2-base-reg", "dinov3-base", "mocov3-vitb", "mae-base"),
    *("clip-b16", "clip-b16-laion", "clip-b16-datacomp", "siglip-base-512", "siglip2-base-512"),
    *("pe-core-base", "vit-b16"),
)
STUDY_MODELS = tuple(name for name in paper.axis(1, "model") if "+" not in name)


TITLES = {
    "encoders": "Encoders of the study and of today",
    "poolings": "Every pooling",
}


def expand(
    name: str,
    base: Settings,
    chosen: Mapping[str, Sequence[Any]] | None = None,
    said: Collection[str] = (),
) -> Expansion:
    """The evaluations of a suite.

    Args:
      name: of `defaults.OTHER_SUITES`.
      base: everything else; the values of its preset are those for each model and dataset.
      chosen: values of model, dataset, pca_dim or ranking, in place of the suite's and of `base`.
      said: settings that a preset leaves as they are.

    Returns:
      Them, and one gap for the datasets that are not there.
    """
    chosen = chosen or {}
    if "ranking" in chosen:
        base = replace(base, ranking=tuple(chosen["ranking"]))
    models: tuple[str, ...] = (base.model,)
    datasets: tuple[str, ...] = (base.dataset,)
    left_out: tuple[str, ...] = ()
    if name == "encoders":
        models = (*STUDY_MODELS, *BASE_MODELS)
        if "dataset" not in chosen:
            datasets, left_out = _there(base)
    every = [
        replace(base, model=model, dataset=dataset, pca_dim=dim)
        for model in chosen.get("model", models)
        for dataset in chosen.get("dataset", datasets)
        for dim in chosen.get("pca_dim", (base.pca_dim,))
    ]
    every = [presets.applied(one, said) for one in every]
    if name == "poolings" and "pooling" not in said:
        every = [replace(one, pooling=pooling) for one in every for pooling in POOLINGS]
    reason = "not there; docs/datasets.md says how each is had."
    gap = {"dataset": ", ".join(left_out), "reason": reason}
    return Expansion(tuple(every), (gap,) if left_out else ())


def _there(base: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the datasets that can be read, and of those that cannot."""
    found, missing = [], []
    for name in data.names():
        try:
            data.load(name, data_dir=base.data_dir, manual_dir=base.manual_dir)
        except UserError:
            missing.append(name)
        else:
            found.append(name)
    return tuple(found), tuple(missing)
