"""One photograph to search with, and the part of it that is asked for."""

import os
from pathlib import Path

from jaxret.data.dataset import Box, FileSplit, reading_failure
from jaxret.data.images.decode import BadImage, orientation_and_size
from jaxret.data.loose_names import LooseNames
from jaxret.errors import UserError


def query_split(path: str | Path, box: Box | None = None) -> FileSplit:
    """A split of one photograph.

    Args:
        path: the photograph; where nothing has this name, the one file that has it but for case,
            Unicode form or ending.
        box: x1, y1, x2, y2 in pixels of the photograph as viewers show it, that is, turned upright;
            the split holds it in stored pixels, as all splits do. None is the whole photograph.

    Raises:
        BadImage: the photograph cannot be read.
        UserError: the box does not lie inside of it.
    """
    path = _as_it_lies_there(Path(path).expanduser())
    split = FileSplit(path.parent, (path.name,))
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise BadImage(str(path), reading_failure(error)) from error
    orientation, size = orientation_and_size(encoded, str(path))
    if box is None:
        return split
    shown = turned(size, orientation)
    check_box(box, shown, split.names[0])
    return FileSplit(path.parent, (path.name,), (stored_box(box, shown, orientation),))


def _as_it_lies_there(path: Path) -> Path:
    """The path, or where nothing has its name the one file beside it that has it loosely."""
    if os.path.lexists(path) or not path.parent.is_dir():
        return path
    beside = [file.name for file in path.parent.iterdir() if file.is_file()]
    found = LooseNames(lambda: beside).find(path.name)
    return path.with_name(found) if found else path


def check_box(box: Box, size: tuple[int, int], name: str) -> None:
    """Raises `UserError` if the box does not lie inside a picture of `size` (width, height)."""
    x1, y1, x2, y2 = box
    width, height = size
    if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
        raise UserError(
            f"The box {','.join(f'{v:g}' for v in box)} does not lie inside {name!r}, which has "
            f"{width}x{height} pixels. Give x1,y1,x2,y2 with 0 <= x1 < x2 <= {width} and "
            f"0 <= y1 < y2 <= {height}."
        )


def stored_box(box: Box, shown: tuple[int, int], orientation: int) -> Box:
    """A box in the upright picture of size `shown` as a box in the stored one.

    EXIF 2.32, table 6: the first letter is where the stored row 0 is seen, the second where the
    stored column 0 is (2 top right, 3 bottom right, 4 bottom left, 5 left top, 6 right top,
    7 right bottom, 8 left bottom).
    """
    x1, y1, x2, y2 = box
    width, height = shown
    mirrored_x, mirrored_y = (width - x2, width - x1), (height - y2, height - y1)
    xs, ys = {
        2: (mirrored_x, (y1, y2)),
        3: (mirrored_x, mirrored_y),
        4: ((x1, x2), mirrored_y),
        5: ((y1, y2), (x1, x2)),
        6: ((y1, y2), mirrored_x),
        7: (mirrored_y, mirrored_x),
        8: (mirrored_y, (x1, x2)),
    }.get(orientation, ((x1, x2), (y1, y2)))
    return xs[0], ys[0], xs[1], ys[1]


def upright_box(box: Box, stored: tuple[int, int], orientation: int) -> Box:
    """The inverse of `stored_box`: a box in the stored picture of size `stored`, turned upright."""
    back = {6: 8, 8: 6}.get(orientation, orientation)  # the quarter turns undo each other
    return stored_box(box, stored, back)


def turned(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """The size of the upright picture: 5 to 8 are a quarter turn."""
    return (size[1], size[0]) if orientation in (5, 6, 7, 8) else size
