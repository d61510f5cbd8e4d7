"""Encoders of one's own beside the registry's: in sweeps, ensembles, suites and reports."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import twins
from PIL import Image

import jaxret
from jaxret import checkpoint_flag, models
from jaxret.cli import forecast, terminal
from jaxret.convert.generic import resnet_spec
from jaxret.errors import UserError
from jaxret.models import rows
from jaxret.models.rows.resnet import resnet
from jaxret.models.spec import Source
from jaxret.models.weights import saving
from jaxret.runs import paper_suites, search
from jaxret.runs import plan as planning
from jaxret.runs import run as runs
from jaxret.runtime.artifacts import Store
from jaxret.stages.context import RunContext
from jaxret.stages.encoders import Identity
from jaxret.stages.features import Features

TINY = dataclasses.replace(
    resnet(
        "tiny",
        depth=18,
        parameters=157_504,
        licence="of its publisher",
        sources=(Source("https://publisher.example/tiny.pth"),),
    ).with_arguments(stages=1),
    tap="layer1",
    channels=64,
)
SENTENCE = "learnt with --loss=simclr in 3 steps on demo from random weights"


@pytest.fixture(autouse=True)
def a_small_row(monkeypatch):
    monkeypatch.setattr(rows, "ROWS", (TINY, *rows.ROWS))


def save(folder, seed):
    """A training's workdir; the digest of what it learnt."""
    (folder / "run.json").parent.mkdir(exist_ok=True)
    (folder / "run.json").write_text("{}")
    return saving.save(models.random(TINY, seed), folder / "encoder", SENTENCE, "").digest


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    draw = np.random.default_rng(0)
    for number in range(6):
        pixels = draw.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    gnd = [{"bbx": [0, 0, 40, 40], "easy": [0, 3], "hard": [1], "junk": []}]
    names = [f"{number}.png" for number in range(5)]
    truth = {"imlist": names, "qimlist": ["5.png"], "gnd": gnd}
    (folder / "gnd.json").write_text(json.dumps(truth))
    return folder


@pytest.fixture
def base(photographs, tmp_path):
    """The row's own weights lie in weights_dir; a training in `run`."""
    saving.save(models.random(TINY, 0), tmp_path / "weights" / "tiny", "tiny.pth", "0" * 64)
    save(tmp_path / "run", seed=1)
    return jaxret.Settings(
        model="mine",
        checkpoint=f"mine={tmp_path / 'run'}",
        dataset=str(photographs),
        image_size=32,
        ranking=("G",),
        pca_dim="true",
        weights_dir=str(tmp_path / "weights"),
        workdir=str(tmp_path / "work"),
    )


def digests(results):
    return {row["name"]: row["digest"] for row in results.models}


@pytest.mark.slow
def test_a_trainings_workdir_alone_and_the_report_says_where_it_came_from(base, tmp_path):
    results = jaxret.run(base)
    [row] = results.models
    assert (row["name"], row["network"]) == ("mine", "tiny")
    assert row["source"] == SENTENCE and row["checkpoint"] == str(tmp_path / "run")
    assert row["digest"] == models.random(TINY, 1).digest()
    assert row["licence"] == "" and "publisher" not in json.dumps(results.models)
    assert f"mine: tiny, {SENTENCE}, from {tmp_path / 'run'}." in results.notes
    page = (tmp_path / "work" / "report.html").read_text()
    assert SENTENCE in page and "publisher" not in page
    # Without a name of its own --model names it, and the folder of the weights does as well.
    for place in (tmp_path / "run", tmp_path / "run" / "encoder"):
        alone = dataclasses.replace(base, checkpoint=str(place), model="called")
        again = jaxret.run(alone)
        assert digests(again) == {"called": row["digest"]}
        assert again.figures[0]["ap"] == results.figures[0]["ap"]


