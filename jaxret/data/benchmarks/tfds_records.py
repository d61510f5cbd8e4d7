"""What the TFDS builders write and read: photographs in shards, rows that point to them."""

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from tqdm import tqdm

FILE_FORMAT = "array_record"

ENCODED = {"image": tfds.decode.SkipDecoding()}
"""Decoders that leave photographs as the bytes of their files."""

Examples = Callable[[], Iterator[tuple[int, dict[str, Any]]]]
"""What writes one shard: (key, example) in order."""


def prepare(builder: tfds.core.DatasetBuilder, manual_dir: Path) -> None:
    """Prepare without TensorFlow; nothing is done where it is prepared already."""
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS speaks of downloads; there are none
        builder.download_and_prepare(
            download_dir=Path(builder.data_dir_root) / "downloads",
            download_config=tfds.download.DownloadConfig(manual_dir=str(manual_dir)),
            file_format=FILE_FORMAT,
        )


def is_prepared(builder: tfds.core.DatasetBuilder) -> bool:
    """Whether the data is there; as the builder's own method, which warns where it is not."""
    return (Path(builder.data_dir) / "dataset_info.json").is_file()


def photograph_features() -> tfds.features.FeaturesDict:
    """Encoded photograph and name."""
    return tfds.features.FeaturesDict(
        {"image": tfds.features.Image(), "name": tfds.features.Text()}
    )


def photograph_shards(
    contents: Iterable[tuple[str, bytes]], count: int, shard_size: int, digests: list[str]
) -> list[Examples]:
    """Writers of all shards of a split, to be run one after the other.

    Args:
      contents: (name, encoded photograph), read as a stream.
      count: how many there are.
      shard_size: photographs a shard; this many are held in memory while it is written.
      digests: receives the SHA-256 of each photograph.
    """
    stream = iter(tqdm(contents, total=count, desc="Preparing", unit=" photographs", disable=None))

    def shard(start: int) -> Examples:
        def examples() -> Iterator[tuple[int, dict[str, Any]]]:
            for place, (name, content) in enumerate(islice(stream, shard_size), start):
                digests.append(hashlib.sha256(content).hexdigest())
                yield place, {"image": io.BytesIO(content), "name": name}

        return examples

    return [shard(start) for start in range(0, count, shard_size)]


def onto_disk(folder: Path) -> None:
    """Flush every file of a folder, before it gets the name that says it is whole."""
    for file in folder.iterdir():
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())


class JoinedRows(Sequence[dict[str, Any]]):
    """Rows, each with the photograph that its `photograph` points to under `image`."""

    def __init__(self, rows: Sequence[Any], pictures: Sequence[Any]) -> None:
        self._rows = rows
        self._pictures = pictures

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:
        row = self._rows[place]
        return {"image": self._pictures[int(row["photograph"])]["image"], **row}

    def __getitems__(self, places: Sequence[int]) -> list[dict[str, Any]]:
        return [self[place] for place in places]


def joined(rows: Any, pictures: Sequence[Any]) -> Any:
    """`JoinedRows` of what `as_data_source` gave: a source, or a dict or list of them."""
    if isinstance(rows, dict):
        return {split: JoinedRows(source, pictures) for split, source in rows.items()}
    if isinstance(rows, list | tuple):
        return [JoinedRows(source, pictures) for source in rows]
    return JoinedRows(rows, pictures)
