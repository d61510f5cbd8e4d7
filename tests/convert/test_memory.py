"""The large networks convert and load within twice their size."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import twins

from jaxret import models

# Prints the highest resident memory, in bytes, above what the imports take.
_MEASURE = """
import sys
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
import orbax.checkpoint, torch
from jaxret import convert, models
models.random("resnet18")
before = peak()
{statement}
print(peak() - before)
"""


def measured(statement: str, cwd: Path) -> int:
    command = [sys.executable, "-c", _MEASURE.format(statement=statement)]
    return int(subprocess.run(command, cwd=cwd, capture_output=True, check=True).stdout)


def write_checkpoint(name: str, path: Path) -> None:
    spec = models.get(name)
    with torch.device("meta"):
        twin = twins.build(spec)
    twin = twin.to_empty(device="cpu")
    for array in twin.state_dict().values():
        array.fill_(0.5)
    torch.save(twins.published_state(spec, twin), path)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's accounts")
def test_converting_and_loading_stay_within_twice_the_size(tmp_path):
    name = "amdim"  # the largest of all
    size = 4 * models.get(name).parameters
    write_checkpoint(name, tmp_path / "file.pth")
    convert = f"convert.convert_file({name!r}, 'file.pth', 'weights/{name}')"
    assert measured(convert, tmp_path) <= 2 * size
    (tmp_path / "file.pth").unlink()
    assert measured(f"models.load({name!r}, 'weights')", tmp_path) <= 2 * size
