"""revisitop1m: a million photographs that answer no query of roxford5k and rparis6k.

They are published in 100 archives, each of which is a configuration of its own.
"""

from pathlib import Path

import tensorflow_datasets as tfds

from jaxret.data.benchmarks.parts import ArchiveBuilder

PARTS = 100
PUBLISHED = 1_001_001  # photographs, by Radenovic et al., CVPR 2018


def part_name(number: int) -> str:
    """Configuration of an archive's photographs; archives count from 1."""
    return f"part_{number:03d}"


def archive_name(number: int) -> str:
    return f"revisitop1m.{number}.tar.gz"


class Builder(ArchiveBuilder):
    """revisitop1m; README.md beside this file describes it."""

    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(
            name=part_name(number), description=f"the photographs of {archive_name(number)}"
        )
        for number in range(1, PARTS + 1)
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = "revisitop1m.1.tar.gz to revisitop1m.100.tar.gz, as published."

    @property
    def homepage(self) -> str:
        return "http://cmp.felk.cvut.cz/revisitop/"

    @property
    def number(self) -> int:
        return int(str(self.builder_config.name).removeprefix("part_"))

    def archive_name(self) -> str:
        return archive_name(self.number)

    def archive(self, manual_dir: Path) -> Path | None:
        return find_archive(self.number, manual_dir)


def find_archive(number: int, manual_dir: Path) -> Path | None:
    """The archive of that number anywhere below a folder."""
    return min(manual_dir.rglob(archive_name(number)), default=None)
