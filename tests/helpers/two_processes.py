"""A script run by two processes of two CPU devices each, which JAX joins."""

import os
import subprocess
import sys
from pathlib import Path

from ports import free_port


def run_both(script: str, folder: Path, *arguments: str, timeout: float) -> list[Path]:
    """Runs `script PORT NUMBER ARGUMENT... OUTPUT` twice; the .npz that each was to write."""
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    port, outputs = str(free_port()), [folder / f"{number}.npz" for number in range(2)]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, port, str(number), *arguments, str(output)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number, output in enumerate(outputs)
    ]
    for process in started:
        said, _ = process.communicate(timeout=timeout)
        assert process.returncode == 0, said
    return outputs
