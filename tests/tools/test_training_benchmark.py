"""The benchmark of learning compares the same step; its times are not looked at.

So it also holds the step itself against PyTorch: loss, gradients and momentum.
"""

import dataclasses
import json

import numpy as np
import pytest
from benchmarks import training

# torch.optim imports the compiler, which says this of itself.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    file = tmp_path_factory.mktemp("training") / "out.json"
    flags = ["--model=resnet18", "--size=64", "--batch=8", "--repeats=2", "--no_compile"]
    assert training.main([*flags, f"--json={file}"]) == 0
    (result,) = json.loads(file.read_text())["results"]
    return result


@pytest.mark.slow
def test_it_compares_and_writes_json(ran):
    assert list(ran["contenders"]) == ["torch eager", training.BASELINE, "jaxret"]
    row = ran["contenders"]["jaxret"]
    assert len(row["seconds"]) == 2
    assert row["ratio"]["min"] <= row["ratio"]["median"] <= row["ratio"]["max"]


@pytest.mark.slow
def test_both_frameworks_learn_alike(ran):
    # The third loss has two updates behind it, the second of them with momentum.
    ours, expected = ran["losses"]["jaxret"], ran["losses"][training.BASELINE]
    fall = expected[0] - expected[2]
    assert fall > 0.1
    assert ours[0] == pytest.approx(expected[0], abs=1e-5)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=0.01 * fall)


def test_losses_that_differ_end_it():
    losses = {training.BASELINE: [1.0, 5.0], "jaxret": [1.0005, 7.0]}
    training.check(losses, tolerance=1e-3)
    with pytest.raises(SystemExit, match="jaxret has the loss"):
        training.check({**losses, "jaxret": [1.01, 5.0]}, tolerance=1e-3)
    with pytest.raises(SystemExit):
        training.check({**losses, "jaxret": [float("nan"), 5.0]}, tolerance=1e-3)


def test_only_torch_compile_may_fail():
    def broken():
        raise RuntimeError("no compiler\nmore")

    failed, losses, _ = training.first_losses(
        {training.BASELINE: lambda: 1.0, training.COMPILED: broken}
    )
    assert failed == {training.COMPILED: "no compiler"}
    assert losses == {training.BASELINE: [1.0] * training.STEPS_RECORDED}
    with pytest.raises(RuntimeError):
        training.first_losses({"jaxret": broken})


def test_the_views_differ_and_are_pixels():
    case = training.Case("resnet18", 64, 3, "float32")
    first, second = training.two_views(case)
    assert first.shape == second.shape == (3, 64, 64, 3)
    assert first.dtype == second.dtype == np.uint8
    assert (first != second).any(axis=(1, 2, 3)).all()
    assert dataclasses.replace(case.settings(), remat=True) == case.settings(remat=True)
