"""Somebody's descriptors with a ground truth: what is ranked and evaluated by `feature_files`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from jaxret.convert.descriptor_files import Rows
from jaxret.data.benchmarks.ilias import ids as ilias
from jaxret.data.dataset import Dataset, FileSplit
from jaxret.data.ground_truth import files
from jaxret.data.ground_truth.files import GroundTruth
from jaxret.data.photographs import GROUND_TRUTH_FILE
from jaxret.descriptors import saving
from jaxret.errors import UserError
from jaxret.runs.given_rows import in_order, read_all, shards_of


@dataclass(frozen=True)
class Given:
    """Descriptors of queries and database, and what is right.

    Attributes:
        queries: [Q, D] float32, as they are given.
        database: [N, D] float32.
        dataset: of which only the names are there.
        name: what tables call whoever made them.
        source: where the database's are from, for the report.
        truth: where the ground truth is from.
    """

    queries: np.ndarray
    database: np.ndarray
    dataset: Dataset
    name: str
    source: str
    truth: str


def read_given(
    features: str | Path, query_features: str | Path | None, truth: str | Path | None
) -> Given:
    """Descriptors and ground truth, each row where the ground truth has its name.

    Args:
        features: [N, D] in files as `given_rows` describes, rows in the order of the ground
            truth's imlist unless the files name them; or a folder of `--save_descriptors` or of the
            HDF5 files that ILIAS's makers publish.
        query_features: [Q, D], likewise, of its qimlist; None for that of a folder.
        truth: a file of ground truth; or a folder of ILIAS's lists of ids or a list in it, under
            which all that is no positive is a distractor; None for that of a folder.

    Raises:
        UserError: a file cannot be read, is listed twice, names a row twice or holds NaN, or does
            not fit the others.
    """
    places = _Places.of(features, query_features, truth)
    of_ilias = ilias.find(places.truth)
    if of_ilias is not None:
        dataset, database, query_rows = _of_ilias(places, of_ilias)
    else:
        known = files.read(places.truth)
        database = _read(places.features, known.imlist, f"names in imlist of {places.truth}")
        query_rows = _read(places.queries, known.qimlist, f"names in qimlist of {places.truth}")
        dataset = _dataset(known, places.truth, _name_of(places.truth))
    if query_rows.vectors.shape[1] != database.vectors.shape[1]:
        raise UserError(
            f"{query_rows.source} has {query_rows.vectors.shape[1]} numbers a row and "
            f"{database.source} has {database.vectors.shape[1]}: both must come from one encoder."
        )
    return Given(
        query_rows.vectors,
        database.vectors,
        dataset,
        places.name,
        database.source,
        str(places.truth),
    )


@dataclass(frozen=True)
class _Places:
    """The files, each as it was named or as a folder holds it."""

    features: tuple[str, ...]
    queries: tuple[str, ...]
    truth: Path
    name: str

    @classmethod
    def of(
        cls, features: str | Path, queries: str | Path | None, truth: str | Path | None
    ) -> "_Places":
        folder, shards = Path(features).expanduser(), shards_of(features)
        name = Path(shards[0].partition("#")[0]).stem
        if len(shards) > 1:
            name = Path(shards[0]).absolute().parent.name
        if folder.is_dir():
            name = folder.absolute().name
            shards, own_queries = _of_folder(folder)
            queries = own_queries if queries is None else queries
            if truth is None and (folder / saving.DATABASE).exists():
                truth = folder / GROUND_TRUTH_FILE
        if queries is None or truth is None:
            raise UserError(
                "--features=FILE, --query_features and --ground_truth go together; a folder of "
                "--save_descriptors is enough alone."
            )
        truth = Path(truth).expanduser()
        if not truth.exists() and folder.is_dir():
            raise UserError(f"{folder} holds no {GROUND_TRUTH_FILE}: say --ground_truth.")
        return cls(shards, shards_of(queries), truth, name)


def _of_folder(folder: Path) -> tuple[tuple[str, ...], str | Path | None]:
    """Database and queries in a folder: jaxret's own, or as ILIAS's makers name theirs."""
    [*queries] = sorted(folder.glob("*_image_queries.hdf5"))
    if (folder / saving.DATABASE).exists() or not queries:
        return (str(folder / saving.DATABASE),), folder / saving.QUERIES
    shards = [*sorted(folder.glob("*_positive*.hdf5")), *sorted(folder.glob("*_distractors*.hdf5"))]
    if len(queries) > 1 or not shards:
        raise UserError(
            f"{folder} holds {len(queries)} files *_image_queries.hdf5 and {len(shards)} of "
            "*_positives.hdf5 and *_distractors_*.hdf5: name those that are meant, with commas."
        )
    return tuple(map(str, shards)), queries[0]


def _of_ilias(places: _Places, ids: ilias.Ids) -> tuple[Dataset, Rows, Rows]:
    """The gallery that the features hold, under ILIAS's own lists."""
    database = read_all(places.features, None, f"photographs of {ids.source}")
    if database.names is None:
        raise UserError(
            f"{database.source} does not say which row is whose: under ILIAS's lists the features "
            "need names, as its makers' HDF5 files have them in the dataset 'index'."
        )
    gallery = ilias.gallery(ids, database.names)
    if gallery.kept is not None:
        kept = gallery.kept
        database = replace(database, vectors=database.vectors[kept])
    wanted = gallery.truth.qimlist
    queries = _read(places.queries, wanted, f"image queries of {ids.source}")
    whole = _dataset(gallery.truth, places.truth, gallery.name)
    row = gallery.row
    dataset = replace(whole, notes=gallery.notes, metrics=row.metrics, depth=row.depth)
    return dataset, database, queries


def _read(places: Sequence[str], names: Sequence[str], said: str) -> Rows:
    """The rows that fit the ground truth, in the order of its names."""
    rows = read_all(places, len(names), said)
    if rows.names is not None:
        return in_order(rows, names, said)
    if len(rows.vectors) != len(names):
        raise UserError(
            f"{rows.source} has {len(rows.vectors)} rows, but there are {len(names)} {said}: one "
            "row each, in that order."
        )
    return rows


def _dataset(known: GroundTruth, truth: Path, name: str) -> Dataset:
    """The ground truth as a dataset of which only the names are there."""
    return Dataset(
        name=name,
        version="features",
        database=FileSplit(truth.parent, tuple(known.imlist)),
        queries=FileSplit(truth.parent, tuple(known.qimlist)),
        ground_truth=known.gnd,
        protocols=known.protocols,
        metrics=known.metrics,
        depth=known.depth,
    )


def _name_of(truth: Path) -> str:
    """By the file, or by its folder where every folder's is called so."""
    if truth.name == GROUND_TRUTH_FILE:
        return truth.absolute().parent.name or truth.stem
    return truth.stem.removeprefix("gnd_")
