"""Every flag of `python -m jaxret.explore` is a field of `ExploreSettings`."""

from dataclasses import dataclass

from jaxret.errors import UserError
from jaxret.options import Options, option

PORTS = range(0, 1 << 16)


@dataclass(frozen=True)
class ExploreSettings(Options):
    """What is looked into, and where the page is served."""

    workdir: str | None = option(
        None, "The workdir of one or more runs of jaxret.main (default: in the user's cache)."
    )
    dataset: tuple[str, ...] = option(
        (),
        "Search in these as well: folders of photographs, or datasets by name. Unset: the "
        "datasets of the workdir.",
    )
    model: tuple[str, ...] = option(
        (),
        "Search with these encoders as well. Unset: those of the workdir, and the default of "
        "jaxret.main where it has none.",
    )
    port: int = option(8427, "Of this machine (127.0.0.1 alone); 0 takes any that is free.")
    data_dir: str | None = option(
        None, "Where benchmarks lie now (default: where they lay when they were evaluated)."
    )
    manual_dir: str | None = option(None, "Where their official files lie, likewise.")
    weights_dir: str | None = option(None, "Where converted weights lie, likewise.")

    def __post_init__(self) -> None:
        self.check_choices()
        if self.port not in PORTS:
            raise UserError(f"--port={self.port} must be from 0 to {PORTS[-1]}.")
