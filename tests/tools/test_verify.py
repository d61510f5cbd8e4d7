"""The comparison itself: that it passes what is equal and finds what is not."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from twins.published import tensorflow_names
from verification import (
    Stage,
    Verdict,
    compare,
    describe,
    fill,
    photographs,
    random_twin,
    summarize,
    to_json,
    verify,
    write_published,
)

from jaxret.convert import convert_file
from jaxret.convert.reading import read_checkpoint
from jaxret.errors import UserError
from jaxret.models import get
from jaxret.models.weights.loading import load_folder

ROOT = Path(__file__).resolve().parents[2]


def _cut(name: str, stages: int = 1):
    """The first stages of a row, with its own names and file form."""
    spec = get(name).with_arguments(stages=stages)
    return replace(spec, tap=f"layer{stages}")


SMALL = {
    "torchvision": _cut("resnet50"),
    "simclr": _cut("simclr1x"),
    "moco": _cut("mocov2"),
    "swav": _cut("swav"),
    "simsiam": _cut("simsiam"),
    "byol": _cut("byol"),
    "gem": replace(get("gem-ap").with_arguments(stages=1, descriptor=32), channels=32),
    # Deep enough for a block to have a sixth unit: it is called layer_list.5, as a BN of the trunk.
    "amdim": get("amdim").with_arguments(ndf=4, n_rkhs=40, n_depth=6),
    "efficientnet": get("efficientnet-lite0"),
}
QUICK = ("torchvision", "gem", "amdim")
FORMS = {"moco": "torch stream", "amdim": "torch stream", "gem": "torch stream", "byol": "pickle"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in SMALL]
)
def test_whole_way_of_random_weights(name):
    verdict = verify(SMALL[name], size=(99, 96), count=1, float64=name == "torchvision")
    assert verdict.passed, describe(verdict)
    assert verdict.stages[-1].name == "output"
    assert f"({FORMS.get(name, 'torch zip')})" in verdict.notes[0]
    if name == "torchvision":
        # Two float32 results and a float64 one: none of the three distances is far from the rest.
        for stage in verdict.stages:
            assert stage.ours is not None and stage.theirs is not None
            assert stage.difference <= (stage.ours + stage.theirs) * stage.largest * 1.001


@pytest.mark.parametrize("name", ["torchvision", "simclr", "moco", "byol", "amdim"])
def test_twin_is_filled_from_the_authors_file(tmp_path, name):
    spec = SMALL[name]
    twin = random_twin(spec, seed=3)
    path = write_published(spec, twin, tmp_path)
    filled = fill(random_twin(spec, seed=4), spec, read_checkpoint(path).tensors)
    _assert_same_weights(filled, twin)
    if name == "moco":
        assert verify(spec, str(path), size=(64, 64), count=1).passed


def test_twin_is_filled_from_tensorflow_names():
    spec = get("simclr1x")
    twin = random_twin(spec, seed=3)
    arrays = tensorflow_names(twin.state_dict())
    _assert_same_weights(fill(random_twin(spec, seed=4), spec, arrays), twin)


def _assert_same_weights(first: torch.nn.Module, second: torch.nn.Module) -> None:
    wanted = second.state_dict()
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A twin and the encoder that came out of its file."""
    folder = tmp_path_factory.mktemp("pair")
    spec = _cut("resnet50", 2)
    twin = random_twin(spec, seed=0)
    convert_file(spec, write_published(spec, twin, folder), folder / "converted")
    return twin, load_folder(spec, folder / "converted")


def _changed(encoder, change):
    """The encoder with `change` applied to a copy of its params and batch_stats."""

    def copy(tree):
        return {
            key: copy(value) if isinstance(value, dict) else np.array(value)
            for key, value in tree.items()
        }

    variables = copy(encoder.variables)
    change(variables["params"], variables["batch_stats"])
    return replace(encoder, variables=variables)


def _transpose(params, _):
    kernel = params["layer1_0"]["conv1"]["kernel"]  # 1x1, 64 -> 64: no shape tells
    params["layer1_0"]["conv1"]["kernel"] = kernel.transpose(0, 1, 3, 2)


def _swap_blocks(params, statistics):
    for tree in (params, statistics):
        tree["layer2_1"], tree["layer2_2"] = tree["layer2_2"], tree["layer2_1"]


def _drop_norm(params, statistics):
    for tree in (params, statistics):
        for leaf in tree["layer1_1"]["bn2"].values():
            leaf[:] = 0
    params["layer1_1"]["bn2"]["scale"][:] = 1
    statistics["layer1_1"]["bn2"]["var"][:] = 1


def _flip(params, _):
    params["conv1"]["kernel"] = params["conv1"]["kernel"][::-1]


def _not_a_number(params, _):
    params["layer2_0"]["conv1"]["kernel"][0, 0, 0, 0] = np.nan


