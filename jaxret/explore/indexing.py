"""Descriptors of a dataset that is to be searched in, made where they are not there yet.

Only on demand, and watched: a user sees how many photographs are to be described, says so, sees
them being counted and may stop. What was described is kept (shards of 64 photographs).
"""

import threading
import traceback
from dataclasses import dataclass, field
from typing import Any

from jaxret.errors import UserError
from jaxret.explore.catalogue import Entry
from jaxret.explore.stored import Stored
from jaxret.models.encoder import Encoder
from jaxret.stages.context import RunContext
from jaxret.stages.features import Features

ABSENT, MAKING, STOPPED, FAILED, READY = "absent", "making", "stopped", "failed", "ready"


class _Stopped(Exception):  # noqa: N818 - a wish, no error
    """The user does not want the rest."""


@dataclass
class Job:
    """One index that is being made.

    Attributes:
      total: photographs to describe, the pass that recalibrates batch norm counted.
      why: it failed.
    """

    total: int
    done: int = 0
    state: str = MAKING
    why: str = ""
    wanted: threading.Event = field(default_factory=threading.Event)


class Indexing:
    """Indexes that are made behind the page, one after the other."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._jobs: dict[str, Job] = {}
        self._changing, self._one = threading.Lock(), threading.Lock()

    def state(self, entry: Entry) -> dict[str, Any]:
        """Whether an index is there, and how far it is."""
        job = self._jobs.get(entry.name)
        if job is not None and job.state == MAKING:
            return {"state": MAKING, "done": job.done, "total": job.total}
        count = self.missing(entry)
        if not count:
            return {"state": READY, "done": 0, "total": 0}
        ended = {"state": job.state, "why": job.why} if job is not None else {"state": ABSENT}
        return {**ended, "done": 0, "total": count}

    def missing(self, entry: Entry) -> int:
        """Photographs that must pass the encoder before it can be searched in."""
        store = self._stored.context.store
        with self._stored.one_at_a_time:
            features = self._stored.features(entry)
            split = self._stored.dataset(entry).database
            return sum(
                one.missing_of(split, store) + one.recalibration_missing(store) for one in features
            )

    def start(self, entry: Entry) -> None:
        """Begins where nothing is being made already."""
        total = self.missing(entry)
        with self._changing:
            job = self._jobs.get(entry.name)
            if not total or (job is not None and job.state == MAKING):
                return
            job = self._jobs[entry.name] = Job(total)
        job.wanted.set()
        threading.Thread(target=self._work, args=(entry, job), daemon=True, name="index").start()

    def stop(self, entry: Entry) -> None:
        """Ends it after the batch that is under way."""
        if job := self._jobs.get(entry.name):
            job.wanted.clear()

    def _work(self, entry: Entry, job: Job) -> None:
        try:
            with self._one:
                self._make(entry, job)
            job.state = READY
        except _Stopped:
            job.state = STOPPED
        except UserError as error:
            job.state, job.why = FAILED, str(error)
        except Exception:
            traceback.print_exc()
            job.state, job.why = FAILED, "it failed; the terminal shows why."

    def _make(self, entry: Entry, job: Job) -> None:
        def watch(count: int) -> None:
            job.done += count
            if not job.wanted.is_set():
                raise _Stopped

        watch(0)
        settings = entry.settings
        context = RunContext(self._stored.context.store)  # of its own: searches go on meanwhile
        for member in settings.members:
            features = context.features(member, settings.dataset, settings)
            before = features.recalibration_missing(context.store)

            def load(features: Features = features, before: int = before) -> Encoder:
                encoder = context.encoders.load(features.identity.name, features.settings)
                features.describing(encoder, context.store)  # the pass, where it is to be made
                watch(before)
                return encoder

            split = features.dataset.database
            features.make(split, load, context.store, context.clock, watch)
