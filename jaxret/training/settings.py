"""One frozen dataclass = one training run. Every flag of `python -m jaxret.train` is a field of it.

As in `jaxret.settings`, the digest covers what can change the result and leaves out where things
lie and how fast they run. What a flag leaves unset is filled in by the loss (`PUBLISHED`).
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from jaxret import defaults
from jaxret.errors import UserError
from jaxret.options import Options, option

LOSSES = ("simclr", "mocov2", "ap")
OPTIMIZERS = ("sgd", "lars", "adamw")
TRAINED = ("encoder", "head")
HEAD_LOSSES = ("classification", "ap")
AUGMENTATIONS = ("simclr", "mocov2", "light")
POOLINGS = ("mean", "gem", "rmac")

_OF_HEADS = ("train", "head_loss", "head_dim", "describe_size")

# What each loss takes where a flag is unset.
PUBLISHED: dict[str, dict[str, Any]] = {
    # Chen, Kornblith, Norouzi, Hinton, ICML 2020
    "simclr": {"augmentation": "simclr", "pooling": "mean", "temperature": 0.5},
    # Chen, Fan, Girshick, He, "Improved baselines with momentum contrastive learning", 2020
    "mocov2": {"augmentation": "mocov2", "pooling": "mean", "temperature": 0.2},
    # Revaud, Almazan, Rezende, de Souza, ICCV 2019; it has no temperature
    "ap": {"augmentation": "light", "pooling": "gem", "temperature": 1.0},
}


@dataclass(frozen=True)
class TrainSettings(Options):
    """What is learnt from which photographs, and how."""

    dataset: str = option("demo", "Photographs to learn from: a folder, or a dataset by name.")
    model: str = option("efficientnet-lite0", "Network, by the name of its row.")
    init: str = option(
        "converted",
        "Where learning starts: 'converted' weights of --model, 'random' ones, or a checkpoint "
        "(a PyTorch file of that network, or the workdir of another training).",
    )
    train: str = option(
        "encoder",
        "The whole encoder, or one linear layer behind its descriptors, which stay as they are: it "
        "is stored as a whitening, for --whitening=FILE of an evaluation (head).",
        TRAINED,
    )
    head_loss: str = option(
        "classification",
        "What the layer is learnt with: classification of the photographs' instances, or listwise "
        "average precision (ap).",
        HEAD_LOSSES,
    )
    head_dim: int | None = option(
        None, "Dimension behind the layer. Unset: that of an evaluation's whitening."
    )
    describe_size: int | None = option(
        None, "Pixels a side at which photographs are described for it. Unset: as in an evaluation."
    )
    loss: str = option(
        "simclr",
        "NT-Xent between two views of a photograph (simclr), the same against a queue of earlier "
        "photographs under a momentum encoder (mocov2), or listwise average precision, for which "
        "ground truth says what shows the same instance (ap).",
        LOSSES,
    )
    held_out: float = option(
        0.2,
        "Share of the instances (or photographs, where there is no ground truth) never learnt "
        "from: retrieval is measured on them. 0 for none.",
    )
    seed: int = option(0, "Decides the held-out part, the order, every view, random weights.")

    steps: int = option(1000, "Batches to learn from.")
    batch_size: int = option(32, "Photographs a step, over all devices.")
    image_size: int = option(128, "Pixels a side of a view.")
    stored_size: int | None = option(
        None,
        "Pixels a side at which photographs are kept, whole, for views to be cut from. "
        "Unset: twice --image_size.",
    )
    augmentation: str | None = option(
        None, "How views are made. Unset: as published with the loss.", AUGMENTATIONS
    )
    pooling: str | None = option(
        None, "From the last map to a vector. Unset: mean, and gem for ap.", POOLINGS
    )
    temperature: float | None = option(
        None, "Of the softmax. Unset: 0.5 for simclr, 0.2 for mocov2, 0.05 for a head."
    )
    projection_dim: int = option(128, "Outputs of the projection head.")
    projection_hidden: int | None = option(
        None, "Its hidden units. Unset: as many as the map has channels."
    )
    queue_size: int | None = option(
        None,
        "Keys in the queue, a multiple of --batch_size. Unset: about one epoch, 65536 at "
        "most, so that few keys are views of the batch's own photographs.",
    )
    slow_momentum: float = option(0.999, "Of the momentum encoder.")
    ap_bins: int = option(defaults.AP_BINS, "Bins of the quantised similarities.")
    ap_group: int = option(4, "Photographs of an instance in a batch.")

    optimizer: str = option("adamw", "Which of optax's optimisers.", OPTIMIZERS)
    learning_rate: float = option(3e-4, "After the warm-up; it ends at 0 along a cosine.")
    warmup_steps: int = option(50, "Steps of a linear rise to --learning_rate.")
    momentum: float = option(0.9, "Share of the last update in the next.")
    weight_decay: float = option(1e-4, "Of kernels; batch norm and biases have none.")
    clip_norm: float | None = option(None, "Largest norm of the gradient. Unset: any.")
    accumulate: int = option(1, "Batches whose gradients make one update.")
    dtype: str = option("float32", "Arithmetic of the encoder.", ("float32", "bfloat16"))

    remat: bool = option(
        False, "Compute blocks again in the backward pass: less memory, more time.", (), True
    )
    validate_every: int = option(100, "Steps between measurements on the held-out part.", (), True)
    validation_size: int = option(224, "Pixels a side of those photographs.")
    checkpoint_every: int = option(100, "Steps between checkpoints.", (), True)
    workdir: str | None = option(
        None, "Checkpoints, curves, the learnt encoder (default: in the user's cache).", (), True
    )
    data_dir: str | None = option(
        None, "Where benchmarks lie (default: the user's cache).", (), True
    )
    weights_dir: str | None = option(
        None, "Where converted weights lie (default: ./weights, the user's cache).", (), True
    )
    workers: int | None = option(
        None, "Threads that decode photographs (default: all cores).", (), True
    )

    def __post_init__(self) -> None:
        self.check_choices()
        for name in ("steps", "batch_size", "validate_every", "checkpoint_every", "accumulate"):
            self._least(name, 1)
        for name in ("image_size", "stored_size", "validation_size"):
            self._least(name, 32)
        self._least("describe_size", 32)
        self._least("head_dim", 1)
        for name in ("projection_dim", "projection_hidden", "ap_bins", "ap_group"):
            self._least(name, 2)
        self._least("warmup_steps", 0)
        if self.warmup_steps >= self.steps:
            raise UserError(
                f"--warmup_steps={self.warmup_steps} must be fewer than --steps={self.steps}."
            )
        if not 0 <= self.held_out < 1:
            raise UserError(f"--held_out={self.held_out} is a share: 0 or more, below 1.")
        for name in ("learning_rate", "temperature", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"--{name}={value} must be above 0.")
        for name in ("momentum", "slow_momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"--{name}={getattr(self, name)} must lie in [0, 1).")
        if self.weight_decay < 0:
            raise UserError(f"--weight_decay={self.weight_decay} must be 0 or more.")
        if self.loss != "ap" and self.batch_size < 2:
            raise UserError("--batch_size=1 has no negatives: give 2 or more.")
        grouped = self.head_loss if self.train == "head" else self.loss
        if grouped == "ap" and self.batch_size % self.ap_group:
            raise UserError(
                f"--batch_size={self.batch_size} must be a multiple of --ap_group={self.ap_group}."
            )
        if self.queue_size is not None and (
            self.queue_size < self.batch_size or self.queue_size % self.batch_size
        ):
            raise UserError(
                f"--queue_size={self.queue_size} must be a multiple of "
                f"--batch_size={self.batch_size}."
            )

    def key(self) -> dict[str, Any]:
        """As `Options.key`; a training of an encoder says nothing of a head."""
        key = super().key()
        if self.train == "encoder":
            key = {k: v for k, v in key.items() if k not in _OF_HEADS}
        return key

    def _least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if value is not None and value < least:
            raise UserError(f"--{name}={value} must be {least} or more.")

    def resolved(self) -> "TrainSettings":
        """With everything filled in that the loss decides."""
        unset = {k: v for k, v in PUBLISHED[self.loss].items() if getattr(self, k) is None}
        if self.stored_size is None:
            unset["stored_size"] = 2 * self.image_size
        return dataclasses.replace(self, **unset)
