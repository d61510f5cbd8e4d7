"""The user's cache directory, which not everybody has: a container's user may have no home."""

from pathlib import Path

from jaxret.errors import UserError

NO_HOME = (
    "There is no home directory (HOME is not set, and this user has none): name every folder by "
    "--workdir, --data_dir and --weights_dir, without a ~, or set HOME or XDG_CACHE_HOME."
)


def find_cache_dir() -> Path | None:
    """It, whether it is there yet or not, on every system; None where the user has no home."""
    import platformdirs  # here: an encoder whose weights are named runs without it

    try:
        found = platformdirs.user_cache_path("jaxret")
    except RuntimeError:  # of pathlib
        return None
    return found if found.is_absolute() else None  # "~/.cache": of os.path, for the same reason


def cache_dir() -> Path:
    """It.

    Raises:
        UserError: The user has no home.
    """
    found = find_cache_dir()
    if found is None:
        raise UserError(NO_HOME)
    return found
