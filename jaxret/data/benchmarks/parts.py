"""Photographs that are published in many archives: each archive is prepared by itself.

An archive is read twice as a stream and never unpacked: once to count, which also shows that it is
whole, and once to write. An interruption costs one archive's work, and an archive may be deleted
once its part is prepared.
"""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from jaxret.data.benchmarks import archives, tfds_records
from jaxret.data.splits import PreparedSplit
from jaxret.errors import UserError

# Held in memory while a shard is written: some 100 MB.
SHARD_SIZE = 1000

_JPEG_START = b"\xff\xd8\xff"


class ArchiveBuilder(tfds.core.ShardBasedBuilder):
    """Base of the builders with a configuration an archive."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release: one configuration an archive."}  # noqa: RUF012

    @property
    @abc.abstractmethod
    def homepage(self) -> str:
        """Where its makers publish it."""

    @abc.abstractmethod
    def archive_name(self) -> str:
        """The configuration's archive, for messages."""

    @abc.abstractmethod
    def archive(self, manual_dir: Path) -> Path | None:
        """The configuration's archive anywhere below a folder."""

    def name_of(self, path: str) -> str | None:
        """What the photograph at a path in the archive is called; None where it is not wanted."""
        return path if path.lower().endswith((".jpg", ".jpeg")) else None

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds_records.photograph_features(),
            homepage=self.homepage,
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    def _shard_iterators_per_split(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[tfds_records.Examples]]:
        archive = self.archive(Path(dl_manager.manual_dir))
        if archive is None:
            raise UserError(f"{self.archive_name()} is not in {dl_manager.manual_dir}.")
        paths, others = [], 0
        for path, content in archives.members(archive, self._wanted):
            if content.startswith(_JPEG_START):
                paths.append(path)
            else:
                others += 1
        self.check_found(archive, len(paths))
        digests: list[str] = []
        names = [self.name_of(path) or path for path in paths]
        self.info.metadata.update(names=names, sha256=digests, left_out=others)
        kept = set(paths)
        contents = (
            (self.name_of(path) or path, content)
            for path, content in archives.members(archive, lambda path: path in kept)
        )
        return {
            "database": tfds_records.photograph_shards(contents, len(paths), SHARD_SIZE, digests)
        }

    def check_found(self, archive: Path, count: int) -> None:
        """Raises `UserError` where the archive holds nothing that is wanted."""
        if not count:
            raise UserError(f"{archive} holds no JPEG photographs; fetch it again.")

    def _wanted(self, path: str) -> bool:
        return self.name_of(path) is not None

    def _download_and_prepare(self, dl_manager: Any, download_config: Any = None) -> None:
        super()._download_and_prepare(dl_manager, download_config)
        tfds_records.onto_disk(Path(self.data_dir))


def split_of(builder: Any) -> PreparedSplit:
    """The photographs of a prepared archive, in its order."""
    made = builder.info.metadata
    return PreparedSplit(
        folder=Path(builder.data_dir),
        places=tuple(range(len(made["names"]))),
        names=tuple(made["names"]),
        boxes=(None,) * len(made["names"]),
        digests=tuple(made["sha256"]),
    )


@dataclass(frozen=True)
class Subset:
    """Part of a database in many archives, as --subset says it.

        0-9,12          the photographs of these archives alone; only they must be there
        positives+50000 all photographs that answer a query, and 50,000 others, seeded

    Attributes:
      archives: numbers, or None for all.
      others: how many photographs beside the positives, or None for all.
    """

    archives: tuple[int, ...] | None = None
    others: int | None = None

    @classmethod
    def of(cls, text: str | None, count: int) -> "Subset":
        """What the flag says of a database in `count` archives.

        Raises:
          UserError: it says neither of the two.
        """
        if text is None:
            return cls()
        kind, _, number = text.partition("+")
        if kind == "positives" and number.isdigit():
            return cls(others=int(number))
        numbers: list[int] = []
        for part in text.split(","):
            first, dash, last = part.partition("-")
            ends = (first, last if dash else first)
            if not all(end.isdigit() and int(end) < count for end in ends):
                raise UserError(
                    f"--subset={text} must be numbers of archives below {count}, such as 0-9,12, "
                    "or positives+50000."
                )
            numbers += range(int(ends[0]), int(ends[1]) + 1)
        if not numbers:
            raise UserError(f"--subset={text} names no archive; write 0-9, the smaller first.")
        return cls(archives=tuple(sorted(set(numbers))))
