"""Descriptors as files that anybody's tools take, and the names of what they describe.

    FOLDER/database.npy   [N, D] float32, rows L2-normalised, as they are ranked
    FOLDER/queries.npy    [Q, D]
    FOLDER/names.txt      the photographs of database.npy, one a line, in UTF-8
    FOLDER/query_names.txt
    FOLDER/gnd.json       what answers what, by rows; where there is a ground truth

`--features=FOLDER` reads them back: the same rankings, the same figures.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxret.data.dataset import Dataset, printable
from jaxret.data.ground_truth.writing import as_json
from jaxret.data.photographs import GROUND_TRUTH_FILE
from jaxret.runtime.artifacts import atomic_write, write_json, write_text

DATABASE, QUERIES = "database.npy", "queries.npy"
NAMES, QUERY_NAMES = "names.txt", "query_names.txt"


def save(folder: Path, queries: np.ndarray, database: np.ndarray, dataset: Dataset) -> None:
    """Writes the folder, each file whole or not at all.

    Args:
      folder: made where it is not there.
      queries, database: [Q, D] and [N, D].
      dataset: whose photographs they describe, one a row.

    Raises:
      UserError: the folder cannot be written or its disk is full.
    """
    names, query_names = dataset.database.names, dataset.queries.names
    write_array(folder / DATABASE, database)
    write_array(folder / QUERIES, queries)
    write_text(folder / NAMES, _lines(names))
    write_text(folder / QUERY_NAMES, _lines(query_names))
    if dataset.ground_truth is not None:
        write_json(folder / GROUND_TRUTH_FILE, as_json(dataset, names, query_names))
    else:  # one that another run left would be of other rows
        (folder / GROUND_TRUTH_FILE).unlink(missing_ok=True)


def write_array(path: Path, array: np.ndarray) -> None:
    """An .npy, whole or not at all."""
    with atomic_write(path) as file:
        np.save(file, array, allow_pickle=False)


def _lines(names: Sequence[str]) -> str:
    return "".join(f"{printable(name)}\n" for name in names)
