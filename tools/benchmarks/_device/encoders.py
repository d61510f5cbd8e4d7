"""Encoders: are the device's maps those of the host's processor, and how fast are they."""

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from benchmarks._device import measuring
from benchmarks._device.photographs import pictures
from benchmarks._device.report import Row, checked, row, skipped
from benchmarks._device.sizes import Sizes
from benchmarks._programs import Program, describe
from jaxret import models
from jaxret.descriptors.rmac import region_grid
from jaxret.models.encoder import Encoder, forward, template
from jaxret.models.spec import ModelSpec
from jaxret.models.weights.random import random

MAPS = 1e-5  # of the largest value; what Flax and PyTorch are held to as well
STATISTICS = 1e-4


def equal_maps(sizes: Sizes, names: tuple[str, ...]) -> Iterator[Row]:
    """The float32 map of each model, on the device and on the processor."""
    images = pictures(sizes.equality_side, 2)
    for name in names:
        encoder = random(name)
        theirs = _moved(encoder, measuring.processor())(_on(images, measuring.processor()))
        ours = _moved(encoder, measuring.accelerator())(_on(images, measuring.accelerator()))
        apart = np.abs(np.asarray(ours) - np.asarray(theirs)).max() / np.abs(theirs).max()
        yield checked(f"map of {name}, float32, {sizes.equality_side}", float(apart), MAPS)


def others(sizes: Sizes) -> tuple[str, ...]:
    """The smallest model of every kind of network that is not among the first."""
    rows = sorted(map(models.get, models.names()), key=lambda spec: -spec.parameters)
    smallest = {(spec.architecture, spec.head): spec.name for spec in rows}
    for name in sizes.first:
        smallest.pop((models.get(name).architecture, models.get(name).head), None)
    return tuple(smallest.values()) if sizes.others else ()


def equal_statistics(sizes: Sizes) -> Iterator[Row]:
    """Statistics after three batches of recalibration, on the device and on the processor."""
    encoder = random(sizes.model)
    images = pictures(sizes.equality_side, 10)
    batches = [images[:4], images[4:8], images[8:]]
    passed = []
    for device in (measuring.processor(), measuring.accelerator()):
        with jax.default_device(device):
            moved = models.recalibrate(_moved(encoder, device), batches)
        passed.append(jax.tree.leaves(moved.variables["batch_stats"]))
    apart = max(
        float(np.max(np.abs(np.asarray(a) - np.asarray(b)) / np.abs(np.asarray(a)).max()))
        for a, b in zip(*passed, strict=True)
    )
    yield checked(f"statistics of {sizes.model} recalibrated", apart, STATISTICS)


def _moved(encoder: Encoder, device: jax.Device) -> Encoder:
    return Encoder(encoder.spec, jax.device_put(encoder.variables, device))


def _on(images: np.ndarray, device: jax.Device) -> jax.Array:
    return jax.device_put(images, device)


@dataclass(frozen=True)
class Ceiling:
    """Operations and bytes a second that the shares are of, and where they are from."""

    source: str
    bfloat16: float
    float32: float
    bandwidth: float


def ceiling(sizes: Sizes) -> Ceiling:
    """The card's data sheet, or what a product and a copy reach on a device that it has none of."""
    chip = measuring.card()
    if chip is not None:
        return Ceiling(f"{chip.name} data sheet", chip.bfloat16, chip.float32, chip.bandwidth)
    return Ceiling("measured", **measuring.ceilings(sizes.product_side, repeats=1))


def reached(sizes: Sizes) -> Iterator[Row]:
    """A large product and a copy, beside the data sheet."""
    found = measuring.ceilings(sizes.product_side, sizes.repeats)
    stated = ceiling(sizes)
    figures: dict[str, float | str] = {
        "bfloat16_TFLOP/s": found["bfloat16"] / 1e12,
        "float32_TFLOP/s": found["float32"] / 1e12,
        "copy_GB/s": found["bandwidth"] / 1e9,
    }
    if stated.source != "measured":
        figures |= {
            "of_the_data_sheet's_bfloat16": found["bfloat16"] / stated.bfloat16,
            "of_its_memory": found["bandwidth"] / stated.bandwidth,
        }
    yield row(f"product of {sizes.product_side} x {sizes.product_side}, copy", **figures)


