"""The sizes that photographs are brought to.

- "square" is PIL's bilinear with antialiasing, straight to the size wanted, aspect ratio not kept:
  what torchvision's `Resize` does to a PIL image.
- "keep" keeps the aspect ratio instead: the photograph's longer side becomes S, a cut-out shrinks
  or grows as its photograph would, and each side is then rounded to a multiple of 32, the stride of
  the encoders (of a Vision Transformer its patch), so that there are few shapes to compile for.

Three more are the public code's under published figures (`jaxret.presets`), to the pixel:

- "thumbnail" is PIL's `thumbnail` with Lanczos: the longer side becomes S where it is larger,
  nothing grows, a cut-out shrinks as its photograph does (cirtorch's `imresize`, DINO's).
- "longer" brings the longer side to S with PIL's bicubic, up or down, the other side rounded down;
  a cut-out counts as a photograph of its own (ILIAS's `LargeSideResize`).
- "center" brings the shorter side to 8/7 S with PIL's bicubic and cuts S x S out of the middle
  (torchvision's `Resize(256)` and `CenterCrop(224)`, the classification transform of DINOv2).

The first two have as many shapes as there are aspect ratios. What a Vision Transformer would cut
off to the right and below (`patch_fit="crop"`) is cut off before, which leaves fewer.
"""

import math
from collections.abc import Sequence

from PIL import Image

from jaxret import defaults

RESIZES = ("square", "keep", "thumbnail", "longer", "center")
OWN_SHAPES = ("thumbnail", "longer")  # sides that are multiples of nothing
SIDE_MULTIPLE = 32
CENTER = 256 / 224  # the shorter side before the middle is cut out, of what is left

BICUBIC, LANCZOS = Image.Resampling.BICUBIC, Image.Resampling.LANCZOS


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


def resized(
    image: Image.Image,
    resize: str,
    image_size: int,
    longer: int,
    multiple: int = SIDE_MULTIPLE,
    scale: float = 1.0,
) -> Image.Image:
    """The photograph, or what was cut out of it, as the encoder takes it.

    Args:
        image: RGB.
        resize: of `RESIZES`.
        image_size: S.
        longer: longer side of the photograph that `image` was cut out of.
        multiple: of which sides are multiples: nearest with "keep", cut down to with OWN_SHAPES.
        scale: of "thumbnail" alone, a factor of its result, as it would not enlarge.
    """
    if resize == "thumbnail":
        bound = image_size * max(image.size) / longer
        return _cut_to_multiple(_thumbnail(image, bound, scale), multiple)
    if resize == "longer":
        size = longer_size(image.size, image_size)
        return _cut_to_multiple(image.resize(size, BICUBIC), multiple)
    if resize == "center":
        return _center(image, image_size)
    size = (image_size, image_size)
    if resize == "keep":
        size = kept_size(image.size, image_size / longer, multiple)
    return image.resize(size, Image.Resampling.BILINEAR)


def longer_size(size: tuple[int, int], image_size: int) -> tuple[int, int]:
    """Width and height with the longer one S and the other rounded down, as ILIAS computes it.

    >>> longer_size((1024, 683), 724)
    (724, 482)
    """
    width, height = size
    ratio = height / width
    if ratio <= 1:
        return image_size, max(1, int(image_size * ratio))
    return max(1, int(image_size / ratio)), image_size


def _thumbnail(image: Image.Image, bound: float, scale: float) -> Image.Image:
    """PIL's, within a square of `bound` pixels; or `scale` times as large as that."""
    small = image.copy()
    small.thumbnail((bound, bound), LANCZOS)
    if scale == 1:
        return small
    width, height = (max(1, math.floor(side * scale)) for side in small.size)
    return image.resize((width, height), LANCZOS)


def _center(image: Image.Image, image_size: int) -> Image.Image:
    """The middle S x S of the photograph with its shorter side at 8/7 S."""
    shorter, longest = round(image_size * CENTER), max(image.size)
    other = int(shorter * longest / min(image.size))
    width, height = (shorter, other) if image.width <= image.height else (other, shorter)
    left, top = round((width - image_size) / 2), round((height - image_size) / 2)
    whole = image.resize((width, height), BICUBIC)
    return whole.crop((left, top, left + image_size, top + image_size))


def _cut_to_multiple(image: Image.Image, multiple: int) -> Image.Image:
    """Without what is left over to the right and below; a side that is shorter stays."""
    width, height = (side - side % multiple if side >= multiple else side for side in image.size)
    return image if (width, height) == image.size else image.crop((0, 0, width, height))
