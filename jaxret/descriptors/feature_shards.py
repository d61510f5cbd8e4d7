"""A folder of descriptors in shards, one for each tar file of photographs, made by many processes.

    FOLDER/key.json         what made them; descriptors made otherwise are refused
    FOLDER/*.shards         the NAMEs that a command was asked for
    FOLDER/NAME.npy         [rows, D] float16, L2-normalised, of NAME.tar
    FOLDER/NAME.names.txt   the photograph of each row, in UTF-8
    FOLDER/NAME.npy.json    written last: bytes of the tar, rows, and what was left out and why

Each file is written whole or not at all, and a shard without its .npy.json is made again: whatever
kills a process costs the shard that it was at.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxret.data.tar_shards import TarSplit
from jaxret.descriptors.saving import write_array
from jaxret.errors import UserError
from jaxret.runtime.artifacts import digest, write_json, write_text

STORED = np.float16
_KEY = "key.json"
Skipped = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class FeatureShards:
    """The folder, and what made what lies in it."""

    folder: Path

    def begin(self, key: Mapping[str, Any], tars: Sequence[Path]) -> None:
        """Says what will lie here; the first process alone calls it.

        Raises:
          UserError: descriptors of another key lie here, or it cannot be written.
        """
        self.check(key)
        write_json(self.folder / _KEY, key)
        stems = [tar.stem for tar in tars]
        write_json(self.folder / f"{digest({'shards': stems})[:12]}.shards", stems)

    def check(self, key: Mapping[str, Any]) -> None:
        """Raises UserError where descriptors of another key lie here."""
        path = self.folder / _KEY
        if path.exists() and json.loads(path.read_text()) != json.loads(json.dumps(key)):
            raise UserError(
                f"{self.folder} holds descriptors that were made otherwise (its {_KEY} says how): "
                "choose another --save_descriptors, or the flags of that run."
            )

    def done(self, tar: Path) -> Path:
        """The file that says that a tar's shard is whole."""
        return self.folder / f"{tar.stem}.npy.json"

    def is_done(self, tar: Path) -> bool:
        """Whether the shard of this tar is there, made of as many bytes as it has now."""
        said = self.done(tar)
        return (
            said.exists()
            and (self.folder / f"{tar.stem}.npy").exists()
            and json.loads(said.read_text())["bytes"] == tar.stat().st_size
        )

    def write(
        self, split: TarSplit, rows: np.ndarray, names: Sequence[str], skipped: Skipped
    ) -> None:
        """Writes the shard of a tar.

        Args:
          rows: float32 [n, D]; names: of the n photographs.
          skipped: name and reason of the others.
        """
        stem = split.path.stem
        self.done(split.path).unlink(missing_ok=True)  # of a tar of that name that has changed
        write_text(self.folder / f"{stem}.names.txt", "".join(f"{name}\n" for name in names))
        write_array(self.folder / f"{stem}.npy", rows.astype(STORED))
        said = {"tar": split.path.name, "bytes": split.path.stat().st_size, "rows": len(rows)}
        write_json(self.done(split.path), {**said, "skipped": [list(pair) for pair in skipped]})

    def skipped(self, tar: Path) -> list[tuple[str, str]]:
        """Name and reason of what was left out of a shard that is done."""
        return [tuple(pair) for pair in json.loads(self.done(tar).read_text())["skipped"]]

    def rows(self, tar: Path) -> int:
        """Of a shard that is done."""
        return int(json.loads(self.done(tar).read_text())["rows"])

    def files(self) -> list[Path]:
        """The .npy of all shards, once all that were asked for are there.

        Raises:
          UserError: some are missing.
        """
        listed = self.folder.glob("*.shards")
        stems = sorted({stem for path in listed for stem in json.loads(path.read_text())})
        missing = [stem for stem in stems if not (self.folder / f"{stem}.npy.json").exists()]
        if missing:
            raise UserError(
                f"{len(missing)} of the {len(stems)} shards of {self.folder} are still to be made, "
                f"{missing[0]} for one: run the command with --tars again, it goes on."
            )
        return [self.folder / f"{stem}.npy" for stem in stems]


def names_of(path: Path) -> list[str]:
    """The photographs of a shard's rows, by its .npy."""
    return path.with_name(f"{path.stem}.names.txt").read_text("utf-8").splitlines()
