"""Stanford Online Products: Ebay_test.txt lists its photographs and their classes.

image_id class_id super_class_id path
59552 11319 1 bicycle_final/251952414262_0.JPG
"""

from collections.abc import Sequence
from pathlib import Path

from jaxret.data.benchmarks import layout
from jaxret.data.ground_truth.labels import all_against_all
from jaxret.errors import UserError

LIST = "Ebay_test.txt"
_COLUMNS = ["image_id", "class_id", "super_class_id", "path"]


class Layout(layout.OfLists):
    def names(self, manual_dir: Path) -> list[str]:
        return list(self._classes(manual_dir))

    def truth(self, manual_dir: Path, names: Sequence[str], read: layout.Read) -> layout.Truth:
        classes = self._classes(manual_dir)
        lists = all_against_all(list(classes), list(classes.values()), itself="left out")
        return layout.made(lists, LIST)

    def _classes(self, manual_dir: Path) -> dict[str, int]:
        """Path -> class, in the order of the list."""
        lines = layout.read_list(self.row, LIST, manual_dir).decode().splitlines()
        rows = [line.split() for line in lines if line.strip()]
        if not rows or rows[0] != _COLUMNS or any(len(row) != len(_COLUMNS) for row in rows):
            raise UserError(f"{LIST} is not the list of {self.row.name}: {' '.join(_COLUMNS)}.")
        return {path: int(class_id) for _, class_id, _, path in rows[1:]}
