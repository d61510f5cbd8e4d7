"""A twin's weights under the very names, wrappers and companions of the authors' own files."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from jaxret.models import ModelSpec
from twins.published_vits import published_vit

# Names that stand before the encoder's own in the published files.
_PREFIXES = {
    "mocov1": "module.encoder_q.",
    "mocov2": "module.encoder_q.",
    "amdim": "encoder.module.",
    "amdim-medium": "encoder.module.",
    "swav": "module.",
    "simsiam": "module.encoder.",
}


def published_state(spec: ModelSpec, twin: nn.Module) -> dict[str, Any]:
    """What torch.load would give for the published checkpoint of `spec`, the twin's weights in it.

    Whatever else the file holds (heads, queues, masks, wrappers) has the published names and
    plausible shapes; its values mean nothing.
    """
    if spec.architecture == "vit":
        return published_vit(spec, twin.state_dict())
    prefix = _PREFIXES.get(spec.name, "")
    state = {prefix + name: value for name, value in twin.state_dict().items()}
    if spec.name.startswith("simclr"):
        return {"state_dict": _permuted_views(state) | _linear("fc", 2048, 1000)}
    if spec.name.startswith("resnet"):
        return state | _linear("fc", 2048, 1000)
    if spec.layout == "cirtorch":
        meta: dict[str, Any] = {
            "architecture": f"resnet{dict(spec.arguments)['depth']}",
            "pooling": "gem",
        }
        meta |= {"mean": list(spec.mean), "std": list(spec.std), "outputdim": spec.channels}
        return {"meta": meta, "state_dict": cirtorch_names(state)}
    if spec.name == "byol":
        return byol_names(state)
    companions = {
        "mocov1": _moco(1),
        "mocov2": _moco(2),
        "amdim": _amdim(),
        "amdim-medium": _amdim(),
        "swav": _swav(),
        "simsiam": _simsiam(),
    }
    state |= companions.get(spec.name, {})
    return _wrapped(spec, twin, state)


def _wrapped(spec: ModelSpec, twin: nn.Module, state: dict[str, Any]) -> dict[str, Any]:
    if spec.name.startswith("amdim"):
        hyperparams = dict(spec.arguments) | {"encoder_size": 128, "use_bn": 1, "tclip": 20.0}
        return {"model": state, "hyperparams": hyperparams, "cursor": {"info_epoch": 150}}
    if spec.name.startswith(("moco", "simsiam")):
        return {"epoch": 100, "arch": "resnet50", "state_dict": state}
    if spec.name.startswith("gem"):
        return {"state_dict": state, "model_options": {"arch": f"{spec.name}_rmac"}}
    return state


def cirtorch_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A ResNet with GeM under cirtorch's names: `features` is nn.Sequential(*children)."""
    head = {name: value for name, value in state.items() if name.startswith(("pool.", "whiten."))}
    trunk = {name: value for name, value in state.items() if name not in head}
    return sequential_names(trunk, "features.") | head


