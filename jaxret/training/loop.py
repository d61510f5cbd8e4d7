"""A training run from photographs to an encoder: read `train` from top to bottom."""

import math
import signal
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
from tqdm import tqdm

from jaxret import data
from jaxret.data.photographs import LEFT_OUT
from jaxret.errors import UserError
from jaxret.models.encoder import Encoder
from jaxret.models.weights import saving
from jaxret.models.weights.folders import TRAINED
from jaxret.runtime import parallel, preemption
from jaxret.runtime.artifacts import digest
from jaxret.runtime.user_cache import cache_dir
from jaxret.training import optimizers
from jaxret.training.checkpoints import Checkpoints, alone_in, check_same_run, note_run
from jaxret.training.curves import Curves, main_protocol
from jaxret.training.data.labelled_photographs import write_dataset
from jaxret.training.data.training_data import Batches, Tell, TrainingData
from jaxret.training.initial_encoder import starting_encoder
from jaxret.training.report import VIEWS, write_report
from jaxret.training.settings import TrainSettings
from jaxret.training.step import initial_state, make_step
from jaxret.training.validation import Validation

HELD_OUT = "held_out"  # the folder of a workdir that holds what was never learnt from
LARGEST_QUEUE = 65_536  # He et al., CVPR 2020


@dataclass(frozen=True)
class Trained:
    """What a run made.

    Attributes:
        workdir: Everything lies here; the learnt encoder in `encoder/`.
        curves: Loss and retrieval.
    """

    workdir: Path
    curves: Curves


# Random draws and promotions as JAX has them by itself, whatever a user's other programs ask of it.
@jax.enable_x64(False)
@jax.numpy_dtype_promotion("standard")
def train(settings: TrainSettings, tell: Tell = lambda line: None) -> Trained:
    """Learns an encoder from photographs, or goes on with a run that was stopped.

    Raises:
        UserError: What the user can put right; nothing is written where it can be known before.
        SystemExit: The process was told to end (Ctrl-C, SIGTERM): the state is saved.
        KeyboardInterrupt: Instead of it, where a program has left Ctrl-C to Python.
    """
    settings = settings.resolved()
    mesh = parallel.global_mesh()
    _check_devices(settings, mesh.size)
    encoder = starting_encoder(settings)
    dataset = data.load(settings.dataset, settings.data_dir, require_ground_truth=False)
    for note in dataset.notes:
        if note.startswith(LEFT_OUT):
            tell(note)
    training_data = TrainingData.of(dataset, settings)
    workdir = workdir_of(settings)
    key = _key(settings, encoder, training_data)
    before = check_same_run(workdir, key)
    if before is None:
        note_run(workdir, key)
    with alone_in(workdir) if parallel.is_first() else nullcontext():
        if before is not None and before < settings.steps:
            tell(_longer(settings, before, workdir))
            note_run(workdir, key)
        if training_data.held_out is not None and parallel.is_first():
            write_dataset(training_data.held_out, workdir / HELD_OUT)
        return _Run(settings, encoder, training_data, workdir, mesh, tell).all()


def workdir_of(settings: TrainSettings) -> Path:
    """The folder that the settings name, or one of the run's own, however long it is."""
    if settings.workdir:
        return Path(settings.workdir).expanduser()
    key = {name: value for name, value in settings.key().items() if name != "steps"}
    return cache_dir() / "training" / digest(key)[:20]


