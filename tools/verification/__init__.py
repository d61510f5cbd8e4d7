"""Is the encoder that jaxret loads the same function as its authors' PyTorch model?

    verify(spec, checkpoint, size)          all of it, for one model -> Verdict
    describe(verdict), to_json(verdicts)    for people and for programs

and its parts:

    random_twin(spec, seed)                 PyTorch's side, where there is no checkpoint
    write_published(spec, twin, folder)     a file as the authors publish it, with its weights
    fill(twin, spec, tensors)               a twin with the weights of a published file
    compare(twin, encoder, images)          stage by stage
"""

from verification.account import describe, summarize, to_json
from verification.comparison import TOLERANCE, Stage, Verdict, compare
from verification.files import fill, random_twin, write_published
from verification.running import photographs, verify

__all__ = [
    "TOLERANCE",
    "Stage",
    "Verdict",
    "compare",
    "describe",
    "fill",
    "photographs",
    "random_twin",
    "summarize",
    "to_json",
    "verify",
    "write_published",
]
