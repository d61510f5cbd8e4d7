"""A verdict as a table for people and as plain data for programs."""

import math
from collections.abc import Sequence
from typing import Any

from verification.comparison import Stage, Verdict, versions

_LINE = 110  # characters
_LOWEST, _HIGHEST, _WIDTH = -9, -3, 24  # the gauge: powers of ten from end to end, characters


def describe(verdict: Verdict, colour: bool = False) -> str:
    """The whole account of one model."""
    ran = versions()
    count, height, width = verdict.images
    seconds = "".join(f", {name} {value:.1f} s" for name, value in verdict.seconds.items())
    noun = "photograph" if count == 1 else "photographs"
    lines = [
        f"{verdict.model}: {verdict.parameters:,} parameters, weights {verdict.weights}",
        f"  PyTorch {ran['torch']} against jaxret {ran['jaxret']} (JAX {ran['jax']} on"
        f" {ran['device']}), float32",
        f"  {count} {noun} at {width}x{height}{seconds}",
        *(f"  {_cut(line)}" for note in verdict.notes for line in note.splitlines()),
        "",
        *_table(verdict),
        "",
        f"  final descriptor: smallest cosine {verdict.cosine:.9f} (1 - {1 - verdict.cosine:.0e})",
        f"  {_verdict_line(verdict, colour)}",
    ]
    return "\n".join(lines)


def _cut(line: str) -> str:
    return line if len(line) <= _LINE else f"{line[: _LINE - 3]}..."


def _table(verdict: Verdict) -> list[str]:
    wide = any(stage.ours is not None for stage in verdict.stages)
    scale = f"1e{_LOWEST:03d}".ljust(_WIDTH - 5) + f"1e{_HIGHEST:03d}"
    head = f"  {'stage':14} {'map':>14} {'largest':>9} {'difference':>11} {'relative':>9}  {scale}"
    if wide:
        head += f"  {'jaxret':>8} {'PyTorch':>8}  from float64"
    rows = [_row(stage, verdict.tolerance) for stage in verdict.stages]
    return [head, *rows]


def _row(stage: Stage, tolerance: float) -> str:
    size = "x".join(str(side) for side in stage.shape[1:])
    row = (
        f"  {stage.name:14} {size:>14} {stage.largest:9.3g} {stage.difference:11.1e}"
        f" {stage.relative:9.1e}  {_gauge(stage.relative, tolerance)}"
    )
    if stage.ours is not None:
        row += f"  {stage.ours:8.1e} {stage.theirs:8.1e}"
    return row + ("" if stage.passed(tolerance) else "  <- too far")


def _gauge(relative: float, tolerance: float) -> str:
    """`....*...|....`: where the difference lies, and the bar that it must stay left of."""
    letters = ["."] * _WIDTH
    letters[_position(tolerance)] = "|"
    letters[_position(relative)] = "*"
    return "".join(letters)


def _position(value: float) -> int:
    if not value > 0:
        return 0 if value == 0 else _WIDTH - 1
    power = math.log10(value) if math.isfinite(value) else _HIGHEST
    place = (power - _LOWEST) / (_HIGHEST - _LOWEST)
    return min(max(round(place * (_WIDTH - 1)), 0), _WIDTH - 1)


def _verdict_line(verdict: Verdict, colour: bool) -> str:
    worst = verdict.worst
    word = "PASS" if verdict.passed else "FAIL"
    if colour:
        word = f"\033[{'32' if verdict.passed else '31'};1m{word}\033[0m"
    line = f"{word}  largest relative difference {worst.relative:.1e} (after {worst.name})"
    line += f", allowed {verdict.tolerance:.0e}"
    first = next((s for s in verdict.stages if not s.passed(verdict.tolerance)), None)
    return f"{line}; the first stage that is off is {first.name}" if first else line


def summarize(verdicts: Sequence[Verdict], refused: Sequence[tuple[str, str]]) -> str:
    """One line a model, for a run over several."""
    lines = [f"{'model':20} {'parameters':>12} {'photographs':>13} {'relative':>9}  verdict"]
    for verdict in verdicts:
        count, height, width = verdict.images
        lines.append(
            f"{verdict.model:20} {verdict.parameters:12,} {f'{count} {width}x{height}':>13}"
            f" {verdict.worst.relative:9.1e}  {'pass' if verdict.passed else 'FAIL'}"
        )
    lines += [f"{model:20} {'':12} {'':13} {'':9}  refused: {why}" for model, why in refused]
    return "\n".join(lines)


def to_json(verdicts: Sequence[Verdict], refused: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """Plain data; numbers that are not finite as None."""
    passed = all(verdict.passed for verdict in verdicts) and not refused
    return {
        "passed": passed,
        "versions": versions(),
        "results": [_one(verdict) for verdict in verdicts],
        "refused": [{"model": model, "why": why} for model, why in refused],
    }


def _one(verdict: Verdict) -> dict[str, Any]:
    count, height, width = verdict.images
    return {
        "model": verdict.model,
        "passed": verdict.passed,
        "weights": verdict.weights,
        "parameters": verdict.parameters,
        "photographs": count,
        "image_size": [height, width],
        "tolerance": verdict.tolerance,
        "relative_difference": _finite(verdict.worst.relative),
        "worst_stage": verdict.worst.name,
        "cosine": _finite(verdict.cosine),
        "seconds": dict(verdict.seconds),
        "notes": list(verdict.notes),
        "stages": [
            {
                "name": stage.name,
                "shape": list(stage.shape),
                "max_abs": _finite(stage.largest),
                "max_abs_difference": _finite(stage.difference),
                "relative_difference": _finite(stage.relative),
                "jaxret_to_float64": _finite(stage.ours),
                "pytorch_to_float64": _finite(stage.theirs),
                "passed": stage.passed(verdict.tolerance),
            }
            for stage in verdict.stages
        ],
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
