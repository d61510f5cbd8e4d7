"""Tar files of photographs, as WebDataset packs them."""

import io
import tarfile

from PIL import Image


def jpeg(number, size=(40, 30)):
    """A photograph that no other number has."""
    written = io.BytesIO()
    image = Image.new("RGB", size, (37 * number % 256, 91 * number % 256, 53 * number % 256))
    image.paste((255, 255, 255), (number % 20, number % 13, 25, 20))
    image.save(written, "JPEG")
    return written.getvalue()


def pack(path, members):
    """Writes (name, content) pairs."""
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def samples(first, count):
    """Photographs with the side files of WebDataset."""
    for number in range(first, first + count):
        yield f"{number:05d}.jpg", jpeg(number)
        yield f"{number:05d}.json", b'{"caption": "none"}'
