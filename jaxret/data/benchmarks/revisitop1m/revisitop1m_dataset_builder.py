"""revisitop1m: a million photographs that answer no query of roxford5k and rparis6k.

They are published in 100 archives. Each is a configuration of its own, prepared by itself in two
passes over the archive and never unpacked: one to count, which also shows that it is whole, and
one to write. An interruption costs one archive's work, and an archive may be deleted once prepared.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from jaxret.data.benchmarks import archives, tfds_records
from jaxret.errors import UserError

PARTS = 100
PUBLISHED = 1_001_001  # photographs, by Radenovic et al., CVPR 2018

# Held in memory while a shard is written: some 100 MB.
SHARD_SIZE = 1000


def part_name(number: int) -> str:
    """Configuration of an archive's photographs; archives count from 1."""
    return f"part_{number:03d}"


def archive_name(number: int) -> str:
    return f"revisitop1m.{number}.tar.gz"


class Builder(tfds.core.ShardBasedBuilder):
    """revisitop1m; README.md beside this file describes it."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release: one configuration an archive."}  # noqa: RUF012
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(
            name=part_name(number), description=f"the photographs of {archive_name(number)}"
        )
        for number in range(1, PARTS + 1)
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = "revisitop1m.1.tar.gz to revisitop1m.100.tar.gz, as published."

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds_records.photograph_features(),
            homepage="http://cmp.felk.cvut.cz/revisitop/",
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    def _shard_iterators_per_split(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[tfds_records.Examples]]:
        number = int(str(self.builder_config.name).removeprefix("part_"))
        archive = find_archive(number, Path(dl_manager.manual_dir))
        if archive is None:
            raise UserError(f"{archive_name(number)} is not in {dl_manager.manual_dir}.")
        names, others = [], 0
        for path, content in archives.members(archive, _is_photograph):
            if content.startswith(b"\xff\xd8\xff"):
                names.append(path)
            else:
                others += 1
        if not names:
            raise UserError(f"{archive} holds no JPEG photographs; fetch it again.")
        digests: list[str] = []
        self.info.metadata.update(names=names, sha256=digests, left_out=others)
        kept = set(names)
        contents = archives.members(archive, lambda path: path in kept)
        return {
            "database": tfds_records.photograph_shards(contents, len(names), SHARD_SIZE, digests)
        }

    def _download_and_prepare(self, dl_manager: Any, download_config: Any = None) -> None:
        super()._download_and_prepare(dl_manager, download_config)
        tfds_records.onto_disk(Path(self.data_dir))


def find_archive(number: int, manual_dir: Path) -> Path | None:
    """The archive of that number anywhere below a folder."""
    return min(manual_dir.rglob(archive_name(number)), default=None)


def _is_photograph(path: str) -> bool:
    return path.lower().endswith((".jpg", ".jpeg"))
