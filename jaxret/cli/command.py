"""What the command lines share: flags made of settings, several hosts, errors as one sentence."""

import io
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from absl import app, flags, logging

from jaxret.cli.applicable import Table
from jaxret.errors import UserError
from jaxret.options import Options
from jaxret.runtime import preemption
from jaxret.runtime.user_cache import NO_HOME

_COMMAS: flags.ListSerializer[str] = flags.ListSerializer(",")


class _List(flags.ListParser):
    """A flag with commas, where some of them do not separate."""

    def __init__(self, split: Callable[[str], list[str]]) -> None:
        super().__init__()
        self._split = split

    def parse(self, argument: str | list[str]) -> list[str]:
        return argument if isinstance(argument, list) else self._split(argument)


def define_flags(
    settings: type[Options],
    lists: Collection[str] = (),
    splits: Mapping[str, Callable[[str], list[str]]] | None = None,
) -> None:
    """One flag for each field, with its default and help; those in `lists` take commas.

    Args:
      settings: whose fields become flags.
      lists: fields of one value of which a flag takes several.
      splits: how the text of a flag with several values is split, where not at every comma.
    """
    define: dict[type, Any] = {
        bool: flags.DEFINE_bool,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
    }
    for option, kind in settings.options():
        name, help = option.name, option.metadata["help"]
        default: Any = option.default
        choices = option.metadata["choices"]
        if name in lists or kind not in (bool, int, float, str):
            shown = list(default) if isinstance(default, tuple) else default
            if splits and name in splits:
                flags.DEFINE(_List(splits[name]), name, shown, help, serializer=_COMMAS)
            else:
                flags.DEFINE_list(name, shown, help)
        elif choices:
            flags.DEFINE_enum(name, default, choices, help)
        else:
            define.get(kind, flags.DEFINE_string)(name, default, help)


def define_debug_flag() -> None:
    """That of every command."""
    flags.DEFINE_bool("debug", False, "Show the traceback of an error.")


def define_common_flags() -> None:
    """Those of every command that several processes may run together."""
    define_debug_flag()
    flags.DEFINE_bool(
        "multihost",
        False,
        "This process is one of several that run the same command on one workdir: on a TPU slice "
        "or a cluster that JAX knows they find each other, elsewhere say --coordinator, "
        "--processes and --process.",
    )
    flags.DEFINE_string("coordinator", None, "Address HOST:PORT of process 0.")
    flags.DEFINE_integer("processes", None, "How many processes there are.")
    flags.DEFINE_integer("process", None, "Which of them this is, from 0.")


class _GroupedHelp(flags.BooleanFlag):
    """absl's --help, by the groups of a table."""

    def __init__(self, about: str, table: Table) -> None:
        super().__init__("help", False, "Show this help.", short_name="?", allow_override=True)
        self._about, self._table = about, table

    def parse(self, argument: Any) -> None:
        if self._parse(argument):
            print(f"{self._about.strip()}\n\n{self._table.help(flags.FLAGS)}")
            sys.exit(0)


def define_help(about: str, table: Table) -> None:
    """--help, once all other flags are defined.

    Args:
      about: what comes first.
      table: of the command.
    """
    app.define_help_flags()  # first: it would replace ours
    flags.DEFINE_flag(_GroupedHelp(about, table))


def start(values: flags.FlagValues, agree_on_sigterm: bool = False) -> None:
    """Before anything else of JAX: the cache of compiled functions, and the other processes.

    Args:
      values: of all flags.
      agree_on_sigterm: as in `parallel.start`.
    """
    from jaxret.runtime import parallel  # late: it imports JAX, and --help must be fast

    if values["multihost"].value:
        parallel.start(
            *(values[name].value for name in ("coordinator", "processes", "process")),
            agree_on_sigterm=agree_on_sigterm,
        )
    if not (values["multihost"].value and parallel.on_cpu()):
        # XLA:CPU's collectives come back from the cache in another order than the one that
        # processes without a stored copy run them in: they would wait for, or mix up, each other's.
        keep_compiled()


def keep_compiled() -> None:
    """Compiled functions stay in the user's cache, where there is one."""
    from jaxret.runtime import parallel  # late, as above
    from jaxret.runtime.user_cache import find_cache_dir

    cache = find_cache_dir()
    if cache is not None:
        parallel.keep_compiled(cache / "compiled")


def launch(
    main: Callable[[list[str]], int | None],
    define_flags: Callable[[], None],
) -> None:
    """A command from its first line to its exit status.

    Flags are defined here and not where a module is imported, so that one program may import
    several commands.

    Args:
      main: given the arguments that are no flags.
      define_flags: defines those of absl's FLAGS.
    """
    preemption.end_when_told()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal need not know every letter of a name
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        define_flags()
        app.run(main)
    except (RuntimeError, AssertionError) as error:
        sentence = _of_the_surroundings(error)
        if sentence is None:
            raise
        print(f"jaxret: {sentence}", file=sys.stderr)
        sys.exit(1)
    finally:
        preemption.leave()


def _of_the_surroundings(error: Exception) -> str | None:
    """What is wrong with the user's account or JAX, where that is what ended the command."""
    if "home directory" in str(error):  # pathlib's, of a path that begins with ~
        return NO_HOME
    if "jax" not in sys.modules:
        return None
    from jaxret.runtime import parallel

    return parallel.why_no_device()


def run(argv: list[str], work: Callable[[flags.FlagValues], None]) -> None:
    """Does the work; what the user can put right is one sentence and exit status 1."""
    logging.set_verbosity(logging.WARNING)  # what libraries tell about themselves stays out
    try:
        if len(argv) > 1:
            raise UserError(f"'{argv[1]}' is not a flag: write --name=value, see --help.")
        work(flags.FLAGS)
    except UserError as error:
        if flags.FLAGS.debug:
            raise
        print(f"jaxret: {error}", file=sys.stderr)
        sys.exit(1)
