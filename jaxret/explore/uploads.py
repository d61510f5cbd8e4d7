"""Photographs that a user drops on the page: bounded, decoded at once, in memory alone.

Nothing of them is written to a disk. Each has a name that cannot be guessed, so that two users do
not meet each other's; the oldest go when there are too many.
"""

import collections
import hashlib
import io
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from jaxret.data.dataset import Box, printable
from jaxret.data.images.decode import decode, orientation_and_size
from jaxret.data.query import check_box, stored_box, turned
from jaxret.errors import UserError

MOST_BYTES = 40_000_000  # of one photograph: a phone's 200 million pixels as JPEG are 30
KEPT = 16
NAME_LENGTH = 120
PREVIEW_SIDE = 1000  # pixels of the longer side
_PREVIEW_QUALITY = 85


@dataclass(frozen=True)
class Upload:
    """One photograph.

    Attributes:
      size: width and height of the upright photograph, in which boxes count.
      preview: as JPEG, for browsers that do not read its format.
    """

    name: str
    encoded: bytes
    orientation: int
    size: tuple[int, int]
    preview: bytes

    def split(self, box: Box | None) -> "UploadSplit":
        """It as a split of one, with the part that is asked for.

        Raises:
          UserError: the box does not lie inside of it.
        """
        if box is None:
            return UploadSplit(self.name, self.encoded)
        check_box(box, self.size, self.name)
        return UploadSplit(self.name, self.encoded, stored_box(box, self.size, self.orientation))


@dataclass(frozen=True)
class UploadSplit:
    """A `data.dataset.Split` of one photograph in memory."""

    name: str
    encoded: bytes
    box: Box | None = None

    @property
    def names(self) -> Sequence[str]:
        return (self.name,)

    @property
    def boxes(self) -> Sequence[Box | None]:
        return (self.box,)

    def __len__(self) -> int:
        return 1

    def read(self, index: int) -> bytes:
        return (self.encoded,)[index]

    def fingerprint(self) -> str:
        whole = hashlib.sha256(self.encoded)
        whole.update(repr((self.name, self.box)).encode())
        return whole.hexdigest()


class Uploads:
    """The photographs of all users; many threads may ask."""

    def __init__(self) -> None:
        self._kept: collections.OrderedDict[str, Upload] = collections.OrderedDict()
        self._changing = threading.Lock()
        self._decoding = threading.Lock()  # one at a time: each may take half a gigabyte

    def add(self, encoded: bytes, name: str) -> tuple[str, Upload]:
        """Takes a photograph in, and says by which token it is asked for.

        Raises:
          BadImage: it is no photograph that can be read.
        """
        name = printable(name)[-NAME_LENGTH:] or "photograph"
        with self._decoding:
            orientation, stored = orientation_and_size(encoded, name)
            preview = _preview(decode(encoded, name))
        upload = Upload(name, encoded, orientation, turned(stored, orientation), preview)
        token = secrets.token_urlsafe(16)
        with self._changing:
            self._kept[token] = upload
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return token, upload

    def get(self, token: str) -> Upload:
        """The photograph of a token.

        Raises:
          UserError: it is not here, or no longer.
        """
        with self._changing:
            found = self._kept.get(token)
            if found is None:
                raise UserError("That photograph is no longer here: drop it once more.")
            self._kept.move_to_end(token)
            return found


def _preview(image: Image.Image) -> bytes:
    image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    written = io.BytesIO()
    image.save(written, "JPEG", quality=_PREVIEW_QUALITY)
    return written.getvalue()
