"""Command line: flags -> Settings -> run -> table and report.

    python -m jaxret.main --model=simclr4x --dataset=roxford5k

Comma-separated --model, --dataset and --pca_dim run every combination.
"""

import itertools
import signal
import sys
from typing import Any, NoReturn

from absl import app, flags, logging

from jaxret.errors import UserError
from jaxret.settings import TRUE_DIM, Settings, options

_SWEPT = ("model", "dataset", "pca_dim")  # a comma makes one evaluation for each value

flags.DEFINE_bool("debug", False, "Show the traceback of an error.")
flags.DEFINE_bool(
    "multihost",
    False,
    "This process is one of several that run the same command on one workdir: on a TPU slice or a "
    "cluster that JAX knows they find each other, elsewhere say --coordinator, --processes and "
    "--process.",
)
flags.DEFINE_string("coordinator", None, "Address HOST:PORT of process 0, with --multihost.")
flags.DEFINE_integer("processes", None, "How many processes there are, with --multihost.")
flags.DEFINE_integer("process", None, "Which of them this is, from 0, with --multihost.")


def _define_flags() -> None:
    """One flag for each field of Settings, with its default and help."""
    define: dict[type, Any] = {
        bool: flags.DEFINE_bool,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
    }
    for option, kind in options():
        name, help = option.name, option.metadata["help"]
        default: Any = option.default
        choices = option.metadata["choices"]
        if name in _SWEPT or kind not in (bool, int, float, str):
            shown = list(default) if isinstance(default, tuple) else default
            flags.DEFINE_list(name, shown, help)
        elif choices:
            flags.DEFINE_enum(name, default, choices, help)
        else:
            define.get(kind, flags.DEFINE_string)(name, default, help)


_define_flags()


def settings_from_flags(values: flags.FlagValues) -> list[Settings]:
    """One Settings for each combination of the swept flags, in the order they were written."""
    fixed: dict[str, Any] = {
        o.name: values[o.name].value for o, _ in options() if o.name not in _SWEPT
    }
    fixed["ranking"] = tuple(fixed["ranking"])
    fixed["scales"] = tuple(_number(text) for text in fixed["scales"])
    swept = itertools.product(*(values[name].value or [None] for name in _SWEPT))
    return [
        Settings(**fixed, model=model, dataset=dataset, pca_dim=_dimension(dim))
        for model, dataset, dim in swept
    ]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"--scales={text} must be a number, such as 0.71.") from None


def _dimension(text: str | None) -> int | str | None:
    if text is None or text == TRUE_DIM:
        return text
    try:
        return int(text)
    except ValueError:
        raise UserError(f"--pca_dim={text} must be a whole number or '{TRUE_DIM}'.") from None


def _stop(signum: int, frame: Any) -> NoReturn:
    """A preempted run ends at once: what was finished lies in the workdir already."""
    raise SystemExit(128 + signum)


def main(argv: list[str]) -> None:
    signal.signal(signal.SIGTERM, _stop)
    logging.set_verbosity(logging.WARNING)  # what libraries tell about themselves stays out
    try:
        if len(argv) > 1:
            raise UserError(f"'{argv[1]}' is not a flag: write --name=value, see --help.")
        every = settings_from_flags(flags.FLAGS)
        from jaxret import parallel, suite  # late: they import JAX, and --help must be fast
        from jaxret.models.locations import cache_dir

        parallel.keep_compiled(cache_dir() / "compiled")
        if flags.FLAGS.multihost:
            parallel.start(*(flags.FLAGS[n].value for n in ("coordinator", "processes", "process")))
        suite.run_and_report(every)
    except UserError as error:
        if flags.FLAGS.debug:
            raise
        print(f"jaxret: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    app.run(main)
