"""One photograph: from encoded bytes to upright RGB pixels of the size that the encoder takes.

Conventions:
- The resize is PIL's bilinear with antialiasing, straight to the size wanted, aspect ratio not
  kept: what torchvision's `Resize` does to a PIL image.
- A box counts stored pixels (x1, y1, x2, y2), rounded as PIL's `crop` rounds, and is cut out
  before the photograph is turned upright and resized. The public code of the benchmarks does not
  look at EXIF orientation, so their boxes are drawn on the stored pixels. Where a photograph
  carries no orientation, as nearly all of the benchmarks', there is nothing to tell apart.
- Transparent pixels lie on white; an animation counts by its first frame; of 16 bits the upper
  eight are kept; colour profiles are not applied (nor does torchvision).
"""

import io

import numpy as np
from PIL import Image

from jaxret.errors import UserError

WHITE = (255, 255, 255, 255)
ORIENTATION_TAG = 0x0112
UPRIGHT = {  # EXIF 2.32, table 6: what turns the stored pixels upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BadImage(UserError):  # noqa: N818 - the photograph is bad, nothing erred
    """A photograph that cannot be used; `name` is the photograph's, `reason` why.

    Attributes:
        name: the photograph's, printable.
        reason: half a sentence.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"Photograph {self.name!r} cannot be used: {self.reason}. "
            "Replace or remove it, or leave it out with --on_bad_image=skip."
        )


def decode(encoded: bytes, name: str) -> Image.Image:
    """The photograph upright, in mode RGB. Raises `BadImage` that names it."""
    stored, orientation = _open(encoded, name)
    return _upright(_to_rgb(stored, name), orientation)


def to_pixels(
    encoded: bytes,
    name: str,
    image_size: int | tuple[int, int],
    box: tuple[float, float, float, float] | None = None,
) -> np.ndarray:
    """Decode, cut to the box, turn upright, resize.

    Args:
        encoded: the bytes of the file.
        name: for the error message.
        image_size: S, or height and width.
        box: x1, y1, x2, y2 in stored pixels, or None for the whole photograph.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        BadImage: not a readable photograph, or the box lies outside of it.
    """
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    stored, orientation = _open(encoded, name)
    if box is not None:
        stored = stored.crop(pixel_box(box, stored.size, name))
    image = _upright(_to_rgb(stored, name), orientation)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


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


def _open(encoded: bytes, name: str) -> tuple[Image.Image, int]:
    """The first frame as stored, fully decoded, and its EXIF orientation."""
    if not encoded:
        raise BadImage(name, "the file is empty")
    stream = io.BytesIO(encoded)
    try:
        image = Image.open(stream)
        image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(name, "it would unpack to more pixels than a photograph has") from error
    except Image.UnidentifiedImageError as error:
        raise BadImage(name, "it is no picture of a known format") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error and a dozen more
        raise BadImage(name, f"it does not decode ({error})") from error
    return image, _orientation(image)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # a broken note beside the picture does not make the picture unusable
        return 1


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
