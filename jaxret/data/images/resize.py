"""The sizes that photographs are brought to.

- "square" is PIL's bilinear with antialiasing, straight to the size wanted, aspect ratio not kept:
  what torchvision's `Resize` does to a PIL image.
- "keep" keeps the aspect ratio instead: the photograph's longer side becomes S, a cut-out shrinks
  or grows as its photograph would, and each side is then rounded to a multiple of 32, the stride of
  the encoders (of a Vision Transformer its patch), so that there are few shapes to compile for.
"""

import math
from collections.abc import Sequence

from jaxret import defaults

RESIZES = ("square", "keep")
SIDE_MULTIPLE = 32


def kept_size(
    size: tuple[int, int], scale: float, multiple: int = SIDE_MULTIPLE
) -> tuple[int, int]:
    """Width and height times `scale`, to the nearest multiples of `multiple` and not below it.

    >>> kept_size((1024, 683), 724 / 1024)
    (736, 480)
    """
    width, height = (max(1, math.floor(side * scale / multiple + 0.5)) * multiple for side in size)
    return width, height


def sizes_at(image_size: int, scales: Sequence[float] = defaults.MULTISCALES) -> tuple[int, ...]:
    """S for each scale of a multi-scale descriptor, which adds up one of each size.

    The default scales are those of cirtorch's `--multiscale '[1, 1/2**(1/2), 1/2]'`.
    """
    return tuple(max(1, round(image_size * scale)) for scale in scales)
