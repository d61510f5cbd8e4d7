"""A preset into settings, and back: in what settings are not the preset's.

Settings are any `Options` with the fields `preset`, `model` and `dataset`.
"""

import dataclasses
from collections.abc import Collection, Iterator
from typing import Any, TypeVar

from jaxret.options import Options
from jaxret.presets.rows import get

Chosen = TypeVar("Chosen", bound=Options)

# What is evaluated, and rankings, whose figures have places of their own: no part of a preset.
_BESIDE = frozenset(
    (
        *("preset", "model", "dataset", "ranking", "allow_missing", "subset", "labels"),
        *("weights", "seed", "checkpoint", "arch", "checkpoint_key", "width", "mean", "std"),
        *("stem_pool", "on_bad_image", "rank_on"),
    )
)
_RANKING = ("aqe_", "dba_", "dfs")


def applied(settings: Chosen, said: Collection[str]) -> Chosen:
    """The settings with the values of their preset, but for those that were said.

    What the preset states of other models or datasets alone goes back to its default.

    Args:
      settings: their `preset` may be None: they come back as they are.
      said: names of settings that keep their value.

    Raises:
      UserError: there is no such preset, or its values do not go with what was said.
    """
    if settings.preset is None:  # type: ignore[attr-defined]
        return settings
    of_others = get(settings.preset).mentioned()  # type: ignore[attr-defined]
    defaults = {option.name: option.default for option, _ in settings.options()}
    values = {**{name: defaults[name] for name in of_others}, **_values(settings)}
    return dataclasses.replace(settings, **{k: v for k, v in values.items() if k not in said})


def deviations(*every: Options) -> tuple[str, ...]:
    """What of some settings is not their preset's: "query_crop=bbox (preset: none)" each.

    What the preset does not state is held against the default; the values of several settings stand
    side by side ("image_size=448|518 (preset: 224)").
    """
    found: dict[tuple[str, str], list[str]] = {}
    for settings in every:
        for name, have, wanted in _differences(settings):
            values = found.setdefault((name, wanted), [])
            values += [have] if have not in values else []
    return tuple(
        f"{name}={'|'.join(values)} (preset: {wanted})" for (name, wanted), values in found.items()
    )


def _differences(settings: Options) -> Iterator[tuple[str, str, str]]:
    """Name, value and the preset's value of each setting that differs, as texts."""
    if settings.preset is None:  # type: ignore[attr-defined]
        return
    wanted = _values(settings)
    for option, _ in settings.options():
        name = option.name
        if name in _BESIDE or name.startswith(_RANKING) or option.metadata["machine"]:
            continue
        have, expected = getattr(settings, name), wanted.get(name, option.default)
        if have != expected:
            yield name, _text(have), _text(expected)


def stated(*every: Options) -> dict[str, Any]:
    """What a report says of the preset of some evaluations; empty where they have none.

    Values that differ between them (of models, of datasets) are lists.
    """
    if every[0].preset is None:  # type: ignore[attr-defined]
        return {}
    row = get(every[0].preset)  # type: ignore[attr-defined]
    defaults = {option.name: option.default for option, _ in every[0].options()}
    values: dict[str, Any] = {}
    for name in sorted(row.mentioned()):
        texts = list(dict.fromkeys(_text({**defaults, **_values(one)}[name]) for one in every))
        values[name] = texts[0] if len(texts) == 1 else texts
    return {
        "name": row.name,
        "title": row.title,
        "metric": row.metric,
        "values": values,
        "deviations": list(deviations(*every)),
        "assumed": list(row.assumed),
        "not_covered": list(row.not_covered),
        "sources": list(row.sources),
    }


def mark(settings: Options) -> dict[str, str]:
    """What a figure carries: the name of the preset that it was made under without deviation.

    An encoder of one's own carries none, whatever it is called.
    """
    name, members, own = (getattr(settings, n) for n in ("preset", "members", "checkpoints"))
    if name is None or set(members) & set(own) or deviations(settings):
        return {}
    return {"preset": name}


def _values(settings: Options) -> dict[str, Any]:
    name, model, dataset = (getattr(settings, n) for n in ("preset", "model", "dataset"))
    return {} if name is None else get(name).values_for(model, dataset)


def _text(value: Any) -> str:
    """As one would write it behind the flag."""
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    if isinstance(value, float):
        return f"{value:.6g}"
    return "unset" if value is None else str(value)
