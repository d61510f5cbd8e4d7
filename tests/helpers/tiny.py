"""A network that compiles in seconds, and the command line with a row for it.

python tiny.py takes the flags of jaxret.train, and --kill_at, --terminate_at, --interrupt_at,
--kill_in_save_of: a step at which the process is killed or told to end.
"""

import os
import signal
import sys
import threading
from dataclasses import replace

from jaxret.models import get, rows

TINY = replace(
    get("resnet18").with_arguments(stages=1),
    name="tiny",
    tap="layer1",
    channels=64,
    sources=(),
    parameters=0,
)


SENT = {
    "kill_at": signal.SIGKILL,
    "terminate_at": signal.SIGTERM,
    "interrupt_at": signal.SIGINT,
}


def know_tiny() -> None:
    """Adds the row to the registry of this process."""
    if TINY not in rows.ROWS:
        rows.ROWS = (*rows.ROWS, TINY)


def _harm(name: str, step: int) -> None:
    """Kills or stops this process at a step of its own."""
    from jaxret.training import checkpoints, loop

    def now(sent: signal.Signals) -> None:
        os.kill(os.getpid(), sent)

    if name == "kill_in_save_of":
        save = checkpoints.Checkpoints.save

        def killed(self, at, state):
            if at == step:
                threading.Timer(0.004, now, [signal.SIGKILL]).start()
            save(self, at, state)

        checkpoints.Checkpoints.save = killed
        return
    sent = SENT[name]
    record = loop._Run._record

    def recorded(self, at, *others):
        record(self, at, *others)
        if at == step:
            now(sent)

    loop._Run._record = recorded


if __name__ == "__main__":
    from jaxret import train
    from jaxret.cli import command

    know_tiny()
    for argument in list(sys.argv[1:]):
        name, _, value = argument.removeprefix("--").partition("=")
        if name in (*SENT, "kill_in_save_of"):
            sys.argv.remove(argument)
            _harm(name, int(value))
    command.launch(train.main, train.define_flags)
