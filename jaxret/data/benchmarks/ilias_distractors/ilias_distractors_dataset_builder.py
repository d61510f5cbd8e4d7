"""The distractors of mini-ILIAS: 5 million photographs of YFCC100M, in the tar files they come in.

Each archive is a configuration of its own, named as its file; of its photographs those are kept
that the makers' list names.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import tensorflow_datasets as tfds

from jaxret.data.benchmarks import registry
from jaxret.data.benchmarks.layout import read_list
from jaxret.data.benchmarks.parts import ArchiveBuilder
from jaxret.data.benchmarks.rows.ilias import MINI_IDS

FOLDERS = ("yfcc100m", "mini-ilias", "mini_ilias")  # below the folder of official files


class Builder(ArchiveBuilder):
    """ilias_distractors; README.md beside this file describes it."""

    # one an archive, made by `of_archive`
    BUILDER_CONFIGS: list[tfds.core.BuilderConfig] = []  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"The tar files in a folder {' or '.join(FOLDERS)}, and {MINI_IDS.file}."
    )

    _ids: frozenset[str] = frozenset()

    @property
    def homepage(self) -> str:
        return "https://vrg.fel.cvut.cz/ilias/"

    def archive_name(self) -> str:
        return f"{self.builder_config.name}.tar"

    def archive(self, manual_dir: Path) -> Path | None:
        return next((tar for tar in tars(manual_dir) if tar.name == self.archive_name()), None)

    def name_of(self, path: str) -> str | None:
        """The key of WebDataset: the file's name up to its first point."""
        key = PurePosixPath(path).name.split(".")[0]
        wanted = key in self._ids and super().name_of(path) is not None
        return f"{self.builder_config.name}/{key}" if wanted else None

    def check_found(self, archive: Path, count: int) -> None:
        """An archive of the whole of YFCC100M may hold none of the mini list."""

    def _shard_iterators_per_split(self, dl_manager: Any) -> Mapping[str, Sequence[Any]]:
        self._ids = frozenset(mini_ids(Path(dl_manager.manual_dir)))
        return super()._shard_iterators_per_split(dl_manager)


def of_archive(name: str, **options: Any) -> Builder:
    """The builder of a tar file's photographs."""
    config = tfds.core.BuilderConfig(name=name, description=f"the photographs of {name}.tar")
    return Builder(config=config, **options)


def tars(manual_dir: Path) -> list[Path]:
    """The archives of distractors, in order of their names."""
    found = (tar for folder in FOLDERS for tar in manual_dir.rglob(f"{folder}/*.tar"))
    return sorted({tar.name: tar for tar in found}.values(), key=lambda tar: tar.name)


def mini_ids(manual_dir: Path) -> list[str]:
    """The keys of the photographs that are in mini-ILIAS."""
    return read_list(registry.get("ilias-mini"), MINI_IDS.file, manual_dir).decode().split()
