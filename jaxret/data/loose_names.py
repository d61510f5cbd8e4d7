r"""Names of photographs that differ from the files' by what copying and other systems change.

Two names are loosely equal where they are equal in Unicode's composed form (NFC: an archive from a
Mac has NFD), whatever the case of letters, with "/" or "\", and where the ending is .jpg, .jpeg,
or left out on one side. Only where exactly one file fits is it taken.
"""

import unicodedata
from collections.abc import Callable, Iterable
from functools import cached_property

from jaxret.data.dataset import printable
from jaxret.data.photographs import EXTENSIONS, SHOWN

_ONE_FORMAT = {".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".tiff": ".tif"}


class LooseNames:
    """Finds files by names that are loosely theirs, and remembers which it found so."""

    def __init__(self, files: Callable[[], Iterable[str]]) -> None:
        self._list = files
        self.taken: dict[str, str] = {}

    @cached_property
    def _files(self) -> dict[str, list[tuple[str, str]]]:
        """Listed where the first name is looked for: (ending, file) by the rest of the name."""
        listed: dict[str, list[tuple[str, str]]] = {}
        for file in self._list():
            stem, ending = split_name(file)
            listed.setdefault(stem, []).append((ending, file))
        return listed

    def find(self, name: str) -> str | None:
        """The one file that fits; None where none does, or several do."""
        stem, ending = split_name(name)
        fitting = self._files.get(stem, [])
        same = [file for other, file in fitting if other == ending]
        if not same:
            same = [file for other, file in fitting if not (other and ending)]
        if len(same) != 1:
            return None
        self.taken[name] = same[0]
        return same[0]

    def note(self, where: str) -> str:
        """What was taken for what, in one sentence; empty where every name was a file's own."""
        if not self.taken:
            return ""
        pairs = [f"{printable(a)} for {printable(b)}" for b, a in self.taken.items()]
        more = f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
        return (
            f"{len(pairs)} names of {where} fit a file by all but case, Unicode form, slashes or "
            f"ending; taken: {', '.join(pairs[:SHOWN])}{more}."
        )


def split_name(name: str) -> tuple[str, str]:
    r"""What loosely equal names have in common, and the ending, "" where it is no photograph's.

    >>> split_name("Tower\\Cafe\u0301.JPEG") == split_name("tower/caf\u00e9.jpg")
    True
    """
    # Canonical caseless matching, Unicode 15 section 3.13: decomposed, folded, composed.
    plain = unicodedata.normalize("NFD", name.replace("\\", "/").removeprefix("./"))
    folded = unicodedata.normalize("NFC", plain.casefold())
    for ending in EXTENSIONS:
        if folded.endswith(ending):
            return folded.removesuffix(ending), _ONE_FORMAT.get(ending, ending)
    return folded, ""
