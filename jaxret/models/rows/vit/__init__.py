"""The Vision Transformers, one file a family."""

from jaxret.models.rows.vit import augreg, clip, dino, dinov2, dinov3, mae, mocov3, pe, siglip
from jaxret.models.spec import ModelSpec

ROWS: tuple[ModelSpec, ...] = (
    *dino.ROWS,
    *dinov2.ROWS,
    *dinov3.ROWS,
    *mocov3.ROWS,
    *mae.ROWS,
    *clip.ROWS,
    *siglip.ROWS,
    *pe.ROWS,
    *augreg.ROWS,
)
