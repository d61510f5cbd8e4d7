"""What a browser sent, bounded and checked before anything is done with it."""

import contextlib
import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from jaxret.errors import UserError


async def body(request: Request, most: int) -> bytes:
    """What was sent, never more than `most` bytes in memory."""
    said = request.headers.get("content-length", "0")
    parts, size = [], 0
    if said.isdecimal() and int(said) <= most:
        async for part in request.stream():
            size += len(part)
            if size > most:
                break
            parts.append(part)
        else:
            return b"".join(parts)
    raise HTTPException(413, f"That is too large: at most {most / 1e6:g} million bytes.")


def json_of(sent: bytes) -> dict[str, Any]:
    """A JSON object; 400 for anything else."""
    try:
        found = json.loads(sent)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise HTTPException(400, "This request is no JSON object.")
    return found


def box(given: Any) -> tuple[float, float, float, float] | None:
    """Four numbers, which the photograph is still to be asked about; None for none.

    Raises:
      UserError: it is something else.
    """
    if given is None:
        return None
    if isinstance(given, list) and all(isinstance(one, int | float) for one in given):
        with contextlib.suppress(ValueError, OverflowError):
            x1, y1, x2, y2 = map(float, given)
            return x1, y1, x2, y2
    raise UserError("A box is four numbers: left, top, right, bottom.")


def number(request: Request, name: str) -> int:
    """A whole number of 0 or more out of the address; 400 for anything else."""
    text = request.query_params.get(name, "")
    if not text.isdecimal() or len(text) > 10:
        raise HTTPException(400, f"{name} must be a whole number.")
    return int(text)