def sequential_names(state: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """A ResNet as nn.Sequential(conv1, bn1, relu, maxpool, layer1, ...): numbers for names."""
    order = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"]
    renamed = {}
    for name, value in state.items():
        module, rest = name.split(".", 1)
        renamed[f"{prefix}{order.index(module)}.{rest}"] = value
    return renamed


def _permuted_views(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Kernels that lie in memory as [kh, kw, in, out]: the shape is PyTorch's, the strides not."""
    return {
        name: value.permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1)
        if value.dim() == 4
        else value
        for name, value in state.items()
    }


def _linear(name: str, inputs: int, outputs: int, bias: bool = True) -> dict[str, Tensor]:
    weight = {f"{name}.weight": torch.zeros(outputs, inputs)}
    return weight | ({f"{name}.bias": torch.zeros(outputs)} if bias else {})


def _bn(name: str, channels: int, affine: bool = True) -> dict[str, Tensor]:
    names = ["weight", "bias"] if affine else []
    arrays = {
        f"{name}.{role}": torch.ones(channels) for role in [*names, "running_mean", "running_var"]
    }
    return arrays | {f"{name}.num_batches_tracked": torch.tensor(7)}


def _moco(version: int) -> dict[str, Tensor]:
    fc = "module.encoder_q.fc"
    if version == 1:
        head = _linear(fc, 2048, 128)
    else:
        head = _linear(f"{fc}.0", 2048, 2048) | _linear(f"{fc}.2", 2048, 128)
    queue = {"module.queue": torch.zeros(128, 64), "module.queue_ptr": torch.zeros(1).long()}
    return head | queue | _linear("module.encoder_k.fc", 2048, 128)


def _amdim() -> dict[str, Tensor]:
    arrays = {"g2l_loss.masks_r5": torch.zeros(25, 1, 5, 5, dtype=torch.uint8)}
    for block in ("encoder.module.rkhs_block_5", "encoder.module.rkhs_block_7"):
        for conv in ("conv1", "conv2", "shortcut"):
            arrays[f"{block}.{conv}.weight"] = torch.zeros(8, 8, 1, 1)
        arrays[f"{block}.shortcut.bias"] = torch.zeros(8)
        arrays |= _bn(f"{block}.bn_hid.bn", 8) | _bn(f"{block}.bn_out.bn", 8)
    arrays |= _linear("evaluator.block_glb_lin.block_forward.2", 8, 10)
    arrays |= _linear("evaluator.block_glb_mlp.block_forward.2", 8, 10, bias=False)
    arrays |= _bn("evaluator.block_glb_mlp.block_forward.3", 10)
    return arrays | _linear("evaluator.block_glb_mlp.block_forward.6", 10, 10)


def _swav() -> dict[str, Tensor]:
    head = "module.projection_head"
    arrays = _linear(f"{head}.0", 2048, 2048) | _bn(f"{head}.1", 2048)
    arrays |= _linear(f"{head}.3", 2048, 128)
    return arrays | _linear("module.prototypes", 128, 3000, bias=False)


def _simsiam() -> dict[str, Tensor]:
    arrays: dict[str, Tensor] = {}
    for i in (0, 3, 6):
        arrays |= _linear(f"module.encoder.fc.{i}", 8, 8, bias=i == 6)
        arrays |= _bn(f"module.encoder.fc.{i + 1}", 8, affine=i != 6)
    arrays |= _linear("module.predictor.0", 8, 8, bias=False) | _bn("module.predictor.1", 8)
    return arrays | _linear("module.predictor.3", 8, 8)


def tensorflow_names(state: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """A ResNet-50 under the names of google-research/simclr's checkpoints, kernels HWIO."""
    layers = ["", *(f"layer{s}.{b}." for s, n in enumerate((3, 4, 6, 3), 1) for b in range(n))]
    convs, norms = [], []
    for layer in layers:
        if f"{layer}conv1.weight" not in state:
            continue  # a network of fewer stages
        if f"{layer}downsample.0.weight" in state:
            convs.append(f"{layer}downsample.0")
            norms.append(f"{layer}downsample.1")
        for i in (1, 2, 3) if layer else (1,):
            convs.append(f"{layer}conv{i}")
            norms.append(f"{layer}bn{i}")
    arrays: dict[str, np.ndarray] = {"global_step": np.asarray(225206)}
    roles = {
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    for i, (conv, norm) in enumerate(zip(convs, norms, strict=True)):
        suffix = f"_{i}" if i else ""
        kernel = state[f"{conv}.weight"].permute(2, 3, 1, 0)
        arrays[f"base_model/conv2d{suffix}/kernel"] = kernel.contiguous().numpy()
        for theirs, role in roles.items():
            name = f"base_model/batch_normalization{suffix}/{theirs}"
            arrays[name] = state[f"{norm}.{role}"].numpy()
    arrays["head_supervised/linear_layer/dense/kernel"] = np.zeros((8, 10), np.float32)
    arrays["head_supervised/linear_layer/dense/bias"] = np.zeros(10, np.float32)
    return arrays


def byol_names(state: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """A ResNet-50 under Haiku's names, "module/name", as the reader of BYOL's file joins them."""
    arrays: dict[str, np.ndarray] = {}
    for name, value in state.items():
        *parents, module, role = name.split(".")
        if role == "num_batches_tracked":
            continue
        if parents and parents[-1] == "downsample":
            parents, module = (
                parents[:-1],
                {"0": "shortcut_conv", "1": "shortcut_batchnorm"}[module],
            )
        elif parents:
            kind = "conv" if module.startswith("conv") else "batchnorm"
            module = f"{kind}_{int(module[-1]) - 1}"
        else:
            module = {"conv1": "initial_conv", "bn1": "initial_batchnorm"}[module]
        path = "res_net50/~/"
        if parents:
            path += f"block_group_{int(parents[0][-1]) - 1}/~/block_{parents[1]}/~/"
        arrays |= _haiku_arrays(path + module, role, value)
    for head in ("projector", "predictor"):
        arrays[f"{head}/linear/w"] = np.zeros((8, 8), np.float32)
        arrays[f"{head}/batch_norm/~/mean_ema/average"] = np.zeros((1, 8), np.float32)
    return arrays | {"classifier/w": np.zeros((8, 10), np.float32)}


def _haiku_arrays(module: str, role: str, value: Tensor) -> dict[str, np.ndarray]:
    if value.dim() == 4:
        return {f"{module}/w": value.permute(2, 3, 1, 0).contiguous().numpy()}
    vector = value.numpy().reshape(1, 1, 1, -1)
    if role in ("weight", "bias"):
        return {f"{module}/{'scale' if role == 'weight' else 'offset'}": vector}
    average = f"{module}/~/{'mean' if role == 'running_mean' else 'var'}_ema"
    counter = np.asarray(300000)
    return {
        f"{average}/average": vector,
        f"{average}/hidden": vector,
        f"{average}/counter": counter,
    }
