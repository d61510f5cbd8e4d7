"""The offline stage of diffusion in the files of a folder: memory-mapped, resumable, shared.

The work is done in shards of nodes, each file written whole: a run that was killed goes on with
the shards that are missing, and several processes on one file system share them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxret.errors import UserError
from jaxret.functional.settings import DiffusionSettings
from jaxret.ranking.diffusion.grouping import close_order
from jaxret.ranking.diffusion.offline import Lists, Rows, solver_of
from jaxret.ranking.neighbours.search import search
from jaxret.runtime.artifacts import atomic_write, write_json
from jaxret.runtime.parallel import my_part, wait_for_files

FORMAT = 1  # of the folder; raise it when the files or what they mean change
SHARD_SIZE = 32768  # nodes: 128 MB of scores at the default truncation


def diffuse_in(
    folder: Path,
    database: NDArray[np.float32],
    settings: DiffusionSettings,
    block_size: int | None = None,
    shard_size: int = SHARD_SIZE,
) -> Rows:
    """As `diffuse` from the descriptors [N, D], shard by shard, into the files of a folder.

    Raises:
      UserError: the folder holds the diffusion of something else.
    """
    claim(folder, database, settings, shard_size)
    files = Files(folder, len(database), shard_size)

    def find(start: int) -> None:
        part = database[start : start + shard_size]
        lists = Lists.of(search(part, database, settings.list_length), settings, start)
        write(files.near_sims(start), lists.near_sims)
        write(files.near_ids(start), lists.near_ids)
        write(files.ids(start), lists.members)

    files.each(find, files.ids)
    near = np.concatenate(files.read(files.near_sims)), np.concatenate(files.read(files.near_ids))
    solver, degrees = solver_of(near, settings, block_size)

    def solve(start: int) -> None:
        members = np.load(files.ids(start))
        order = close_order(members[:, 1:], degrees[start : start + shard_size], start)
        write(files.scores(start), solver.solve(members, order))

    files.each(solve, files.scores)
    return read(folder)


def read(folder: Path) -> Rows:
    """The rows of a finished folder, mapped into memory."""
    meta = json.loads((folder / "diffusion.json").read_text("utf-8"))
    files = Files(folder, meta["nodes"], meta["shard_size"])
    return Rows(files.read(files.ids), files.read(files.scores))


@dataclass(frozen=True)
class Files:
    """The shards of one folder; a shard is named by its first node."""

    folder: Path
    nodes: int
    shard_size: int

    def ids(self, start: int) -> Path:
        return self.folder / f"ids-{start:09d}.npy"

    def scores(self, start: int) -> Path:
        return self.folder / f"scores-{start:09d}.npy"

    def near_ids(self, start: int) -> Path:
        return self.folder / f"near-ids-{start:09d}.npy"

    def near_sims(self, start: int) -> Path:
        return self.folder / f"near-sims-{start:09d}.npy"

    @property
    def starts(self) -> list[int]:
        return list(range(0, self.nodes, self.shard_size))

    def each(self, work: Callable[[int], None], last: Callable[[int], Path]) -> None:
        """Does this process's part of the shards whose last file is missing; waits for the rest."""
        for start in my_part(self.starts):
            if not last(start).exists():
                work(start)
        wait_for_files(last(start) for start in self.starts)

    def read(self, name: Callable[[int], Path]) -> list[NDArray]:
        return [np.load(name(start), mmap_mode="r") for start in self.starts]


def claim(
    folder: Path, database: NDArray[np.float32], settings: DiffusionSettings, shard_size: int
) -> None:
    """Makes the folder that of this database and these settings, or finds that it is.

    Raises:
      UserError: it is that of others.
    """
    meta = describe(database, settings, shard_size)
    path = folder / "diffusion.json"
    if not path.exists():
        write(folder / "database.npy", database)
        write_json(path, meta)
    elif json.loads(path.read_text("utf-8")) != meta:
        raise UserError(
            f"{folder} holds the diffusion of other descriptors or settings; give an empty folder, "
            "or delete this one."
        )


def describe(
    database: NDArray[np.float32], settings: DiffusionSettings, shard_size: int = SHARD_SIZE
) -> dict[str, Any]:
    """What decides the content of a folder."""
    content = hashlib.sha256()
    for start in range(0, len(database), SHARD_SIZE):
        content.update(database[start : start + SHARD_SIZE].tobytes())
    return {
        "format": FORMAT,
        "nodes": len(database),
        "dimensions": database.shape[1],
        "shard_size": shard_size,
        "database": content.hexdigest(),
        "settings": asdict(settings),
    }


def write(path: Path, array: NDArray) -> None:
    """An .npy file that is whole when it is there."""
    with atomic_write(path) as file:
        np.save(file, array, allow_pickle=False)
