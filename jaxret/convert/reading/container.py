"""Which kind of file a checkpoint is, told from its first bytes and never from its ending."""

import re
import zipfile
from pathlib import Path

from jaxret.convert.reading import safetensors_files
from jaxret.errors import UserError

TORCH_ZIP = "torch zip"
TORCH_STREAM = "torch stream"
TORCH_TAR = "torch tar"
SAFETENSORS = "safetensors"
SHARDS = "safetensors shards"
NPZ = "npz"
PICKLE = "pickle"
TENSORFLOW = "tensorflow"

# torch.serialization's magic number as it is pickled: how every file of torch 0.2-1.5 begins, after
# the protocol and, from protocol 4 on, the length of a frame.
_STREAM_START = re.compile(rb"\x80[\x02-\x05](\x95.{8})?\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\.", re.S)


def file_of(path: Path) -> Path:
    """The checkpoint's file in a folder that holds one under a hub's name; else `path` itself."""
    if not path.is_dir():
        return path
    named = (safetensors_files.SINGLE, safetensors_files.INDEX)
    whole = next((path / name for name in named if (path / name).is_file()), None)
    return whole or safetensors_files.index_in(path) or path


def recognise(path: Path) -> str:
    """The form of the checkpoint at `path`.

    Args:
        path: a file, or the prefix of a TensorFlow checkpoint (`model.ckpt-225206`).

    Raises:
        UserError: there is no such file, or it is no checkpoint; says what it is instead.
    """
    if tensorflow_prefix(path) is not None:
        return TENSORFLOW
    if path.is_dir():
        raise UserError(f"{_directory(path)}")
    if not path.exists():
        raise UserError(f"There is no checkpoint at '{path}'. Check the path.")
    if not path.is_file():
        raise UserError(f"'{path}' is not a regular file, so no checkpoint can be read from it.")
    with path.open("rb") as file:
        start = file.read(4096)
    if not start:
        raise UserError(f"'{path}' is empty (0 bytes). Download it again.")
    return _from_bytes(path, start)


def tensorflow_prefix(path: Path) -> Path | None:
    """`path` as TensorFlow's checkpoint prefix, or None: its .index and .data files count too."""
    name = path.name
    for ending in (".index", ".meta"):
        name = name.removesuffix(ending)
    name = name.partition(".data-")[0] if ".data-" in name else name
    index = path.with_name(name + ".index") if name else path
    return path.with_name(name) if name and index.is_file() else None


def _from_bytes(path: Path, start: bytes) -> str:
    if start.startswith(b"PK\x03\x04"):
        return _zip_form(path)
    if path.name.endswith(safetensors_files.INDEX_ENDING):
        return SHARDS
    if _STREAM_START.match(start):
        return TORCH_STREAM
    if start[257:262] == b"ustar":
        return TORCH_TAR
    if _is_safetensors(path, start):
        return SAFETENSORS
    if start[0] == 0x80 and len(start) > 1 and start[1] in (2, 3, 4, 5):
        return PICKLE
    raise UserError(_what_else(path, start))


def _is_safetensors(path: Path, start: bytes) -> bool:
    # Eight bytes, the header's length, then the header: a JSON object.
    length = int.from_bytes(start[:8], "little")
    return start[8:9] == b"{" and 2 <= length <= 100_000_000


def _zip_form(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError) as error:
        size = path.stat().st_size
        raise UserError(
            f"'{path}' begins as a zip file, as PyTorch writes them, but its end is missing or"
            f" damaged ({size:,} bytes are here). The download was cut short: download it again."
        ) from error
    if any(name.endswith("/constants.pkl") for name in names):
        raise UserError(
            f"'{path}' is a TorchScript archive, which holds a program. Save the model's"
            " state_dict() with torch.save and read that file."
        )
    if any(name == "data.pkl" or name.endswith("/data.pkl") for name in names):
        return TORCH_ZIP
    if names and all(name.endswith(".npy") for name in names):
        return NPZ
    inside = ", ".join(sorted(names)[:3]) or "nothing"
    raise UserError(
        f"'{path}' is a zip archive holding {inside}, not a checkpoint itself. Unpack it and give"
        " the file inside (tools/download.py unpacks what it fetches)."
    )


def _what_else(path: Path, start: bytes) -> str:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    again = "Open the address in a browser, or download it with tools/download.py."
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        return f"'{path}' is a web page, not a checkpoint: the server sent a page instead. {again}"
    if text.startswith(b"version https://git-lfs"):
        return f"'{path}' is a Git LFS pointer, not the checkpoint itself. Run `git lfs pull`."
    if text.startswith(b"\x1f\x8b"):
        return f"'{path}' is a gzip archive. Unpack it and give the file inside."
    if text.startswith(b"\x89hdf"):
        return f"'{path}' is an HDF5 file, which jaxret does not read. {_FORMS}"
    if b"\x00" not in start and _is_text(start):
        return f"'{path}' is a text file, not a checkpoint. {again}"
    return f"'{path}' is no checkpoint of a form jaxret knows. {_FORMS}"


_FORMS = (
    "It reads PyTorch files (torch.save), .safetensors, TensorFlow checkpoints (by their prefix),"
    " BYOL's pickles and .npz."
)


def _is_text(start: bytes) -> bool:
    try:
        start[:-3].decode("utf-8")  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return True


def _directory(path: Path) -> str:
    if (alone := sorted(path.glob("*.safetensors"))) or (alone := sorted(path.glob("*.pth"))):
        return f"'{path}' is a directory. Give the file in it, such as '{alone[0]}'."
    indices = sorted(path.glob("*.index"))
    if indices:
        prefix = indices[-1].with_suffix("")
        return f"'{path}' is a directory. For the TensorFlow checkpoint in it give '{prefix}'."
    if (path / "data.pkl").exists():
        return f"'{path}' is an unpacked PyTorch file. Give the file as it was before unpacking."
    return f"'{path}' is a directory. Give the checkpoint file itself."
