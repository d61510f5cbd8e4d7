"""What is said when photographs of a benchmark are missing, and what evaluating the rest means."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from jaxret.data.benchmarks import archives, registry
from jaxret.data.benchmarks.locate import Found
from jaxret.errors import UserError
from jaxret.runtime.user_cache import cache_dir

SHOWN = 5
NAMED = 6  # official files that a sentence names

MEANING = (
    "a smaller database is easier to search and queries lose positives, so the figures compare "
    "with no published ones, only with others over the same photographs"
)


def default_data_dir() -> Path:
    """Where datasets are kept if no folder is named."""
    return cache_dir() / "datasets"


def how_to_get(
    row: registry.Benchmark, manual_dir: Path, sources: Sequence[registry.Source] = ()
) -> str:
    """The sentence that says which files are wanted, where, and which command fetches them.

    Args:
      row: the benchmark.
      manual_dir: where they are looked for.
      sources: those that are wanted; none means all of the benchmark's.
    """
    wanted = tuple(sources or row.files)
    files = [source.file for source in wanted]
    if len(files) > NAMED:
        files = [*files[: NAMED - 1], f"{len(files) - NAMED + 1} more like it"]
    put = f"Put {' and '.join(files)} into {manual_dir} (unpacked is fine, in any sub-folders)"
    pages = [source.url for source in wanted if source.by_hand]
    if pages:
        return f"{put}: its makers give it out at {' and '.join(pages)}."
    return f"{put}, or run `{download_command(row.name, manual_dir)}`."


def download_command(name: str, manual_dir: Path) -> str:
    """What fetches the official files into a folder; the user's own place needs no flag."""
    elsewhere = manual_dir != default_data_dir() / "manual"
    output = f" --output={shlex.quote(str(manual_dir))}" if elsewhere else ""
    return f"python tools/download.py {name}{output}"


def missing_photographs(
    row: registry.Benchmark, found: Found, manual_dir: Path, list_file: Path
) -> UserError:
    """The error for an incomplete set; all names go to `list_file`.

    Args:
      row: a benchmark over these photographs.
      found: what there is.
      manual_dir: where it was looked for.
      list_file: written here, one name a line.
    """
    total = len(found.files) + len(found.absent)
    list_file.parent.mkdir(parents=True, exist_ok=True)
    list_file.write_text("\n".join(found.absent) + "\n", "utf-8")
    sentences = [
        f"{len(found.absent)} of the {total} photographs of {row.builder} are missing from "
        f"{manual_dir}: {', '.join(found.absent[:SHOWN])}"
        f"{', ...' if len(found.absent) > SHOWN else ''} (all of them: {list_file})."
    ]
    if found.unreadable:
        sentences.append(
            f"{len(found.unreadable)} of these are there but are empty, cut off or no JPEG, "
            f"{found.unreadable[0]} for one."
        )
    for archive in archives.find_archives(manual_dir, archives.UNSUPPORTED):
        sentences.append(f"{archive} cannot be read here; unpack it there.")
    sentences.append(how_to_get(row, manual_dir, row.archives))
    if found.files:
        sentences.append(
            f"With --allow_missing the {len(found.files)} that lie there as loose files would be "
            f"evaluated alone, but {MEANING}."
        )
    return UserError(" ".join(sentences))


def wrong_number(row: registry.Benchmark, found: Found, manual_dir: Path) -> UserError:
    """The error where photographs are known by their names alone, and there are too few or many."""
    count = len(found.files)
    what = f"{row.name} has {row.photographs} photographs, and {count} lie in {manual_dir}"
    if count > row.photographs:
        return UserError(f"{what}. Name a folder that holds only its own with --manual_dir.")
    return UserError(
        f"{what}. {how_to_get(row, manual_dir, row.archives)} With --allow_missing those that lie "
        f"there as loose files would be evaluated alone, but {MEANING}."
    )