def _longer(settings: TrainSettings, before: int, workdir: Path) -> str:
    """What happens to a run that goes on beyond its end; what it had learnt steps aside."""
    kept = ""
    if (workdir / TRAINED).is_dir():  # else a run killed before its new end would seem finished
        aside = workdir / f"{TRAINED}-{before}"
        (workdir / TRAINED).rename(aside)
        kept = f" What the shorter run learnt is kept in {aside}."
    rate = float(optimizers.learning_rate(settings)(before // settings.accumulate))
    return (
        f"The run of {before} steps goes on to {settings.steps}: the learning rate follows the "
        f"longer schedule from here, {rate:.2e} at step {before}, where the shorter one came to 0."
        f"{kept}"
    )


def _check_devices(settings: TrainSettings, devices: int) -> None:
    if settings.batch_size % devices:
        near = parallel.round_up(settings.batch_size, devices)
        raise UserError(
            f"--batch_size={settings.batch_size} cannot be dealt out evenly over {devices} "
            f"devices: give a multiple, such as {near}."
        )


def _key(settings: TrainSettings, encoder: Encoder, training_data: TrainingData) -> dict[str, Any]:
    """What makes a run, by content where there is some."""
    return {
        **settings.key(),
        "initial_weights": encoder.digest(),
        "photographs": training_data.collection.photographs.fingerprint(),
    }


class _Run:
    """One run at work."""

    def __init__(
        self,
        settings: TrainSettings,
        encoder: Encoder,
        training_data: TrainingData,
        workdir: Path,
        mesh: jax.sharding.Mesh,
        tell: Tell,
    ) -> None:
        self._settings, self._encoder, self._training_data = settings, encoder, training_data
        self._workdir, self._mesh, self._tell = workdir, mesh, tell
        self._batches = Batches(training_data, settings, workdir, mesh, tell)
        self._validation = self._make_validation()
        self._checkpoints = Checkpoints(workdir / "checkpoints")
        self._rate = optimizers.learning_rate(settings)
        self._curves = Curves()
        # Several processes agree through JAX, to which SIGTERM belongs.
        self._told = preemption.Told(as_sigterm=parallel.several())

    def all(self) -> Trained:
        """To the end, from the newest checkpoint where there is one."""
        settings = self._settings
        state, begun = self._first_state()
        if begun == settings.steps and (self._workdir / TRAINED).is_dir():
            self._tell(f"{self._workdir} has finished its {settings.steps} steps already.")
            return Trained(self._workdir, self._curves)
        with self._told, self._bar(begun) as bar:
            if not begun and parallel.is_first():
                key = jax.random.wrap_key_data(jax.device_get(state["key"]))
                self._batches.show_views(self._workdir / VIEWS, key)
            self._measure_if_due(begun, state)
            for step, new, metrics, seconds in self._steps(state, begun):
                state = new
                self._told.hold()
                self._record(step, metrics, seconds, bar)
                stop = self._must_stop(step)
                if stop or self._due(step, settings.checkpoint_every, settings.validate_every):
                    self._save(step, state)
                if stop or self._told_alone():  # while it saved
                    bar.close()
                    self._end_early(step)
                self._measure_if_due(step, state)  # of what is saved: it need not be waited for
        self._finish(state)
        return Trained(self._workdir, self._curves)

    # Before the first step

    def _make_validation(self) -> Validation | None:
        held_out, settings = self._training_data.held_out, self._settings
        if held_out is None:
            return None
        return Validation(held_out, settings.validation_size, settings.workers)

    def _first_state(self) -> tuple[Any, int]:
        settings = self._settings
        queue = settings.queue_size or min(
            self._batches.batches_an_epoch * settings.batch_size,
            LARGEST_QUEUE // settings.batch_size * settings.batch_size,
        )
        state = parallel.replicated(initial_state(self._encoder, settings, queue), self._mesh)
        begun = self._checkpoints.latest() or 0
        if begun:
            state = self._checkpoints.restore(state)
            self._curves = Curves.read(self._workdir, begun)
            self._tell(f"Going on after step {begun} of {settings.steps}.")
        return state, begun

    # Steps

    def _steps(self, state: Any, begun: int) -> Iterator[tuple[int, Any, dict[str, float], float]]:
        """Each step's number, state, metrics and seconds."""
        step_of = make_step(self._encoder.spec, self._settings, self._mesh)
        for step in range(begun, self._settings.steps):
            started = time.perf_counter()
            state, metrics = step_of(state, *self._batches.batch(step))
            numbers = {name: float(value) for name, value in metrics.items()}
            yield step + 1, state, numbers, time.perf_counter() - started

    def _record(self, step: int, metrics: dict[str, float], seconds: float, bar: Any) -> None:
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise self._diverged(f"The {name.replace('_', ' ')} of step {step} is {value}")
        rate = float(self._rate((step - 1) // self._settings.accumulate))
        row = {"step": step, **metrics, "learning_rate": rate, "steps_per_second": 1 / seconds}
        self._curves.losses.append(row)
        bar.update()
        bar.set_postfix_str(f"loss {metrics['loss']:.4f}, rate {rate:.2e}{self._last_map()}")

    def _diverged(self, what: str) -> UserError:
        in_float32 = "" if self._settings.dtype == "float32" else ", or with --dtype=float32"
        return UserError(
            f"{what}: start again in another --workdir with a lower --learning_rate, a longer "
            f"--warmup_steps or --clip_norm=1{in_float32}. The last checkpoint is of step "
            f"{self._checkpoints.latest() or 0}."
        )

    def _last_map(self) -> str:
        if not self._curves.retrieval:
            return ""
        protocol = main_protocol(self._curves)
        return f", mAP {protocol} {100 * self._curves.retrieval[-1][protocol]:.1f}"

    def _due(self, step: int, *every: int) -> bool:
        return step == self._settings.steps or any(step % steps == 0 for steps in every)

    def _measure_if_due(self, step: int, state: Any) -> None:
        """Retrieval by the encoder as it is now; every process measures for itself."""
        if self._validation is None or self._curves.measured_at(step):
            return
        if not self._due(step, self._settings.validate_every):
            return
        found = self._validation.measure(self._learnt(state))
        if not all(math.isfinite(value) for value in found.values()):
            raise self._diverged(f"After step {step} the descriptors are not finite")
        self._curves.retrieval.append({"step": step, **found})
        if parallel.is_first():
            self._curves.write(self._workdir)

    def _learnt(self, state: Any) -> Encoder:
        state = jax.device_get(state)
        variables = {"params": state["params"]["encoder"], "batch_stats": state["batch_stats"]}
        return replace(self._encoder, variables=jax.tree.map(jnp.asarray, variables))

    # Stopping, keeping

    def _save(self, step: int, state: Any) -> None:
        if parallel.is_first():
            self._curves.write(self._workdir)  # first: never behind the checkpoint
        self._checkpoints.save(step, state)
        if not parallel.several():  # the others may still be about to agree
            self._told.release()

    def _must_stop(self, step: int) -> bool:
        return self._checkpoints.preempted(step) if parallel.several() else self._told_alone()

    def _told_alone(self) -> bool:
        """Several agree on a step, and none of them leaves the others before."""
        return not parallel.several() and self._told.signum != 0

    def _end_early(self, step: int) -> NoReturn:
        kept = f"the state after step {step} of {self._settings.steps} is kept"
        signum = self._told.signum or signal.SIGTERM  # another process heard it
        self._tell(preemption.told_to_end(signum, f"{kept}, the same command goes on from there"))
        raise self._told.end(signum)

    def _bar(self, begun: int) -> Any:
        return tqdm(
            total=self._settings.steps,
            initial=begun,
            unit="step",
            desc=f"learning{parallel.host_name()}",
            mininterval=1,
            leave=False,
        )

    def _finish(self, state: Any) -> None:
        """The encoder in the form of converted weights, and the report."""
        self._checkpoints.close()
        if not parallel.is_first():
            return
        settings, learnt = self._settings, self._learnt(state)
        source = (
            f"learnt with --loss={settings.loss} in {settings.steps} steps on "
            f"{self._training_data.collection.dataset.name} from {_origin(settings)} weights"
        )
        write_report(self._workdir, settings, self._curves, self._batches.batches_an_epoch)
        # Last: it says that the run has finished.
        saving.save(learnt, self._workdir / TRAINED, source, self._encoder.digest())


def _origin(settings: TrainSettings) -> str:
    return settings.init if settings.init in ("converted", "random") else Path(settings.init).name
