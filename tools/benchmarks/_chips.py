"""Accelerators: what their makers state, and what a program's FLOP and bytes take on them."""

import re
from dataclasses import dataclass

GIB = 2**30


@dataclass(frozen=True)
class Chip:
    """One accelerator, by its data sheet.

    Attributes:
        name: As people write it.
        pattern: Matches what JAX and CUDA call the device (`device_kind`).
        memory: Bytes that a program can have.
        bandwidth: Of that memory, bytes a second.
        bfloat16: Dense operations a second of products of bfloat16 (float16 where a card is older).
        float32: Of products of float32 with nothing rounded further. A TPU's are made of six
            products of bfloat16 (`Precision.HIGHEST`); a GPU's do not run on its tensor cores.
    """

    name: str
    pattern: str
    memory: int
    bandwidth: float
    bfloat16: float
    float32: float

    def roofline(self, flop: float, accessed: float, dtype: str) -> float:
        """Seconds below which the program cannot run: the longer of arithmetic and memory."""
        return max(flop / getattr(self, dtype), accessed / self.bandwidth)


def _tpu(name: str, pattern: str, gib: float, gb_per_s: float, tflop_per_s: float) -> Chip:
    peak = tflop_per_s * 1e12
    return Chip(name, pattern, int(gib * GIB), gb_per_s * 1e9, peak, peak / 6)


def _gpu(name: str, pattern: str, gib: float, gb_per_s: float, half: float, single: float) -> Chip:
    return Chip(name, pattern, int(gib * GIB), gb_per_s * 1e9, half * 1e12, single * 1e12)


# cloud.google.com/tpu/docs and NVIDIA's data sheets; dense, not sparse, figures.
CHIPS: tuple[Chip, ...] = (
    _tpu("v4", r"TPU v4$", 32, 1228, 275),
    _tpu("v5e", r"TPU v5( ?lite|e)", 16, 819, 197),
    _tpu("v5p", r"TPU v5p?$", 95, 2765, 459),
    _tpu("v6e", r"TPU v6( ?lite|e)", 32, 1640, 918),
    _gpu("H200", r"H200", 139, 4800, 989, 67),
    _gpu("H100 PCIe", r"H100 PCIe", 79, 2000, 756, 51),
    _gpu("H100", r"H100", 79, 3350, 989, 67),
    _gpu("A100 80 GB", r"A100.*80GB", 79, 2039, 312, 19.5),
    _gpu("A100", r"A100", 39, 1555, 312, 19.5),
    _gpu("L40S", r"L40S", 44, 864, 362, 91.6),
    _gpu("L4", r"\bL4\b", 22, 300, 121, 30.3),
    _gpu("V100", r"V100", 15.7, 900, 125, 15.7),
    _gpu("T4", r"\bT4\b", 14.7, 320, 65, 8.1),
    _gpu("RTX 4090", r"RTX 4090", 23.6, 1008, 165, 82.6),
)


def chip(name: str) -> Chip:
    """The chip called `name`.

    Raises:
        SystemExit: There is none; the sentence lists the known names.
    """
    for one in CHIPS:
        if one.name == name:
            return one
    raise SystemExit(f"Unknown chip {name!r}. Known: {', '.join(one.name for one in CHIPS)}.")


def chip_of(device_kind: str) -> Chip | None:
    """The chip that a device says it is; None where this table has no such row."""
    return next((one for one in CHIPS if re.search(one.pattern, device_kind)), None)
