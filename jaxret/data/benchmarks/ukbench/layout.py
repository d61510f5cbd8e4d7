"""UKBench's names: ukbench00000.jpg and on, four in a row of each object."""

from collections.abc import Sequence
from pathlib import Path

from jaxret.data.benchmarks import layout
from jaxret.data.ground_truth.labels import all_against_all
from jaxret.evaluation.at_k import NS_K


class Layout(layout.OfLists):
    def names(self, manual_dir: Path) -> list[str]:
        return [f"ukbench{number:05d}.jpg" for number in range(self.row.photographs)]

    def truth(self, manual_dir: Path, names: Sequence[str], read: layout.Read) -> layout.Truth:
        objects = [int(name[len("ukbench") : -len(".jpg")]) // NS_K for name in names]
        lists = all_against_all(names, objects, itself="kept")
        return layout.made(lists, "the photographs' names")
