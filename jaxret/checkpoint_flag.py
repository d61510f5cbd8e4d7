"""What `--checkpoint` says: encoders of one's own, and the names by which `--model` calls them.

FILE_OR_FOLDER                     one, which --model may name
mine=FOLDER,other=FILE             several; their names go wherever a model's name does
"""

import re
from pathlib import Path

from jaxret.errors import UserError

OF_FILES = ("checkpoint_key", "mean", "std", "stem_pool")  # flags that say how one is read

# A path with an equals sign in its first part is written ./a=b.
_NAME = re.compile(r"[^/\\=+,\s]+(?==)")


def named(text: str) -> dict[str, str] | None:
    """{"mine": "FOLDER", "other": "FILE"}; None where the text is one place without a name.

    Raises:
        UserError: Names and places do not pair up.
    """
    if not _NAME.match(text):
        return None
    places: dict[str, str] = {}
    for part in text.split(","):
        name, _, place = part.partition("=")
        if not _NAME.match(part) or not place:
            raise UserError(
                f"--checkpoint={text}: '{part}' must be NAME=FILE or NAME=FOLDER, as the others."
            )
        if name in places:
            raise UserError(f"--checkpoint={text} gives the name '{name}' twice.")
        places[name] = place
    return places


def name_of(place: str) -> str:
    """What a checkpoint without a name is called: its file up to the first dot, or its folder."""
    path = Path(place).expanduser()
    name = path.resolve().name if path.is_dir() else path.name.split(".")[0]
    return re.sub(r"[+,=\s]+", "-", name)  # which mean something in --model


def models(text: str | None, said: list[str], present: bool) -> list[str]:
    """What to evaluate: what --model says, or the encoders of --checkpoint where it says nothing.

    Args:
        text: Of --checkpoint.
        said: Of --model, its default included.
        present: Whether it was said.

    Raises:
        UserError: The two do not go together.
    """
    if not text:
        return said
    own = named(text)
    if not present:
        return list(own) if own else [name_of(text)]
    if own is None and len(said) > 1:
        raise UserError(
            f"--checkpoint is one encoder, --model={','.join(said)} names several: call it by a "
            f"name of its own, --checkpoint=NAME={text}."
        )
    unused = set(own or ()) - {member for model in said for member in model.split("+")}
    if unused:
        raise UserError(
            f"--checkpoint gives {', '.join(sorted(unused))}, which --model={','.join(said)} "
            "does not use."
        )
    return said


def is_folder(place: str) -> bool:
    """Whether it holds converted weights; a file is another framework's, as is a hub's folder."""
    path = Path(place).expanduser()
    return path.is_dir() and not any(path.glob("*.safetensors"))
