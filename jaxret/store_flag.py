"""--store: how the descriptors of a database are kept."""

import re

from jaxret.errors import UserError

WHOLE = "float32"
STORES = (WHOLE, "float16", "int8", "pqM", "binary")  # M bytes a photograph, such as pq64


def check(store: str, dim: int | None = None) -> None:
    """Raises UserError for an unknown way to store, or one that `dim` dimensions do not allow."""
    if store in STORES and store != "pqM":
        return
    match = re.fullmatch(r"pq([1-9]\d*)", store)
    if match is None:
        raise UserError(
            f"--store={store} is not known: {', '.join(STORES)}, where M is a number of bytes "
            "(pq64)."
        )
    if dim is not None and dim % int(match[1]):
        near = [parts for parts in range(1, dim + 1) if dim % parts == 0]
        near = sorted(near, key=lambda parts: abs(parts - int(match[1])))[:3]
        raise UserError(
            f"--store={store} needs a number of bytes that divides {dim} dimensions, such as "
            f"{' or '.join(f'pq{parts}' for parts in near)}."
        )


def mark(store: str, rescored: int = 0) -> str:
    """What tables put behind the name of an encoder whose database is not kept whole."""
    if store == WHOLE:
        return ""
    return f" ({store}, first {rescored} exact)" if rescored else f" ({store})"
