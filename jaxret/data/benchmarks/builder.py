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
import hashlib
import io
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from jaxret.data.benchmarks import locate, registry, tfds_records
from jaxret.data.benchmarks.missing_files import how_to_get, missing_photographs
from jaxret.data.ground_truth import files
from jaxret.data.ground_truth.checks import check_boxes_inside
from jaxret.data.ground_truth.files import GroundTruth
from jaxret.errors import UserError

PHOTOGRAPHS = "photographs"

# Held in memory while a shard is written: some 50 MB with Oxford's photographs of 400 kB.
SHARD_SIZE = 128

_LISTS = {"classic": ("ok", "junk"), "revisited": ("easy", "hard", "junk"), "iscen": ("ok",)}


class BenchmarkBuilder(tfds.core.ShardBasedBuilder):
    """Base of oxford5k, paris6k and instre."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release: photographs once, one configuration a benchmark."}  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The official archives or their unpacked photographs, in any sub-folders, and the official "
        "ground-truth file of the configuration."
    )

    @property
    @abc.abstractmethod
    def homepage(self) -> str:
        """Where its makers publish it."""

    @property
    def config_name(self) -> str:
        return str(self.builder_config.name)

    def photographs_builder(self) -> "BenchmarkBuilder":
        """The builder of the pictures that this one's rows point to."""
        return type(self)(
            config=PHOTOGRAPHS, data_dir=self.data_dir_root, file_format=tfds_records.FILE_FORMAT
        )

    def as_data_source(self, split: Any = None, *, decoders: Any = None, **kwargs: Any) -> Any:
        """As of any builder; rows of a benchmark have their photograph under `image`."""
        if self.config_name == PHOTOGRAPHS or "deserialize_method" in kwargs:
            return super().as_data_source(split, decoders=decoders, **kwargs)
        decoders = dict(decoders or {})
        image = {"image": decoders.pop("image")} if "image" in decoders else None
        rows = super().as_data_source(split, decoders=decoders or None, **kwargs)
        return tfds_records.joined(
            rows, self.photographs_builder().as_data_source("database", decoders=image)
        )

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=self._features(),
            homepage=self.homepage,
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    def _features(self) -> tfds.features.FeaturesDict:
        """One schema serves both splits: `bbox` and the lists are empty in `database`."""
        if self.config_name == PHOTOGRAPHS:
            return tfds_records.photograph_features()
        lists = {key: tfds.features.Sequence(np.int64) for key in _LISTS[self.config_name]}
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
        if self.config_name == PHOTOGRAPHS:
            return {"database": self._photograph_shards(manual_dir)}
        row = next(r for r in registry.of_builder(self.name) if r.config == self.config_name)
        truth, file = find_ground_truth(row, manual_dir)
        pictures = self.photographs_builder()
        tfds_records.prepare(pictures, manual_dir)
        place_of = {name: place for place, name in enumerate(pictures.info.metadata["names"])}
        _check_boxes(truth, place_of, pictures, str(file))
        self.info.metadata.update(
            imlist=truth.imlist,
            qimlist=truth.qimlist,
            gnd=truth.gnd,
            ground_truth_file=file.name,
            ground_truth_sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        )
        return _row_shards(truth, place_of, _LISTS[self.config_name])

    def _photograph_shards(self, manual_dir: Path) -> list[tfds_records.Examples]:
        row, names = _all_names(self.name, manual_dir)
        unpacked = self._unpacked
        unpacked.mkdir(parents=True)
        found = locate.find(names, manual_dir, unpacked)
        if found.absent:
            list_file = Path(self.data_dir_root) / f"{self.name}_missing.txt"
            raise missing_photographs(row, found, manual_dir, list_file)
        digests: list[str] = []
        release = locate.release(row, found.archives, len(names))
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


def find_ground_truth(row: registry.Benchmark, manual_dir: Path) -> tuple[GroundTruth, Path]:
    """The benchmark's ground truth from the file of its official name, anywhere below a folder."""
    stem = Path(row.ground_truth.file).stem
    for ending in (".pkl", ".mat"):
        found = sorted(manual_dir.rglob(stem + ending), key=lambda file: (len(file.parts), file))
        if found:
            return files.read(found[0], row.name), found[0]
    raise UserError(
        f"The ground truth of {row.name}, {row.ground_truth.file}, is not in {manual_dir}. "
        f"{how_to_get(row, manual_dir)}"
    )


def _all_names(builder: str, manual_dir: Path) -> tuple[registry.Benchmark, list[str]]:
    """Every photograph of the builder, sorted; any of its benchmarks' ground truths names them."""
    problem: UserError | None = None
    for row in registry.of_builder(builder):
        try:
            truth, _ = find_ground_truth(row, manual_dir)
        except UserError as error:
            problem = problem or error
        else:
            return row, sorted({*truth.imlist, *truth.qimlist})
    assert problem is not None
    raise problem


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


def _check_boxes(
    truth: GroundTruth, place_of: Mapping[str, int], pictures: BenchmarkBuilder, where: str
) -> None:
    rows = pictures.as_data_source("database", decoders=tfds_records.ENCODED)
    sizes = [_stored_size(rows[place_of[name]]["image"]) for name in truth.qimlist]
    check_boxes_inside(truth.qimlist, truth.boxes, sizes, where)


def _stored_size(encoded: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(encoded)) as image:
        return image.size
