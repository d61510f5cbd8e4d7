"""Command line: look into a run in the browser, and search by photographs of your own.

    python -m jaxret.explore --workdir=W
    python -m jaxret.explore --workdir=W --dataset=FOLDER --model=dinov2-base

It needs the extra `explore` (pip install 'jaxret[explore]'). The page is served on this machine
alone; nothing is sent anywhere. Ctrl+C ends it.
"""

from jaxret.runtime import host_memory, preemption

if __name__ == "__main__":
    host_memory.keep()
    preemption.end_when_told()  # first: what is imported below takes a while

from typing import Any

from absl import flags

from jaxret.cli import command, flag_tables
from jaxret.errors import UserError
from jaxret.explore.settings import ExploreSettings


def define_flags() -> None:
    command.define_debug_flag()
    command.define_flags(ExploreSettings)
    command.define_help(str(__doc__), flag_tables.EXPLORE)


def settings_from_flags(values: flags.FlagValues) -> ExploreSettings:
    given: dict[str, Any] = {o.name: values[o.name].value for o, _ in ExploreSettings.options()}
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return ExploreSettings(**{**given, **lists})


def _serve(values: flags.FlagValues) -> None:
    flag_tables.EXPLORE.check(values)
    settings = settings_from_flags(values)
    try:
        import uvicorn  # noqa: F401 - late: the extra may not be there, and --help must be fast
    except ImportError as error:
        raise UserError(
            "The page needs the extra explore: pip install 'jaxret[explore]'."
        ) from error
    from jaxret.explore import serving

    command.keep_compiled()
    serving.serve(settings)


def main(argv: list[str]) -> None:
    command.run(argv, _serve)


if __name__ == "__main__":
    command.launch(main, define_flags)
