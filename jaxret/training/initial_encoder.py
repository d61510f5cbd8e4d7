"""Where learning starts: an encoder with converted, random or somebody's weights."""

from pathlib import Path

from jaxret import models
from jaxret.errors import UserError
from jaxret.models.encoder import Encoder
from jaxret.models.weights.folders import FolderEncoder
from jaxret.models.weights.random import initial
from jaxret.training.settings import TrainSettings


def starting_encoder(settings: TrainSettings) -> Encoder:
    """The encoder that `--init` names, for the network that `--model` names.

    Raises:
        UserError: An unknown model; no weights; a file that does not hold this network.
    """
    spec = models.get(settings.model)
    if settings.init == "converted":
        return models.load(spec, settings.weights_dir)
    if settings.init == "random":
        return initial(spec, settings.seed)
    source = Path(settings.init).expanduser()
    if source.is_dir():
        found = FolderEncoder.find(source)
        if found.spec.name != spec.name:
            raise UserError(
                f"--init={settings.init} holds {found.spec.name}, and --model={settings.model} is "
                "another network."
            )
        return found.load()
    if not source.is_file():
        raise UserError(
            f"--init={settings.init} is neither 'converted', 'random', a file nor a folder."
        )
    from jaxret.convert.files import port_file  # late: it needs torch
    from jaxret.convert.reading import read_checkpoint

    return port_file(spec, read_checkpoint(source))[0]
