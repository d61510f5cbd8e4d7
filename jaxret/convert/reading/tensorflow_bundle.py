"""TensorFlow checkpoints: a prefix with an .index and .data-0000i-of-0000n files.

TensorFlow itself reads them, behind the extra `tensorflow`: no maintained reader without it was
found. Nothing else in jaxret imports it.
"""

import os
from pathlib import Path

import numpy as np

from jaxret.errors import UserError


def load(prefix: Path) -> dict[str, np.ndarray]:
    """All variables of the checkpoint, by name, in the file's own layout (kernels HWIO).

    Raises:
        UserError: TensorFlow is not installed, a data file is missing or one is damaged.
    """
    _require_data_files(prefix)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no word about CPU instructions
    try:
        import tensorflow as tf
    except ImportError as error:
        raise UserError(
            f"Reading the TensorFlow checkpoint '{prefix}' needs TensorFlow. Install it with:"
            " pip install 'jaxret[tensorflow]'"
        ) from error
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        names = reader.get_variable_to_shape_map()
        return {name: np.asarray(reader.get_tensor(name)) for name in names}
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise UserError(
            f"The TensorFlow checkpoint '{prefix}' is damaged ({_first_line(error)})."
            " Download its .index and .data files again."
        ) from error


def _require_data_files(prefix: Path) -> None:
    found = sorted(prefix.parent.glob(f"{glob_escape(prefix.name)}.data-?????-of-?????"))
    expected = int(found[0].name[-5:]) if found else 1
    if len(found) != expected:
        raise UserError(
            f"The TensorFlow checkpoint '{prefix}' has its .index but {len(found)} of {expected}"
            f" data files. Put '{prefix.name}.data-00000-of-{expected:05d}' and so on beside it."
        )


def glob_escape(name: str) -> str:
    """`name` with the characters that a pattern would read otherwise in brackets."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]
