"""The command itself: its address, its end, its sentences."""

import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from jaxret.runs import records
from jaxret.settings import Settings

COMMAND = [sys.executable, "-m", "jaxret.explore"]


@pytest.mark.slow
def test_it_serves_until_it_is_told_to_end(tmp_path):
    pytest.importorskip("uvicorn", reason="the extra explore is not installed")
    records.record(Settings(), tmp_path)
    command = [*COMMAND, f"--workdir={tmp_path}", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        try:
            said = served.stdout.readline()
            address = re.search(r"http://127[.]0[.]0[.]1:[0-9]+/", said)
            assert address, said
            with urllib.request.urlopen(address[0]) as answer:
                assert "<title>jaxret" in answer.read().decode()
        finally:
            served.send_signal(signal.SIGINT)
        served.wait(20)


@pytest.mark.slow
def test_what_is_wrong_is_one_sentence(tmp_path):
    done = subprocess.run(
        [*COMMAND, f"--workdir={tmp_path}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "holds no evaluation to look into" in done.stderr
    assert len(done.stderr.splitlines()) == 1
