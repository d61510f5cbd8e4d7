"""Command line: learn an encoder from photographs, and judge it on those it never saw.

    python -m jaxret.train --dataset=FOLDER --model=resnet50 --init=random --workdir=learnt
    python -m jaxret.train --dataset=FOLDER --loss=ap --workdir=learnt_ap
    python -m jaxret.train --dataset=FOLDER --train=head --workdir=head
    python -m jaxret.main --checkpoint=learnt --dataset=FOLDER

A run that was stopped goes on when the same command is given again.
"""

from jaxret.runtime import host_memory, preemption

if __name__ == "__main__":
    host_memory.keep()
    preemption.end_when_told()  # first: what is imported below takes a while

import sys
from typing import Any

from absl import flags

from jaxret.cli import command as commands
from jaxret.cli import flag_tables
from jaxret.training.settings import TrainSettings


def define_flags() -> None:
    commands.define_common_flags()
    commands.define_flags(TrainSettings)
    commands.define_help(str(__doc__), flag_tables.TRAIN)


def settings_from_flags(values: flags.FlagValues) -> TrainSettings:
    given: dict[str, Any] = {o.name: values[o.name].value for o, _ in TrainSettings.options()}
    return TrainSettings(**given)


def _tell(line: str) -> None:
    print(f"jaxret: {line}", file=sys.stderr, flush=True)


def _learn(values: flags.FlagValues) -> None:
    flag_tables.TRAIN.check(values)
    settings = settings_from_flags(values)
    commands.start(values, agree_on_sigterm=True)  # to save the state of one step
    from jaxret.runtime import parallel  # late: they import JAX, and --help must be fast

    if settings.train == "head":
        from jaxret.training.linear_head import evaluation_command, train_head

        trained = train_head(settings, _tell)
        command = evaluation_command(settings, trained.workdir)
    else:
        from jaxret.training import report
        from jaxret.training.loop import train

        trained = train(settings, _tell)
        command = report.evaluation_command(trained.workdir)
    if not parallel.is_first():
        return
    retrieval = trained.curves.retrieval
    if retrieval:
        print("mAP in percent on the held-out part, before and after:")
        before, after = retrieval[0], retrieval[-1]
        for protocol in (name for name in before if name != "step"):
            print(f"{protocol:>8} {100 * before[protocol]:6.2f} {100 * after[protocol]:6.2f}")
    print(f"Report: {trained.workdir / 'report.html'}")
    print(f"To judge it: {command}")


def main(argv: list[str]) -> None:
    commands.run(argv, _learn)


if __name__ == "__main__":
    commands.launch(main, define_flags)
