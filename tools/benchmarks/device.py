"""What one accelerator does with jaxret, for whoever has it for ten minutes.

    python tools/benchmark.py device --budget=420 --output=device

First whether its results are those of the host, then how fast it is; most important first. Both
device.json and device.md are written after every row, so that what was measured is there when the
machine is taken away. A part that the machine lacks something for, or that the rest of the budget
is too short for, is left out with a sentence. Needs jax, flax, orbax, optax, numpy, scipy and
pillow; PyTorch is compared with where it is installed. Exit status 1: a result was too far from
the host's, or something broke.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks._device import encoders, learning, measuring, photographs, rankings
from benchmarks._device.report import Report, Row, skipped
from benchmarks._device.sizes import FULL, SMALL, Sizes
from benchmarks._rounds import machine

SHARE_OF_MEMORY = 0.6  # of a GPU for JAX; PyTorch runs beside it in the same process
LETTERS = "abcdefg"


@dataclass(frozen=True)
class Part:
    """Something to measure.

    Attributes:
        letter: By which --only names it.
        title: In the report.
        seconds: That it takes on a fast card, compilation included, about.
        run: Gives its rows one by one.
    """

    letter: str
    title: str
    seconds: float
    run: Callable[[], Iterator[Row]]


def parts(sizes: Sizes, left: Callable[[], float]) -> list[Part]:
    """All of them, in the order in which they are wanted if time is short."""
    equal, speed = "Equality with the host", "Pixels to R-MAC"
    ranked, learnt = "Eight rankings, descriptors to ids", "Learning"
    return [
        Part("a", equal, 40, lambda: encoders.equal_maps(sizes, sizes.first)),
        Part("b", speed, 5, lambda: encoders.reached(sizes)),
        Part("b", speed, 30, lambda: encoders.speed(sizes.model, "bfloat16", sizes)),
        Part("c", ranked, 40, lambda: rankings.eight_rankings(0, sizes, left)),
        Part("b", speed, 60, lambda: encoders.speed_of_torch(sizes.model, "bfloat16", sizes)),
        Part("d", "Search", 20, lambda: rankings.search(sizes)),
        Part("a", equal, 20, lambda: encoders.equal_statistics(sizes)),
        Part("b", speed, 20, lambda: encoders.speed(sizes.model, "float32", sizes)),
        Part("b", speed, 25, lambda: encoders.speed(sizes.small, "bfloat16", sizes)),
        Part("b", speed, 25, lambda: encoders.speed(sizes.wide, "bfloat16", sizes)),
        Part("g", learnt, 40, lambda: learning.simclr_step("bfloat16", sizes)),
        Part("f", "Decoding", 5, lambda: photographs.decoding(sizes)),
        Part("e", "Diffusion", 70, lambda: rankings.large_diffusion(sizes)),
        Part("c", ranked, 60, lambda: rankings.eight_rankings(1, sizes, left)),
        Part("b", speed, 30, lambda: encoders.speed(sizes.vit, "bfloat16", sizes)),
        Part("b", speed, 60, lambda: encoders.speed_of_torch(sizes.vit, "bfloat16", sizes)),
        Part("b", speed, 40, lambda: encoders.speed_of_torch(sizes.model, "float32", sizes)),
        Part("a", equal, 60, lambda: encoders.equal_maps(sizes, encoders.others(sizes))),
    ]


def measure(report: Report, sizes: Sizes, only: str, hurry: bool = True) -> None:
    """Runs the parts whose letter is in `only`; each row is written when it is there."""
    for part in parts(sizes, lambda: report.left):
        if part.letter not in only:
            continue
        if hurry and report.left < part.seconds:
            what = f"part {part.letter}"
            sentence = f"{max(0.0, report.left):.0f} s were left, about {part.seconds:.0f} needed."
            report.add(part.title, skipped(what, sentence))
            continue
        try:
            for found in part.run():
                print(f"{found['what']}: {found.get('figures', found.get('skipped'))}", flush=True)
                report.add(part.title, found)
        except Exception as error:
            sentence = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:300]}"
            report.add(part.title, {"what": f"part {part.letter}", "failed": sentence})


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmark.py device",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--budget", type=float, default=420, help="seconds for everything")
    parser.add_argument("--output", type=Path, default=Path("device"), help="folder for the files")
    parser.add_argument("--only", default=LETTERS, help="letters of parts, such as ab")
    parser.add_argument("--small", action="store_true", help="sizes for a try on a CPU")
    flags = parser.parse_args(arguments)
    measuring.share_of_memory(SHARE_OF_MEMORY)
    report = Report(machine(), flags.output, flags.budget)
    measure(report, SMALL if flags.small else FULL, flags.only, hurry=not flags.small)
    print(f"\n{report.markdown()}")
    return 0 if report.holds else 1
