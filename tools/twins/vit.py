"""Vision Transformers in PyTorch, from the published facts: positions as the authors bring them.

Names are those of DINO's code; what other families add is named as in timm. tests hold it against
transformers and timm where these do as the authors do.
"""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

_ACTIVATIONS = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
}


class _Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class _MLP(nn.Module):
    w1: nn.Linear
    w2: nn.Linear
    w3: nn.Linear
    fc1: nn.Linear
    fc2: nn.Linear

    def __init__(self, width: int, hidden: int, activation: str, gated: bool) -> None:
        super().__init__()
        self.gated, self.activation = gated, _ACTIVATIONS[activation]
        names = ("w1", "w2") if gated else ("fc1",)
        for name in names:
            self.add_module(name, nn.Linear(width, hidden))
        self.add_module("w3" if gated else "fc2", nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        if self.gated:
            return self.w3(functional.silu(self.w1(x)) * self.w2(x))
        return self.fc2(self.activation(self.fc1(x)))


class _Attention(nn.Module):
    """Fused query, key and value; `bias` names the thirds that have one."""

    def __init__(self, width: int, heads: int, bias: str) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=bias != "none")
        self.proj = nn.Linear(width, width)
        self.keys_without_bias = bias == "qv"

    def forward(self, x: Tensor, turn: Any) -> Tensor:
        batch, tokens, width = x.shape
        bias: Tensor | None = self.qkv.bias
        if bias is not None and self.keys_without_bias:
            bias = torch.cat([bias[:width], 0 * bias[:width], bias[2 * width :]])
        qkv = functional.linear(x, self.qkv.weight, bias)
        q, k, v = qkv.view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if turn is not None:
            q, k = turn(q), turn(k)
        weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, tokens, width))


class _Block(nn.Module):
    def __init__(self, a: dict[str, Any]) -> None:
        super().__init__()
        width = a["width"]
        self.norm1 = nn.LayerNorm(width, eps=a["epsilon"])
        self.attn = _Attention(width, a["heads"], a["qkv_bias"])
        self.ls1 = _Scale(width) if a["layer_scale"] else nn.Identity()
        self.norm2 = nn.LayerNorm(width, eps=a["epsilon"])
        self.mlp = _MLP(width, a["hidden"], a["activation"], a["gated"])
        self.ls2 = _Scale(width) if a["layer_scale"] else nn.Identity()

    def forward(self, x: Tensor, turn: Any) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x), turn))
        return x + self.ls2(self.mlp(self.norm2(x)))


