"""One workdir of two encoders on a small folder with ground truth, and its page."""

import json
from pathlib import Path

import pytest
from things import THINGS, VIEWS, view
from tiny import TINY

import jaxret
from jaxret.explore.settings import ExploreSettings
from jaxret.models import rows

SIDE = 64
SEEDS = (0, 1)  # two encoders
RANKINGS = ("G", "G+AQE")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Views of things below their folders, one query each, the last view of a thing ignored.

    A view of the next thing should be found as well: encoders place those differently.
    """
    folder = tmp_path_factory.mktemp("data") / "things"
    imlist = [f"{thing}/{number}.jpg" for thing in THINGS for number in range(VIEWS)]
    for thing in THINGS:
        (folder / thing).mkdir(parents=True)
        for number in range(VIEWS + 1):
            (folder / thing / f"{number}.jpg").write_bytes(view(thing, number))
    gnd = []
    for thing, other in zip(THINGS, (*THINGS[1:], THINGS[0]), strict=True):
        ids = [imlist.index(f"{thing}/{number}.jpg") for number in range(VIEWS)]
        hard = [ids[1], imlist.index(f"{other}/2.jpg")]
        gnd.append({"bbx": [10, 10, 150, 110], "easy": ids[:1], "hard": hard, "junk": ids[3:]})
    qimlist = [f"{thing}/{VIEWS}.jpg" for thing in THINGS]
    truth = {"imlist": imlist, "qimlist": qimlist, "gnd": gnd}
    (folder / "gnd.json").write_text(json.dumps(truth))
    return folder


KNOWN = (*rows.ROWS, TINY)


@pytest.fixture(autouse=True)
def tiny_row(monkeypatch):
    """The registry knows the small network, in these tests alone."""
    monkeypatch.setattr(rows, "ROWS", KNOWN)


@pytest.fixture(scope="session")
def settings(folder, tmp_path_factory):
    """The two evaluations."""
    plain = dict(model="tiny", weights="random", dataset=str(folder), ranking=RANKINGS)
    plain |= dict(image_size=SIDE, pca_dim="true", aqe_n=2, bn_recalibration="none")
    workdir = str(tmp_path_factory.mktemp("runs") / "workdir")
    return [jaxret.Settings(**plain, workdir=workdir, seed=seed) for seed in SEEDS]


@pytest.fixture(scope="session")
def evaluated(settings):
    """The results of one run after the other into one workdir."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "ROWS", KNOWN)
        return [jaxret.run(one, report=False) for one in settings]


@pytest.fixture(scope="session")
def workdir(settings, evaluated):
    return Path(settings[0].workdir)


@pytest.fixture(scope="session")
def other_folder(tmp_path_factory):
    """Photographs without ground truth that nobody has described."""
    folder = tmp_path_factory.mktemp("more") / "holiday"
    folder.mkdir()
    for thing in THINGS[:2]:
        for number in range(3):
            (folder / f"{thing} {number}.jpg").write_bytes(view(thing, 10 + number))
    return folder


@pytest.fixture(scope="session")
def server(workdir, other_folder):
    from exploring import Server  # here: the extra may not be installed

    asked = ExploreSettings(workdir=str(workdir), dataset=(str(other_folder),))
    with Server(asked, workdir) as server:
        yield server
