"""Checkpoints of other frameworks, read safely and ported strictly.

`from_state_dict(model, arrays)` is an Encoder, `port` the same with a report of what was used and
dropped; `from_checkpoint(arrays, arch)` serves any ResNet-shaped checkpoint. `convert_file` goes
from a checkpoint file to a folder of converted weights, `load_checkpoint` to an Encoder.
`to_state_dict(encoder)` is the way back, `export_file` the same to a .pth or .safetensors file.
`PCAWhitening.from_pca(**read_whitening(file))` is a whitening that was learnt elsewhere.
"""

from jaxret.convert.export import Export, export_file, to_state_dict
from jaxret.convert.files import Conversion, convert_file, load_checkpoint
from jaxret.convert.generic import from_checkpoint
from jaxret.convert.port import from_state_dict, port
from jaxret.convert.report import ConversionReport
from jaxret.convert.whitening_files import read_whitening

__all__ = [
    "Conversion",
    "ConversionReport",
    "Export",
    "convert_file",
    "export_file",
    "from_checkpoint",
    "from_state_dict",
    "load_checkpoint",
    "port",
    "read_whitening",
    "to_state_dict",
]
