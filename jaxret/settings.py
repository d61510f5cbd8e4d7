"""One frozen dataclass = one evaluation. Every flag of the command line is a field of it.

A field states its default, what it means and, where there are few, its allowed values; `main`
makes the flags and `--help` from them. The digest covers what can change a figure and leaves out
where things lie and how fast they run.
"""

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from jaxret import defaults
from jaxret.defaults import RANKINGS
from jaxret.errors import UserError

LEAST_IMAGE_SIZE = 32
RANDOM = " (random)"  # what tables add to the name of a model with random weights
TRUE_DIM = "true"  # Table 3's "True dim": L2-normalised R-MAC, no PCA


def _option(default: Any, help: str, choices: tuple[str, ...] = (), machine: bool = False) -> Any:
    """A field with its help; `machine` marks what cannot change a figure."""
    return field(default=default, metadata={"help": help, "choices": choices, "machine": machine})


@dataclass(frozen=True)
class Settings:
    """What is evaluated and how; paper section or source of a default: see `defaults`."""

    model: str = _option(
        "efficientnet-lite0",
        "Encoder; members of an ensemble are joined by plus signs (simclr2x+simclr4x).",
    )
    dataset: str = _option(
        "demo", "Dataset by name, or a folder of photographs, with a gnd.json or without."
    )
    ranking: tuple[str, ...] = _option(RANKINGS, "Rankings to run, comma-separated.")
    allow_missing: bool = _option(
        False, "Evaluate a benchmark on those of its photographs that are there."
    )
    distractors: str | None = _option(
        None, "Add a million distractors to roxford5k or rparis6k.", ("revisitop1m",)
    )

    weights: str = _option(
        "converted",
        "Converted weights, or random ones as the lower end of the scale.",
        ("converted", "random"),
    )
    checkpoint: str | None = _option(
        None, "A checkpoint of your own, read as --arch; --model then only names it."
    )
    arch: str = _option(
        "resnet50",
        "Architecture of --checkpoint.",
        ("resnet18", "resnet34", "resnet50", "resnet101"),
    )
    width: int | None = _option(
        None, "Width multiplier of --arch (unset: as its first layer says)."
    )
    dtype: str = _option(
        "float32",
        "Arithmetic of the encoder; R-MAC is float32 in any case.",
        ("float32", "bfloat16"),
    )
    seed: int = _option(0, "Seed of --weights=random.")

    image_size: int | None = _option(
        None,
        "Pixels a side, aspect ratio not kept. Unset: the dataset's own, else "
        f"{defaults.IMAGE_SIZE}.",
    )
    query_crop: str = _option(
        "bbox", "Cut a query to its box before the resize, or take it whole.", ("bbox", "none")
    )
    resize: str = _option(
        "square",
        "Resize to a square, or keep the aspect ratio with the longer side at --image_size "
        "(recalibration sees squares in any case).",
        ("square", "keep"),
    )
    decoder: str = _option(
        "pil", "What decodes JPEGs; simplejpeg is faster and an extra.", ("pil", "simplejpeg")
    )
    scales: tuple[float, ...] = _option(
        (1.0,), "Multi-scale: factors of --image_size whose descriptors are pooled."
    )
    on_bad_image: str | None = _option(
        None,
        "An unreadable photograph ends the run, or is skipped and reported. "
        "Unset: fail on benchmarks, skip on folders.",
        ("fail", "skip"),
    )

    bn_recalibration: str = _option(
        "ema",
        "A pass over the database in training mode first: running statistics moved by "
        "--bn_momentum, averaged over all batches, or left as they are.",
        ("ema", "cumulative", "none"),
    )
    bn_momentum: float = _option(defaults.BN_MOMENTUM, "new = (1 - m) old + m batch.")
    bn_batch_size: int = _option(defaults.BN_BATCH_SIZE, "Photographs a recalibration batch.")

    rmac_levels: int = _option(defaults.RMAC_LEVELS, "Scales L of the R-MAC grid.")
    rmac_include_global: bool = _option(
        False, "Add the whole map's maximum once more, as cirtorch's code does."
    )
    pca_dim: int | str | None = _option(
        None,
        f"Dimension after PCA-whitening, or '{TRUE_DIM}' for none. Unset: {defaults.PCA_DIM}, less "
        "where the database holds fewer than four photographs a dimension.",
    )
    whitening: str = _option(
        "learnt",
        "PCA learnt on database descriptors, or the one stored with the weights (GeM(AP)).",
        ("learnt", "checkpoint"),
    )
    whiten_on: str | None = _option(
        None, "Learn the PCA on this dataset's database instead of the evaluated one's."
    )

    aqe_n: int | None = _option(
        None,
        f"Neighbours averaged into a query. Unset: {defaults.AQE_N}, and "
        f"{defaults.AQE_N_WITH_DBA} after DBA.",
    )
    aqe_weights: str = _option("none", "Weights of those neighbours.", ("none", "linear", "alpha"))
    dba_n: int = _option(defaults.DBA_N, "Neighbours averaged into a database descriptor.")
    dba_weights: str = _option(
        "gordo", "Weights of those neighbours.", ("gordo", "linear", "uniform", "alpha")
    )
    dba_normalize: bool = _option(True, "L2-normalise augmented descriptors.")
    dfs: str = _option(
        "joint",
        "Diffuse over queries and database in one graph, or over the database alone.",
        ("joint", "inductive"),
    )
    dfs_truncation: int = _option(defaults.DFS_TRUNCATION, "Nodes a diffusion may reach.")
    dfs_kd: int = _option(defaults.DFS_KD, "Neighbours of a node in the graph, itself counted.")
    dfs_kq: int = _option(defaults.DFS_KQ, "Database neighbours of a query (inductive form).")
    dfs_gamma: float = _option(defaults.DFS_GAMMA, "Exponent of the affinity.")
    dfs_alpha: float = _option(defaults.DFS_ALPHA, "Weight of the graph against the start.")
    dfs_rest: str | None = _option(
        None,
        "What diffusion leaves at score 0: ranked by global search, or left in the order of ids. "
        "Unset: global, and none in the paper's suites, as published.",
        ("global", "none"),
    )

    data_dir: str | None = _option(
        None, "Where benchmarks lie (default: the user's cache).", (), True
    )
    manual_dir: str | None = _option(
        None, "Where the official files of a benchmark lie, packed or unpacked.", (), True
    )
    weights_dir: str | None = _option(
        None, "Where converted weights lie (default: ./weights, the user's cache).", (), True
    )
    workdir: str | None = _option(
        None, "Descriptors, reusable by the next run, and the report.", (), True
    )
    batch_size: int = _option(8, "Photographs a forward pass.", (), True)
    workers: int | None = _option(
        None, "Threads that decode photographs (default: all cores).", (), True
    )
    block_size: int | None = _option(
        None, "Rows a block of the ranking (default: by free memory).", (), True
    )

    def __post_init__(self) -> None:
        for option in dataclasses.fields(self):
            _check_choice(option, getattr(self, option.name))
        known = (*RANKINGS, *defaults.OTHER_RANKINGS)
        for one in self.ranking:
            if one not in known:
                raise UserError(f"--ranking={one} is not known; allowed: {', '.join(known)}.")
        for name in ("batch_size", "bn_batch_size", "rmac_levels", "dba_n", "width"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"--{name}={value} must be 1 or more.")
        if self.image_size is not None and self.image_size < LEAST_IMAGE_SIZE:
            raise UserError(
                f"--image_size={self.image_size} is too small: encoders see one cell of their map "
                f"in {LEAST_IMAGE_SIZE} pixels; {defaults.IMAGE_SIZE} is the study's."
            )
        if not self.scales or not all(scale > 0 for scale in self.scales):
            raise UserError(f"--scales={self.scales} must be numbers above 0, such as 1,0.71,0.5.")
        if self.checkpoint and "+" in self.model:
            raise UserError(
                f"--checkpoint={self.checkpoint} is one encoder, --model={self.model} is several: "
                "give --model one name for it."
            )
        if isinstance(self.pca_dim, str) and self.pca_dim != TRUE_DIM:
            raise UserError(f"--pca_dim={self.pca_dim} must be a whole number or '{TRUE_DIM}'.")

    @property
    def members(self) -> tuple[str, ...]:
        """The encoders of an ensemble, or the one encoder."""
        return tuple(self.model.split("+"))

    @property
    def label(self) -> str:
        """What tables call the encoder."""
        return self.model + (RANDOM if self.weights == "random" else "")

    @property
    def data_options(self) -> dict[str, Any]:
        """What `jaxret.data.load` is told beside the name."""
        return {
            "data_dir": self.data_dir,
            "manual_dir": self.manual_dir,
            "allow_missing": self.allow_missing,
            "distractors": self.distractors,
        }

    def key(self) -> dict[str, Any]:
        """What can change a figure, as plain data."""
        return {
            option.name: getattr(self, option.name)
            for option in dataclasses.fields(self)
            if not option.metadata["machine"]
        }

    def digest(self) -> str:
        """sha256 of `key()`: equal for two evaluations that must give the same figures."""
        return hashlib.sha256(json.dumps(self.key(), sort_keys=True).encode()).hexdigest()


def _check_choice(option: "dataclasses.Field[Any]", value: Any) -> None:
    choices = option.metadata["choices"]
    values = value if isinstance(value, tuple) else (value,)
    for one in values:
        if choices and one is not None and one not in choices:
            raise UserError(f"--{option.name}={one} is not known; allowed: {', '.join(choices)}.")


def options() -> Iterator[tuple["dataclasses.Field[Any]", type]]:
    """Every field with the plain type of its value (int for `int | None`)."""
    hints = typing.get_type_hints(Settings)
    for option in dataclasses.fields(Settings):
        hint = hints[option.name]
        if isinstance(hint, types.UnionType):
            hint = next(t for t in reversed(typing.get_args(hint)) if t is not type(None))
        yield option, hint
