"""A dataset's ground truth in the form of gnd.json."""

from collections.abc import Sequence
from typing import Any

from jaxret.data.dataset import Dataset


def as_json(dataset: Dataset, imlist: Sequence[str], qimlist: Sequence[str]) -> dict[str, Any]:
    """The mapping that `files.read` reads back.

    Args:
        dataset: with a ground truth; its boxes go with it.
        imlist, qimlist: what its photographs are called there.
    """
    assert dataset.ground_truth is not None
    gnd = [
        {
            **{key: [int(i) for i in ids] for key, ids in one.items() if key != "bbx"},
            **({"bbx": list(map(float, box))} if box else {}),
        }
        for one, box in zip(dataset.ground_truth, dataset.queries.boxes, strict=True)
    ]
    own: dict[str, Any] = {"metrics": list(dataset.metrics)} if dataset.metrics else {}
    if dataset.depth is not None:
        own["depth"] = dataset.depth
    return {"imlist": list(imlist), "qimlist": list(qimlist), "gnd": gnd, **own}
