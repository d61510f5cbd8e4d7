"""Vision Transformers of two narrow blocks, beside the packages' own modules."""

from dataclasses import replace

from twins import packages

from jaxret.convert import from_state_dict
from jaxret.models import get

# A row of every kind.
FAMILIES = (
    "dino-vits16",
    "dinov2-small",
    "dinov2-small-reg",
    "dinov2-giant-reg",
    "dinov3-small",
    "dinov3-smallplus",
    "dinov3-7b",
    "mocov3-vits",
    "mae-huge",
    "clip-b16",
    "clip-l14-laion",
    "siglip-base-224",
    "siglip2-so400m14-384",
    "pe-core-large",
    "vit-b16",
)


def small(name, **arguments):
    """A row's network with two narrow blocks: the same code at a size that compiles in a second."""
    spec = get(name)
    given = dict(spec.arguments)
    changes = {"width": 32, "depth": 2, "heads": 2, "grid": 4, **arguments}
    if given.get("gated"):
        changes["hidden"] = 88  # what 4 * 32 becomes in DINOv2's rule
    elif given.get("hidden"):
        changes["hidden"] = 72
    if given.get("projection"):
        changes["projection"] = 24
    if given.get("pool_heads"):
        changes["pool_heads"] = 8 if given["pool_heads"] == 8 else changes["heads"]
    return replace(spec.with_arguments(**changes), channels=changes["width"])


def pair(name, package, **arguments):
    """(module, encoder) of the same random weights, in the convention of the package."""
    spec = small(name, position_resize="hf" if package == "transformers" else "timm", **arguments)
    if name.startswith("dinov3"):
        spec = spec.with_arguments(rope_periods="float32")
    build = packages.of_transformers if package == "transformers" else packages.of_timm
    module = packages.randomize(build(spec))
    return module, from_state_dict(spec, module.state_dict())