@pytest.mark.parametrize(
    "change, first_wrong",
    [
        (None, None),
        (_flip, "conv1"),
        (_transpose, "layer1"),
        (_drop_norm, "layer1"),
        (_swap_blocks, "layer2"),
        (_not_a_number, "layer2"),
    ],
)
def test_mistakes_of_a_port_are_found_where_they_are(pair, change, first_wrong):
    twin, encoder = pair
    if change is not None:
        encoder = _changed(encoder, change)
    stages, cosine, _ = compare(twin, encoder, photographs((96, 96), 2))
    wrong = [stage.name for stage in stages if not stage.passed(1e-5)]
    assert (wrong[0] if wrong else None) == first_wrong
    verdict = Verdict("x", 1, "random", (2, 96, 96), stages, cosine)
    assert verdict.passed == (change is None)
    assert json.loads(json.dumps(to_json([verdict]), allow_nan=False))["passed"] == verdict.passed


def test_misnamed_arrays_are_refused_before_anything_runs(tmp_path):
    spec = _cut("resnet50")
    state = torch.load(write_published(spec, random_twin(spec, 0), tmp_path), weights_only=True)
    state["layer1.1.conv2.wieght"] = state.pop("layer1.1.conv2.weight")
    torch.save(state, tmp_path / "renamed.pth")
    with pytest.raises(UserError, match=r"layer1\.1\.conv2\.weight"):
        verify(spec, str(tmp_path / "renamed.pth"))
    torch.save({"a": torch.ones(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="not a checkpoint of resnet50"):
        verify(spec, str(tmp_path / "other.pth"))


def _stage(relative: float, name: str = "layer1") -> Stage:
    return Stage(name, (2, 7, 7, 64), 10.0, 10 * relative, relative)


def test_account_says_what_is_wrong_and_where():
    stages = (_stage(3e-7, "conv1"), _stage(2e-4, "layer1"), _stage(float("nan"), "layer2"))
    bad = Verdict("resnet50", 23_508_032, "random, seed 0", (2, 224, 224), stages, 0.99)
    told = describe(bad)
    assert "FAIL  largest relative difference nan (after layer2), allowed 1e-05" in told
    assert "the first stage that is off is layer1" in told
    assert told.count("<- too far") == 2
    good = replace(bad, model="good", stages=stages[:1], cosine=1.0)
    assert "PASS  largest relative difference 3.0e-07 (after conv1)" in describe(good)
    assert "\033[32;1mPASS" in describe(good, colour=True)
    told = summarize([good, bad], [("byol", "no file")])
    assert [line.split()[-1] for line in told.splitlines()[1:3]] == ["pass", "FAIL"]
    assert "refused: no file" in told
    data = to_json([good, bad], [("byol", "no file")])
    assert data["passed"] is False
    assert [result["relative_difference"] for result in data["results"]] == [3e-7, None]
    assert to_json([good])["passed"] is True


def test_gauge_marks_the_difference_and_the_limit():
    def gauge(relative):
        verdict = Verdict("x", 1, "", (1, 8, 8), (_stage(relative),), 1.0)
        row = next(line for line in describe(verdict).splitlines() if "layer1" in line)
        return row.split("  ")[-1] if relative <= 1e-5 else row.split()[5]

    places = [gauge(relative).index("*") for relative in (0.0, 1e-8, 1e-6, 1e-4, 1.0)]
    assert places == sorted(places)
    assert places[0] == 0 and places[-1] == 23
    assert gauge(1e-8).index("|") == gauge(1e-4).index("|")


def test_photographs_are_real_and_differ():
    images = photographs((40, 60), 5)
    assert images.shape == (5, 40, 60, 3)
    assert images.dtype == np.uint8
    flat = images.reshape(5, -1).astype(float)
    assert np.corrcoef(flat)[np.triu_indices(5, 1)].max() < 0.9
    assert all(image.std() > 20 for image in images)


def _run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "tools/verify.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.slow
def test_command_line(tmp_path):
    done = _run("--model=resnet18", "--image_size=64x96", f"--json={tmp_path / 'out.json'}")
    assert done.returncode == 0, done.stderr
    assert "PASS" in done.stdout
    data = json.loads((tmp_path / "out.json").read_text())
    assert data["passed"] is True
    assert data["results"][0]["image_size"] == [64, 96]
    assert [stage["name"] for stage in data["results"][0]["stages"]][-2:] == ["layer4", "output"]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--model=resnet5"], "Unknown model 'resnet5'"),
        (["--model=resnet18", "--checkpoint=missing.pth"], "There is no checkpoint at"),
    ],
)
def test_command_line_refuses_in_a_sentence(arguments, sentence):
    done = _run(*arguments)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "simclr2x", "mocov1", "gem-ap", "byol", "swav"])
def test_full_rows_at_an_odd_size(name):
    verdict = verify(get(name), size=(223, 225), count=1)
    assert verdict.passed, describe(verdict)
