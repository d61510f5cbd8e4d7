"""How a row is found by its name."""

import difflib

from jaxret.errors import UserError
from jaxret.models import rows
from jaxret.models.spec import HUB, ModelSpec


def names() -> tuple[str, ...]:
    """All names of the registry, in its order."""
    return tuple(row.name for row in rows.ROWS)


def get(name: str) -> ModelSpec:
    """The row called `name`, or that of a model of the hub (`hf:facebook/dinov2-base`).

    Raises:
        UserError: There is none; the sentence lists the known names, nearest first.
    """
    if name.startswith(HUB):
        from jaxret.models import hub  # late: it makes networks to count their parameters

        return hub.row(name)
    for row in rows.ROWS:
        if row.name == name:
            return row
    known = names()
    nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    rest = [other for other in known if other not in nearest]
    hint = f" Nearest: {', '.join(nearest)}." if nearest else ""
    raise UserError(f"Unknown model {name!r}.{hint} Known: {', '.join([*nearest, *rest])}.")
