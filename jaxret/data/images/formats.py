"""What a file is by its first bytes, whatever its ending says, and what reading it needs.

Sources: the formats' own specifications; ISO/IEC 14496-12 (the box `ftyp` and its brands), 23008-12
(HEIF), the AV1 image format 1.1, 18181-2 (the container of JPEG XL).
"""

import functools
import importlib
import struct

from PIL import features

HEADER_BYTES = 64  # of a file that are looked at

HEIF, AVIF, JPEG_XL = "HEIF", "AVIF", "JPEG XL"
CAMERA_RAW, VIDEO = "a camera's raw file", "a video"  # recognised to be named, never read

JXL_CODESTREAM, JXL_CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"

_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"FUJIFILMCCD-RAW", CAMERA_RAW),
    (b"IIU\0", CAMERA_RAW),  # Panasonic
    (b"IIRO", CAMERA_RAW),  # Olympus
    (b"II*\0\x10\0\0\0CR", CAMERA_RAW),  # Canon
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (JXL_CODESTREAM, JPEG_XL),
    (JXL_CONTAINER, JPEG_XL),
)
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), AVIF),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), HEIF),
    b"crx ": CAMERA_RAW,
}

# Cameras' own formats that begin as a TIFF does and would be read as their thumbnail.
RAW_ENDINGS = (
    ".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw",
)  # fmt: skip


def format_of(header: bytes) -> str | None:
    """The picture's format, `CAMERA_RAW` or `VIDEO`; None for what is none of these.

    Args:
        header: the first `HEADER_BYTES` of a file, or as many as it has.
    """
    for beginning, name in _BEGINNINGS:
        if header.startswith(beginning):
            return name
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return "WebP"
    if header[:2] == b"BM" and header[6:10] == bytes(4):  # reserved; "BM" alone begins texts too
        return "BMP"
    if header[:1] == b"P" and header[1:2] in b"123456" and header[2:3] in (b" ", b"\n", b"\t"):
        return "PPM" if header[3:4].isdigit() or header[3:4] == b"#" else None
    return _by_brand(header) if header[4:8] == b"ftyp" else None


def _by_brand(header: bytes) -> str:
    """The major brand, and where that is a general one (mif1, msf1) the compatible ones."""
    length = min(struct.unpack(">I", header[:4])[0], len(header))
    compatible = [header[start : start + 4] for start in range(16, length - 3, 4)]
    major = header[8:12]
    if major in (b"mif1", b"msf1") and b"avif" in compatible:
        return AVIF
    return _BRANDS.get(major, VIDEO)


@functools.cache
def lacking(format_: str) -> str:
    """Why photographs of a format cannot be read here; empty where they can be.

    The reader of a format beyond Pillow's own is taken in by the first call.
    """
    if format_ in (CAMERA_RAW, VIDEO):
        return f"it is {format_}" + (": export it as JPEG" if format_ == CAMERA_RAW else "")
    if format_ == HEIF and not _registered("pillow_heif", "register_heif_opener"):
        return "it is HEIF, which needs: pip install 'jaxret[heif]'"
    if format_ == JPEG_XL and not _registered("pillow_jxl"):
        return "it is JPEG XL, which needs: pip install 'jaxret[jxl]'"
    if format_ == AVIF and not features.check("avif"):
        return "it is AVIF, which needs Pillow 11.3 or newer: pip install -U pillow"
    return ""


def _registered(module: str, function: str = "") -> bool:
    try:
        reader = importlib.import_module(module)
    except ImportError:
        return False
    if function:
        getattr(reader, function)()
    return True


def jpeg_xl_size(encoded: bytes) -> tuple[int, int]:
    """Width and height as a JPEG XL file states them, before anything of it is decoded.

    Source: ISO/IEC 18181-1, SizeHeader. The plugin decodes a whole picture as soon as it is
    opened, so that its size must be known before.

    Raises:
        ValueError: the file ends before it states a size.
    """
    start = encoded.find(JXL_CODESTREAM)
    bits = int.from_bytes(encoded[start + 2 : start + 14], "little")
    if start < 0 or len(encoded) < start + 14:
        raise ValueError("it ends before its size is stated")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    small = take(1)

    def side() -> int:
        return (take(5) + 1) * 8 if small else take((9, 13, 18, 30)[take(2)]) + 1

    height = side()
    ratio = take(3)
    ratios = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
    width = height * ratios[ratio - 1][0] // ratios[ratio - 1][1] if ratio else side()
    return width, height
