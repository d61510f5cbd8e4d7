"""The embedded dataset: real photographs that scikit-image and scikit-learn carry in their wheels,
each one an object or place that is photographed again from other viewpoints, in other light.

Made at first use, without network, into the user's cache. A photograph is easy, hard or junk by
how much of the object it shows and how far it is from the original, in the spirit of Oxford5k
(good: more than a quarter visible; junk: less).
"""

import dataclasses
import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from jaxret.data.dataset import Box, Dataset
from jaxret.data.demo.rephotograph import Strength, rephotograph
from jaxret.data.folder import load_folder
from jaxret.data.photographs import GROUND_TRUTH_FILE
from jaxret.errors import UserError
from jaxret.runtime.machine import cores
from jaxret.runtime.user_cache import cache_dir

NAME = "demo"
VERSION = "1.0.0"  # raise it with anything below or in rephotograph.py that changes a picture
IMAGE_SIZE = 320  # pixels a side: the whole evaluation in about two minutes on two cores

SKIMAGE, SKLEARN = "skimage/data", "sklearn/datasets/images"

# instance -> (files of it, the object's box in the first one); motorcycle has a true second view
INSTANCES: dict[str, tuple[tuple[str, ...], Box]] = {
    "astronaut": ((f"{SKIMAGE}/astronaut.png",), (60, 15, 400, 500)),
    "brick": ((f"{SKIMAGE}/brick.png",), (80, 80, 432, 432)),
    "camera": ((f"{SKIMAGE}/camera.png",), (70, 50, 370, 500)),
    "chelsea": ((f"{SKIMAGE}/chelsea.png",), (80, 20, 360, 285)),
    "china": ((f"{SKLEARN}/china.jpg",), (85, 30, 360, 360)),
    "coffee": ((f"{SKIMAGE}/coffee.png",), (85, 20, 490, 380)),
    "coins": ((f"{SKIMAGE}/coins.png",), (25, 20, 365, 285)),
    "flower": ((f"{SKLEARN}/flower.jpg",), (165, 75, 450, 360)),
    "grass": ((f"{SKIMAGE}/grass.png",), (80, 80, 432, 432)),
    "gravel": ((f"{SKIMAGE}/gravel.png",), (80, 80, 432, 432)),
    "hubble": ((f"{SKIMAGE}/hubble_deep_field.jpg",), (150, 130, 850, 740)),
    "tissue": ((f"{SKIMAGE}/ihc.png",), (70, 70, 440, 440)),
    "moon": ((f"{SKIMAGE}/moon.png",), (60, 40, 390, 480)),
    "motorcycle": (
        (f"{SKIMAGE}/motorcycle_left.png", f"{SKIMAGE}/motorcycle_right.png"),
        (100, 90, 660, 440),
    ),
    "retina": ((f"{SKIMAGE}/retina.jpg",), (180, 180, 1230, 1230)),
    "rocket": ((f"{SKIMAGE}/rocket.jpg",), (190, 110, 460, 425)),
}
# photographs that no query asks for; they also hang as walls behind prints
OTHERS: dict[str, Box] = {
    f"{SKIMAGE}/cell.png": (100, 150, 450, 500),
    f"{SKIMAGE}/clock_motion.png": (100, 60, 300, 230),
    f"{SKIMAGE}/page.png": (60, 20, 320, 170),
    f"{SKIMAGE}/text.png": (80, 20, 370, 150),
}

EASY = Strength((0.55, 1), (0.6, 1.5), 0.25, 14, 0.08, (0.6, 1.35), 0.12, 1.4, 12, (35, 85))
CLOSE = Strength((0.25, 0.5), (0.45, 0.7), 0.5, 30, 0.12, (0.4, 0.7), 0.2, 2.0, 24, (18, 40))
BRIGHT = Strength((0.3, 0.6), (0.5, 0.8), 0.5, 30, 0.12, (1.3, 1.7), 0.25, 1.5, 12, (15, 35))
FAR = Strength((1, 1), (2.6, 4.0), 0.7, 25, 0.1, (0.6, 1.2), 0.2, 1.2, 16, (30, 60), True)
JUNK = Strength((0.03, 0.12), (0.2, 0.35), 0.7, 40, 0.1, (0.3, 1.4), 0.25, 3.0, 30, (10, 30))
QUERY = Strength((0.85, 1), (0.9, 1.25), 0.1, 6, 0.05, (0.8, 1.2), 0.08, 0.8, 8, (70, 92))
AFAR = dataclasses.replace(FAR, zoom=(1.8, 2.4), shift=0.3, quality=(60, 80))

# of every instance: (label, strength, how many); of every other photograph: distractors
DATABASE = (
    ("easy", EASY, 3),
    ("easy", AFAR, 1),
    ("hard", CLOSE, 2),
    ("hard", BRIGHT, 1),
    ("hard", FAR, 2),
    ("junk", JUNK, 1),
)
QUERIES = (QUERY, AFAR)
DISTRACTORS = ((EASY, 2), (CLOSE, 2), (FAR, 2))


