"""The state of a training run on disk, by Orbax: whole checkpoints only, the newest few kept."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from jaxret.errors import UserError
from jaxret.models.weights.folders import RUN
from jaxret.models.weights.loading import files_digest
from jaxret.runtime import parallel
from jaxret.runtime.artifacts import WorkdirError, write_json

State = Any
KEPT = 2


class Checkpoints:
    """Checkpoints below one folder, by step."""

    def __init__(self, folder: Path) -> None:
        options = ocp.CheckpointManagerOptions(
            max_to_keep=KEPT, cleanup_tmp_directories=True, enable_async_checkpointing=False
        )
        with _said_of(folder):
            self._manager = ocp.CheckpointManager(folder.absolute(), options=options)
        self._folder = folder
        self._digests = folder.parent / "checkpoint.json"  # of the newest; beside Orbax's folder

    def latest(self) -> int | None:
        """The step of the newest one."""
        return self._manager.latest_step()

    def save(self, step: int, state: State) -> None:
        """Writes the state after `step` steps, unless it is there.

        Raises:
            WorkdirError: The disk does not take it; earlier checkpoints stay.
        """
        if step == self.latest():
            return
        with _said_of(self._folder):
            self._manager.save(step, args=ocp.args.StandardSave(state))
        if parallel.is_first():
            write_json(self._digests, {str(step): files_digest(self._folder / str(step))})

    def restore(self, like: State) -> State:
        """The newest state, every array placed as its counterpart in `like`.

        Raises:
            UserError: It cannot be read.
        """
        described = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        step = self.latest()
        # First: Orbax leaves threads behind, which complain later, where it finds a damaged file.
        written = json.loads(self._digests.read_text("utf-8")) if self._digests.exists() else {}
        digest = written.get(str(step))  # none where the run was killed before it was written
        if digest is not None and digest != files_digest(self._folder / str(step)):
            raise self._unreadable("a file is missing or not as it was written")
        try:
            return self._manager.restore(step, args=ocp.args.StandardRestore(described))
        except Exception as error:  # Orbax and TensorStore raise errors of many kinds
            raise self._unreadable(str(error).strip().split("\n")[0][:200]) from error

    def _unreadable(self, reason: str) -> UserError:
        step = self.latest()
        return UserError(
            f"The checkpoint of step {step} in {self._folder} cannot be read ({reason}); remove "
            f"{self._folder / str(step)} and start again from the one before."
        )

    def preempted(self, step: int) -> bool:
        """Whether the processes of this run agreed to stop at this step; asked by all of them."""
        return self._manager.reached_preemption(step)

    def close(self) -> None:
        self._manager.close()


@contextmanager
def _said_of(folder: Path) -> Iterator[None]:
    """The errors of the disk as one sentence."""
    try:
        yield
    except (OSError, ValueError) as error:  # TensorStore's errors of the disk are ValueErrors
        reason = str(error).strip().split("\n")[0][:200]
        raise WorkdirError(
            f"{folder} does not take a checkpoint ({reason}): free some space or choose another "
            "--workdir and start again; earlier checkpoints are kept."
        ) from error


# Parts of a run's key that no flag says in words a user knows.
_IN_WORDS = {
    "initial_weights": "the weights it starts from differ",
    "photographs": "the photographs to learn from differ",
}


def check_same_run(workdir: Path, key: dict[str, Any]) -> int | None:
    """Whether the run in the workdir is this one, or this one after fewer steps.

    Returns:
        The steps of the run there, None where there is none. Nothing is written.

    Raises:
        UserError: another one lies there; the sentence names all that differs.
    """
    path = workdir / RUN
    if not path.exists():
        return None
    there = json.loads(path.read_text("utf-8"))
    changed = [name for name in {**there, **key} if there.get(name) != key.get(name)]
    if changed == ["steps"] and key["steps"] > there["steps"]:
        changed = []
    if changed:
        differences = [
            _IN_WORDS.get(name, f"--{name} is {there.get(name)} there and {key.get(name)} here")
            for name in changed
        ]
        longer = f", or --steps={there['steps']} or more to go on" if changed == ["steps"] else ""
        raise UserError(
            f"{workdir} holds another training run ({'; '.join(differences)}): choose another "
            f"--workdir{longer}."
        )
    return int(there["steps"])


def note_run(workdir: Path, key: dict[str, Any]) -> None:
    """Writes down what makes this run."""
    write_json(workdir / RUN, key)


@contextmanager
def alone_in(workdir: Path) -> Iterator[None]:
    """Keeps a second run out of the workdir; the lock ends with the process, however it ends.

    Raises:
        UserError: Another run is at work there.
    """
    try:
        file = (workdir / "lock").open("w")
    except OSError as error:
        raise WorkdirError(
            f"{workdir} cannot be written ({error.strerror}): choose another --workdir."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                f"Another training run is at work in {workdir}: wait for it, or choose another "
                "--workdir."
            ) from error
        yield
