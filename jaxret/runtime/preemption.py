"""A run that is told to end (Ctrl-C, a scheduler's SIGTERM, a lost terminal) ends in seconds.

There is nothing to save by then: every stage writes its files whole and as soon as they are made,
so the next run goes on from them. What takes care is to end at all: Python hears of a signal only
between two of its own instructions, a single call of a compiled function can take minutes, what is
raised while an object is destroyed (`__del__`, a collector's callback) goes no further, and what is
raised while a compiled module is imported may be that module's death.
Nor is the interpreter taken down around threads that still compute or decode: once everything is
cleared away, the process is left there.
"""

import atexit
import contextlib
import functools
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec
from types import FrameType
from typing import Any

SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
if hasattr(signal, "SIGHUP"):  # Windows has none
    SIGNALS[signal.SIGHUP] = "SIGHUP"

KEPT = "what was finished is kept, the same command goes on from there"
AFRESH = "the same command does it anew"  # where nothing is kept on the way
GRACE = 3.0  # seconds in which files half written are cleared away
AGAIN = 0.05  # seconds until an exit that did not come about is raised once more
ECHO = 0.1  # seconds within which a second SIGINT is the first, passed on by a parent process
_IMPORT_SYSTEM = module_from_spec.__code__.co_filename


def status(signum: int) -> int:
    """130 for Ctrl-C, 143 for SIGTERM: as shells report them."""
    return 128 + signum


def told_to_end(signum: int, then: str = KEPT) -> str:
    """What a run says as it ends."""
    return f"told to end ({SIGNALS[signal.Signals(signum)]}); {then}."


class _Exit:
    """What is known of the one SystemExit: a handler that took a lock could wait for itself."""

    watched = False
    then = KEPT
    signum = 0  # the first signal that the main thread heard, or that a stage ended for
    raised = False
    said = threading.Event()
    grace = GRACE
    several = False


_exit = _Exit()


def end_when_told(then: str = KEPT, grace: float = GRACE) -> None:
    """From now on SIGINT, SIGTERM and SIGHUP end this process, whatever it is doing.

    The main thread gets a SystemExit of `status`; where it is still there after `grace` seconds,
    because it waits for a compiled function or for another process, it is not waited for. A second
    Ctrl-C ends the process at once. A signal that is ignored, as a shell does for what runs in its
    background, stays ignored; a stage that has something to save takes the signals meanwhile
    (`Told`). Call it in the main thread; another call changes nothing.

    Args:
      then: what becomes of the work, in the sentence that is said.
      grace: seconds.
    """
    if _exit.watched:
        return
    _exit.watched, _exit.then, _exit.grace = True, then, grace
    watched = _Watched()
    for signum in SIGNALS:
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, _stop)
    sys.unraisablehook = functools.partial(_unraisable, sys.unraisablehook)
    atexit.register(leave, at_exit=True)
    here = threading.get_ident()

    def watch() -> None:
        signum = watched.first()
        # Apart: a terminal that takes no more text must not keep the process.
        threading.Thread(target=_say, args=[signum], daemon=True).start()
        ends = time.monotonic() + _exit.grace
        while time.monotonic() < ends and not watched.again(AGAIN):
            if not _exit.raised:  # lost, put off, or heard just before a call that waits: wakes it
                signal.pthread_kill(here, signal.SIGTERM)
        os._exit(status(signum))

    threading.Thread(target=watch, daemon=True).start()


def one_of_several(first: bool) -> None:
    """This process and others take leave of each other at exit; the first one, whom they ask."""
    _exit.several = True
    _exit.grace += 1.0 if first else 0.0


def leave(at_exit: bool = False) -> None:
    """Ends the process here if it was told to end: what is behind this waits for all threads."""
    if not _exit.signum or (_exit.several and not at_exit):
        return
    if _exit.raised:
        _exit.said.wait(GRACE)
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(status(_exit.signum))


def _say(signum: int) -> None:
    with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
        print(f"\njaxret: {told_to_end(signum, _exit.then)}", file=sys.stderr, flush=True)
    _exit.said.set()


