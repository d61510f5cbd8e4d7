"""What the benchmarks beside PyTorch share: the cases that their flags name, and their JSON."""

import argparse
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def cases(flags: argparse.Namespace) -> Iterator[tuple[str, int, int, str]]:
    """Every (model, size, batch, dtype) of the comma-separated flags."""
    return itertools.product(
        flags.model.split(","),
        map(int, flags.size.split(",")),
        map(int, flags.batch.split(",")),
        flags.dtype.split(","),
    )


def float32_on_both_sides() -> None:
    """Float32 means float32; PyTorch would let cuDNN round to TF32."""
    import torch

    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True


def write_json(path: Path, report: dict[str, Any]) -> None:
    path.write_text(json.dumps(report, indent=1) + "\n")
