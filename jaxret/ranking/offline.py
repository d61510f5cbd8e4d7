"""The offline stage of diffusion after Yang et al., AAAI 2019, in memory or in files.

Node i of the database: the i-th column of (I - alpha S)^-1, truncated to the node's `truncation`
nearest after S was normalised on the whole graph ("late truncation").

In a folder the work is done in shards of nodes, each file written whole: a run that was killed
goes on with the shards that are missing, and several processes on one file system share them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jaxret import defaults
from jaxret.artifacts import atomic_write, write_json
from jaxret.errors import UserError
from jaxret.parallel import my_part, wait_for_files
from jaxret.ranking.graph import mutual_graph
from jaxret.ranking.grouping import close_order
from jaxret.ranking.inputs import positive_integer
from jaxret.ranking.knn import others, search
from jaxret.ranking.selection import Neighbours
from jaxret.ranking.solver import Solver

FORMAT = 1  # of the folder; raise it when the files or what they mean change
SHARD_SIZE = 32768  # nodes: 128 MB of scores at the default truncation


@dataclass(frozen=True)
class DiffusionSettings:
    """What one diffusion is made with; the defaults are the paper's.

    Attributes:
      truncation: nodes a row keeps, itself counted; the size of the database for the full solve.
      kd: neighbours a node has in the graph, itself counted.
      gamma: affinity = max(similarity, 0) ** gamma.
      alpha: weight of the walk against the restart.
      tolerance: residual, relative to the right-hand side, at which a node is done.
      rounds: of conjugate gradients, at most.
    """

    truncation: int = defaults.DFS_TRUNCATION
    kd: int = defaults.DFS_KD
    gamma: float = defaults.DFS_GAMMA
    alpha: float = defaults.DFS_ALPHA
    tolerance: float = defaults.CG_TOLERANCE
    rounds: int = defaults.CG_ROUNDS

    def __post_init__(self) -> None:
        positive_integer(self.truncation, "truncation")
        positive_integer(self.rounds, "rounds")
        if positive_integer(self.kd, "kd") < 2:
            raise UserError("kd is 1; a node counts as its own neighbour, so give 2 or more.")
        if not 0 <= self.alpha < 1:
            raise UserError(f"alpha is {self.alpha}; give a number in [0, 1).")
        if not self.gamma > 0:
            raise UserError(f"gamma is {self.gamma}; give a number above 0.")

    @property
    def list_length(self) -> int:
        """Neighbours a node, itself counted, that the offline stage needs to know."""
        return max(self.truncation, self.kd)


@dataclass(frozen=True)
class Rows:
    """The sparse offline matrix: node i holds scores[i] at the nodes ids[i], itself first.

    Attributes:
      ids: int32 [nodes, n] a shard, in the order of the nodes; in memory or mapped from files.
      scores: float32 likewise.
    """

    ids: Sequence[NDArray[np.int32]]
    scores: Sequence[NDArray[np.float32]]

    def __len__(self) -> int:
        return sum(len(shard) for shard in self.ids)

    def row(self, node: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """(ids [n], scores [n]) of one node."""
        shard, place = divmod(node, len(self.ids[0]))
        return self.ids[shard][place], self.scores[shard][place]

    def whole(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """(ids [N, n], scores [N, n])."""
        if len(self.ids) == 1:
            return self.ids[0], self.scores[0]
        return np.concatenate(self.ids), np.concatenate(self.scores)


def diffuse(
    nearest: Neighbours, settings: DiffusionSettings, block_size: int | None = None
) -> Rows:
    """Diffuses every node over the lists of its nearest others: (similarities, ids), each [N, m].

    m is at least `settings.list_length` - 1, or N - 1.
    """
    sims, ids = nearest
    width = settings.kd - 1
    lists = _with_self(ids, settings.truncation)
    solver, degrees = _solver((sims[:, :width], ids[:, :width]), settings, block_size)
    return Rows([lists], [_in_close_order(solver, lists, degrees)])


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
    width = settings.kd - 1

    def find(start: int) -> None:
        part = database[start : start + shard_size]
        sims, ids = others(search(part, database, settings.list_length), start)
        write(files.graph_sims(start), sims[:, :width])
        write(files.graph_ids(start), ids[:, :width])
        write(files.ids(start), _with_self(ids, settings.truncation, start))

    files.each(find, files.ids)
    nearest = files.read(files.graph_sims), files.read(files.graph_ids)
    solver, degrees = _solver(
        (np.concatenate(nearest[0]), np.concatenate(nearest[1])), settings, block_size
    )

    def solve(start: int) -> None:
        lists = np.load(files.ids(start))
        part = degrees[start : start + shard_size]
        write(files.scores(start), _in_close_order(solver, lists, part, start))

    files.each(solve, files.scores)
    return read(folder)


def read(folder: Path) -> Rows:
    """The rows of a finished folder, mapped into memory."""
    meta = json.loads((folder / "diffusion.json").read_text())
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

    def graph_ids(self, start: int) -> Path:
        return self.folder / f"graph-ids-{start:09d}.npy"

    def graph_sims(self, start: int) -> Path:
        return self.folder / f"graph-sims-{start:09d}.npy"

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
    content = hashlib.sha256()
    for start in range(0, len(database), SHARD_SIZE):
        content.update(database[start : start + SHARD_SIZE].tobytes())
    meta = {
        "format": FORMAT,
        "nodes": len(database),
        "dimensions": database.shape[1],
        "shard_size": shard_size,
        "database": content.hexdigest(),
        "settings": asdict(settings),
    }
    path = folder / "diffusion.json"
    if not path.exists():
        write(folder / "database.npy", database)
        write_json(path, meta)
    elif json.loads(path.read_text()) != meta:
        raise UserError(
            f"{folder} holds the diffusion of other descriptors or settings; give an empty folder, "
            "or delete this one."
        )


def write(path: Path, array: NDArray) -> None:
    """An .npy file that is whole when it is there."""
    with atomic_write(path) as file:
        np.save(file, array, allow_pickle=False)


def _with_self(ids: NDArray[np.int32], truncation: int, first: int = 0) -> NDArray[np.int32]:
    """Lists of `truncation` nodes, row i headed by its own node `first` + i."""
    nodes = np.arange(first, first + len(ids), dtype=np.int32)[:, None]
    return np.concatenate([nodes, ids[:, : truncation - 1]], axis=1)


def _solver(
    nearest: Neighbours, settings: DiffusionSettings, block_size: int | None
) -> tuple[Solver, NDArray[np.int32]]:
    graph = mutual_graph(nearest, settings.gamma)
    solver = Solver(graph, settings.alpha, settings.tolerance, settings.rounds, block_size)
    return solver, graph.degrees


def _in_close_order(
    solver: Solver, lists: NDArray[np.int32], degrees: NDArray[np.int32], first: int = 0
) -> NDArray[np.float32]:
    order = close_order(lists[:, 1:], degrees, first)
    scores = np.empty(lists.shape, np.float32)
    scores[order] = solver.solve(lists[order])
    return scores
