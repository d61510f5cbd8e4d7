"""Google Landmarks v2, retrieval: 761,757 index photographs and the queries among the test ones.

They are published in 100 and 20 archives, each of which is a configuration of its own.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import tensorflow_datasets as tfds

from jaxret.data.benchmarks.gldv2 import solution
from jaxret.data.benchmarks.parts import ArchiveBuilder
from jaxret.data.benchmarks.rows.landmarks import INDEX_ARCHIVES, TEST_ARCHIVES, archive

_ARCHIVES = {
    f"{split}_{number:03d}": archive(split, number).file
    for split, count in (("index", INDEX_ARCHIVES), ("test", TEST_ARCHIVES))
    for number in range(count)
}
ID = re.compile(r"[0-9a-f]{16}\.jpe?g")


class Builder(ArchiveBuilder):
    """gldv2; README.md beside this file describes it."""

    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name=name, description=f"the photographs of {file}")
        for name, file in _ARCHIVES.items()
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "index/images_000.tar to 099, test/images_000.tar to 019 and retrieval_solution_v2.1.csv, "
        "as published."
    )

    _queries: frozenset[str] | None = None  # of the test archives, these alone

    @property
    def homepage(self) -> str:
        return "https://github.com/cvdfoundation/google-landmark"

    def archive_name(self) -> str:
        return _ARCHIVES[str(self.builder_config.name)]

    def archive(self, manual_dir: Path) -> Path | None:
        """Below folders index and test, since both have archives of the same names."""
        return min(manual_dir.rglob(self.archive_name()), default=None)

    def name_of(self, path: str) -> str | None:
        name = PurePosixPath(path).name
        key = name.split(".")[0]
        wanted = self._queries is None or key in self._queries
        return key if wanted and ID.fullmatch(name) else None

    def _shard_iterators_per_split(self, dl_manager: Any) -> Mapping[str, Sequence[Any]]:
        if str(self.builder_config.name).startswith("test"):
            asked = solution.read(Path(dl_manager.manual_dir))
            self._queries = frozenset(query.name for query in asked)
        return super()._shard_iterators_per_split(dl_manager)
