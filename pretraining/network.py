"""The network: residual, free of normalisation, with a map at strides 8 and 16."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

STEM, FIRST, WIDTHS = 24, 40, (96, 192)
"""Channels at strides 2 and 4, and of the maps `layer2` and `layer3`."""

_RELU_GAIN = math.sqrt(2 / (1 - 1 / math.pi))


class ScaledConv(nn.Conv2d):
    """A convolution whose kernels have mean 0 and a norm that a learned gain sets.

    Source: Brock et al., "Characterizing signal propagation to close the performance gap in
    unnormalized ResNets", ICLR 2021, section 4.
    """

    def __init__(self, before: int, after: int, *, kernel: int, stride: int = 1) -> None:
        super().__init__(before, after, kernel, stride=stride, padding=kernel // 2)
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)
        self.gain = nn.Parameter(torch.ones(after, 1, 1, 1))

    def kernel(self) -> torch.Tensor:
        """Return the weights that are convolved with, (after, before, k, k)."""
        deviation, mean = torch.std_mean(self.weight, dim=(1, 2, 3), keepdim=True)
        fan_in = self.weight[0].numel()
        return (self.weight - mean) / (deviation * math.sqrt(fan_in) + 1e-5) * self.gain

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(x, self.kernel(), self.bias, self.stride, self.padding)


def active(x: torch.Tensor) -> torch.Tensor:
    """Return ReLU of x."""
    return functional.relu(x)


class Block(nn.Module):
    """Two convolutions beside a shortcut; what they add starts small."""

    def __init__(self, before: int, after: int, *, stride: int) -> None:
        super().__init__()
        self.first = ScaledConv(before, after, kernel=3, stride=stride)
        self.second = ScaledConv(after, after, kernel=3)
        nn.init.constant_(self.first.gain, _RELU_GAIN)
        nn.init.constant_(self.second.gain, 0.4 * _RELU_GAIN)
        self.shortcut = None
        if stride > 1 or before != after:
            self.shortcut = ScaledConv(before, after, kernel=stride, stride=stride)
            self.shortcut.padding = (0, 0)
            nn.init.constant_(self.shortcut.gain, _RELU_GAIN)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = active(x)
        inner = self.second(active(self.first(x)))
        return inner + (x if self.shortcut is None else self.shortcut(x))


class Network(nn.Module):
    """Pictures (B, 3, H, W), ImageNet's mean and deviation removed, to two maps."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ScaledConv(3, STEM, kernel=5, stride=2)
        self.second = ScaledConv(STEM, FIRST, kernel=3, stride=2)
        nn.init.constant_(self.second.gain, _RELU_GAIN)
        self.stage1 = Block(FIRST, FIRST, stride=1)
        self.stage2 = nn.Sequential(
            Block(FIRST, WIDTHS[0], stride=2), Block(WIDTHS[0], WIDTHS[0], stride=1)
        )
        self.stage3 = nn.Sequential(
            Block(WIDTHS[0], WIDTHS[1], stride=2), Block(WIDTHS[1], WIDTHS[1], stride=1)
        )
        self.heads = nn.ModuleList(ScaledConv(width, width, kernel=1) for width in WIDTHS)
        for head in self.heads:
            nn.init.constant_(head.gain, _RELU_GAIN)

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.stage1(self.second(active(self.stem(pictures))))
        layer2 = self.stage2(x)
        layer3 = self.stage3(layer2)
        return self.heads[0](active(layer2)), self.heads[1](active(layer3))
