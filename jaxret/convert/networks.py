"""Which of the mappings in a file hold a network, and which of these is meant.

A file may hold the weights of one network under any wrapper and prefix: then it is that one. Where
there are several, habits decide between a network and the average of its weights (EMA), and between
DINO's teacher and student; whatever is taken, the others are named. Two networks that no habit
tells apart are chosen from by whoever gives the file (`--checkpoint_key`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxret.convert.layouts import Layout
from jaxret.convert.reading.mappings import mappings_of
from jaxret.errors import UserError

FLAG = "--checkpoint_key"

# A moving average of other weights in the file: the weights themselves are the usual choice.
_AVERAGE = re.compile(r"(^|[._])(ema|swa|averaged?|shadow|momentum|target|encoder_k)(?=[._]|$)")


@dataclass(frozen=True)
class Network:
    """One network in a file.

    Attributes:
        key: Of the mapping, "" on top.
        prefix: Before each of its names there.
        layout: Whose names they are.
        arrays: The mapping.
        others: What else the file holds under the same layouts, by label.
    """

    key: str
    prefix: str
    layout: Layout
    arrays: Mapping[str, Any] = field(repr=False)
    others: tuple["Network", ...] = field(default=(), repr=False)

    @property
    def label(self) -> str:
        """What `--checkpoint_key` calls it: the wrapper's key and the prefix, or "top"."""
        return ".".join(part for part in (self.key, self.prefix.strip("./~")) if part) or "top"

    def statement(self) -> str:
        """Which network was taken, and how to take another; empty where there is only one."""
        if not self.others:
            return ""
        listed = ", ".join(f"{FLAG}={one.label}" for one in self.others)
        return f"taken: {self.label}; also in the file: {listed}"


def find(checkpoint: Mapping[str, Any], layouts: Iterable[Layout]) -> list[Network]:
    """Every network of these layouts in what a file holds, in its order.

    One that two layouts know is the first one's.
    """
    layouts, found = list(layouts), []
    for key, mapping in (mappings_of(checkpoint) or {"": checkpoint}).items():
        known: set[str] = set()  # prefixes, and places of first convolutions
        for layout in layouts:
            for prefix in layout.prefixes_in(mapping):
                names = {prefix, prefix + layout.anchor}
                if not names & known:
                    found.append(Network(key, prefix, layout, mapping))
                known |= names
    return found


def choose(found: Sequence[Network], key: str | None, what: str) -> Network | None:
    """The network that is meant, knowing of the others; None where there is none at all.

    Args:
        found: By `find`.
        key: What `--checkpoint_key` says: a label, or parts of one.
        what: The model, for the sentence.

    Raises:
        UserError: Several that no habit tells apart, or none of that key.
    """
    if not found:
        return None
    taken = _called(found, key, what) if key else _usual(found)
    if taken is None:
        raise UserError(
            f"The checkpoint holds {len(found)} networks that may be {what}: {_labels(found)}. "
            f"Choose one, for example {FLAG}={found[0].label}."
        )
    others = tuple(one for one in found if one is not taken)
    return Network(taken.key, taken.prefix, taken.layout, taken.arrays, others)


def _called(found: Sequence[Network], key: str, what: str) -> Network:
    exact = [one for one in found if one.label == key]
    fitting = exact or [one for one in found if _has_parts(one.label, key)]
    if len(fitting) == 1:
        return fitting[0]
    wrong = "several networks" if fitting else "no network"
    raise UserError(
        f"{FLAG}={key} names {wrong} of {what} in the checkpoint, which holds: "
        f"{_labels(fitting or found)}."
    )


def _has_parts(label: str, key: str) -> bool:
    """Whether the dotted parts of `key` stand side by side in `label`."""
    return f".{key.strip('.')}." in f".{label}."


def _usual(found: Sequence[Network]) -> Network | None:
    """The only one; else the one that is no average; else DINO's teacher."""
    plain = [one for one in found if not _AVERAGE.search(one.label)]
    if len(found) == 1 or len(plain) == 1:
        return (plain or found)[0]
    by_key = {one.key: one for one in found}
    if len(found) == 2 and set(by_key) == {"teacher", "student"}:
        return by_key["teacher"]
    return None


def _labels(networks: Iterable[Network]) -> str:
    return ", ".join(one.label for one in networks)
