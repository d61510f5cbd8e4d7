"""Every jitted function of an evaluation can be had for TPUs and GPUs that are not here."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import _programs, compile
from benchmarks._chips import CHIPS, GIB, chip, chip_of
from benchmarks._topology import (
    WHAT_IT_TAKES,
    Compiled,
    TooLargeError,
    bytes_needed,
    has_libtpu,
)

from jaxret import functional, models
from jaxret.runtime.parallel import local_mesh

ROOT = Path(__file__).parents[2]
PLATFORMS = ("cpu", "cuda", "tpu")
SIDE = 96  # the least that AMDIM sees
AFTER_THE_ENCODER = [*_programs.after_the_encoder(7, 1200), *_programs.for_others(7, 1200)]

ONE_OF_EACH_NETWORK = {compile.network_key(name): name for name in models.names()}.values()


def smallest_of_each_architecture() -> list[object]:
    """A convolutional network and a Vision Transformer fast, the others as slow tests."""
    smallest: dict[tuple[str, str | None], str] = {}
    for spec in sorted(map(models.get, models.names()), key=lambda spec: -spec.parameters):
        smallest[spec.architecture, spec.head] = spec.name
    fast = {smallest["resnet", None], smallest["vit", None]}
    return [
        name if name in fast else pytest.param(name, marks=pytest.mark.slow)
        for name in sorted(smallest.values())
    ]


@pytest.mark.parametrize("name", smallest_of_each_architecture())
def test_the_encoders_functions_lower_for_every_platform(name):
    spec = models.get(name)
    side = max(SIDE, spec.smallest_image)
    for program in _programs.encoder_programs(spec, "float32", batch=2, size=side):
        assert "stablehlo" in program.trace().lower(lowering_platforms=PLATFORMS).as_text()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ONE_OF_EACH_NETWORK)
def test_every_network_lowers_for_every_platform_at_the_studys_size(name, dtype):
    for program in _programs.encoder_programs(models.get(name), dtype):
        program.trace().lower(lowering_platforms=PLATFORMS)


@pytest.mark.parametrize("program", AFTER_THE_ENCODER, ids=lambda program: program.name)
def test_the_functions_after_the_encoder_lower_for_every_platform(program):
    traced = program.trace()
    # JAX's eigenvalues in float64, for CPU and CUDA, cannot be lowered for a TPU beside them.
    together = [PLATFORMS] if program.name != "whitening" else [(one,) for one in PLATFORMS]
    for platforms in together:
        assert "stablehlo" in traced.lower(lowering_platforms=platforms).as_text()


def test_what_is_spread_over_a_mesh_lowers_for_every_platform():
    mesh = local_mesh()
    assert mesh.size == 4
    for program in _programs.spread_programs(7, 1201, mesh):
        lowered = program.trace().lower(lowering_platforms=PLATFORMS)
        assert "all_to_all" in lowered.as_text() or "diffuse" in program.name


def test_the_programs_hold_every_jitted_function_of_the_paper():
    known = {program.function for program in AFTER_THE_ENCODER}
    public = {name: getattr(functional, name) for name in functional.__all__}
    jitted = {name for name, function in public.items() if hasattr(function, "lower")}
    assert "top_k" in jitted
    assert not {name for name in jitted if public[name] not in known}


def test_a_device_is_known_by_the_name_that_it_gives_itself():
    names = {
        "TPU v5 lite": "v5e",
        "TPU v5": "v5p",
        "TPU v4": "v4",
        "TPU v6 lite": "v6e",
        "NVIDIA H100 80GB HBM3": "H100",
        "NVIDIA H100 PCIe": "H100 PCIe",
        "NVIDIA H200": "H200",
        "NVIDIA A100-SXM4-80GB": "A100 80 GB",
        "NVIDIA A100-SXM4-40GB": "A100",
        "NVIDIA L40S": "L40S",
        "NVIDIA L4": "L4",
        "Tesla T4": "T4",
    }
    assert {kind: found.name for kind in names if (found := chip_of(kind))} == names
    assert chip_of("cpu") is None
    assert len({one.name for one in CHIPS}) == len(CHIPS)


def test_the_roofline_is_the_longer_of_arithmetic_and_memory():
    v5e = chip("v5e")
    assert v5e.roofline(197e12, 0, "bfloat16") == pytest.approx(1)
    assert v5e.roofline(197e12, 0, "float32") == pytest.approx(6)  # six products of bfloat16
    assert v5e.roofline(1, 819e9, "bfloat16") == pytest.approx(1)
    with pytest.raises(SystemExit, match="Known: v4, v5e"):
        chip("v7")


@pytest.mark.parametrize(
    ("message", "needed"),
    [
        ("RESOURCE_EXHAUSTED: Ran out of memory in hbm. Used 17.50G of 15.75G hbm.", 17.5 * GIB),
        (
            "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO "
            "temporaries (25.92G) exceeds available HBM (15.75G).",
            25.92 * GIB,
        ),
        ("RESOURCE_EXHAUSTED: the host has no memory left", None),
        ("INTERNAL: Used 17.50G of patience", None),
    ],
)
def test_what_a_program_would_take_is_read_from_the_compilers_sentence(message, needed):
    assert bytes_needed(message) == (needed and int(needed))


def test_a_batch_that_does_not_fit_is_halved_until_it_does(monkeypatch):
    asked = []

    def compile_for(topology, program, chips):
        asked.append(program.arguments["images"].shape)
        if program.photographs > 8:
            raise TooLargeError(program.photographs * GIB, "too large")
        return Compiled(1.0, 2.0, 3.0, 4, 5, 6)

    monkeypatch.setattr(compile, "compile_for", compile_for)
    program = _programs.recalibrate(models.get("resnet18"), batch=32, size=64)
    found = compile.fitted(None, program, chips=1)
    assert asked == [(32, 64, 64, 3), (16, 64, 64, 3), (8, 64, 64, 3)]
    assert found["photographs"] == 8
    assert found["flop"] == 2.0
    assert [one["bytes"] for one in found["too_large"]] == [32 * GIB, 16 * GIB]
    assert program.of(4).arguments["mask"].shape == (4,)


def test_models_of_one_network_are_compiled_once():
    names = "resnet50,mocov2,simsiam,byol"
    flags = argparse.Namespace(model=names, dtype="bfloat16", batch=2, rows="none")
    assert [what for what, _, _ in compile.wanted(compile.Topology, flags)] == [
        "resnet50",
        "byol",
    ]  # other padding


def test_a_program_that_does_not_fit_stands_in_the_table():
    rows = [
        {
            "key": "a",
            "what": "resnet50",
            "program": "describe",
            "dtype": "bfloat16",
            "chips": 1,
            "photographs": 32,
            "too_large": [],
            "times": 2,
            "by_hand": None,
            "flop": 32 * 197e9 / 2,
            "accessed": 1e9,
            "arguments": GIB,
            "results": 0,
            "temporaries": GIB // 2,
            "seconds": 7.0,
        },
        {
            "key": "b",
            "what": "rows",
            "program": "order",
            "dtype": "float32",
            "chips": 1,
            "times": 1,
            "by_hand": None,
            "photographs": 0,
            "too_large": [{"photographs": 0, "bytes": 20 * GIB}],
        },
    ]
    for shown in compile.table(rows, chip("v5e")).split("\n\n"):
        lines = shown.splitlines()
        assert {line.count("|") for line in lines} == {lines[0].count("|")}
        assert "v6e, projected | H100, projected" in lines[0]
    encoders, behind = compile.table(rows, chip("v5e")).split("\n\n")
    assert "ms a photograph: v5e" in encoders
    assert "simclr1x, mocov1" in encoders  # the same network
    assert "1.50 (0.50) | 6304 | 2.0 | 1.00 | 0.21 |" in encoders
    assert "20.0: too large" in behind


@pytest.mark.parametrize("file", sorted((ROOT / "docs" / "compiled").glob("*.json")))
def test_the_page_shows_the_stored_figures(file):
    page = (ROOT / "docs" / "accelerators.md").read_text()
    rows = json.loads(file.read_text())["rows"]
    assert compile.table(rows, chip(file.stem)) in page


def compiled(tmp_path: Path, *flags: str) -> list[compile.Row]:
    """Rows of a run in a process of its own, which libtpu finds as it wants it."""
    if not has_libtpu():
        pytest.skip(WHAT_IT_TAKES)
    file = tmp_path / "found.json"
    command = [sys.executable, ROOT / "tools" / "benchmark.py", "compile", f"--json={file}", *flags]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(file.read_text())["rows"]


def check_that_it_fits(row: compile.Row) -> None:
    held = row["arguments"] + row["results"] + row["temporaries"]
    assert held < chip("v5e").memory
    assert row["photographs"] == row["chips"] * _programs.BATCH  # no smaller batch was tried
    # A few of the widest maps; AMDIM's are the largest.
    assert row["temporaries"] < 8 * GIB


@pytest.mark.slow
@pytest.mark.parametrize("model", ["simclr4x", "amdim", "gem-ap", "efficientnet-lite0"])
def test_an_encoder_compiles_for_a_tpu_and_fits(model, tmp_path):
    [row] = compiled(tmp_path, f"--model={model}", "--dtype=bfloat16", "--rows=none")
    check_that_it_fits(row)


@pytest.mark.slow
def test_resnet50_compiles_for_four_chips_each_of_which_does_a_quarter(tmp_path):
    batch = f"--batch={4 * _programs.BATCH}"
    flags = ["--model=resnet50", "--dtype=bfloat16", "--rows=none", "--chips=4", batch]
    [row] = compiled(tmp_path, *flags)
    check_that_it_fits(row)
    # 87.2 GFLOP a photograph, by PyTorch's account of the convolutions.
    assert row["flop"] == pytest.approx(87.2e9 * _programs.BATCH, rel=0.01)


@pytest.mark.slow
def test_the_spread_rankings_compile_for_four_chips(tmp_path):
    rows = compiled(tmp_path, "--model=none", "--rows=70x5063", "--chips=4")
    assert [row["program"] for row in rows] == ["top_k, spread", "diffuse, spread"]
    assert all("flop" in row for row in rows)


@pytest.mark.slow
def test_the_rankings_compile_for_a_tpu_and_fit(tmp_path):
    rows = compiled(tmp_path, "--model=none", "--rows=70x5063")
    assert all("flop" in row for row in rows)
    assert {row["program"] for row in rows} >= {"top_k", "diffuse", "rank"}


def test_without_libtpu_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr("benchmarks._topology.has_libtpu", lambda: False)
    with pytest.raises(SystemExit, match="pip install libtpu"):
        compile.main(["--model=none", "--rows=7x90"])


def test_a_streamed_block_lowers_for_every_platform():
    program = _programs.stream_program(7, 16, 30, 256, local_mesh())
    assert "stablehlo" in program.trace().lower(lowering_platforms=PLATFORMS).as_text()