def speed(model: str, dtype: str, sizes: Sizes) -> Iterator[Row]:
    """Photographs a second from pixels to R-MAC, and what share of the ceilings that is."""
    side = sizes.side_of(model)
    program = describe(models.get(model), dtype, sizes.batch, side)
    run, figures = _jaxret(model, program, side, sizes.batch)
    seconds = measuring.seconds_of(run, sizes.repeats)
    flop, accessed, top = figures["flop"], figures["accessed"], ceiling(sizes)
    yield row(
        f"{model} {dtype} {sizes.batch} x {side}, jaxret",
        **{
            "photographs/s": sizes.batch / seconds,
            "TFLOP/s": flop / seconds / 1e12,
            "of_peak": flop / seconds / getattr(top, dtype),
            "of_memory_roofline": accessed / top.bandwidth / seconds,
            "ceilings": top.source,
            "GB_moved": accessed / 1e9,
            "compile_s": figures["compile"],
        },
    )


def _jaxret(
    model: str, program: Program, side: int, batch: int
) -> tuple[Callable[[], Any], dict[str, float]]:
    """The compiled program on real arguments, and what the compiler states of it."""
    encoder = models.fold(random(model))
    variables = jax.device_put(encoder.variables, measuring.accelerator())
    images = _on(pictures(side, batch), measuring.accelerator())
    lowered = program.function.lower(variables, images, **program.static)  # type: ignore[attr-defined]
    start = time.perf_counter()
    compiled = lowered.compile()
    seconds = time.perf_counter() - start
    figures = {
        "flop": operations(program),
        "accessed": (compiled.cost_analysis() or {}).get("bytes accessed", 0.0),
        "compile": seconds,
    }
    return lambda: compiled(variables, images), figures


def operations(program: Program) -> float:
    """Of the program as it is written, by XLA on the processor, which knows before it compiles.

    A GPU's account of a compiled program leaves out what its libraries do.
    """
    on_processor = jax.sharding.SingleDeviceSharding(measuring.processor())
    return program.trace(lambda argument: on_processor).lower().cost_analysis()["flops"]


def speed_of_torch(model: str, dtype: str, sizes: Sizes) -> Iterator[Row]:
    """The same network in PyTorch on the same device; then compiled.

    ResNets are folded and in channels_last, Vision Transformers the module of transformers with
    PyTorch's fused attention.
    """
    side = sizes.side_of(model)
    what = f"{model} {dtype} {sizes.batch} x {side}"
    if why := measuring.torch_on_card():
        yield skipped(f"{what}, PyTorch", why)
        return
    from benchmarks import _torch_side
    from benchmarks._cases import float32_on_both_sides

    float32_on_both_sides()
    try:
        form, network = _in_torch(models.get(model), dtype, side)
    except ImportError as error:
        yield skipped(f"{what}, PyTorch", f"{error}.")
        return
    images = pictures(side, sizes.batch)
    for name, contender in (
        (f"torch {form}", lambda: network),
        (f"torch.compile {form}", lambda: _torch_side.compiled(network, tuned=False)),
    ):
        try:
            run = _torch_side.contender(contender(), images)
            seconds = measuring.seconds_of(run, sizes.repeats)
        except Exception as error:  # torch.compile needs a C++ compiler, or Triton
            yield skipped(f"{what}, {name}", str(error).strip().splitlines()[0][:200])
            continue
        yield row(f"{what}, {name}", **{"photographs/s": sizes.batch / seconds})


def _in_torch(spec: ModelSpec, dtype: str, side: int) -> tuple[str, Any]:
    """(what is said of it, the network with R-MAC behind it), on the card where torch has one."""
    import torch
    import twins
    from twins import packages

    from benchmarks import _torch_side

    vit = spec.architecture == "vit"
    if vit:
        module = packages.randomize(packages.of_transformers(spec))
        twin: Any = packages.Tokens(module, spec)
    else:
        twin = _torch_side.fold(twins.randomize(twins.build(spec), seed=0))
    shape = jax.ShapeDtypeStruct((1, side, side, 3), np.uint8)
    fmap = jax.eval_shape(functools.partial(forward, spec), template(spec), shape)
    grid = region_grid(*fmap.shape[1:3]) if spec.head is None else ()
    network = _torch_side.Descriptor(twin, spec, grid, getattr(torch, dtype))
    network = network.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    if vit:
        return "SDPA", network
    return "channels_last", network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
