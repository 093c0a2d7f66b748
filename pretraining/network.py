"""The network: residual, with a map at strides 8 and 16 whose channels have one scale."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

STEM, FIRST, WIDTHS = 24, 40, (96, 192)
"""Channels at strides 2 and 4, and of the maps `layer2` and `layer3`."""

_ADDED = 0.5
"""What a block adds to its shortcut at the start."""


class Layer(nn.Module):
    """A convolution without bias, normalised over the batch."""

    def __init__(
        self, before: int, after: int, *, kernel: int, stride: int = 1, free: bool = True
    ) -> None:
        super().__init__()
        # a kernel as wide as its stride has nothing to pad
        padding = 0 if kernel == stride else kernel // 2
        self.conv = nn.Conv2d(before, after, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(after, affine=free)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x))

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return kernels and bias of the one convolution that does the same once trained."""
        norm = self.norm
        factor = (norm.running_var + norm.eps).rsqrt()
        shift = -norm.running_mean * factor
        if norm.affine:
            factor, shift = factor * norm.weight, shift * norm.weight + norm.bias
        return self.conv.weight * factor[:, None, None, None], shift


class Block(nn.Module):
    """Two convolutions beside a shortcut; what they add starts small."""

    def __init__(self, before: int, after: int, *, stride: int) -> None:
        super().__init__()
        self.first = Layer(before, after, kernel=3, stride=stride)
        self.second = Layer(after, after, kernel=3)
        nn.init.constant_(self.second.norm.weight, _ADDED)
        self.shortcut = None
        if stride > 1 or before != after:
            self.shortcut = Layer(before, after, kernel=stride, stride=stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.second(functional.relu(self.first(x)))
        return functional.relu(inner + (x if self.shortcut is None else self.shortcut(x)))


class Network(nn.Module):
    """Pictures (B, 3, H, W), ImageNet's mean and deviation removed and halved, to two maps.

    The maps are of variance 1 in every channel over drawn products: none can vanish, and none can
    drown the others in the detector's distance.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Layer(3, STEM, kernel=5, stride=2)
        self.second = Layer(STEM, FIRST, kernel=3, stride=2)
        self.stage1 = nn.Sequential(Block(FIRST, FIRST, stride=1))
        self.stage2 = nn.Sequential(
            Block(FIRST, WIDTHS[0], stride=2), Block(WIDTHS[0], WIDTHS[0], stride=1)
        )
        self.stage3 = nn.Sequential(
            Block(WIDTHS[0], WIDTHS[1], stride=2), Block(WIDTHS[1], WIDTHS[1], stride=1)
        )
        self.heads = nn.ModuleList(Layer(width, width, kernel=1, free=False) for width in WIDTHS)

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = functional.relu(self.second(functional.relu(self.stem(pictures))))
        layer2 = self.stage2(self.stage1(x))
        layer3 = self.stage3(layer2)
        return self.heads[0](layer2), self.heads[1](layer3)