class _Watched:
    """Signals as a thread of their own hears of them: while the main thread is in a long call."""

    def __init__(self) -> None:
        self._heard, tell = os.pipe()
        os.set_blocking(tell, False)
        # The C part of Python's handler writes the signal's number there at once.
        signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
        self._told: tuple[int, float] | None = None  # the first signal to end, and when

    def first(self) -> int:
        """Waits for a signal that no stage has taken; a stage's second Ctrl-C ends the process."""
        while True:
            signum = os.read(self._heard, 1)[0]
            if signum not in SIGNALS:
                continue
            if self._told is not None and self._insists(signum):
                os._exit(status(self._told[0]))
            self._told = self._told or (signum, time.monotonic())
            if signal.getsignal(signum) is _stop:
                return signum

    def again(self, seconds: float) -> bool:
        """Whether there is another Ctrl-C within so many seconds."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            ready, _, _ = select.select([self._heard], [], [], left)
            if ready and self._insists(os.read(self._heard, 1)[0]):
                return True
        return False

    def _insists(self, signum: int) -> bool:
        if signum != signal.SIGINT or self._told is None:
            return False
        return time.monotonic() - self._told[1] > ECHO


def _stop(signum: int, frame: Any) -> None:
    _exit.signum = _exit.signum or signum
    # Another one must not disturb what is cleared away by then. One that is put off comes again.
    if not _exit.raised and not _loads_compiled_code(frame):
        _exit.raised = True
        raise SystemExit(status(_exit.signum))


def _loads_compiled_code(frame: FrameType | None) -> bool:
    """Whether a compiled module is being imported: few of them survive an exception there.

    JAX's own then ends in a segmentation fault or in `terminate`.
    """
    while frame is not None:
        if frame.f_code.co_filename == _IMPORT_SYSTEM:
            spec = frame.f_locals.get("spec")
            if isinstance(getattr(spec, "loader", None), ExtensionFileLoader):
                return True
        frame = frame.f_back
    return False


def _unraisable(otherwise: Callable[..., Any], what: Any) -> None:
    """Python would print the SystemExit with its traceback, and go on as if it were not there."""
    if _exit.signum and isinstance(what.exc_value, SystemExit):
        _exit.raised = False
    else:
        otherwise(what)


class Told:
    """Whether a stage that saves before it ends was told to, while it holds the signals.

    A context manager, which lets go of them at its end.

    Attributes:
        signum: The first signal, or 0.
    """

    def __init__(self, as_sigterm: bool = False) -> None:
        """`as_sigterm`: SIGTERM is another's; every other signal is passed on to it."""
        self.signum = 0
        self._as_sigterm = as_sigterm
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Told":
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def hold(self) -> None:
        """From now on signals are only heard; one Ctrl-C more interrupts all the same."""
        if self._before or threading.current_thread() is not threading.main_thread():
            return  # only the main thread may set handlers, and only it gets signals
        for signum in SIGNALS:
            mine = signum != signal.SIGTERM or not self._as_sigterm
            if mine and signal.getsignal(signum) not in (signal.SIG_IGN, None):
                self._before[signum] = signal.signal(signum, self._hear)

    def release(self) -> None:
        """Gives the signals back to whom they were taken from."""
        while self._before:
            signal.signal(*self._before.popitem())

    def end(self, signum: int) -> BaseException:
        """What to raise: a program that left Ctrl-C to Python gets Python's own interrupt."""
        self.release()
        if signal.getsignal(signum) == signal.default_int_handler:
            return KeyboardInterrupt()
        if signal.getsignal(signum) is _stop and not self._as_sigterm:
            _exit.signum = signum
        return SystemExit(status(signum))

    def _hear(self, signum: int, frame: Any) -> None:
        if self.signum and self._before.get(signum) == signal.default_int_handler:
            raise KeyboardInterrupt
        self.signum = self.signum or signum
        if self._as_sigterm:
            os.kill(os.getpid(), signal.SIGTERM)
