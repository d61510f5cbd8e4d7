"""What the TFDS builders of the benchmarks share.

Each builder has a configuration `photographs`, which alone holds the pictures, once, in the order
of their names; and one configuration a benchmark over them ("classic", "revisited"), which holds
rows that point into it. So roxford5k costs a megabyte beside oxford5k, and either may come first.

    data_dir/oxford5k/photographs/1.0.0   database: image, name
    data_dir/oxford5k/classic/1.0.0       database: name, photograph
                                          queries:  name, photograph, bbox, ok, junk

`as_data_source` of a benchmark joins the two: its rows have an `image` like any other dataset's.
Order is kept: row i of `database` is photograph i of the ground truth's lists.
"""

import abc
import io
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from jaxret.data.benchmarks import layout, locate, registry, tfds_records
from jaxret.data.benchmarks.missing_files import missing_photographs, wrong_number
from jaxret.data.benchmarks.row import PHOTOGRAPHS
from jaxret.data.ground_truth.checks import KINDS, check_boxes_inside
from jaxret.data.ground_truth.files import GroundTruth

# Held in memory while a shard is written: some 50 MB with Oxford's photographs of 400 kB.
SHARD_SIZE = 128


class BenchmarkBuilder(tfds.core.ShardBasedBuilder):
    """Base of the benchmarks whose photographs are prepared at once."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release: photographs once, one configuration a benchmark."}  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The official archives or their unpacked photographs, in any sub-folders, and the official "
        "ground-truth file or lists of the configuration where there are some."
    )

    @property
    @abc.abstractmethod
    def homepage(self) -> str:
        """Where its makers publish it."""

    @property
    def config_name(self) -> str:
        return str(self.builder_config.name)

    @property
    def holds_pictures(self) -> bool:
        return self.config_name.startswith(PHOTOGRAPHS)

    @property
    def row(self) -> registry.Benchmark:
        """The benchmark of the configuration, or one over its photographs."""
        key = "pictures" if self.holds_pictures else "config"
        rows = registry.of_builder(self.name)
        return next(row for row in rows if getattr(row, key) == self.config_name)

    def photographs_builder(self) -> "BenchmarkBuilder":
        """The builder of the pictures that this one's rows point to."""
        return type(self)(
            config=self.row.pictures,
            data_dir=self.data_dir_root,
            file_format=tfds_records.FILE_FORMAT,
        )

    def as_data_source(self, split: Any = None, *, decoders: Any = None, **kwargs: Any) -> Any:
        """As of any builder; rows of a benchmark have their photograph under `image`."""
        if self.holds_pictures or "deserialize_method" in kwargs:
            return super().as_data_source(split, decoders=decoders, **kwargs)
        decoders = dict(decoders or {})
        image = {"image": decoders.pop("image")} if "image" in decoders else None
        rows = super().as_data_source(split, decoders=decoders or None, **kwargs)
        return tfds_records.joined(
            rows, self.photographs_builder().as_data_source("database", decoders=image)
        )

    @property
    def lists(self) -> tuple[str, ...]:
        """Which lists a query of the configuration has."""
        return KINDS[self.row.kind]

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=self._features(),
            homepage=self.homepage,
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    def _features(self) -> tfds.features.FeaturesDict:
        """One schema serves both splits: `bbox` and the lists are empty in `database`."""
        if self.holds_pictures:
            return tfds_records.photograph_features()
        lists = {key: tfds.features.Sequence(np.int64) for key in self.lists}
        return tfds.features.FeaturesDict(
            {
                "name": tfds.features.Text(),
                "photograph": tfds.features.Scalar(np.int64),  # row of the photographs' split
                "bbox": tfds.features.Sequence(np.float64),  # x1 y1 x2 y2 in pixels
                **lists,
            }
        )

    def _shard_iterators_per_split(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[tfds_records.Examples]]:
        manual_dir = Path(dl_manager.manual_dir)
        if self.holds_pictures:
            return {"database": self._photograph_shards(manual_dir)}
        pictures = self.photographs_builder()
        self.layout.check(manual_dir)
        tfds_records.prepare(pictures, manual_dir)
        names = pictures.info.metadata["names"]
        place_of = {name: place for place, name in enumerate(names)}
        rows = pictures.as_data_source("database", decoders=tfds_records.ENCODED)

        def read(name: str) -> bytes:
            return bytes(rows[place_of[name]]["image"])

        made = self.layout.truth(manual_dir, names, read)
        truth = made.lists
        layout.check_counts(self.row, truth, made.file)
        _check_boxes(truth, read, made.file)
        self.info.metadata.update(
            imlist=truth.imlist,
            qimlist=truth.qimlist,
            gnd=truth.gnd,
            ground_truth_file=made.file,
            ground_truth_sha256=made.sha256,
        )
        return _row_shards(truth, place_of, self.lists)

    @property
    def layout(self) -> layout.Layout:
        return layout.of(self.row)

    def _photograph_shards(self, manual_dir: Path) -> list[tfds_records.Examples]:
        unpacked = self._unpacked
        unpacked.mkdir(parents=True)
        found = self.layout.find(manual_dir, unpacked)
        if found.absent:
            list_file = Path(self.data_dir_root) / f"{self.name}_missing.txt"
            raise missing_photographs(self.row, found, manual_dir, list_file)
        if len(found.files) != self.row.photographs:
            raise wrong_number(self.row, found, manual_dir)
        names = sorted(found.files)
        digests: list[str] = []
        release = locate.release(self.row, found.archives, len(names))
        self.info.metadata.update(names=names, sha256=digests, release=release)
        contents = ((name, found.files[name].read_bytes()) for name in names)
        return tfds_records.photograph_shards(contents, len(names), SHARD_SIZE, digests)

    @property
    def _unpacked(self) -> Path:
        """Inside the unfinished folder, so that it goes with it if the preparation fails."""
        return Path(self.data_dir) / "unpacked"

    def _download_and_prepare(self, dl_manager: Any, download_config: Any = None) -> None:
        super()._download_and_prepare(dl_manager, download_config)
        shutil.rmtree(self._unpacked, ignore_errors=True)
        tfds_records.onto_disk(Path(self.data_dir))


def _row_shards(
    truth: GroundTruth, place_of: Mapping[str, int], keys: Sequence[str]
) -> dict[str, list[tfds_records.Examples]]:
    nothing: dict[str, list[Any]] = {"bbox": [], **{key: [] for key in keys}}

    def database() -> Iterator[tuple[int, dict[str, Any]]]:
        for place, name in enumerate(truth.imlist):
            yield place, {"name": name, "photograph": place_of[name], **nothing}

    def queries() -> Iterator[tuple[int, dict[str, Any]]]:
        for place, (name, entry) in enumerate(zip(truth.qimlist, truth.gnd, strict=True)):
            lists = {key: entry[key] for key in keys}
            head = {"name": name, "photograph": place_of[name], "bbox": entry.get("bbx", [])}
            yield place, {**head, **lists}

    return {"database": [database], "queries": [queries]}


def _check_boxes(truth: GroundTruth, read: layout.Read, where: str) -> None:
    sizes = [
        None if box is None else _stored_size(read(name))
        for name, box in zip(truth.qimlist, truth.boxes, strict=True)
    ]
    check_boxes_inside(truth.qimlist, truth.boxes, sizes, where)


def _stored_size(encoded: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(encoded)) as image:
        return image.size
