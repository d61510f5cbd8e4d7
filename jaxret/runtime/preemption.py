"""A run that is told to end (SIGTERM: preemption, a batch system's time limit) ends in seconds.

There is nothing to save by then: every stage writes its files whole and as soon as they are made,
so the next run goes on from them. What takes care is to end at all: Python hears of a signal only
between two of its own instructions, a single call of a compiled function can take minutes, and
what is raised while an object is destroyed (`__del__`, a collector's callback) goes no further.
"""

import atexit
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

STATUS = 128 + signal.SIGTERM  # 143, as shells report it
GRACE = 3.0  # seconds in which files half written are cleared away
AGAIN = 0.05  # seconds until an exit that did not come about is raised once more


def told_to_end(kept: str) -> str:
    """What a run says as it ends."""
    return f"told to end (SIGTERM); {kept} is kept, the same command goes on from there."


class _Exit:
    """What is known of the one SystemExit: a handler that took a lock could wait for itself."""

    told = False  # a signal was heard by the main thread
    raised = False


def end_on_sigterm(grace: float = GRACE) -> None:
    """From now on SIGTERM ends this process with status 143, whatever it is doing.

    The main thread gets a SystemExit; where it is still there after `grace` seconds, because it
    waits for a compiled function or for another process, it is not waited for. Call it in the
    main thread, before JAX is imported: what is to be done at exit is done in reverse order.
    A stage that has something to save puts a handler of its own in place meanwhile; then only that
    one is called.
    """
    exit, said = _Exit(), threading.Event()
    heard, tell = os.pipe()
    os.set_blocking(tell, False)
    # The C part of Python's handler writes the signal's number there at once.
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    stop = functools.partial(_stop, exit)
    signal.signal(signal.SIGTERM, stop)
    sys.unraisablehook = functools.partial(_unraisable, exit, sys.unraisablehook)
    atexit.register(_leave, exit, said)
    here = threading.get_ident()

    def watch() -> None:
        _wait(heard, stop)
        print(f"\njaxret: {told_to_end('what was finished')}", file=sys.stderr, flush=True)
        said.set()
        ends = time.monotonic() + grace
        while time.monotonic() < ends:
            if not exit.raised:  # lost, or heard just before a call that waits: wakes it
                signal.pthread_kill(here, signal.SIGTERM)
            time.sleep(AGAIN)
        os._exit(STATUS)

    threading.Thread(target=watch, daemon=True).start()


def _stop(exit: _Exit, signum: int, frame: Any) -> None:
    exit.told = True
    if not exit.raised:  # another one must not disturb what is cleared away by then
        exit.raised = True
        raise SystemExit(STATUS)


def _unraisable(exit: _Exit, otherwise: Callable[..., Any], what: Any) -> None:
    """Python would print the SystemExit with its traceback, and go on as if it were not there."""
    if isinstance(what.exc_value, SystemExit) and what.exc_value.code == STATUS:
        exit.raised = False
    else:
        otherwise(what)


def _wait(heard: int, stop: Callable[..., Any]) -> None:
    while os.read(heard, 1) != bytes([signal.SIGTERM]) or signal.getsignal(signal.SIGTERM) != stop:
        pass  # another signal, such as an interrupt, or another's to handle


def _leave(exit: _Exit, said: threading.Event) -> None:
    """Behind this, where no thread could interfere any more, JAX waits for what still runs."""
    if exit.told:
        said.wait(GRACE)
        sys.stdout.flush()
        os._exit(STATUS)
