"""A sheet of what the network is shown: photographs, and beside each the views made of it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageOps

from jaxret.runtime.artifacts import atomic_write

_ROWS = 8
_GAP = 4  # pixels between pictures
_PAPER = (255, 255, 255)


def write_views(path: Path, images: ArrayLike, views: Sequence[ArrayLike]) -> None:
    """Writes the sheet: one row a photograph, itself on the left; the first 8 of a batch.

    Args:
        path: Ends in .png; anything else is written as JPEG.
        images: uint8 [N, H, W, 3].
        views: As many arrays as there are views of a photograph, two as a rule, each
            [N, S, S, 3] in 0..255.

    Raises:
        ValueError: The arrays differ in N.
        UserError: The sheet cannot be written.
    """
    originals, made = np.asarray(images), [np.asarray(view) for view in views]
    if any(len(view) != len(originals) for view in made):
        counts = [len(view) for view in made]
        raise ValueError(f"views {counts} of {len(originals)} photographs: one each was expected.")
    size = made[0].shape[1]
    rows = [
        [_fitted(original, size), *(_pixels(view[row]) for view in made)]
        for row, original in enumerate(originals[:_ROWS])
    ]
    kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    with atomic_write(path) as file:
        _sheet(rows, size).save(file, format=kind, quality=92)


def _fitted(original: NDArray[np.uint8], size: int) -> Image.Image:
    """The whole photograph in a square, its aspect ratio kept."""
    return ImageOps.pad(
        Image.fromarray(original), (size, size), Image.Resampling.BILINEAR, color=_PAPER
    )


def _pixels(view: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(view), 0, 255).astype(np.uint8))


def _sheet(rows: list[list[Image.Image]], size: int) -> Image.Image:
    step = size + _GAP
    sheet = Image.new("RGB", (len(rows[0]) * step + _GAP, len(rows) * step + _GAP), _PAPER)
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            sheet.paste(picture, (_GAP + column * step, _GAP + row * step))
    return sheet
