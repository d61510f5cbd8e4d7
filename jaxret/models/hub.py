"""Models of the Hugging Face hub: the row that a folder's config.json describes.

`hf:facebook/dinov2-base` is an id of the hub (`@REVISION` may follow), `hf:FOLDER` a snapshot that
lies on this machine already. What a config says and jaxret does not do is an error that names it.
"""

import json
import re
from pathlib import Path
from typing import Any

from jaxret.errors import UserError
from jaxret.models.hub_configs import row_of
from jaxret.models.spec import HUB, ModelSpec
from jaxret.models.weights import locations

FILES = ("config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json")

_ID = re.compile(r"^[\w.-]+/[\w.-]+(@[\w./-]+)?$")


def is_hub(name: str) -> bool:
    """Whether `name` asks for a model of the hub."""
    return name.startswith(HUB)


def is_snapshot(place: str | Path) -> bool:
    """Whether a folder is a model of the hub, and not one of converted weights."""
    folder = Path(place).expanduser()
    return (folder / "config.json").is_file() and not (folder / locations.PROVENANCE).is_file()


def row(name: str) -> ModelSpec:
    """The row of `hf:ID` or `hf:FOLDER`; only its small files are fetched.

    Raises:
        UserError: It cannot be had, or is of a kind that jaxret does not know.
    """
    folder = snapshot(name, FILES[:2])
    config = _read(folder / "config.json")
    processor = folder / "preprocessor_config.json"
    return row_of(name, config, _read(processor) if processor.is_file() else {})


def snapshot(name: str, files: tuple[str, ...] = FILES) -> Path:
    """The folder of a model, fetched where it is not here, by the hub's own client.

    Its cache is used and its switches hold (HF_HOME, HF_HUB_OFFLINE, HF_ENDPOINT, HF_TOKEN).

    Raises:
        UserError: There is no such model, the client is not installed, or the hub refuses.
    """
    place = name.removeprefix(HUB)
    if Path(place).expanduser().is_dir():
        return Path(place).expanduser()
    if not _ID.match(place):
        raise UserError(
            f"{name} is neither a folder nor an id of the hub: write {HUB}facebook/dinov2-base."
        )
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise UserError(
            f"{name} is fetched by the hub's own client. Install it with: pip install 'jaxret[hub]'"
        ) from error
    repository, _, revision = place.partition("@")
    try:
        found = snapshot_download(repository, revision=revision or None, allow_patterns=list(files))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().partition("\n")[0][:300]
        raise UserError(f"{name} cannot be had from the hub: {reason}") from error
    return Path(found)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UserError(
            f"{path.parent} holds no {path.name}: it is no model of the hub."
        ) from error
    except ValueError as error:
        raise UserError(f"{path} is no JSON ({error}).") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no fields.")
    return found