def load(data_dir: Path | None = None) -> Dataset:
    """The dataset, made first if this version of it is not there yet.

    Args:
        data_dir: where to keep it; None is the user's cache directory.

    Raises:
        UserError: a photograph is missing from the installed packages, or the place to keep the
            dataset cannot be written.
    """
    place = data_dir or cache_dir() / "datasets"
    folder = place / f"{NAME}-{VERSION}-{_sources_digest()[:12]}"
    if not (folder / GROUND_TRUTH_FILE).is_file():
        _make_whole(folder)
    return dataclasses.replace(
        load_folder(folder),
        name=NAME,
        version=VERSION,
        image_size=IMAGE_SIZE,
        on_bad_image="fail",
        notes=(
            "Photographs: those that scikit-image and scikit-learn ship, each taken again by "
            "computer from seeded viewpoints; a small benchmark to try things on.",
        ),
    )


def _make_whole(folder: Path) -> None:
    """Made beside and renamed, so that a folder of this name is always complete."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise UserError(
            f"The demo dataset cannot be kept in {str(folder.parent)!r} ({error}). "
            "Name a folder that can be written with --data_dir."
        ) from error
    try:
        make(beside)
        beside.rename(folder)
    except OSError:
        if not (folder / GROUND_TRUTH_FILE).is_file():  # else another process was faster
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@dataclasses.dataclass(frozen=True)
class _Shot:
    """One photograph to be taken."""

    name: str
    label: str
    source: Image.Image
    box: Box
    strength: Strength
    wall: Image.Image | None = None


def make(folder: Path) -> None:
    """Write all photographs and gnd.json into `folder`."""
    shots = [shot for place, name in enumerate(INSTANCES) for shot in _instance(name, place)]
    shots += [shot for file in OTHERS for shot in _distractors(file)]
    with ThreadPoolExecutor(cores()) as pool:
        seen = list(pool.map(lambda shot: _take(shot, folder), shots))
    database = [shot for shot in shots if shot.label != "query"]
    truth: dict[str, list] = {"imlist": [shot.name for shot in database], "qimlist": [], "gnd": []}
    for shot, box in zip(shots, seen, strict=True):
        if shot.label == "query":
            instance = shot.name.split("/")[0] + "/"
            lists: dict[str, list] = {label: [] for label in ("easy", "hard", "junk")}
            for index, other in enumerate(database):
                if other.name.startswith(instance):
                    lists[other.label].append(index)
            truth["qimlist"].append(shot.name)
            truth["gnd"].append({"bbx": box, **lists})
    _write(folder / GROUND_TRUTH_FILE, json.dumps(truth).encode())


def _instance(instance: str, place: int) -> Iterator[_Shot]:
    """The photographs of one instance; every other one has a photographed wall behind prints."""
    files, box = INSTANCES[instance]
    sources = [_source(file) for file in files]
    wall = _source(list(OTHERS)[place % len(OTHERS)])
    kinds = [(label, strength) for label, strength, count in DATABASE for _ in range(count)]
    for number, (label, strength) in enumerate(kinds):
        name = f"{instance}/{number:02d}_{label}.jpg"
        source = sources[number % len(sources)]
        yield _Shot(name, label, source, box, strength, wall if number % 2 else None)
    for number, strength in enumerate(QUERIES):
        yield _Shot(f"{instance}/query_{number}.jpg", "query", sources[0], box, strength)


def _distractors(file: str) -> Iterator[_Shot]:
    views = [strength for strength, count in DISTRACTORS for _ in range(count)]
    for number, strength in enumerate(views):
        name = f"distractors/{Path(file).stem}_{number}.jpg"
        yield _Shot(name, "distractor", _source(file), OTHERS[file], strength)


def _take(shot: _Shot, folder: Path) -> Box:
    seed = f"{VERSION}/{shot.name}"
    encoded, seen = rephotograph(shot.source, shot.box, shot.strength, seed, shot.wall)
    _write(folder / shot.name, encoded)
    return seen


def _write(path: Path, encoded: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as stream:
        stream.write(encoded)
        stream.flush()
        os.fsync(stream.fileno())  # on the disk before the folder gets its name


def _source(file: str) -> Image.Image:
    return Image.open(_installed(file)).convert("RGB")


def _sources_digest() -> str:
    """Of the original photographs: another release of a package may hold other ones."""
    whole = hashlib.sha256()
    for file in [*(file for files, _ in INSTANCES.values() for file in files), *OTHERS]:
        whole.update(_installed(file).read_bytes())
    return whole.hexdigest()


def _installed(file: str) -> Path:
    """The file inside an installed package, which is not imported for it."""
    package, _, below = file.partition("/")
    spec = importlib.util.find_spec(package)
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(os.fspath(place)) / below
        if path.is_file():
            return path
    distribution = {"skimage": "scikit-image", "sklearn": "scikit-learn"}[package]
    raise UserError(
        f"The demo dataset needs {file}, which the installed {distribution} lacks. "
        f"Install it from PyPI: pip install --force-reinstall {distribution}."
    )