@pytest.mark.slow
def test_in_a_sweep_and_an_ensemble_with_a_row_and_a_file(base, tmp_path):
    twin = twins.randomize(twins.build(resnet_spec("resnet18")), seed=0)
    torch.save(twin.state_dict(), tmp_path / "other.pth")
    own = f"mine={tmp_path / 'run'},other={tmp_path / 'other.pth'}"
    both = dataclasses.replace(base, checkpoint=own, arch="resnet18")
    names = ("mine", "tiny", "other", "tiny+mine")
    results = jaxret.run([dataclasses.replace(both, model=name) for name in names])
    assert dict.fromkeys(figure["model"] for figure in results.figures) == dict.fromkeys(names)
    found = digests(results)
    assert set(found) == {"mine", "tiny", "other"} and len(set(found.values())) == 3
    by_name = {row["name"]: row for row in results.models}
    assert by_name["tiny"]["source"] == "https://publisher.example/tiny.pth"
    assert by_name["other"]["source"] == "other.pth" and by_name["other"]["network"] == "resnet18"
    assert not any("https" in json.dumps(by_name[name]) for name in ("mine", "other"))


@pytest.mark.slow
def test_other_weights_in_the_same_folder_are_other_results(base, tmp_path):
    first = jaxret.run(base)
    shutil.rmtree(tmp_path / "run")
    other = save(tmp_path / "run", seed=2)
    second = jaxret.run(base)
    assert digests(second) == {"mine": other} != digests(first)
    assert not any("reused" in note for note in second.notes)
    assert json.loads((tmp_path / "work" / "results.json").read_text())["models"][0][
        "digest"
    ] == other  # fmt: skip
    shutil.rmtree(tmp_path / "run")
    save(tmp_path / "run", seed=1)
    third = jaxret.run(base)
    assert third.figures == first.figures
    assert any("reused" in note for note in third.notes)


def test_weights_that_change_during_a_run_end_it(base, tmp_path):
    context = RunContext(Store(tmp_path / "work"))
    plan = planning.make([base], context)
    shutil.rmtree(tmp_path / "run")
    save(tmp_path / "run", seed=2)
    with pytest.raises(UserError, match="run has changed since this run began"):
        runs.execute(plan, context, lambda line: None, single=True)


def test_the_same_weights_read_as_another_network_have_keys_of_their_own(base):
    context = RunContext(Store(Path(base.workdir)))
    dataset = context.dataset(base.dataset, base)
    others = (
        dataclasses.replace(TINY, mean=(0.0, 0.0, 0.0)),
        TINY.with_arguments(padding="same"),
        TINY.with_arguments(stem_pool="same"),
    )
    made = [Features.of(Identity("tiny", s, "0" * 64), dataset, base) for s in (TINY, *others)]
    assert len({json.dumps(one.database_key) for one in made}) == 4
    renamed = dataclasses.replace(TINY, name="other", licence="another", sources=())
    same = Features.of(Identity("other", renamed, "0" * 64), dataset, base)
    assert same.database_key == made[0].database_key


def test_searches_and_dry_runs_take_them_too(base, photographs, tmp_path, capsys):
    found = search.search(search.as_found(base), photographs / "3.png", report=False)
    assert found.names[0] == "3.png" and found.results.models[0]["source"] == SENTENCE
    assert any(SENTENCE in note for note in found.results.notes)
    work = terminal.Work((base, dataclasses.replace(base, model="tiny+mine")))
    terminal.run(work, download=True, dry_run=True)
    printed = capsys.readouterr().out
    assert "features of mine on photographs" in printed and "rankings of tiny+mine" in printed
    assert "Missing" not in printed


