"""Which flags a command takes in what it was asked to do; `flag_tables` holds the rows.

A command does one thing (its mode). A flag that was written and cannot change anything there is
refused by name, and `--help` says of each what it belongs to: both from the same rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from absl import flags

from jaxret.errors import UserError


@dataclass(frozen=True)
class Need:
    """What a flag has no effect without.

    Attributes:
      words: as it is written on the command line, or in words.
      holds: whether the flags, in this mode, say so.
    """

    words: str
    holds: Callable[[flags.FlagValues, str], bool]


@dataclass(frozen=True)
class Row:
    """One flag: the modes it applies in and what it needs there."""

    name: str
    modes: tuple[str, ...]
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True)
class Group:
    """Flags that stand together in `--help`."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """All flags of one command.

    Attributes:
      modes: what the command can be asked for: mode -> how a sentence calls it.
      mode_of: which of them the flags ask for.
    """

    modes: Mapping[str, str]
    mode_of: Callable[[flags.FlagValues], str]
    groups: tuple[Group, ...] = field(default=())

    def rows(self) -> dict[str, Row]:
        return {row.name: row for group in self.groups for row in group.rows}

    def check(self, values: flags.FlagValues) -> None:
        """Refuses what was written and cannot apply.

        Raises:
          UserError: one sentence that names every such flag.
        """
        mode, written = self.mode_of(values), [r for r in self.rows().values() if _in(values, r)]
        elsewhere: dict[tuple[str, ...], list[str]] = {}
        for row in written:
            if mode not in row.modes:
                elsewhere.setdefault(row.modes, []).append(f"--{row.name}")
        wrong = [self._belonging(names, modes, mode) for modes, names in elsewhere.items()]
        wrong += [
            f"--{row.name} has no effect without {need.words}"
            for row in written
            for need in row.needs
            if mode in row.modes and not need.holds(values, mode)
        ]
        if wrong:
            raise UserError(f"{'; '.join(wrong)}: leave out what does not go together.")

    def help(self, values: flags.FlagValues) -> str:
        """Every flag under the title of its group, what it belongs to behind what it means."""
        parts = []
        for group in self.groups:
            modes = _common_modes(group) or tuple(self.modes)
            said = "" if len(modes) == len(self.modes) else f" ({self._names(modes)})"
            parts.append(f"{group.title}{said}:")
            parts += [self._entry(values[row.name], row, modes) for row in group.rows]
            parts.append("")
        return "\n".join(parts)

    def _names(self, modes: tuple[str, ...]) -> str:
        return _listed([self.modes[mode] for mode in modes])

    def _belonging(self, names: list[str], modes: tuple[str, ...], mode: str) -> str:
        """Half a sentence: where flags belong that were written in another mode."""
        verb = "belongs" if len(names) == 1 else "belong"
        owner = self._names(modes)
        if owner in names:  # what asks for a mode of its own
            return f"{_listed(names)} cannot be asked for beside {self.modes[mode]}"
        return f"{_listed(names)} {verb} to {owner}, not to {self.modes[mode]}"

    def _entry(self, flag: flags.Flag, row: Row, of_group: tuple[str, ...]) -> str:
        name = f"[no]{flag.name}" if flag.boolean else flag.name
        text = f"--{name}: {flag.help}"
        if row.modes != of_group:
            text += f" For {self._names(row.modes)}."
        if row.needs:
            text += f" Only with {_listed([need.words for need in row.needs])}."
        lines = [flags.text_wrap(text, indent="    ", firstline_indent="  ")]
        if flag.default_as_str:
            lines.append(f"    (default: {flag.default_as_str})")
        return "\n".join(lines)


def _common_modes(group: Group) -> tuple[str, ...]:
    """The modes that most rows of the group share; none where no half does."""
    modes = [row.modes for row in group.rows]
    most = max(modes, key=modes.count)
    return most if 2 * modes.count(most) > len(modes) else ()


def _in(values: flags.FlagValues, row: Row) -> bool:
    """Whether the flag was written; --no... of a switch that is off says nothing."""
    flag = values[row.name]
    return bool(flag.present) and not (flag.boolean and flag.value == flag.default)


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


# What rows need, in the words of the command line


def given(name: str) -> Need:
    return Need(f"--{name}", lambda values, mode: bool(values[name].value))


def equals(name: str, *wanted: object) -> Need:
    words = f"--{name}={'|'.join(map(str, wanted))}"
    return Need(words, lambda values, mode: values[name].value in wanted)


def other_than(name: str, unwanted: object, words: str) -> Need:
    return Need(words, lambda values, mode: values[name].value != unwanted)
