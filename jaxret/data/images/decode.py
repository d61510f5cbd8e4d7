"""One photograph: from encoded bytes to upright RGB pixels of the size that the encoder takes.

Conventions:
- A box counts stored pixels (x1, y1, x2, y2), rounded as PIL's `crop` rounds, and is cut out
  before the photograph is turned upright and resized. The public code of the benchmarks does not
  look at EXIF orientation, so their boxes are drawn on the stored pixels. Where a photograph
  carries no orientation, as nearly all of the benchmarks', there is nothing to tell apart.
- Transparent pixels lie on white; an animation counts by its first frame; of 16 bits the upper
  eight are kept; colour profiles are not applied (nor does torchvision).
"""

import numpy as np
from PIL import Image

from jaxret.data.images.opening import BadImage, Opened, open_photograph, without_limit
from jaxret.data.images.resize import SIDE_MULTIPLE, resized

WHITE = (255, 255, 255, 255)
UPRIGHT = {  # EXIF 2.32, table 6: what turns the stored pixels upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(encoded: bytes, name: str) -> Image.Image:
    """The photograph upright, in mode RGB. Raises `BadImage` that names it."""
    opened = open_photograph(encoded, name)
    return _upright(_to_rgb(opened.image, name), opened.orientation)


def to_pixels(
    encoded: bytes,
    name: str,
    image_size: int,
    box: tuple[float, float, float, float] | None = None,
    resize: str = "square",
    decoder: str = "pil",
    side_multiple: int = SIDE_MULTIPLE,
    scale: float = 1.0,
) -> np.ndarray:
    """Decode, cut to the box, turn upright, resize.

    Args:
        encoded: the bytes of the file.
        name: for the error message.
        image_size: S in pixels.
        box: x1, y1, x2, y2 in stored pixels, or None for the whole photograph.
        resize: "square" to S x S, "keep" the aspect ratio, or the public code's; see `resize`.
        decoder: "pil", or "simplejpeg" for JPEGs: the same pixels a little faster, and a JPEG that
            is damaged in its middle is refused, where PIL shows grey.
        side_multiple: of which sides are multiples, but with "square" and "center".
        scale: of one that never enlarges ("thumbnail").

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        BadImage: not a readable photograph, or the box lies outside of it.
    """
    opened = open_photograph(encoded, name, decoder)
    longer = max(opened.image.size)
    stored = opened.image if box is None else _cut(opened, box, name)
    image = _upright(_to_rgb(stored, name), opened.orientation)
    return np.asarray(resized(image, resize, image_size, longer, side_multiple, scale))


def rgb_pixels(
    image: Image.Image, image_size: int, resize: str = "square", side_multiple: int = SIDE_MULTIPLE
) -> np.ndarray:
    """An upright photograph that PIL has read already, as `to_pixels` gives it.

    Raises `BadImage` where its colours cannot be made RGB.
    """
    rgb = _to_rgb(image, "a photograph")
    return np.asarray(resized(rgb, resize, image_size, max(image.size), side_multiple))


def orientation_and_size(encoded: bytes, name: str) -> tuple[int, tuple[int, int]]:
    """EXIF orientation, and width and height as stored. Raises `BadImage`."""
    opened = open_photograph(encoded, name)
    return opened.orientation, opened.size


def pixel_box(
    box: tuple[float, float, float, float], size: tuple[int, int], name: str
) -> tuple[int, int, int, int]:
    """The box in whole pixels as PIL's `crop` rounds it, clipped to the photograph.

    At least one pixel each way. Raises `BadImage` if the centre of the box lies outside: then it
    was drawn on another photograph or on another size of this one.
    """
    x1, y1, x2, y2 = (round(float(v)) for v in box)
    width, height = size
    inside = 0 <= (x1 + x2) / 2 <= width and 0 <= (y1 + y2) / 2 <= height
    if not inside or x2 < x1 or y2 < y1:
        raise BadImage(name, f"its box {tuple(box)} lies outside of its {width}x{height} pixels")
    left, top = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
    return left, top, max(min(x2, width), left + 1), max(min(y2, height), top + 1)


def _cut(opened: Opened, box: tuple[float, float, float, float], name: str) -> Image.Image:
    """What lies in a box of the stored pixels, which may have been decoded at a reduced scale."""
    whole = pixel_box(box, opened.size, name)
    if opened.image.size != opened.size:
        x, y = (a / b for a, b in zip(opened.image.size, opened.size, strict=True))
        scaled = (whole[0] * x, whole[1] * y, whole[2] * x, whole[3] * y)
        whole = pixel_box(scaled, opened.image.size, name)
    with without_limit():
        return opened.image.crop(whole)


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if image.mode == "F":
        raise BadImage(name, "floating-point pixels do not say what is black and what is white")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image).convert("RGB")
    try:
        return image.convert("RGB")
    except ValueError as error:
        raise BadImage(name, f"its colours (mode {image.mode}) cannot be made RGB") from error


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Mode I (32 bits holding 16) or I;16 to RGB; PIL itself would clip all above 255 to white."""
    levels = np.clip(np.asarray(image).astype(np.int64), 0, 65535) >> 8
    return Image.fromarray(levels.astype(np.uint8)).convert("RGB")