def test_in_a_suite(base, monkeypatch):
    """Evaluations, and a forecast in which only the photographs are missing."""
    chosen = {"model": ["mine", "tiny+mine"]}
    every, gaps = runs.evaluations(base, "table1", chosen)
    assert {one.model for one in every} == {"mine", "tiny+mine"} and len(every) == 6
    assert {"model": "resnet50", "reason": "not asked for (--model)"} in gaps
    monkeypatch.setattr(forecast, "_speed", lambda: 1e12)
    context = RunContext(Store(Path(base.workdir)))
    plan = planning.make(every, context, demand=False)
    assert plan.missing and not any("mine" in sentence for sentence in plan.missing)
    with pytest.raises(UserError, match="say which to run, such as --model=resnet50,mine"):
        paper_suites.expand("table1", base)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"checkpoint": "tiny=run", "model": "tiny"}, "tiny, which is the name of a model already"),
        ({"model": "mien"}, r"Unknown model 'mien'.*Known: .*resnet50.* From --checkpoint: mine\."),
        ({"model": "mine+mien"}, r"--model=mine\+mien: Unknown model 'mien'.*mine\."),
        ({"checkpoint": "mine=nowhere"}, "There is no checkpoint at 'nowhere'"),
        ({"checkpoint": "mine=run,other"}, "'other' must be NAME=FILE or NAME=FOLDER"),
        ({"checkpoint": "mine=run,=x"}, "'=x' must be NAME=FILE"),
        ({"checkpoint": "mine="}, "'mine=' must be NAME=FILE"),
        ({"checkpoint": "mine=a,mine=b"}, "gives the name 'mine' twice"),
        ({"checkpoint": "run", "model": "mine+tiny"}, "or name it in an ensemble"),
        ({"weights": "random"}, "brings weights of its own, and --weights=random"),
    ],
)
def test_names_that_cannot_be_are_refused(changes, sentence, base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=sentence):
        jaxret.run(dataclasses.replace(base, **changes))
    assert not (tmp_path / "work").exists()


def test_a_training_that_has_not_finished_is_called_so(base, tmp_path):
    (tmp_path / "run" / "encoder" / "provenance.json").unlink()
    with pytest.raises(UserError, match=r"The training in .*run has not finished"):
        jaxret.run([base, dataclasses.replace(base, model="tiny")])
    assert not (tmp_path / "work").exists()


def test_one_name_for_two_encoders_is_refused(base, tmp_path):
    save(tmp_path / "second", seed=2)
    other = dataclasses.replace(base, checkpoint=f"mine={tmp_path / 'second'}")
    with pytest.raises(UserError, match=r"Two encoders are called mine: .*run and .*second"):
        jaxret.run([base, other])
    published = dataclasses.replace(base, checkpoint=None, model="tiny")
    called_so = dataclasses.replace(base, checkpoint=str(tmp_path / "run"), model="tiny")
    with pytest.raises(UserError, match=r"the model of that name and .*run"):
        jaxret.run([published, called_so])


def test_what_model_says_beside_checkpoint():
    default = ["efficientnet-lite0"]
    assert checkpoint_flag.models(None, default, False) == default
    assert checkpoint_flag.models("x/mine.v2.pth.tar", default, False) == ["mine"]
    assert checkpoint_flag.models("./lr=0.1/mine.pth", default, False) == ["mine"]
    assert checkpoint_flag.models("mine=a,other=b", default, False) == ["mine", "other"]
    assert checkpoint_flag.models("mine=a", ["mine", "resnet50+mine"], True) == [
        "mine",
        "resnet50+mine",
    ]
    with pytest.raises(UserError, match=r"gives other, which --model=mine does not use"):
        checkpoint_flag.models("mine=a,other=b", ["mine"], True)
    with pytest.raises(UserError, match=r"one encoder.*--checkpoint=NAME=x\.pth"):
        checkpoint_flag.models("x.pth", ["a", "b"], True)


def test_a_folder_is_called_by_its_whole_name(tmp_path, monkeypatch):
    (tmp_path / "lr0.1, a+b").mkdir()
    assert checkpoint_flag.name_of(str(tmp_path / "lr0.1, a+b")) == "lr0.1-a-b"
    monkeypatch.chdir(tmp_path / "lr0.1, a+b")
    assert checkpoint_flag.name_of(".") == "lr0.1-a-b"
