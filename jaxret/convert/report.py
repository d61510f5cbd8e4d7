"""What became of every array of a checkpoint."""

from dataclasses import dataclass, field

from jaxret.errors import UserError

Shape = tuple[int, ...]


@dataclass
class ConversionReport:
    """The account of one conversion; it is sound when four of its lists are empty:
    missing, unexpected, misshapen and invalid.

    Attributes:
        model: Name of the row.
        layout: Name of the layout that the file has.
        used: name in the checkpoint -> our name ("params/layer1_0/conv1/kernel").
        dropped: name in the checkpoint -> why it is not needed.
        missing: Our names that nothing filled.
        unexpected: Names in the checkpoint that the layout does not know.
        misshapen: (name in the checkpoint, its shape, the shape wanted), both as found there.
        invalid: (name in the checkpoint, what is wrong with its values).
        key: Which of the file's networks it is, as `--checkpoint_key` calls it.
        notes: What was assumed or chosen, for people.
    """

    model: str
    layout: str
    key: str = ""
    notes: list[str] = field(default_factory=list)
    used: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    misshapen: list[tuple[str, Shape, Shape]] = field(default_factory=list)
    invalid: list[tuple[str, str]] = field(default_factory=list)

    def check(self) -> None:
        """Raises UserError, in one sentence with the names, unless the conversion is sound."""
        shapes = [f"{name} is {found}, not {want}" for name, found, want in self.misshapen]
        values = [f"{name} {what}" for name, what in self.invalid]
        faults = [
            _listing("missing", self.missing),
            _listing("unexpected", self.unexpected),
            _listing("of another shape", shapes),
            _listing("unusable", values),
        ]
        faults = [fault for fault in faults if fault]
        if faults:
            raise UserError(f"This is not a checkpoint of {self.model}: {'; '.join(faults)}.")

    def summary(self) -> str:
        """A few lines for people: how many arrays were used, which were dropped and why."""
        lines = [f"{self.model}: {len(self.used)} arrays used, {len(self.dropped)} dropped"]
        reasons: dict[str, list[str]] = {}
        for name, reason in self.dropped.items():
            reasons.setdefault(reason, []).append(name)
        lines += [f"  {_listing(reason, names)}" for reason, names in reasons.items()]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def _listing(what: str, names: list[str], most: int = 5) -> str:
    if not names:
        return ""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{what} ({len(names)}): {', '.join(names[:most])}{rest}"
