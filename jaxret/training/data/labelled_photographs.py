"""What there is to learn from, and the part of it that is kept back to measure on.

The photographs of a dataset, database and queries, form one collection. Ground truth says which of
them show the same instance: a query together with all photographs that its lists name. Held out
are whole instances, so that no photograph of a held-out instance is ever learnt from.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from jaxret.data.dataset import Box, Dataset, Split, Subset, without
from jaxret.data.demo.build import EASY
from jaxret.data.demo.rephotograph import rephotograph
from jaxret.data.ground_truth.writing import as_json
from jaxret.data.images.decode import BadImage, decode
from jaxret.data.photographs import EXTENSIONS, GROUND_TRUTH_FILE
from jaxret.data.splits import JoinedSplit
from jaxret.errors import UserError
from jaxret.runtime.artifacts import atomic_write, digest, write_json

NO_INSTANCE = -1


@dataclass(frozen=True)
class LabelledPhotographs:
    """All photographs of a dataset.

    Attributes:
        dataset: Where they come from.
        instance: int32 [M], what each shows; NO_INSTANCE where nobody asks for it. The database
            comes first, then the queries.
        junk: bool [M], whether it shows its instance too badly to learn that from it.
    """

    dataset: Dataset
    instance: NDArray[np.int32]
    junk: NDArray[np.bool_]

    @classmethod
    def of(cls, dataset: Dataset) -> "LabelledPhotographs":
        count, asked = len(dataset.database), len(dataset.queries)
        junk = np.zeros(count + asked, np.bool_)
        if dataset.ground_truth is None:
            return cls(dataset, np.full(count + asked, NO_INSTANCE, np.int32), junk)
        links = _links(dataset)
        joined = coo_matrix((np.ones(len(links)), links.T), shape=(count + asked,) * 2)
        _, component = connected_components(joined, directed=False)
        shown = np.bincount(component) > 1
        instance = np.where(shown[component], component, NO_INSTANCE).astype(np.int32)
        for one in dataset.ground_truth:
            junk[list(one.get("junk", ()))] = True
        for one in dataset.ground_truth:
            junk[_positives(one)] = False
        return cls(dataset, instance, junk)

    def demand_instances(self, flag: str, instead: str = "") -> None:
        """Raises UserError where nothing says what shows the same, which `flag` needs."""
        if (self.instance == NO_INSTANCE).all():
            raise UserError(
                f"{flag} needs to know which photographs show the same instance, and "
                f"{self.dataset.name} has no ground truth: make one with "
                f"`python tools/make_ground_truth.py --folder=FOLDER`{instead}."
            )

    @cached_property
    def photographs(self) -> JoinedSplit:
        return JoinedSplit((self.dataset.database, self.dataset.queries))

    def held_out(self, share: float, seed: int) -> NDArray[np.bool_]:
        """[M]: a share of the instances, and the same share of the photographs of none."""
        generator = np.random.default_rng([seed, len(self.instance)])
        instances = np.unique(self.instance[self.instance != NO_INSTANCE])
        chosen = generator.permutation(instances)[: _share(len(instances), share)]
        rest = np.flatnonzero(self.instance == NO_INSTANCE)
        back = np.isin(self.instance, chosen)
        back[generator.permutation(rest)[: _share(len(rest), share)]] = True
        return back


def _share(count: int, share: float) -> int:
    return min(max(round(count * share), 1), count) if share else 0


def _positives(query: dict[str, Any]) -> list[int]:
    return [int(i) for name in ("ok", "easy", "hard") for i in query.get(name, ())]


def _links(dataset: Dataset) -> NDArray[np.int64]:
    """Pairs of photographs that show the same instance, or are the same photograph by name."""
    assert dataset.ground_truth is not None
    count = len(dataset.database)
    place = {name: i for i, name in enumerate(dataset.database.names)}
    pairs = [(count, count)]
    for q, (name, one) in enumerate(zip(dataset.queries.names, dataset.ground_truth, strict=True)):
        shown = [*_positives(one), *map(int, one.get("junk", ()))]
        pairs += [(count + q, i) for i in shown]
        if name in place:
            pairs.append((count + q, place[name]))
    return np.array(pairs, np.int64)


def held_out_dataset(
    collection: LabelledPhotographs, back: NDArray[np.bool_], seed: int
) -> Dataset:
    """The held-out photographs as a dataset of their own.

    Where ground truth says nothing, each photograph is to be found by the same photograph taken
    again from another viewpoint, in other light.
    """
    dataset = collection.dataset
    count = len(dataset.database)
    if dataset.ground_truth is not None:
        gone = np.flatnonzero(~back)
        return without(dataset, gone[gone < count], gone[gone >= count] - count)
    kept = [int(i) for i in np.flatnonzero(back)]
    database = without(dataset, np.flatnonzero(~back[:count]), ()).database
    return dataclasses.replace(
        dataset,
        database=database,
        queries=Rephotographed(collection.photographs, tuple(kept), seed),
        ground_truth=[{"ok": [i], "junk": []} for i in range(len(kept))],
        protocols=("classic",),
    )


@dataclass(frozen=True)
class Rephotographed(Subset):
    """Photographs of another split, each whole and taken again (`data.demo.rephotograph`)."""

    seed: int

    @property
    def boxes(self) -> Sequence[Box | None]:
        return [None] * len(self)

    def read(self, index: int) -> bytes:
        place = self.kept[index]
        source = decode(self.whole.read(place), self.whole.names[place])
        box = (0.0, 0.0, float(source.width), float(source.height))
        return rephotograph(source, box, EASY, f"{self.seed} {self.whole.names[place]}")[0]

    def fingerprint(self) -> str:
        return digest({"of": self.whole.fingerprint(), "kept": self.kept, "seed": self.seed})


def write_dataset(dataset: Dataset, folder: Path) -> None:
    """A dataset as a folder that any evaluation can take: photographs, and gnd.json last.

    Raises:
        UserError: The folder cannot be written.
    """
    if (folder / GROUND_TRUTH_FILE).exists():
        return
    lists = {
        key: [_copy(split, i, folder, below) for i in range(len(split))]
        for key, split, below in (
            ("imlist", dataset.database, "database"),
            ("qimlist", dataset.queries, "queries"),
        )
    }
    truth = as_json(dataset, lists["imlist"], lists["qimlist"])
    write_json(folder / GROUND_TRUTH_FILE, truth)


def _copy(split: Split, index: int, folder: Path, below: str) -> str:
    """Copies a photograph; an unreadable one becomes an empty file, for the evaluation to judge."""
    name = split.names[index]
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", "..")]
    file = PurePosixPath(below, *parts)
    if file.suffix.lower() not in EXTENSIONS:
        file = file.with_name(file.name + ".jpg")
    try:
        content = split.read(index)
    except BadImage:
        content = b""
    if not (folder / file).exists():
        with atomic_write(folder / file) as out:
            out.write(content)
    return file.as_posix()


def check_enough(
    collection: LabelledPhotographs, back: NDArray[np.bool_], held_out: Dataset | None, needed: int
) -> None:
    """Raises UserError where there is too little to learn from, or to measure on."""
    name, learnt = collection.dataset.name, int((~back).sum())
    if learnt < needed:
        kept = f", {int(back.sum())} more are held out" if back.any() else ""
        raise UserError(
            f"{name} has {learnt} photographs to learn from{kept}, fewer than "
            f"--batch_size={needed}: give more photographs, a smaller batch or a smaller "
            "--held_out."
        )
    if held_out is not None and (len(held_out.database) < 2 or not len(held_out.queries)):
        raise UserError(
            f"The held-out part of {name} has {len(held_out.database)} photographs and "
            f"{len(held_out.queries)} queries, too few to measure on: raise --held_out, or give "
            "--held_out=0."
        )
