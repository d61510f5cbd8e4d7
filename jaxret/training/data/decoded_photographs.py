"""The photographs as one array on disk, decoded once: views are cut from it on the devices.

Each is stored whole, resized to a square, as the encoder will see photographs when it is judged.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from jaxret.data.dataset import Split
from jaxret.data.images.loader import batches
from jaxret.errors import UserError
from jaxret.runtime import parallel
from jaxret.runtime.artifacts import Store, atomic_write, write_json

_VERSION = 1  # raise it when the same key would give other pixels
_READ_AT_ONCE = 32


@dataclass(frozen=True)
class DecodedPhotographs:
    """Photographs ready for views to be cut from.

    Attributes:
        pixels: uint8 [N, S, S, 3], mapped from disk.
        ids: int64 [N], which photographs of the split they are.
        skipped: (name, reason) of those that cannot be read.
    """

    pixels: NDArray[np.uint8]
    ids: NDArray[np.int64]
    skipped: tuple[tuple[str, str], ...]


def stored(
    split: Split, ids: NDArray[np.int64], size: int, store: Store, workers: int | None, on_bad: str
) -> DecodedPhotographs:
    """The photographs `ids` of a split at `size` pixels a side, from the store or made now.

    Raises:
        UserError: An unreadable photograph with on_bad="fail", or none that can be read.
    """
    key = {"version": _VERSION, "photographs": split.fingerprint(), "size": size}
    folder = store.folder("photographs", {**key, "ids": ids.tolist()})
    listed, pixels = folder / "skipped.json", folder / "pixels.npy"
    if not listed.exists() and parallel.is_first():
        skipped = _write(split, ids, size, pixels, workers, on_bad)
        write_json(listed, skipped)  # last: what says that the array is whole
    parallel.wait_for_files([listed])
    return _read(listed, pixels, ids, split)


def _write(
    split: Split,
    ids: NDArray[np.int64],
    size: int,
    path: Path,
    workers: int | None,
    on_bad: str,
) -> list[tuple[int, str]]:
    """Writes the array; returns position in `ids` and reason of the photographs left out."""
    bad: list[tuple[str, str]] = []
    found: list[int] = []
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(ids), size, size, 3)}
    loaded = batches(
        split,
        size,
        _READ_AT_ONCE,
        ids.tolist(),
        crop=False,
        workers=workers,
        on_bad=on_bad,
        bad=bad,
    )
    with (
        atomic_write(path) as file,
        tqdm(total=len(ids), unit="photo", desc="photographs", mininterval=1, leave=False) as bar,
    ):
        np.lib.format.write_array_header_1_0(file, header)
        for batch in loaded:
            file.write(batch.images[: batch.count].tobytes())
            found += batch.indices.tolist()
            bar.update(batch.count)
        # Those left out make the end of the array empty, which costs no disk.
        file.truncate(file.tell() + (len(ids) - len(found)) * size * size * 3)
        file.seek(0, os.SEEK_END)
    missing = np.setdiff1d(ids, found)
    reasons = dict(bad)
    return [(int(i), reasons.get(split.names[int(i)], "")) for i in missing]


def _read(listed: Path, pixels: Path, ids: NDArray[np.int64], split: Split) -> DecodedPhotographs:
    skipped = {int(i): reason for i, reason in json.loads(listed.read_text("utf-8"))}
    kept = ids[~np.isin(ids, list(skipped))]
    if not len(kept):
        raise UserError(f"None of the {len(ids)} photographs can be read: {_first(skipped)}")
    rows = np.load(pixels, mmap_mode="r")[: len(kept)]
    named = tuple((split.names[i], reason) for i, reason in skipped.items())
    return DecodedPhotographs(rows, kept, named)


def _first(skipped: dict[int, str]) -> str:
    return next(iter(skipped.values()), "there is none.")
