"""The family of Vision Transformers: what a row of it is made of."""

from typing import Any

from jaxret.models.spec import Argument, ModelSpec

HALF = (0.5, 0.5, 0.5)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

# (width, blocks, heads)
SIZES = {
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
    "huge": (1280, 32, 16),
}


def vit(
    name: str,
    size: str | tuple[int, int, int],
    patch: int,
    pixels: int,
    parameters: int,
    layout: str,
    arguments: dict[str, Argument] | None = None,
    **others: Any,
) -> ModelSpec:
    """A row of the family.

    Args:
        name: Of the row.
        size: Of SIZES, or (width, blocks, heads).
        patch: Side of a patch in pixels.
        pixels: Side of the images that it was trained with.
        parameters: As in ModelSpec.
        layout: As in ModelSpec.
        arguments: The other arguments of `jaxret.models.networks.vit.ViT`.
        **others: The other fields of ModelSpec.
    """
    width, depth, heads = SIZES[size] if isinstance(size, str) else size
    given: dict[str, Argument] = {
        "patch": patch,
        "width": width,
        "depth": depth,
        "heads": heads,
        "grid": pixels // patch,
        **(arguments or {}),
    }
    return ModelSpec(
        name=name,
        architecture="vit",
        arguments=tuple(sorted(given.items())),
        tap="norm",
        channels=width,
        parameters=parameters,
        layout=layout,
        image_size=pixels,
        smallest_image=patch,
        **others,
    )
