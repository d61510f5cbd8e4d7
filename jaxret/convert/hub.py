"""Encoders of the hub, straight from its folders: no converted copy is written."""

from jaxret.convert.port import port
from jaxret.convert.reading.safetensors_files import read_sharded
from jaxret.models import hub
from jaxret.models.encoder import Encoder


def load(name: str) -> Encoder:
    """The encoder of `hf:ID` or `hf:FOLDER`, its weights ported strictly.

    Raises:
        UserError: It cannot be had, is of a kind that jaxret does not know, or its file does not
            hold what its config says.
    """
    spec = hub.row(name)
    return port(spec, read_sharded(hub.snapshot(name)), consume=True)[0]
