"""One photograph: from encoded bytes to upright RGB pixels of the size that the encoder takes.

Conventions:
- The resize is PIL's bilinear with antialiasing, straight to the size wanted, aspect ratio not
  kept: what torchvision's `Resize` does to a PIL image.
- A box counts stored pixels (x1, y1, x2, y2), rounded as PIL's `crop` rounds, and is cut out
  before the photograph is turned upright and resized. The public code of the benchmarks does not
  look at EXIF orientation, so their boxes are drawn on the stored pixels. Where a photograph
  carries no orientation, as nearly all of the benchmarks', there is nothing to tell apart.
- `resize="keep"` keeps the aspect ratio instead: the photograph's longer side becomes S, a cut-out
  shrinks or grows as its photograph would, and each side is then rounded to a multiple of 32, the
  stride of the encoders, so that there are few shapes to compile for.
- Transparent pixels lie on white; an animation counts by its first frame; of 16 bits the upper
  eight are kept; colour profiles are not applied (nor does torchvision).
"""

import io
import math
from collections.abc import Sequence
from types import ModuleType

import numpy as np
from PIL import Image

from jaxret import defaults
from jaxret.errors import UserError

RESIZES = ("square", "keep")
DECODERS = ("pil", "simplejpeg")
LEAST_SIDE = 2  # pixels; a single one shows nothing, and is what a broken upload often leaves
SIDE_MULTIPLE = 32

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
    image_size: int,
    box: tuple[float, float, float, float] | None = None,
    resize: str = "square",
    decoder: str = "pil",
) -> np.ndarray:
    """Decode, cut to the box, turn upright, resize.

    Args:
        encoded: the bytes of the file.
        name: for the error message.
        image_size: S in pixels.
        box: x1, y1, x2, y2 in stored pixels, or None for the whole photograph.
        resize: "square" to S x S, or "keep" the aspect ratio (see the conventions above).
        decoder: "pil", or "simplejpeg" for JPEGs: the same pixels a little faster, and a JPEG that
            is damaged in its middle is refused, where PIL shows grey.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        BadImage: not a readable photograph, or the box lies outside of it.
    """
    stored, orientation = _open(encoded, name, decoder)
    longer = max(stored.size)
    if box is not None:
        stored = stored.crop(pixel_box(box, stored.size, name))
    image = _upright(_to_rgb(stored, name), orientation)
    size = (image_size, image_size)
    if resize == "keep":
        size = kept_size(image.size, image_size / longer)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR))


def kept_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Width and height times `scale`, to the nearest multiples of 32 and not below 32.

    >>> kept_size((1024, 683), 724 / 1024)
    (736, 480)
    """
    width, height = (
        max(1, math.floor(side * scale / SIDE_MULTIPLE + 0.5)) * SIDE_MULTIPLE for side in size
    )
    return width, height


def sizes_at(image_size: int, scales: Sequence[float] = defaults.MULTISCALES) -> tuple[int, ...]:
    """S for each scale of a multi-scale descriptor, which adds up one of each size.

    The default scales are those of cirtorch's `--multiscale '[1, 1/2**(1/2), 1/2]'`.
    """
    return tuple(max(1, round(image_size * scale)) for scale in scales)


def orientation_and_size(encoded: bytes, name: str) -> tuple[int, tuple[int, int]]:
    """EXIF orientation, and width and height as stored. Raises `BadImage`."""
    stored, orientation = _open(encoded, name)
    return orientation, stored.size


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


def _open(encoded: bytes, name: str, decoder: str = "pil") -> tuple[Image.Image, int]:
    """The first frame as stored, fully decoded, and its EXIF orientation."""
    if not encoded:
        raise BadImage(name, "the file is empty")
    faster = _simplejpeg() if decoder == "simplejpeg" else None
    stream = io.BytesIO(encoded)
    try:
        image = Image.open(stream)
        if faster and image.format == "JPEG" and image.mode == "RGB":
            pixels = faster.decode_jpeg(encoded, "RGB", strict=True)
            return Image.fromarray(pixels), _orientation(image)
        image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(name, "it would unpack to more pixels than a photograph has") from error
    except Image.UnidentifiedImageError as error:
        raise BadImage(name, "it is no picture of a known format") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error and a dozen more
        reason = " ".join(str(error).split())
        raise BadImage(name, f"it does not decode ({reason})") from error
    if max(image.size) < LEAST_SIDE:
        raise BadImage(name, f"its {image.width}x{image.height} pixels show nothing")
    return image, _orientation(image)


def _simplejpeg() -> ModuleType:
    try:
        import simplejpeg
    except ImportError as error:
        raise UserError(
            "The decoder simplejpeg is not installed: pip install simplejpeg, or decode by PIL."
        ) from error
    return simplejpeg


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