class _Pool(nn.Module):
    def __init__(self, a: dict[str, Any]) -> None:
        super().__init__()
        width = a["width"]
        self.probe = nn.Parameter(torch.zeros(1, 1, width))
        self.attn = nn.MultiheadAttention(width, a["pool_heads"], batch_first=True)
        self.norm = nn.LayerNorm(width, eps=a["epsilon"])
        self.mlp = _MLP(width, a["hidden"], a["activation"], gated=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.attn(self.probe.expand(len(x), -1, -1), x, x, need_weights=False)[0]
        return (y + self.mlp(self.norm(y)))[:, 0]


class ViT(nn.Module):
    """Images [B, 3, H, W] -> {stage: map [B, C, h, w] or vector [B, C]}, named as in the Flax one.

    Args:
        **arguments: Of a row.
    """

    _DEFAULTS: ClassVar[dict[str, Any]] = {
        "hidden": 0,
        "cls": True,
        "registers": 0,
        "positions": "learned",
        "cls_position": True,
        "rope": "none",
        "rope_periods": "file",
        "patch_bias": True,
        "norm_pre": False,
        "epsilon": 1e-6,
        "layer_scale": False,
        "qkv_bias": "all",
        "activation": "gelu",
        "gated": False,
        "pool_heads": 0,
        "projection": 0,
        "resize_original": "bicubic-antialias",
    }

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        a = self.arguments = {**self._DEFAULTS, **arguments}
        a["hidden"] = a["hidden"] or 4 * a["width"]
        width, patch = a["width"], a["patch"]
        convolution = nn.Conv2d(3, width, patch, patch, bias=a["patch_bias"])
        self.patch_embed = nn.ModuleDict({"proj": convolution})
        if a["cls"]:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        if a["registers"]:
            self.register_tokens = nn.Parameter(torch.zeros(1, a["registers"], width))
        self.before = int(a["cls"] and a["cls_position"])
        if a["positions"] != "none":
            rows = self.before + a["grid"] ** 2
            self.pos_embed = nn.Parameter(torch.zeros(1, rows, width))
        self.norm_pre = nn.LayerNorm(width, eps=a["epsilon"]) if a["norm_pre"] else nn.Identity()
        self.blocks = nn.ModuleList(_Block(a) for _ in range(a["depth"]))
        self.norm = nn.LayerNorm(width, eps=a["epsilon"])
        if a["pool_heads"]:
            self.attn_pool = _Pool(a)
        if a["projection"]:
            self.head = nn.Linear(width, a["projection"], bias=False)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        a = self.arguments
        patches = self.patch_embed["proj"](pixels)
        rows, columns = patches.shape[2:]
        stages = {"patch_embed": patches}
        x = self._tokens(patches, pixels.shape[2] == pixels.shape[3])
        x = self.norm_pre(x)
        turn = self._turn(rows, columns, x)
        count = rows * columns

        def as_map(x: Tensor) -> Tensor:
            return x[:, -count:].transpose(1, 2).unflatten(2, (rows, columns))

        for i, block in enumerate(self.blocks):
            x = block(x, turn)
            stages[f"blocks_{i}"] = as_map(x)
        x = self.norm(x)
        stages["norm"] = as_map(x)
        first = int(a["cls"])
        if a["cls"]:
            stages["cls"] = x[:, 0]
        if a["registers"]:
            stages["registers"] = x[:, first : first + a["registers"]]
        if a["pool_heads"] or a["projection"]:
            pooled = self.attn_pool(x) if a["pool_heads"] else x[:, 0]
            stages["pooled"] = self.head(pooled) if a["projection"] else pooled
        return stages

    def _tokens(self, patches: Tensor, square: bool) -> Tensor:
        a = self.arguments
        x = patches.flatten(2).transpose(1, 2)
        cls = self.cls_token if a["cls"] else x[:1, :0]
        if a["positions"] != "none":
            table = self.pos_embed[:, self.before :]
            if not (patches.shape[2:] == (a["grid"], a["grid"]) and square):
                table = self._interpolated(table, patches.shape[2], patches.shape[3])
            x = x + table
            if self.before:
                cls = cls + self.pos_embed[:, :1]
        if a["registers"]:
            cls = torch.cat([cls, self.register_tokens], dim=1)
        return torch.cat([cls.expand(len(x), -1, -1), x], dim=1)

    def _interpolated(self, table: Tensor, rows: int, columns: int) -> Tensor:
        """As the code of each family's authors does it."""
        side, how = self.arguments["grid"], self.arguments["resize_original"]
        x = table.transpose(1, 2).unflatten(2, (side, side))
        if how == "bicubic+0.1":
            factors = ((rows + 0.1) / side, (columns + 0.1) / side)
            x = functional.interpolate(x, scale_factor=factors, mode="bicubic")
        elif how == "bilinear-corners":  # scipy's zoom of order 1
            x = functional.interpolate(x, (rows, columns), mode="bilinear", align_corners=True)
        else:
            mode, antialias = how.partition("-")[0], how.endswith("antialias")
            x = functional.interpolate(x, (rows, columns), mode=mode, antialias=antialias)
        return x.flatten(2).transpose(1, 2)

    def _turn(self, rows: int, columns: int, like: Tensor) -> Any:
        """Rotary positions as a function of queries or keys [B, heads, tokens, D]."""
        a = self.arguments
        if a["rope"] == "none":
            return None
        channels = a["width"] // a["heads"]
        steps = torch.arange(channels // 4, dtype=torch.float64) * 4 / channels
        if a["rope"] == "dinov3":
            periods = 100**steps
            if a["rope_periods"] == "file":
                periods = periods.bfloat16().double()
            y, x = ((torch.arange(n) + 0.5) / n * 2 - 1 for n in (rows, columns))
            angles = [2 * math.pi * one.double()[:, None] / periods for one in (y, x)]
        else:
            y, x = (torch.arange(n) + 1.0 for n in (rows, columns))
            angles = [one.double()[:, None] * 10000**-steps for one in (y, x)]
        down = angles[0][:, None].expand(rows, columns, -1)
        across = angles[1][None].expand(rows, columns, -1)
        both = (down, across) if a["rope"] == "dinov3" else (across, down)
        z = torch.polar(torch.ones(1, dtype=torch.float64), torch.cat(both, dim=-1).flatten(0, 1))
        z = z.to(torch.complex128 if like.dtype == torch.float64 else torch.complex64)
        halves = a["rope"] == "dinov3"

        def turn(q: Tensor) -> Tensor:
            first, patches = q[:, :, : -len(z)], q[:, :, -len(z) :]
            if halves:
                real, imaginary = patches.chunk(2, dim=-1)
            else:
                real, imaginary = patches[..., ::2], patches[..., 1::2]
            turned = torch.complex(real.contiguous(), imaginary.contiguous()) * z
            parts = [turned.real, turned.imag]
            patches = torch.cat(parts, -1) if halves else torch.stack(parts, -1).flatten(-2)
            return torch.cat([first, patches], dim=2)

        return turn


_MARGIN = 0.5  # half the spread of random vectors


@torch.no_grad()
def randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    """Kernels that keep the scale of their input, norms around 1, all else around 0."""
    generator = torch.Generator().manual_seed(seed)
    for name, array in module.named_parameters():
        vector = any(word in name for word in ("token", "pos", "probe", "latent", "class_emb"))
        if array.ndim > 1 and not vector:
            inputs = array[0].numel()
            array.normal_(0, inputs**-0.5, generator=generator)
            continue
        array.copy_(torch.rand(array.shape, generator=generator) - _MARGIN)
        if name.endswith(("weight", "gamma", "lambda1", "gamma_1", "gamma_2")) and not vector:
            array.add_(1)
        elif name == "head.bias":  # of a projection in timm, always zero
            array.zero_()
    return module
