"""The settings under which published figures were made: `get`, `names`, `applied`, `deviations`.

A preset is a row of settings with its sources (`rows`); what was said beside it overrides it, and
`deviations` names every such difference, so that a figure is never taken for one of another
setting. docs/presets.md says what is published under each, and what nobody has stated.
"""

from jaxret.presets.applying import applied, deviations, mark, stated
from jaxret.presets.row import Preset
from jaxret.presets.rows import PRESETS, STUDY, get, names

__all__ = [
    "PRESETS",
    "STUDY",
    "Preset",
    "applied",
    "deviations",
    "get",
    "mark",
    "names",
    "stated",
]
