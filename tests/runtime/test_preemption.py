"""Ctrl-C, SIGTERM, SIGHUP: the run ends in seconds, and the next one goes on from there."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny
from PIL import Image
from ports import free_port
from skimage import data as photographs

SECONDS = 10  # what schedulers give at the least is thirty
TOLD = "told to end ({}); what was finished is kept, the same command goes on from there"
NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}
every_signal = pytest.mark.parametrize("signum", list(NAMES), ids=list(NAMES.values()))
ROOT = Path(__file__).resolve().parents[2]

# A shell that starts the tests in its background has them ignore Ctrl-C.
HEARD = """
import signal
for signum in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(signum, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
"""

RUN = """
from jaxret.runtime import preemption
preemption.end_when_told()
from jaxret.cli import command
from jaxret.descriptors import extraction
from jaxret.main import define_flags, main
extraction.SHARD = 2
command.launch(main, define_flags)
"""

SCRIPT = """
import runpy, sys
sys.argv[:1] = []
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""

BUSY = """
import jax
from jaxret.runtime import preemption
preemption.end_when_told(grace=1.0)
endless = jax.jit(lambda x: jax.lax.fori_loop(0, 10**9, lambda _, x: x + x @ x, x))
print("busy", flush=True)
endless(jax.numpy.zeros((300, 300))).block_until_ready()
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HEARD + code, *map(str, arguments)],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_busy(code: str) -> subprocess.Popen[str]:
    """Returns once the process has printed that it is at work."""
    process = start(code)
    assert process.stdout is not None
    assert process.stdout.readline() == "busy\n"
    return process


def end(process: subprocess.Popen[str], signum=signal.SIGTERM, done: str = "") -> str:
    """Sends the signal; the run says so and ends in time with its status. What it printed."""
    assert process.poll() is None, process.communicate()
    process.send_signal(signum)
    return ended(process, signum, done=done)


def ended(process, signum, told: str = TOLD, seconds: float = SECONDS, done: str = "") -> str:
    """What it printed; with `done` in it the work was over, and it was leaving by then."""
    sent = time.monotonic()
    printed, said = process.communicate(timeout=60)
    assert time.monotonic() - sent < seconds
    if done and done in printed:
        return printed
    assert process.returncode == 128 + signum, said
    assert said.count(told.format(NAMES[signum])) == 1, said
    assert "Traceback" not in said
    assert "Fatal" not in said
    return printed


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_run_inside_a_compiled_function_ends_all_the_same(signum):
    """Python's own handler would wait until the function returns."""
    process = start_busy(BUSY)
    time.sleep(1.0)  # compiled, and running
    end(process, signum)


DEAF = """
import numpy
from jaxret.runtime import preemption
preemption.end_when_told(grace=60.0)
print("busy", flush=True)
numpy.linalg.svd(numpy.random.rand(8000, 8000))  # minutes, in which Python hears of nothing
"""


def test_a_second_ctrl_c_ends_at_once():
    process = start_busy(DEAF)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    end(process, signal.SIGINT)


SAVING = """
import signal, sys, time
from jaxret.runtime import preemption
preemption.end_when_told(grace=0.2)
with preemption.Told() as told:
    told.hold()
    print("busy", flush=True)
    while not told.signum:
        time.sleep(0.01)
    print("saving", flush=True)
    time.sleep({seconds})
    print("saved", flush=True)
    raise told.end(told.signum)
"""


def test_the_same_ctrl_c_passed_on_by_a_parent_is_not_a_second_one():
    process = start_busy(SAVING.format(seconds=0.4))
    process.send_signal(signal.SIGINT)
    time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert (printed, process.returncode) == ("saving\nsaved\n", 130)


@every_signal
def test_a_stage_that_saves_first_is_left_to_it(signum):
    process = start_busy(SAVING.format(seconds=0.4))
    process.send_signal(signum)
    printed, _ = process.communicate(timeout=60)
    assert (printed, process.returncode) == ("saving\nsaved\n", 128 + signum)


def test_but_not_at_a_second_ctrl_c():
    process = start_busy(SAVING.format(seconds=60.0))
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "saving\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=SECONDS)[0] == ""
    assert process.returncode == 130


IGNORED = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell starts what runs in its background
from jaxret.runtime import preemption
preemption.end_when_told()
print("busy", flush=True)
sys.stdin.readline()
"""


def test_what_runs_in_the_background_of_a_shell_is_not_for_ctrl_c():
    code = IGNORED.replace("sys.stdin.readline()", "time.sleep(0.3)")
    process = start_busy(code)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


BLOCKED = """
import os, sys, time
from jaxret.runtime import preemption
preemption.end_when_told(grace=0.5)
print("busy", flush=True)
sys.stderr.write("x" * 10**6)  # nobody reads it
"""


def test_a_terminal_that_takes_no_more_text_does_not_keep_a_run():
    process = start_busy(BLOCKED)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=SECONDS) == 130
    process.communicate()


NOTEBOOK = """
import signal, time
from jaxret.runtime.preemption import Told
try:
    with Told() as told:
        told.hold()
        print("busy", flush=True)
        while not told.signum:
            time.sleep(0.01)
        raise told.end(told.signum)
except KeyboardInterrupt:
    print("interrupted", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def test_a_notebook_gets_its_own_interrupt():
    process = start_busy(NOTEBOOK)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "interrupted True\n"


DESTROYED = """
import os, signal, time
from jaxret.runtime import preemption

class Bar:
    def __del__(self):
        print("busy", flush=True)
        for _ in range(1000):
            time.sleep(0.001)

preemption.end_when_told(grace=60.0)
try:
    bar = Bar()
    del bar
    time.sleep(60)
finally:
    os.kill(os.getpid(), signal.SIGTERM)
    print("cleared away", flush=True)
"""


def test_a_signal_while_an_object_is_destroyed_is_raised_after_it_and_once():
    """Python prints what `__del__` raises, with its traceback, and goes on."""
    process = start_busy(DESTROYED)
    assert end(process) == "cleared away\n"


UNRAISABLE = """
from jaxret.runtime import preemption

class Bar:
    def __del__(self):
        raise SystemExit(3)

preemption.end_when_told()
bar = Bar()
del bar
"""


def test_what_others_raise_there_is_still_printed():
    process = start(UNRAISABLE)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "SystemExit: 3" in said


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty photographs: twenty shards of two, ten blocks of recalibration."""
    folder = tmp_path_factory.mktemp("photographs")
    whole = Image.fromarray(photographs.coffee())
    names = [f"{number:02d}.jpg" for number in range(40)]
    for number, name in enumerate(names):
        whole.crop((4 * number, 2 * number, 4 * number + 300, 2 * number + 250)).save(folder / name)
    whole.save(folder / "query.jpg")
    gnd = [{"bbx": [0, 0, 300, 250], "easy": [0, 1], "hard": [2], "junk": []}]
    truth = {"imlist": names, "qimlist": ["query.jpg"], "gnd": gnd}
    (folder / "gnd.json").write_text(json.dumps(truth))
    return folder


def flags(folder: Path, workdir: Path) -> list[str]:
    """Enough work in every stage that a signal arrives inside it."""
    return [*once(folder, workdir), "--bn_batch_size=4"]


def once(folder: Path, workdir: Path) -> list[str]:
    """Without what recalibration takes."""
    sizes = ["--image_size=128", "--batch_size=1", "--pca_dim=2"]
    return [f"--dataset={folder}", f"--workdir={workdir}", *sizes]


def shards(workdir: Path) -> dict[str, bytes]:
    found = workdir.glob("features/*/shard-*.npz")
    return {str(path.relative_to(workdir)): path.read_bytes() for path in found}


def wait_until(process: subprocess.Popen[str], holds) -> None:
    while not holds():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


STAGES = {
    "recalibration": lambda workdir: any(workdir.glob("statistics/*/key.json")),
    "extraction": lambda workdir: len(shards(workdir)) >= 6,
    "ranking": lambda workdir: len(shards(workdir)) == 21,
}


@pytest.fixture(scope="module")
def undisturbed(folder, tmp_path_factory):
    """What a whole run writes, and the seconds that it takes."""
    workdir = tmp_path_factory.mktemp("undisturbed")
    began = time.monotonic()
    process = start(RUN, *flags(folder, workdir))
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return shards(workdir), time.monotonic() - began


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_ended_in_every_stage_the_next_run_goes_on(undisturbed, folder, tmp_path, signum):
    """One workdir, whose run is ended in one stage after the other."""
    whole, _ = undisturbed
    assert len(whole) == 21
    for stage, reached in STAGES.items():
        before = shards(tmp_path)
        process = start(RUN, *flags(folder, tmp_path))
        wait_until(process, lambda reached=reached: reached(tmp_path))
        end(process, signum)
        assert before.items() <= shards(tmp_path).items() <= whole.items(), stage
        assert not (tmp_path / "results.json").exists()
        assert not list(tmp_path.rglob(".*.part")), stage  # what was half written is cleared away
    assert shards(tmp_path) == whole
    process = start(RUN, *flags(folder, tmp_path))
    said, progress = process.communicate(timeout=300)
    assert process.returncode == 0, progress
    assert "reused" in said
    assert (tmp_path / "results.json").exists()


@pytest.mark.slow
def test_ended_at_any_moment_from_the_first_import_to_the_report(undisturbed, folder, tmp_path):
    """Twelve seeded moments of one run's time, one in each twelfth of it; each in a new workdir."""
    whole, seconds = undisturbed
    draw = random.Random(5)
    for part in range(12):
        workdir = tmp_path / str(part)
        moment = 0.3 + seconds * 0.9 * (part + draw.random()) / 12
        process = start(RUN, *flags(folder, workdir))
        time.sleep(moment)
        if process.poll() is None:
            end(process, signal.SIGINT, done="Report: ")
        else:  # a machine that has become faster
            process.communicate()
        assert shards(workdir).items() <= whole.items(), moment
        assert not list(workdir.rglob(".*.part")), moment


@pytest.mark.parametrize("seed", [1, 2])
def test_ended_before_jax_starts(folder, tmp_path, seed):
    process = start("print('busy', flush=True)\n" + RUN, *flags(folder, tmp_path))
    assert process.stdout.readline() == "busy\n"
    time.sleep(random.Random(seed).uniform(0.1, 0.6))
    end(process, signal.SIGINT)


# Interrupted where an exception is the death of the process: in the import of a compiled module,
# which reports to an audit hook as it begins. The shell's signal arrives while it goes on.
IN_COMPILED_CODE = """
import os, subprocess, sys, threading
from jaxret.runtime import preemption
preemption.end_when_told()

def interrupt(event, arguments):
    if event == "import" and arguments[0] == "%s" and arguments[1]:
        subprocess.Popen(["sh", "-c", f"kill -INT {os.getpid()}"])

sys.addaudithook(interrupt)
import numpy, jaxlib.xla_client
threading.Event().wait(60)
"""


@pytest.mark.parametrize("module", ["jaxlib._jax", "numpy._core._multiarray_umath"])
def test_ended_while_compiled_code_is_imported(module):
    process = start(IN_COMPILED_CODE % module)
    ended(process, signal.SIGINT, seconds=30)


LEARN = ["--loss=mocov2", "--model=tiny", "--init=random", "--batch_size=8", "--image_size=40"]
LEARN += ["--validation_size=64", "--steps=60", "--warmup_steps=2", "--projection_dim=16"]
LEARN += ["--checkpoint_every=20", "--validate_every=20"]


@pytest.mark.slow
def test_learning_ends_before_in_and_after_a_step(folder, tmp_path):
    """At seeded moments of one workdir's runs; the last one goes on to the end."""
    learn = [tiny.__file__, f"--dataset={folder}", f"--workdir={tmp_path}", *LEARN]
    draw = random.Random(3)
    for least, most in [(0.3, 2), (2, 6), (6, 9), (9, 13), (9, 13)]:
        process = start(SCRIPT, *learn)
        time.sleep(draw.uniform(least, most))
        if process.poll() is not None:
            process.communicate()
            break
        process.send_signal(signal.SIGINT)
        if "Report: " in ended(process, signal.SIGINT, "told to end ({}); ", done="Report: "):
            break
    process = start(SCRIPT, *learn)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    steps = [row.split(",")[0] for row in (tmp_path / "loss.csv").read_text().splitlines()[1:]]
    assert steps == [str(step) for step in range(1, 61)]


TOOLS = {
    "verify": ["--model=resnet50", "--image_size=64"],
    "decisions": ["--dataset=demo", "--image_size=64"],
    "ablation": ["--features=x", "--query_features=x", "--ground_truth=x"],
    "convert": ["--model=resnet50", "--source=x"],
    "export": ["--model=efficientnet-lite0", "--output=x.pth"],
    "make_ground_truth": ["--folder=x"],
    "make_stand_ins": ["--ground_truth=x", "--output=x"],
    "download": ["simclr2x"],
    "benchmark": ["ranking"],
}

# No tool gets past this module, so that all are at work when they are interrupted.
HELD_UP = """
import sys, time
class Slow:
    def find_spec(self, name, path, target=None):
        if name == "absl" or name == "benchmarks":
            print("busy", flush=True)
            time.sleep(60)
sys.meta_path.insert(0, Slow())
"""


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_ends_at_once(tool):
    script = ROOT / "tools" / f"{tool}.py"
    process = start(HELD_UP + SCRIPT, script, *TOOLS[tool])
    assert process.stdout.readline() == "busy\n"
    process.send_signal(signal.SIGINT)
    ended(process, signal.SIGINT, "told to end ({}); ")


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [3, 6, 12])
def test_a_tool_at_work_ends_in_seconds(seconds):
    process = start(SCRIPT, ROOT / "tools" / "verify.py", "--model=resnet50")
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    ended(process, signal.SIGINT, "told to end ({}); ")


@pytest.mark.slow
def test_one_of_several_processes_ends_too(folder, tmp_path):
    """JAX takes SIGTERM for itself when processes join."""
    two = two_processes(folder, tmp_path)
    wait_until(two[0], lambda: len(shards(tmp_path)) >= 2)
    for process in reversed(two):
        end(process)


@pytest.mark.slow
def test_ctrl_c_in_the_terminal_of_two_processes_ends_both(folder, tmp_path):
    two = two_processes(folder, tmp_path)
    wait_until(two[0], lambda: len(shards(tmp_path)) >= 2)
    for process in two:
        process.send_signal(signal.SIGINT)
    for process in two:
        ended(process, signal.SIGINT)


def two_processes(folder, workdir) -> list[subprocess.Popen[str]]:
    alone = [*once(folder, workdir), "--bn_recalibration=none"]
    together = ["--multihost", f"--coordinator=localhost:{free_port()}", "--processes=2"]
    return [start(RUN, *alone, *together, f"--process={number}") for number in (0, 1)]


@pytest.mark.slow
def test_two_that_learn_together_end_after_one_step(folder, tmp_path):
    """Which they agree on, though one of them alone was told."""
    together = ["--multihost", f"--coordinator=localhost:{free_port()}", "--processes=2"]
    learn = [tiny.__file__, f"--dataset={folder}", f"--workdir={tmp_path}", *LEARN, *together]
    two = [start(SCRIPT, *learn, "--steps=100000", f"--process={n}") for n in (0, 1)]
    wait_until(two[0], lambda: (tmp_path / "checkpoint.json").exists())
    two[1].send_signal(signal.SIGINT)
    for process, signum in zip(two, (signal.SIGTERM, signal.SIGINT), strict=True):
        ended(process, signum, "told to end ({}); the state after step ", seconds=30)
